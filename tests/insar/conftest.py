"""A small stack in MintPy's format whose time series is known."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from events import PARAMETERS
from numpy.typing import NDArray
from plain import sequential_network

from insar.cli.app import app, run_app

WAVELENGTH_M = 0.0554657646


@dataclass(frozen=True)
class KnownStack:
    """Path of an ``ifgramStack.h5`` and what is in it."""

    path: Path
    pairs: list[tuple[date, date]]
    phase: NDArray[np.float32]
    coherence: NDArray[np.float32]
    displacement_m: NDArray[np.float64]


def write_stack(path: Path, *, rows: int = 40, cols: int = 30, coherence: bool = True, **attributes: Any) -> KnownStack:
    """Write a noisy stack with gaps; row 3, column 4 has data in every pair and no displacement."""
    random = np.random.default_rng(12)
    pairs = sequential_network(12, 3)
    dates = sorted({day for pair in pairs for day in pair})
    years = np.array([(day - dates[0]).days for day in dates]) / 365.25
    rate = np.linspace(-0.1, 0.1, rows * cols).reshape(rows, cols)
    displacement = years[:, None, None] * (rate - rate[3, 4])
    series = displacement / (-WAVELENGTH_M / (4 * np.pi))
    phase = np.array([series[dates.index(two)] - series[dates.index(one)] for one, two in pairs])
    phase += random.normal(0, 0.05, phase.shape)
    phase[:, 3, 4] = np.linspace(0.1, 0.2, len(pairs))
    missing = random.random(phase.shape) < 0.05
    missing[:, 3, 4] = False
    missing[:, 0, 0] = True
    phase[missing] = 0.0
    gamma = random.uniform(0.3, 0.95, phase.shape)
    with h5py.File(path, "w") as sink:
        facts = {
            "FILE_TYPE": "ifgramStack",
            "LENGTH": rows,
            "WIDTH": cols,
            "WAVELENGTH": WAVELENGTH_M,
            "X_FIRST": 500000,
            "Y_FIRST": 4000000,
            "X_STEP": 30,
            "Y_STEP": -30,
            "X_UNIT": "meters",
            "Y_UNIT": "meters",
            "EPSG": 32611,
            "ALOOKS": 3,
            "RLOOKS": 9,
            "PROCESSOR": "isce",
            "ORBIT_DIRECTION": "ASCENDING",
        } | attributes
        sink.attrs.update({name: str(value) for name, value in facts.items() if value is not None})
        sink["date"] = np.array([[f"{day:%Y%m%d}".encode() for day in pair] for pair in pairs], dtype="S8")
        sink["bperp"] = np.linspace(-50, 50, len(pairs), dtype=np.float32)
        sink["dropIfgram"] = np.ones(len(pairs), dtype=bool)
        sink["unwrapPhase"] = phase.astype(np.float32)
        if coherence:
            sink["coherence"] = gamma.astype(np.float32)
    phase[phase == 0] = np.nan
    return KnownStack(path, pairs, phase.astype(np.float32), gamma.astype(np.float32), displacement)


@pytest.fixture(scope="session")
def known_stack(tmp_path_factory: pytest.TempPathFactory) -> KnownStack:
    """A stack on a UTM grid."""
    return write_stack(tmp_path_factory.mktemp("stack") / "ifgramStack.h5")


@pytest.fixture
def make_stack(tmp_path: Path) -> Callable[..., KnownStack]:
    """Write another stack into the test's own folder."""

    def make(**options: Any) -> KnownStack:
        return write_stack(tmp_path / "ifgramStack.h5", **options)

    return make


@pytest.fixture
def insar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str, str]]:
    """Run a command; its exit code, standard output and standard error."""

    def call(*arguments: Any) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["insar", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            run_app(app)
        printed = capsys.readouterr()
        return int(stop.value.code or 0), printed.out, printed.err

    return call


@pytest.fixture(scope="session")
def event_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of simulated complex images, seven before an event and two after it: `events.PARAMETERS`."""
    from insar.simulate.event_folder import simulate_event

    return simulate_event(PARAMETERS, tmp_path_factory.mktemp("event") / "images", "isce-slc") / "merged" / "SLC"
