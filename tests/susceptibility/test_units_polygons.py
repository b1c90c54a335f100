"""Units from the user's polygons: what becomes of each kind of feature."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyproj
import pytest
import shapely

from insar.grid import Grid
from susceptibility.errors import InputError, MissingInputError, OptionError
from susceptibility.units import Zones, read_polygons, read_units, write_units, zonal_statistics

X, Y = 500_000.0, 4_000_000.0
SQUARE = shapely.box(X + 100, Y - 300, X + 300, Y - 100)
BESIDE = shapely.box(X + 300, Y - 300, X + 500, Y - 100)


def test_polygons_become_units_in_the_order_of_the_file(grid: Grid, write_shapes: Callable[..., Path]) -> None:
    units, census = read_polygons(
        write_shapes([BESIDE, SQUARE], name="u.gpkg", called=["b", "a"]), grid, name_field="called"
    )
    assert units.count == 2
    assert (units.labels[1:3, 3:5] == 1).all()
    assert (units.labels[1:3, 1:3] == 2).all()
    assert np.count_nonzero(units.labels) == 8
    assert list(units.attributes["name"]) == ["b", "a"]
    np.testing.assert_array_equal(units.area_m2, [40_000.0, 40_000.0])
    np.testing.assert_allclose(units.centroids_m, [[X + 400, Y - 200], [X + 200, Y - 200]])
    assert census.as_dict() == {
        "features": 2, "empty": 0, "without_area": 0, "repaired": 0, "outside": 0, "partly_outside": 0,
        "overlapping": 0, "overlap_m2": 0.0, "below_cell": 0,
    }  # fmt: skip


def test_what_is_no_polygon_on_the_grid_is_left_out_and_counted(grid: Grid, write_shapes: Callable[..., Path]) -> None:
    far = shapely.box(X - 900, Y - 300, X - 700, Y - 100)
    touching = shapely.box(X - 100, Y - 300, X, Y - 100)
    partly = shapely.box(X - 100, Y - 600, X + 100, Y - 500)
    tiny = shapely.box(X + 710, Y - 720, X + 730, Y - 705)
    shapes = [None, shapely.Point(X + 50, Y - 50), far, touching, partly, tiny, SQUARE]
    units, census = read_polygons(write_shapes(shapes), grid)
    assert units.count == 3
    assert list(units.attributes["feature"]) == [4, 5, 6]
    assert (census.features, census.empty, census.without_area, census.outside) == (7, 1, 1, 2)
    assert (census.partly_outside, census.below_cell) == (1, 1)
    found = zonal_statistics(Zones.of_units(units), np.ones(grid.shape), grid, ["known_share", "mean", "count"])
    np.testing.assert_allclose(found["known_share"], [0.5, 1.0, 1.0], rtol=1e-6)
    np.testing.assert_allclose(found["mean"], 1.0)
    assert list(found["count"]) == [1, 1, 4]


def test_overlap_counts_in_both_and_labels_go_to_the_first(grid: Grid, write_shapes: Callable[..., Path]) -> None:
    over = shapely.box(X + 200, Y - 300, X + 400, Y - 100)
    units, census = read_polygons(write_shapes([SQUARE, over]), grid)
    assert (census.overlapping, census.overlap_m2) == (1, 20_000.0)
    assert (units.labels[1:3, 1:3] == 1).all()
    assert (units.labels[1:3, 3] == 2).all()
    values = np.broadcast_to(np.arange(12.0), grid.shape)
    found = zonal_statistics(Zones.of_units(units), values, grid, ["mean"])
    np.testing.assert_allclose(found["mean"], [1.5, 2.5])


def test_invalid_polygons_are_repaired(
    grid: Grid, write_shapes: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    bow_tie = shapely.Polygon([(X, Y), (X + 200, Y - 200), (X + 200, Y), (X, Y - 200)])
    with caplog.at_level("WARNING"):
        units, census = read_polygons(write_shapes([bow_tie]), grid)
    assert census.repaired == 1
    assert "1 polygons invalid, repaired" in caplog.text
    assert units.area_m2[0] == pytest.approx(20_000.0)
    assert shapely.is_valid(units.shapes).all()


def test_other_systems_are_carried_to_the_grids(grid: Grid, write_shapes: Callable[..., Path]) -> None:
    to_degrees = pyproj.Transformer.from_crs("EPSG:32633", "EPSG:4326", always_xy=True)
    degrees = shapely.transform(SQUARE, lambda xy: np.column_stack(to_degrees.transform(xy[:, 0], xy[:, 1])))
    units, _ = read_polygons(write_shapes([degrees], crs="EPSG:4326"), grid)
    assert (units.labels[1:3, 1:3] == 1).all()
    assert np.count_nonzero(units.labels) == 4
    # Straight lines between the corners are others in degrees, by less than a millimetre here.
    assert units.area_m2[0] == pytest.approx(40_000.0, rel=1e-5)


@pytest.mark.filterwarnings("ignore:'crs' was not provided:UserWarning")
def test_files_without_a_system_need_one_to_be_stated(grid: Grid, write_shapes: Callable[..., Path]) -> None:
    path = write_shapes([SQUARE], crs=None)
    with pytest.raises(InputError, match="coordinate reference system"):
        read_polygons(path, grid)
    assert read_polygons(path, grid, own_crs="EPSG:32633")[0].count == 1
    with pytest.raises(OptionError, match="EPSG:n0"):
        read_polygons(path, grid, own_crs="EPSG:n0")


def test_stated_system_does_not_override_the_files(grid: Grid, write_shapes: Callable[..., Path]) -> None:
    path = write_shapes([SQUARE])
    assert read_polygons(path, grid, own_crs="EPSG:32633")[0].count == 1
    with pytest.raises(OptionError, match="EPSG:32634"):
        read_polygons(path, grid, own_crs="EPSG:32634")


def test_files_that_cannot_serve_are_refused(grid: Grid, write_shapes: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(MissingInputError):
        read_polygons(tmp_path / "none.gpkg", grid)
    with pytest.raises(InputError, match="on the grid"):
        read_polygons(write_shapes([shapely.box(0, 0, 10, 10)]), grid)
    with pytest.raises(InputError, match="none with an area"):
        read_polygons(write_shapes([shapely.Point(X + 50, Y - 50)], name="points.gpkg"), grid)
    path = write_shapes([SQUARE], name="square.gpkg", number=[1])
    with pytest.raises(OptionError, match="slides"):
        read_polygons(path, grid, layer="other")
    with pytest.raises(OptionError, match="number"):
        read_polygons(path, grid, name_field="title")
    (tmp_path / "text.gpkg").write_text("nothing")
    with pytest.raises(InputError, match="GDAL can read"):
        read_polygons(tmp_path / "text.gpkg", grid)


def test_polygon_units_keep_their_shapes_in_the_file(
    grid: Grid, write_shapes: Callable[..., Path], tmp_path: Path
) -> None:
    round_one = shapely.Point(X + 400, Y - 400).buffer(180.0)
    units, _ = read_polygons(write_shapes([round_one, SQUARE], called=["round", "square"]), grid, name_field="called")
    write_units(tmp_path / "units.gpkg", units)
    again = read_units(tmp_path / "units.gpkg")
    assert again.shapes is not None
    np.testing.assert_array_equal(again.labels, units.labels)
    np.testing.assert_allclose(again.area_m2, units.area_m2, rtol=1e-12)
    assert list(again.attributes["name"]) == ["round", "square"]
