"""Terrain factors of the Reserva Biologica San Francisco, Ecuador, against those that SAGA computed of the same model.

`ta.tif` comes with the book Geocomputation with R (package spDataLarge): made by SAGA through RSAGA, Zevenbergen &
Thorne's derivatives, slope in degrees, curvatures of the contour line (`cplan`) and of the section along the steepest
descent (`cprof`) in 1/m. SAGA's signs are those of this package: convex is positive.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray

from insar.grid import Grid
from susceptibility.factors.terrain import terrain_factors
from susceptibility.storage import read_raster

NAMES = {"slope": "slope", "plan_curvature": "cplan", "profile_curvature": "cprof"}


@pytest.fixture(scope="module")
def theirs(shared_data: Path) -> dict[str, NDArray[Any]]:
    with rasterio.open(shared_data / "ecuador" / "ta.tif") as source:
        return dict(zip(source.descriptions, source.read().astype(np.float64), strict=True))


@pytest.fixture(scope="module")
def terrain(shared_data: Path) -> tuple[NDArray[Any], Grid]:
    return read_raster(shared_data / "ecuador" / "rsaga_dem.tif")


@pytest.fixture(scope="module")
def ours(terrain: tuple[NDArray[Any], Grid]) -> dict[str, NDArray[Any]]:
    return {name: values.astype(np.float64) for name, values in terrain_factors(*terrain).items()}


def test_both_are_made_of_the_same_elevations(
    theirs: dict[str, NDArray[Any]], ours: dict[str, NDArray[Any]], terrain: tuple[NDArray[Any], Grid]
) -> None:
    np.testing.assert_array_equal(ours["elevation"], theirs["elev"])
    assert terrain[1].crs == "EPSG:32717"
    assert terrain[1].resolution == (10.0, 10.0)


@pytest.mark.parametrize("name", NAMES)
def test_slope_and_curvatures_equal_those_of_saga(
    name: str, theirs: dict[str, NDArray[Any]], ours: dict[str, NDArray[Any]]
) -> None:
    """Same unit, same sign; what was asked for is a median difference of 1e-5, what is found is none at all."""
    difference = np.abs(ours[name] - theirs[NAMES[name]])
    known = np.isfinite(difference)
    assert known.sum() > 156_000
    assert np.median(difference[known]) <= 1e-7
    assert np.percentile(difference[known], 99) <= 1e-6
    assert np.corrcoef(ours[name][known], theirs[NAMES[name]][known])[0, 1] > 0.999999


def test_no_value_is_made_up_where_they_have_none_and_only_the_rim_is_missing(
    theirs: dict[str, NDArray[Any]], ours: dict[str, NDArray[Any]], terrain: tuple[NDArray[Any], Grid]
) -> None:
    """SAGA continues the terrain beyond its rim by a straight line, where this package says that it does not know."""
    elevation = np.pad(terrain[0], 1, constant_values=np.nan)
    rows, cols = terrain[0].shape
    windows = [elevation[down : down + rows, along : along + cols] for down in range(3) for along in range(3)]
    whole = np.isfinite(np.sum(windows, axis=0))
    np.testing.assert_array_equal(np.isfinite(ours["slope"]), whole)
    assert not np.any(np.isfinite(ours["slope"]) & np.isnan(theirs["slope"]))
    pits = whole & np.isnan(ours["plan_curvature"])
    assert pits.sum() == 1  # level in the middle, yet not a plane: SAGA writes 0
    assert ours["slope"][pits] == 0.0


def test_the_landslide_points_carry_the_same_values(
    shared_data: Path, ours: dict[str, NDArray[Any]], terrain: tuple[NDArray[Any], Grid]
) -> None:
    with (shared_data / "ecuador" / "lsl.csv").open(encoding="utf-8") as table:
        points = list(csv.DictReader(table))
    transform = terrain[1].transform
    rows = [int((transform.f - float(point["y"])) // 10.0) for point in points]
    cols = [int((float(point["x"]) - transform.c) // 10.0) for point in points]
    assert len(points) == 350
    for name, column in NAMES.items():
        expected = [float(point[column]) for point in points]
        np.testing.assert_allclose(ours[name][rows, cols], expected, atol=1e-6, rtol=0)
