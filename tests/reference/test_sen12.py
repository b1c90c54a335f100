"""Real Sentinel-1 images of Sen12Landslides (Emilia, May 2023): the layers against xarray, and the terrain mask."""

from __future__ import annotations

import importlib.util
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
import rasterio

from insar.backscatter import EventWindows, Span
from insar.backscatter_chain import BackscatterOptions
from insar.backscatter_results import MaskOptions, map_backscatter
from insar.layer_run import Machine

EVENT = date(2023, 5, 16)
PASSES = {"asc": "ascending", "dsc": "descending"}
SEASON = Span(date(2022, 12, 1), date(2023, 2, 28))


def load_example():
    path = Path(__file__).resolve().parents[2] / "examples" / "convert_sen12landslides.py"
    spec = importlib.util.spec_from_file_location("convert_sen12landslides", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def patches(shared_data):
    return {orbit: shared_data / "sen12_emilia" / f"italy_s1{orbit}_4120.nc" for orbit in PASSES}


@pytest.fixture(scope="module")
def result(patches, tmp_path_factory):
    pytest.importorskip("netCDF4", exc_type=ImportError)
    folder = tmp_path_factory.mktemp("sen12")
    example = load_example()
    for orbit, path in patches.items():
        example.convert(path, folder / orbit)
    return map_backscatter(
        [folder / orbit for orbit in PASSES],
        folder / "out",
        BackscatterOptions(EventWindows(EVENT), season=SEASON),
        mask=MaskOptions(folder / "asc" / "dem.tif", incidence_deg=39.0),
        machine=Machine(workers=1),
    )


def days_of(first, last):
    return slice(first.isoformat(), last.isoformat())


def layer(folder, name):
    with rasterio.open(folder / "layers" / f"{name}.tif") as source:
        return source.read(1)


@pytest.mark.parametrize("orbit", PASSES)
def test_medians_and_differences_are_those_of_xarray(result, patches, orbit):
    xarray = pytest.importorskip("xarray", exc_type=ImportError)
    suffix = PASSES[orbit]
    with xarray.open_dataset(patches[orbit]) as patch:
        pre = patch.sel(time=days_of(EVENT - timedelta(365), EVENT - timedelta(12)))
        post = patch.sel(time=days_of(EVENT + timedelta(12), EVENT + timedelta(60)))
        winter = patch.sel(time=days_of(*SEASON))
        assert (pre.sizes["time"], post.sizes["time"]) == (9, 2)
        for name in ("VV", "VH"):
            before, after = (each[name].astype("f8").median("time").transpose("y", "x") for each in (pre, post))
            amplitude = (10.0 ** (winter[name].astype("f8") / 20.0)).mean("time").transpose("y", "x")
            stem = name.lower()
            expected = {
                f"{stem}_post": after,
                f"{stem}_difference": after - before,
                f"{stem}_amplitude_mean": 20.0 * np.log10(amplitude),
            }
            for layer_name, values in expected.items():
                found = layer(result, f"{layer_name}_{suffix}")
                np.testing.assert_allclose(found, values.to_numpy(), rtol=0, atol=1e-5)


def test_map_lies_where_the_patch_lies(result, patches):
    netcdf = pytest.importorskip("netCDF4", exc_type=ImportError)
    with rasterio.open(result / "layers" / "vv_post_ascending.tif") as source, netcdf.Dataset(patches["asc"]) as patch:
        assert source.crs.to_epsg() == 32632
        assert source.transform.c == float(patch["x"][0])
        assert source.transform.f == float(patch["y"][0])
    # Every pixel of the mask is in the outline of a landslide only where the images are the right way up.
    with rasterio.open(result.parent / "asc" / "landslides.tif") as source, netcdf.Dataset(patches["asc"]) as patch:
        mask = source.read(1) == 1
        inside = np.zeros(mask.shape, bool)
        for outline in patch.ann_bbox.strip("()").split("),("):
            west, south, east, north = map(float, outline.split(","))
            top, left = source.index(west, north)
            bottom, right = source.index(east, south)
            inside[max(top, 0) : bottom + 1, max(left, 0) : right + 1] = True
        assert mask.sum() == 631
        assert inside[mask].all()
        assert inside.mean() < 0.1


@pytest.mark.parametrize(("orbit", "toward"), [("ascending", 1.0), ("descending", -1.0)])
def test_foreshortened_slopes_face_the_sensor(result, orbit, toward):
    # Seen from the west the terrain that rises to the east is shortened. No slope here is steep enough for layover at
    # 39 degrees, nor for shadow.
    classes = layer(result, f"visibility_{orbit}")
    with rasterio.open(result.parent / "asc" / "dem.tif") as source:
        rise = np.gradient(source.read(1).astype(float), 10.0, axis=1) * toward
    assert 0.01 < np.mean(classes == 2) < 0.1
    assert (rise[classes == 2] > 0.2).all()
    assert not np.isin(classes, (3, 4)).any()
    assert np.mean(classes == 1) > 0.85
