"""Line of sight of backscatter images, and the classes of masks that products bring."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from results import write_dem

from insar.backscatter import Scale
from insar.backscatter_stack import (
    BackscatterImage,
    BackscatterStack,
    IncidencePlane,
    MaskCoding,
    Orbit,
    TerrainMask,
    ViewFacts,
)
from insar.backscatter_view import (
    BackscatterView,
    FlatClasses,
    ViewOptions,
    classes_of_masks,
    fill_visibility,
    sentinel1_heading_deg,
    view_of_images,
)
from insar.errors import MissingInputError, OptionError
from insar.grid import Grid
from insar.readers.dimap import read_dimap
from insar.slope import Visibility
from insar.terrain_mask import Terrain

GRID = Grid(40, 50, Affine(30, 0, 4e5, 0, -30, 4.9e6), "EPSG:32632")
FROM_WEST, FROM_EAST = 90.0, -90.0
DAY = date(2023, 5, 11)


class Values:
    """An array as a source of pixels."""

    def __init__(self, values):
        self.values = np.asarray(values, np.float32)

    def read_window(self, rows, cols):
        return self.values[rows, cols]


def stack_of(*views, orbit=Orbit.ASCENDING, incidences=()):
    images = tuple(
        BackscatterImage(f"{n}", Path(f"{n}"), DAY, "VV", orbit, Scale.POWER, Values(np.ones(GRID.shape)), view)
        for n, view in enumerate(views)
    )
    return BackscatterStack((), GRID, images, incidences=incidences)


def test_heading_at_the_equator_is_that_of_the_orbit_over_the_turning_earth():
    # At the target near the equator meridians are parallel: the azimuth in space, turned by the Earth's rotation.
    assert sentinel1_heading_deg(0.0, Orbit.ASCENDING) == pytest.approx(-12.05, abs=0.1)
    assert sentinel1_heading_deg(0.0, Orbit.DESCENDING) % 360 == pytest.approx(192.05, abs=0.1)


@pytest.mark.parametrize("latitude", [-60.0, -20.0, 0.0, 35.0, 47.7, 70.0])
def test_passes_mirror_each_other(latitude):
    up, down = (sentinel1_heading_deg(latitude, orbit) for orbit in (Orbit.ASCENDING, Orbit.DESCENDING))
    assert (up + down) % 360 == pytest.approx(180.0, abs=1e-6)


def test_heading_of_a_real_product(shared_data):
    product = read_dimap(next((shared_data / "format_samples" / "snap").glob("*.dim")))
    incidence = 0.5 * (product.number("incidence_near") + product.number("incidence_far"))
    found = sentinel1_heading_deg(product.number("centre_lat"), Orbit.DESCENDING, incidence)
    assert found % 360 == pytest.approx(product.number("centre_heading"), abs=1.0)


def test_line_of_sight_of_what_images_state():
    view = view_of_images(
        stack_of(
            ViewFacts(heading_deg=-12.0, looks_left=False, incidence_deg=38.0),
            ViewFacts(heading_deg=-14.0, looks_left=False, incidence_deg=40.0),
        ),
        Orbit.ASCENDING,
        ViewOptions(),
    )
    assert view.azimuth_deg == pytest.approx(103.0)
    assert view.incidence == 39.0
    sight = view.read_sight(slice(0, 1), slice(0, 1))
    assert sight.east[0, 0] < 0
    assert any("near and far range" in note for note in view.notes)


def test_left_looking_images():
    view = view_of_images(stack_of(ViewFacts(-13.0, True, 39.0)), Orbit.ASCENDING, ViewOptions())
    assert view.read_sight(slice(0, 1), slice(0, 1)).east[0, 0] > 0


def test_options_come_first():
    stated = ViewFacts(heading_deg=-12.0, incidence_deg=38.0)
    view = view_of_images(stack_of(stated), Orbit.ASCENDING, ViewOptions(incidence_deg=30.0, heading_deg=-20.0))
    assert view.incidence == 30.0
    assert view.azimuth_deg == pytest.approx(110.0)


def test_incidence_of_several_products_is_the_first_that_is_known():
    first, second = np.full(GRID.shape, 38.0), np.full(GRID.shape, 40.0)
    first[:, 20:] = np.nan
    planes = tuple(IncidencePlane("", DAY, Orbit.ASCENDING, Values(each)) for each in (first, second))
    view = view_of_images(stack_of(ViewFacts(), incidences=planes), Orbit.ASCENDING, ViewOptions())
    found = view.read_incidence(slice(0, 2), slice(18, 22))
    np.testing.assert_array_equal(found, [[38.0, 38.0, 40.0, 40.0]] * 2)


def test_what_is_not_known_is_asked_for():
    with pytest.raises(MissingInputError, match="--incidence DEG"):
        view_of_images(stack_of(ViewFacts()), Orbit.ASCENDING, ViewOptions())
    with pytest.raises(MissingInputError, match="--orbit ascending"):
        view_of_images(stack_of(ViewFacts(), orbit=None), None, ViewOptions(incidence_deg=39.0))


@pytest.mark.parametrize("options", [{"incidence_deg": 0.6}, {"incidence_deg": 90.0}, {"heading_deg": 400.0}])
def test_angles_that_mean_nothing(options):
    with pytest.raises(OptionError):
        ViewOptions(**options)


def test_codes_of_hyp3():
    codes = np.array([[0, 1, 3, 5, 7, 9, 17, 25, 21, 31, np.nan]], np.float32)
    mask = TerrainMask("", DAY, None, MaskCoding.HYP3, Values(codes))
    v = Visibility
    expected = [v.UNKNOWN, v.GOOD, v.LAYOVER, v.LAYOVER, v.LAYOVER, v.SHADOW, v.SHADOW, v.SHADOW, v.SHADOW, v.SHADOW]
    found = classes_of_masks([mask], slice(0, 1), slice(0, 11))
    np.testing.assert_array_equal(found[0], [*expected, v.UNKNOWN])


def test_codes_of_snap_and_the_first_that_is_known():
    first = TerrainMask("", DAY, None, MaskCoding.SNAP, Values([[0, 1, 2, 3, np.nan, np.nan]]))
    second = TerrainMask("", DAY, None, MaskCoding.SNAP, Values([[1, 1, 1, 1, 1, np.nan]]))
    found = classes_of_masks([first, second], slice(0, 1), slice(0, 6))
    v = Visibility
    np.testing.assert_array_equal(found[0], [v.GOOD, v.LAYOVER, v.SHADOW, v.SHADOW, v.LAYOVER, v.UNKNOWN])


def wide(grid, margin):
    steps = grid.transform
    corner = Affine(steps.a, 0, steps.c - margin * steps.a, 0, steps.e, steps.f - margin * steps.e)
    return Grid(grid.rows + 2 * margin, grid.cols + 2 * margin, corner, grid.crs)


@pytest.mark.parametrize(("azimuth", "side"), [(FROM_WEST, -1), (FROM_EAST, 1)])
def test_ridge_throws_layover_toward_the_sensor_and_shadow_away(tmp_path, azimuth, side):
    # A ridge that runs north with slopes of 55 degrees, seen at 45 degrees: the near slope lies over, the far one is
    # dark.
    big = wide(GRID, 40)
    col = np.arange(big.cols) - big.cols / 2 + 0.5
    height = np.maximum(0.0, 400.0 - np.abs(col) * 30.0 * np.tan(np.radians(55.0)))
    dem = write_dem(tmp_path / "dem.tif", np.tile(height.astype(np.float32), (big.rows, 1)), big)
    view = BackscatterView(45.0, azimuth, ())
    terrain = Terrain.prepare(dem, GRID, view, tmp_path)
    target = tmp_path / "classes.dat"
    with target.open("wb") as sink:
        fill_visibility(terrain, GRID, view, lambda _, classes: sink.write(classes.tobytes()), 2)
    found = FlatClasses(target, GRID.cols).read_rows(slice(10, 30))
    from_ridge = (np.arange(GRID.cols) - GRID.cols / 2 + 0.5) * side  # positive on the side of the sensor
    near, far = (from_ridge > 2) & (from_ridge < 8), (from_ridge < -2) & (from_ridge > -8)
    assert (found[:, near] == Visibility.LAYOVER).all()
    assert (found[:, far] == Visibility.SHADOW).all()
    assert (found[:, np.abs(from_ridge) > 20] == Visibility.GOOD).all()
