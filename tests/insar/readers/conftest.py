"""Stacks that every test of the readers may use or spoil."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from .builders import COLS, ROWS, IsceBuilder, SnapBuilder, plane


@pytest.fixture
def isce(tmp_path: Path) -> IsceBuilder:
    """A whole topsStack of two pairs with coherence and components, to be spoilt."""
    builder = IsceBuilder(tmp_path / "stack")
    for seed, name in enumerate(("20180106_20180118", "20180118_20180130")):
        builder.add_pair(name, plane(seed), np.abs(plane(seed + 10)), np.ones((ROWS, COLS)))
    builder.add_geometry()
    builder.add_wavelength()
    builder.add_baseline("20180106_20180118", 10.0, 12.0)
    builder.add_baseline("20180106_20180130", -5.0, -5.0)
    return builder


@pytest.fixture
def stripmap(tmp_path: Path) -> IsceBuilder:
    """A whole stripmapStack of one pair without coherence."""
    builder = IsceBuilder(tmp_path / "stripmap", layout="stripmap")
    builder.add_pair("20180106_20180118", plane(0))
    builder.add_geometry()
    builder.add_wavelength()
    return builder


@pytest.fixture
def snap(tmp_path: Path) -> SnapBuilder:
    """An empty SNAP stack."""
    return SnapBuilder(tmp_path / "snap")


@pytest.fixture
def whole_snap(snap: SnapBuilder) -> SnapBuilder:
    """A SNAP stack with a folder for each of two pairs, phase and coherence in separate products, and a DEM."""
    for seed, (first, second) in enumerate((("06Jan2018", "18Jan2018"), ("18Jan2018", "30Jan2018"))):
        folder = f"interferograms/pair{seed}"
        baselines = snap.baselines({first: 3.0, second: 10.0})
        snap.add_product(f"{folder}/unw_tc", {f"Unw_Phase_ifg_{first}_{second}_VV": plane(seed)}, baselines=baselines)
        snap.add_product(f"{folder}/coh_tc", {f"coh_IW1_VV_{first}_{second}": np.abs(plane(seed + 10))})
    snap.add_product("dem_tc", {"elevation": plane(99, zeros=False) * 100}, no_data="-9999.0")
    return snap
