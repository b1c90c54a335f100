"""Maps on disk: each cell has the value of its unit, each unit its own, unknown stays unknown, the same bytes again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyogrio.raw
import pytest
import shapely

from insar.grid import Grid
from insar.layers import read_layer
from susceptibility import unit_map as module
from susceptibility.class_bounds import equal_bounds
from susceptibility.ensemble import RowPredictions
from susceptibility.errors import InputError, OptionError
from susceptibility.unit_map import UnitMap, points_at, write_rasters, write_units_file
from susceptibility.units import aggregate_units, cell_units

NAN = np.float32("nan")


def predictions(count: int, *, single: bool = False) -> RowPredictions:
    rng = np.random.default_rng(count)
    median = rng.uniform(size=count).astype(np.float32)
    median[2] = NAN
    spread = None if single else median / 4
    lower, upper = (None, None) if single else (median / 2, np.minimum(median * 1.5, 1.0))
    return RowPredictions(median, median, spread, lower, upper, None if single else median / 10, None, (0.05, 0.95))


def test_each_cell_has_the_value_of_its_unit(grid: Grid, tmp_path: Path) -> None:
    known = np.ones(grid.shape, np.bool_)
    known[:, :2] = False
    units = aggregate_units(known, grid, 2)
    found = predictions(units.count)
    applicable = np.arange(units.count) % 3 > 0
    paths = write_rasters(UnitMap(found, equal_bounds(5), applicable=applicable), units.labels, grid, tmp_path / "maps")
    assert [path.name for path in paths] == [
        "probability.tif", "probability_std.tif", "probability_lower.tif", "probability_upper.tif",
        "probability_insar_std.tif", "class.tif", "applicable.tif",
    ]  # fmt: skip
    expected = np.full(grid.shape, NAN)
    for (row, col), unit in np.ndenumerate(units.labels):
        if unit:
            expected[row, col] = found.probability[unit - 1]
    values, own_grid, layer = read_layer(paths[0])
    np.testing.assert_array_equal(values, expected)
    assert own_grid.same_as(grid)
    assert layer.unit == "1"
    assert layer.description.startswith("Median over models")
    assert "5 %" in read_layer(paths[2])[2].description
    classes, _, layer = read_layer(paths[5])
    np.testing.assert_array_equal(classes, np.where(np.isnan(expected), np.nan, np.minimum(expected // 0.2, 4) + 1))
    assert "5 very high from 0.8" in layer.description
    trusted = read_layer(paths[6])[0]
    wanted = np.where(np.isnan(expected), np.nan, applicable[np.maximum(units.labels, 1) - 1] + 1.0)
    np.testing.assert_array_equal(trusted, wanted)


def test_cells_of_one_model_have_three_files_less(grid: Grid, tmp_path: Path) -> None:
    known = np.ones(grid.shape, np.bool_)
    known[0, 0] = False
    units = cell_units(known, grid)
    found = predictions(units.count, single=True)
    paths = write_rasters(UnitMap(found, equal_bounds(3), target="lad"), units.labels, grid, tmp_path)
    assert [path.name for path in paths] == ["areal_density.tif", "class.tif"]
    values, _, layer = read_layer(paths[0])
    np.testing.assert_array_equal(values.ravel()[1:], found.probability)
    assert np.isnan(values[0, 0])
    assert layer.description == "Predicted area that landslides cover over area, 0 to 1"


def test_each_unit_has_its_own_in_the_file(grid: Grid, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    units = aggregate_units(np.ones(grid.shape, np.bool_), grid, 3, least_known=0.0)
    found = predictions(units.count)
    applicable = np.arange(units.count) % 2 > 0
    content = UnitMap(found, equal_bounds(5), applicable=applicable)
    read = []
    for name, at_once in (("a", 200_000), ("b", 200_000), ("c", 5)):
        monkeypatch.setattr(module, "_UNITS_AT_ONCE", at_once)
        path = tmp_path / f"{name}.gpkg"
        write_units_file(
            content, path, str(grid.crs), number=np.arange(1, units.count + 1).__getitem__,
            geometry=units.polygons.__getitem__,
        )  # fmt: skip
        meta, _, shapes, values = pyogrio.raw.read(path)
        read.append((dict(zip(meta["fields"], values, strict=True)), shapely.from_wkb(shapes)))
    assert (tmp_path / "a.gpkg").read_bytes() == (tmp_path / "b.gpkg").read_bytes()
    for fields, shapes in (read[0], read[2]):
        assert list(fields) == [
            "unit", "probability", "probability_std", "probability_lower", "probability_upper",
            "probability_insar_std", "class", "applicable",
        ]  # fmt: skip
        np.testing.assert_array_equal(fields["unit"], np.arange(1, units.count + 1))
        np.testing.assert_array_equal(fields["probability"], found.probability)
        np.testing.assert_array_equal(fields["probability_upper"], found.upper)
        np.testing.assert_array_equal(fields["probability_insar_std"], found.insar_std)
        known = np.isfinite(found.probability)
        np.testing.assert_array_equal(fields["class"][known], found.probability[known] // np.float32(0.2) + 1)
        assert np.isnan(fields["class"][2])  # null
        assert (fields["applicable"][known].astype(np.bool_) == applicable[known]).all()
        assert all(one.equals(other) for one, other in zip(shapes, units.polygons, strict=True))
    assert not list(tmp_path.glob(".*"))


def test_a_table_of_places_becomes_points(tmp_path: Path) -> None:
    x, y = np.array([5e5, 6e5, 7e5]), np.array([4e6, 4.1e6, 4.2e6])
    content = UnitMap(predictions(3), equal_bounds(5))
    write_units_file(
        content, tmp_path / "p.gpkg", "EPSG:32633", number=np.array([7, 8, 9]).__getitem__,
        geometry=points_at(x.__getitem__, y.__getitem__),
    )  # fmt: skip
    meta, _, shapes, values = pyogrio.raw.read(tmp_path / "p.gpkg")
    assert meta["geometry_type"] == "Point"
    assert meta["crs"] == "EPSG:32633"
    np.testing.assert_array_equal(shapely.get_coordinates(shapely.from_wkb(shapes)), np.stack([x, y], axis=1))
    assert values[0].tolist() == [7, 8, 9]


def test_what_does_not_belong_together_is_refused(grid: Grid, tmp_path: Path) -> None:
    content = UnitMap(predictions(4), equal_bounds(5))
    for labels in (np.full(grid.shape, 5, np.int32), np.full(grid.shape, -1), np.zeros((2, 2), np.int32)):
        with pytest.raises(InputError, match="labels"):
            write_rasters(content, labels, grid, tmp_path)
    with pytest.raises(OptionError, match="one of landslide"):
        UnitMap(predictions(4), equal_bounds(5), target="height")
    with pytest.raises(InputError, match="applicability"):
        UnitMap(predictions(4), equal_bounds(5), applicable=np.ones(3, np.bool_))
    shapes = np.array([shapely.Point(0, 0), shapely.box(0, 0, 1, 1), shapely.Point(0, 1), shapely.Point(1, 1)], object)
    for name, error in (("a.gpkg", InputError), ("a.shp", OptionError)):
        with pytest.raises(error):
            write_units_file(
                content, tmp_path / name, "EPSG:32633", number=np.arange(4).__getitem__, geometry=shapes.__getitem__
            )
    assert not list(tmp_path.iterdir())
