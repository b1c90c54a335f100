"""Inventories: what is read, what is refused, what each feature becomes on the grid."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st

from insar.grid import Grid
from insar.layers import LayerDefinition, read_layer_grid, write_layer
from susceptibility.coverage import cell_coverage, mapped_cells
from susceptibility.density import density_of_labels
from susceptibility.errors import InputError, MissingInputError, OptionError
from susceptibility.inventory import (
    ABSENCE,
    CENSUS_MEANINGS,
    LANDSLIDE,
    UNLABELLED,
    Inventory,
    InventoryKind,
    rasterize_inventory,
    read_inventory,
)

UTM = "EPSG:32633"
WriteShapes = Callable[..., Path]


def cell_centre(row: float, col: float) -> tuple[float, float]:
    return 500_000.0 + 100.0 * (col + 0.5), 4_000_000.0 - 100.0 * (row + 0.5)


def point(row: float, col: float) -> shapely.Point:
    return shapely.Point(*cell_centre(row, col))


def box(top: float, left: float, bottom: float, right: float) -> shapely.Polygon:
    """Rectangle from row `top` to row `bottom` and column `left` to column `right`, in cell edges."""
    return shapely.box(
        500_000.0 + 100.0 * left, 4_000_000.0 - 100.0 * bottom, 500_000.0 + 100.0 * right, 4_000_000.0 - 100.0 * top
    )


def test_points_mark_their_cells_and_everything_left_out_is_counted(write_shapes: WriteShapes, grid: Grid) -> None:
    path = write_shapes([point(2, 3), point(2.3, 3.2), point(9, 11), point(-1, 0), point(4, 12.2), None])
    labels, census = rasterize_inventory(read_inventory(path, UTM), grid)
    assert np.argwhere(labels == LANDSLIDE).tolist() == [[2, 3], [9, 11]]
    assert (census.features, census.empty, census.outside, census.shared_cells) == (6, 1, 2, 1)
    assert census.landslide_cells == 2


def test_polygons_mark_cells_whose_centres_they_contain(write_shapes: WriteShapes, grid: Grid) -> None:
    path = write_shapes([box(1.0, 1.0, 3.4, 2.6)])
    labels, census = rasterize_inventory(read_inventory(path, UTM), grid)
    expected = np.zeros(grid.shape, bool)
    expected[1:3, 1:3] = True  # 3.4 does not reach the centre of row 3, 2.6 reaches that of column 2
    np.testing.assert_array_equal(labels == LANDSLIDE, expected)
    assert census.partly_outside == 0


def test_a_polygon_between_cell_centres_marks_one_cell(write_shapes: WriteShapes, grid: Grid) -> None:
    path = write_shapes([box(4.6, 5.6, 4.9, 5.9), box(7.8, 7.8, 8.2, 8.2), box(0, 0, 2, 2)])
    labels, census = rasterize_inventory(read_inventory(path, UTM), grid)
    assert labels[4, 5] == LANDSLIDE
    assert (labels[7:9, 7:9] == LANDSLIDE).sum() == 1
    assert census.below_cell == 2
    assert census.landslide_cells == 6


def test_overlapping_and_overhanging_polygons_are_counted(write_shapes: WriteShapes, grid: Grid) -> None:
    path = write_shapes([box(0, 0, 2, 2), box(1, 1, 3, 3), box(8, 10, 12, 14), box(20, 20, 21, 21)])
    labels, census = rasterize_inventory(read_inventory(path, UTM), grid)
    assert (census.shared_cells, census.partly_outside, census.outside) == (1, 1, 1)
    assert census.landslide_cells == 4 + 4 - 1 + 4
    assert labels[9, 11] == LANDSLIDE


def test_an_invalid_polygon_is_repaired(write_shapes: WriteShapes, grid: Grid) -> None:
    x0, y0 = cell_centre(5.5, -0.5)
    bow_tie = shapely.Polygon([(x0, y0), (x0 + 400, y0 + 400), (x0 + 400, y0), (x0, y0 + 400)])
    inventory = read_inventory(write_shapes([bow_tie]), UTM)
    assert inventory.repaired == 1
    assert shapely.is_valid(inventory.geometries).all()
    assert inventory.geometries[0].area == pytest.approx(400 * 400 / 2)
    labels, _ = rasterize_inventory(inventory, grid)
    assert (labels == LANDSLIDE).sum() >= 6


def test_another_crs_lands_on_the_same_cells(write_shapes: WriteShapes, grid: Grid) -> None:
    to_lonlat = pyproj.Transformer.from_crs(UTM, "EPSG:4326", always_xy=True)
    places = [(0, 0), (5, 7), (9, 11)]
    shapes = [shapely.Point(*to_lonlat.transform(*cell_centre(*place))) for place in places]
    labels, _ = rasterize_inventory(read_inventory(write_shapes(shapes, "EPSG:4326"), UTM), grid)
    assert [tuple(place) for place in np.argwhere(labels == LANDSLIDE)] == places


@given(row=st.floats(0, 9.999), col=st.floats(0, 11.999))
def test_a_point_marks_the_cell_that_contains_it(row: float, col: float) -> None:
    grid = Grid(10, 12, Affine(100.0, 0.0, 500_000.0, 0.0, -100.0, 4_000_000.0), UTM)
    place = shapely.Point(500_000.0 + 100.0 * col, 4_000_000.0 - 100.0 * row)
    shapes, is_landslide = np.array([place], object), np.array([True])
    one = Inventory(Path("x"), InventoryKind.POINTS, shapes, is_landslide, UTM, features=1, empty=0, repaired=0)
    labels, _ = rasterize_inventory(one, grid)
    (found,) = np.argwhere(labels == LANDSLIDE)
    # Rounding may move a place on an edge to the neighbour, and no further.
    assert abs(found[0] + 0.5 - row) <= 0.5 + 1e-6
    assert abs(found[1] + 0.5 - col) <= 0.5 + 1e-6


def test_a_presence_field_tells_landslides_from_absences(write_shapes: WriteShapes, grid: Grid) -> None:
    path = write_shapes([point(1, 1), point(2, 2), point(3, 3), point(3, 3)], seen=["TRUE", "FALSE", "FALSE", "TRUE"])
    labels, census = rasterize_inventory(read_inventory(path, UTM, presence_field="seen"), grid)
    assert labels[1, 1] == LANDSLIDE
    assert labels[2, 2] == ABSENCE
    assert labels[3, 3] == LANDSLIDE
    assert labels[5, 5] == UNLABELLED
    assert (census.landslide_cells, census.absence_cells, census.contradictory_cells) == (2, 1, 1)


def test_a_csv_table_needs_its_crs_stated(tmp_path: Path, grid: Grid) -> None:
    table = tmp_path / "slides.csv"
    (x, y), (x2, y2) = cell_centre(1, 2), cell_centre(8, 9)
    table.write_text(f"x,y,year\n{x},{y},2019\n{x2},{y2},2020\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"slides\.csv.*coordinate reference system"):
        read_inventory(table, UTM)
    labels, _ = rasterize_inventory(read_inventory(table, UTM, own_crs=UTM), grid)
    assert np.argwhere(labels == LANDSLIDE).tolist() == [[1, 2], [8, 9]]


def test_a_missing_crs_is_refused(write_shapes: WriteShapes) -> None:
    with pytest.warns(UserWarning, match="crs"):
        path = write_shapes([point(1, 1)], None)
    with pytest.raises(InputError, match=r"inventory\.gpkg: required a coordinate reference system"):
        read_inventory(path, UTM)


@pytest.mark.parametrize("placeholder", [0, -1])
def test_an_undefined_crs_is_none(write_shapes: WriteShapes, grid: Grid, placeholder: int) -> None:
    path = write_shapes([point(1, 1)])
    with contextlib.closing(sqlite3.connect(path)) as database:
        for table in ("gpkg_geometry_columns", "gpkg_contents"):
            database.execute(f"UPDATE {table} SET srs_id = {placeholder}")
        database.commit()
    with pytest.raises(InputError, match="required a coordinate reference system"):
        read_inventory(path, UTM)
    labels, _ = rasterize_inventory(read_inventory(path, UTM, own_crs=UTM), grid)
    assert labels[1, 1] == LANDSLIDE


def test_a_stated_crs_does_not_override_the_files(write_shapes: WriteShapes) -> None:
    with pytest.raises(OptionError, match="EPSG:32634 where the file says"):
        read_inventory(write_shapes([point(1, 1)]), UTM, own_crs="EPSG:32634")


def test_an_inventory_that_misses_the_grid_is_refused_with_both_extents(write_shapes: WriteShapes, grid: Grid) -> None:
    inventory = read_inventory(write_shapes([point(100, 100), point(101, 100)]), UTM)
    with pytest.raises(InputError, match=r"500000 3.999e\+06.*found landslides in 510050"):
        rasterize_inventory(inventory, grid)


def test_landslides_all_outside_are_refused_though_absences_lie_inside(write_shapes: WriteShapes, grid: Grid) -> None:
    path = write_shapes([point(100, 100), point(1, 1)], seen=["yes", "no"])
    with pytest.raises(InputError, match="landslides inside the grid"):
        rasterize_inventory(read_inventory(path, UTM, presence_field="seen"), grid)


def test_mixed_and_linear_geometries_are_refused(write_shapes: WriteShapes) -> None:
    line = shapely.LineString([cell_centre(1, 1), cell_centre(2, 2)])
    with pytest.raises(InputError, match=r"points or polygons.*found linestring"):
        read_inventory(write_shapes([line], name="lines.gpkg"), UTM)
    with pytest.raises(InputError, match="point and polygon"):
        read_inventory(write_shapes([point(1, 1), box(0, 0, 1, 1)], name="mixed.geojson"), UTM)


def test_a_kind_that_does_not_fit_is_refused(write_shapes: WriteShapes) -> None:
    with pytest.raises(InputError, match="required polygons"):
        read_inventory(write_shapes([point(1, 1)]), UTM, kind=InventoryKind.POLYGONS)


def test_unknown_layer_and_field_name_what_there_is(write_shapes: WriteShapes) -> None:
    path = write_shapes([point(1, 1)], seen=["yes"])
    with pytest.raises(OptionError, match="slides"):
        read_inventory(path, UTM, layer="landslide")
    with pytest.raises(OptionError, match="seen"):
        read_inventory(path, UTM, presence_field="sean")


def test_a_presence_that_is_neither_true_nor_false_is_refused(write_shapes: WriteShapes) -> None:
    with pytest.raises(InputError, match="'maybe'"):
        read_inventory(write_shapes([point(1, 1)], seen=["maybe"]), UTM, presence_field="seen")


def test_files_that_are_absent_or_no_vectors_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no such file"):
        read_inventory(tmp_path / "none.gpkg", UTM)
    text = tmp_path / "text.gpkg"
    text.write_text("hello", encoding="utf-8")
    with pytest.raises(InputError, match="a vector file GDAL can read"):
        read_inventory(text, UTM)


def test_without_any_landslide_it_is_refused(write_shapes: WriteShapes) -> None:
    with pytest.raises(InputError, match="at least one landslide"):
        read_inventory(write_shapes([point(1, 1)], seen=["no"]), UTM, presence_field="seen")


def test_dates_are_kept_and_a_period_is_chosen(write_shapes: WriteShapes, grid: Grid) -> None:
    written = ["2015-04-25", "2015/05/12", "20150601", "2015", "2015-05", "", "2016-01-01T10:00:00"]
    path = write_shapes([point(row, 1) for row in range(7)], when=written)
    whole = read_inventory(path, UTM, date_field="when")
    assert whole.dates is not None
    assert whole.dates[:, 0].astype(str).tolist() == [
        "2015-04-25", "2015-05-12", "2015-06-01", "2015-01-01", "2015-05-01", "NaT", "2016-01-01",
    ]  # fmt: skip
    assert whole.dates[3:5, 1].astype(str).tolist() == ["2015-12-31", "2015-05-31"]
    assert (whole.undated, whole.out_of_period) == (1, 0)
    spring = read_inventory(path, UTM, date_field="when", period=(date(2015, 4, 1), date(2015, 5, 31)))
    labels, census = rasterize_inventory(spring, grid)
    assert np.flatnonzero(labels[:, 1]).tolist() == [0, 1, 4]
    assert (census.features, census.out_of_period, census.undated) == (7, 2, 2)  # all of 2015 is too vague
    late = read_inventory(path, UTM, date_field="when", period=(date(2015, 6, 1), None))
    assert shapely.get_y(late.geometries).tolist() == [cell_centre(row, 1)[1] for row in (2, 6)]


def test_dates_and_years_as_numbers(write_shapes: WriteShapes) -> None:
    path = write_shapes([point(1, 1), point(2, 2)], name="a.geojson", year=[2014, 2017])
    inventory = read_inventory(path, UTM, date_field="year", period=(date(2014, 1, 1), date(2014, 12, 31)))
    assert len(inventory.geometries) == 1
    days = np.array(["2014-03-02", "NaT"], "datetime64[ms]")
    inventory = read_inventory(write_shapes([point(1, 1), point(2, 2)], day=days), UTM, date_field="day")
    assert inventory.dates is not None
    assert inventory.dates.astype(str).tolist() == [["2014-03-02"] * 2, ["NaT"] * 2]


@pytest.mark.parametrize("text", ["spring", "2015-13-01", "2015-00", "2015-02-30", "12.05.2015"])
def test_a_date_that_is_none_is_refused(write_shapes: WriteShapes, text: str) -> None:
    path = write_shapes([point(1, 1)], when=[text])
    with pytest.raises(InputError, match=f"field 'when'.*found '{text}'"):
        read_inventory(path, UTM, date_field="when")


def test_a_period_that_cannot_be_used_is_refused(write_shapes: WriteShapes) -> None:
    path = write_shapes([point(1, 1)], when=["2015-04-25"])
    with pytest.raises(OptionError, match="date_field"):
        read_inventory(path, UTM, period=(date(2015, 1, 1), None))
    with pytest.raises(OptionError, match="not before the first"):
        read_inventory(path, UTM, date_field="when", period=(date(2015, 1, 1), date(2014, 1, 1)))
    with pytest.raises(InputError, match=r"of the period asked for.*1 of other times, 0 undated"):
        read_inventory(path, UTM, date_field="when", period=(date(2016, 1, 1), None))
    with pytest.raises(OptionError, match=r"date field 'then': required a field of .*: when"):
        read_inventory(path, UTM, date_field="then")


def test_duplicates_and_overlaps_are_counted(write_shapes: WriteShapes, grid: Grid) -> None:
    again = shapely.Polygon(list(box(0, 0, 2, 2).exterior.coords)[::-1][1:])  # the other way round, another start
    path = write_shapes([box(0, 0, 2, 2), again, box(1, 1, 3, 3), box(3, 3, 4, 4), box(6, 6, 7, 7)])
    inventory = read_inventory(path, UTM)
    assert inventory.is_duplicate.tolist() == [False, True, False, False, False]
    _, census = rasterize_inventory(inventory, grid)
    assert (census.duplicates, census.overlapping) == (1, 3)  # a shared corner is no overlap
    points = write_shapes([point(1, 1), point(1, 1), point(1, 1.2)], name="points.gpkg", seen=["yes", "yes", "yes"])
    _, census = rasterize_inventory(read_inventory(points, UTM, presence_field="seen"), grid)
    assert (census.duplicates, census.shared_cells) == (1, 2)
    assert "hidden" not in census.as_dict()
    assert set(census.as_dict()) <= set(CENSUS_MEANINGS)


def write_classes(path: Path, classes: np.ndarray, grid: Grid, nodata: int | None = None) -> Path:
    write_layer(path, classes, grid, LayerDefinition("slides", "class", "Slides", dtype="uint8", nodata=nodata))
    return path


def test_a_raster_on_the_grid_gives_back_its_cells(tmp_path: Path, grid: Grid) -> None:
    classes = np.random.default_rng(1).integers(0, 4, grid.shape).astype(np.uint8)
    path = write_classes(tmp_path / "slides.tif", classes, grid)
    labels, census = rasterize_inventory(read_inventory(path, UTM), grid)
    np.testing.assert_array_equal(labels == LANDSLIDE, classes > 0)
    assert (census.overlapping, census.below_cell, census.shared_cells) == (0, 0, 0)
    inventory = read_inventory(path, UTM, landslide_classes=(2,), absence_classes=(1,))
    labels, _ = rasterize_inventory(inventory, grid)
    np.testing.assert_array_equal(labels, np.array([UNLABELLED, ABSENCE, LANDSLIDE, UNLABELLED], np.uint8)[classes])
    np.testing.assert_allclose(cell_coverage(inventory.geometries[inventory.is_landslide], grid), classes == 2)
    assert inventory.mapped is None


def test_a_raster_in_degrees_covers_the_same_area(tmp_path: Path, grid: Grid) -> None:
    own = Grid(60, 60, Affine(0.0002, 0.0, 15.0, 0.0, -0.0002, 36.15), "EPSG:4326")
    classes = np.zeros(own.shape, np.uint8)
    classes[5:50, 10:40] = 1
    inventory = read_inventory(write_classes(tmp_path / "slides.tif", classes, own), UTM)
    area = pyproj.Geod(ellps="WGS84").geometry_area_perimeter(shapely.box(15.002, 36.14, 15.008, 36.149))[0]
    # UTM stretches areas by 0.9996 squared on its central meridian.
    assert shapely.area(inventory.geometries).sum() == pytest.approx(abs(area) * 0.9996**2, rel=1e-5)


def test_where_a_raster_has_no_data_nothing_was_mapped(tmp_path: Path, grid: Grid) -> None:
    classes = np.ones(grid.shape, np.uint8)
    classes[:, 6:] = 2
    classes[:2] = 0
    path = write_classes(tmp_path / "slides.tif", classes, grid, nodata=0)
    inventory = read_inventory(path, UTM, landslide_classes=(2,))
    assert inventory.mapped is not None
    np.testing.assert_array_equal(mapped_cells(inventory.mapped, grid), classes > 0)


def test_rasters_and_options_that_do_not_fit_are_refused(tmp_path: Path, grid: Grid, write_shapes: WriteShapes) -> None:
    shares = np.full(grid.shape, 0.3, np.float32)
    write_layer(tmp_path / "lad.tif", shares, grid, LayerDefinition("lad", "1", "Share"))
    with pytest.raises(InputError, match=r"classes, whole numbers; found 0\.3"):
        read_inventory(tmp_path / "lad.tif", UTM)
    path = write_classes(tmp_path / "none.tif", np.zeros(grid.shape, np.uint8), grid)
    with pytest.raises(InputError, match="at least one landslide"):
        read_inventory(path, UTM)
    with pytest.raises(OptionError, match="date_field: required a vector inventory"):
        read_inventory(path, UTM, date_field="when")
    with pytest.raises(OptionError, match="landslide_classes: required a raster inventory"):
        read_inventory(write_shapes([point(1, 1)]), UTM, landslide_classes=(1,))
    with pytest.raises(OptionError, match="1 given as both"):
        read_inventory(path, UTM, landslide_classes=(1,), absence_classes=(1,))


def test_a_mapped_area_comes_from_a_file_of_its_own(write_shapes: WriteShapes, grid: Grid) -> None:
    path = write_shapes([point(1, 1)])
    area = write_shapes([box(0, 0, 4, 4), box(2, 2, 6, 6)], name="area.gpkg")
    inventory = read_inventory(path, UTM, mapped_area=area)
    assert inventory.mapped is not None
    assert shapely.area(inventory.mapped).sum() == pytest.approx((16 + 16 - 4) * 1e4)
    with pytest.raises(InputError, match="required polygons"):
        read_inventory(path, UTM, mapped_area=path)


def test_the_published_points_of_ecuador_lie_in_their_study_area(shared_data: Path) -> None:
    folder = shared_data / "ecuador"
    inventory = read_inventory(
        folder / "lsl.gpkg", "EPSG:32717", presence_field="lslpts", mapped_area=folder / "study_mask.gpkg"
    )
    assert (len(inventory.geometries), int(inventory.is_landslide.sum())) == (350, 175)
    grid = read_layer_grid(folder / "ta.tif")
    labels, census = rasterize_inventory(inventory, grid)
    assert (census.landslide_cells, census.absence_cells, census.outside) == (175, 174, 0)
    assert (census.duplicates, census.shared_cells) == (1, 1)  # one absence is in the file twice
    assert inventory.mapped is not None
    assert mapped_cells(inventory.mapped, grid)[labels > 0].mean() > 0.99
    cells = np.mgrid[0 : grid.rows, 0 : grid.cols] // 50
    units = (cells[0] * (grid.cols // 50 + 1) + cells[1] + 1).astype(np.int32)
    found = density_of_labels(inventory, units, grid)
    assert int(found.landslides.sum()) == 175
    # The raster of the mapped area is as large as the polygon, within what its outline cuts of cells.
    assert found.observed_area_m2.sum() == pytest.approx(shapely.area(inventory.mapped).sum(), rel=2e-3)


def test_a_mapped_landslide_mask_of_emilia_as_an_inventory(shared_data: Path, tmp_path: Path) -> None:
    import h5py

    with h5py.File(shared_data / "sen12_emilia" / "italy_s1asc_4120.nc") as file:
        mask = file["MASK"][0].T
        x, y = file["x"][()], file["y"][()]
    if y[1] > y[0]:
        mask, y = mask[::-1], y[::-1]
    step = float(x[1] - x[0])
    grid = Grid(*mask.shape, Affine(step, 0.0, x[0] - step / 2, 0.0, -step, y[0] + step / 2), "EPSG:32632")
    path = write_classes(tmp_path / "mask.tif", np.ascontiguousarray(mask), grid)
    inventory = read_inventory(path, "EPSG:32632")
    np.testing.assert_allclose(cell_coverage(inventory.geometries, grid), mask > 0, atol=1e-9)
    units = np.ones(grid.shape, np.int32)
    assert density_of_labels(inventory, units, grid).areal_density[0] == pytest.approx((mask > 0).mean())
    projected = read_inventory(path, "EPSG:3035")
    scale = shapely.area(projected.geometries).sum() / ((mask > 0).sum() * step * step)
    assert scale == pytest.approx(1.0, abs=2e-3)  # equal-area against UTM at 1.2 degrees from its meridian


@given(seed=st.integers(0, 10_000), size=st.floats(5.0, 200.0))
def test_every_polygon_on_the_grid_marks_a_cell(seed: int, size: float) -> None:
    grid = Grid(10, 12, Affine(100.0, 0.0, 500_000.0, 0.0, -100.0, 4_000_000.0), UTM)
    rng = np.random.default_rng(seed)
    corners = np.column_stack([500_000 + 1100 * rng.random(8), 3_999_100 + 850 * rng.random(8)])
    # Rounded to 50 m in part, so that borders run through centres.
    corners[:4] = np.round(corners[:4] / 50.0) * 50.0
    shapes = shapely.box(*corners.T, corners[:, 0] + size, corners[:, 1] + size * 0.5)
    for shape in shapes:
        one = Inventory(
            Path("x"), InventoryKind.POLYGONS, np.array([shape], object), np.ones(1, bool), UTM, 1, empty=0, repaired=0
        )
        labels, census = rasterize_inventory(one, grid)
        rows, cols = np.nonzero(labels)
        x, y = grid.map_coordinates(rows + 0.5, cols + 0.5)
        assert rows.size
        if census.below_cell:
            assert rows.size == 1
            assert not shapely.contains_xy(shape, x, y).any()
        else:
            assert shapely.intersects_xy(shape, x, y).all()
