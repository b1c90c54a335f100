"""The manifest: what it says of a folder must be so, and be JSON that any program reads."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, date, datetime
from enum import Enum
from pathlib import Path

import numpy as np
import pytest
from affine import Affine

from insar.errors import InputError, MissingInputError
from insar.grid import Grid, RowCol
from insar.layers import LAYERS, write_layer
from insar.stack import Acquisition, Pair, Stack
from insar.writers.manifest import checksum, read_manifest, write_manifest

GRID = Grid(4, 5, Affine(30.0, 0, 350_000.0, 0, -30.0, 6_320_000.0), "EPSG:32719")


class Weights(Enum):
    VARIANCE = "variance"


def stack() -> Stack:
    return Stack(
        path=Path("some/stack"),
        processor="snap",
        pairs=(Pair(date(2020, 1, 1), date(2020, 1, 13)), Pair(date(2020, 1, 13), date(2020, 1, 25))),
        wavelength_m=0.0554657646,
        perpendicular_baselines_m=np.array([12.0, np.nan]),
        grid=GRID,
        acquisition=Acquisition(platform="Sentinel-1"),
        notes=("one pair is listed twice",),
    )


def write(folder: Path, **changes) -> dict:
    (folder / "layers").mkdir(exist_ok=True)
    layers = []
    for name in ("velocity", "quality"):
        path = folder / "layers" / f"{name}.tif"
        write_layer(path, np.ones(GRID.shape), GRID, LAYERS[name])
        layers.append((LAYERS[name], path))
    (folder / "timeseries.h5").write_bytes(b"stand-in")
    arguments = {
        "layers": layers,
        "stack": stack(),
        "configuration": {"weights": Weights.VARIANCE, "reference": RowCol(1, 2), "bounds": None},
        "summary": {"median": np.float32(0.5), "unknown": float("nan"), "counts": np.arange(3), "ok": np.bool_(True)},
        "left_out": {"mean_coherence": "the stack has no coherence"},
        "files": [folder / "timeseries.h5"],
        "started": datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC),
    } | changes
    assert write_manifest(folder, **arguments) == folder / "manifest.json"
    return read_manifest(folder)


def test_layers_are_described_and_checksums_hold(tmp_path):
    manifest = write(tmp_path)
    assert [layer["name"] for layer in manifest["layers"]] == ["velocity", "quality"]
    velocity, quality = manifest["layers"]
    assert velocity["unit"] == "m/yr"
    assert velocity["sign"] == "positive toward the satellite"
    assert velocity["nodata"] == "nan"
    assert quality["dtype"] == "uint8"
    assert quality["nodata"] is None
    for described in (*manifest["layers"], *manifest["files"]):
        content = (tmp_path / described["file"]).read_bytes()
        assert described["sha256"] == hashlib.sha256(content).hexdigest()
        assert described["bytes"] == len(content)
    assert velocity["file"] == "layers/velocity.tif"
    assert manifest["left_out"] == [{"name": "mean_coherence", "reason": "the stack has no coherence"}]


def test_inputs_grid_and_versions(tmp_path):
    manifest = write(tmp_path)
    inputs = manifest["inputs"]
    assert inputs["processor"] == "snap"
    assert inputs["dates"] == ["2020-01-01", "2020-01-13", "2020-01-25"]
    assert inputs["pairs"] == ["20200101_20200113", "20200113_20200125"]
    assert inputs["notes"] == ["one pair is listed twice"]
    assert inputs["acquisition"] == {"platform": "Sentinel-1"}
    assert inputs["has_coherence"] is False
    assert manifest["grid"]["crs"] == "EPSG:32719"
    assert manifest["grid"]["transform"] == [30.0, 0.0, 350_000.0, 0.0, -30.0, 6_320_000.0]
    assert manifest["started"] == "2024-01-02T03:04:05+00:00"
    assert manifest["finished"] is None
    assert manifest["versions"]["numpy"] == np.__version__
    assert set(manifest["versions"]) >= {"scarp", "python", "numba", "gdal", "rasterio"}


def test_values_become_plain_json_without_nan(tmp_path):
    manifest = write(tmp_path)
    assert manifest["configuration"] == {
        "weights": "variance",
        "reference": {"row": 1, "col": 2},
        "bounds": None,
    }
    assert manifest["summary"] == {"median": 0.5, "unknown": None, "counts": [0, 1, 2], "ok": True}
    text = (tmp_path / "manifest.json").read_text()
    assert "NaN" not in text
    assert text.endswith("}\n")


def test_the_grid_of_geocoded_layers_differs_from_that_of_the_stack(tmp_path):
    other = Grid(2, 2, Affine(0.1, 0, 7.0, 0, -0.1, 45.0), "EPSG:4326")
    manifest = write(tmp_path, grid=other)
    assert manifest["grid"]["rows"] == 2
    assert manifest["inputs"]["rows"] == 4


def test_what_cannot_be_said_in_json_leaves_the_old_manifest(tmp_path):
    write(tmp_path)
    before = (tmp_path / "manifest.json").read_bytes()
    with pytest.raises(TypeError, match="object"):
        write(tmp_path, summary={"thing": object()})
    assert (tmp_path / "manifest.json").read_bytes() == before
    assert not list(tmp_path.glob(".*"))


def test_unusable_manifests_are_named(tmp_path):
    with pytest.raises(MissingInputError, match=r"manifest\.json"):
        read_manifest(tmp_path)
    (tmp_path / "manifest.json").write_text('{"format": 1,')
    with pytest.raises(InputError, match="JSON"):
        read_manifest(tmp_path)
    for content in ({"format": 99}, {}, [1], {"format": "1"}):
        (tmp_path / "manifest.json").write_text(json.dumps(content))
        with pytest.raises(InputError, match="format 1 or older"):
            read_manifest(tmp_path)


def test_checksum_of_a_known_content(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert checksum(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
