"""A recipe as a dataset: on cells what its rasters say, on larger units what its joined table says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely

from insar.layers import read_layer
from susceptibility.density import density_of_units
from susceptibility.errors import OptionError
from susceptibility.features import inventory_of, study_grid
from susceptibility.inventory import ABSENCE, LANDSLIDE, UNLABELLED
from susceptibility.join import Joined, join_dataset
from susceptibility.recipe import parse_recipe
from susceptibility.unit_table import join_units

ALL = slice(None)
Shapes = Callable[..., Path]


@pytest.fixture
def content(simulated: Path) -> dict[str, Any]:
    """A recipe with factors of every kind."""
    return {
        "factors": {
            "dem": str(simulated / "dem.tif"),
            "terrain": ["slope", "aspect_class"],
            "distances": {"river": str(simulated / "rivers.gpkg")},
            "rasters": {"ndvi": str(simulated / "ndvi.tif")},
            "categories": {"lithology": {"path": str(simulated / "lithology.gpkg"), "field": "name"}},
            "insar": {
                "path": str(simulated / "insar"),
                "layers": ["velocity", "mean_coherence"],
                "absolute": ["velocity"],
            },
        },
        "inventory": {"path": str(simulated / "inventory.gpkg")},
    }


@pytest.fixture
def join(content: dict[str, Any], tmp_path: Path) -> Callable[..., Joined]:
    """Join the recipe with some of its tables changed."""

    def call(**changes: dict[str, Any]) -> Joined:
        return join_dataset(parse_recipe(content | changes), tmp_path / "work")

    return call


def test_cells_have_the_values_of_the_rasters(join: Callable[..., Joined], simulated: Path) -> None:
    joined = join()
    data = joined.data
    _, grid, _ = read_layer(simulated / "dem.tif")
    assert (data.kind, data.count, data.crs) == ("cells", grid.rows * grid.cols, "EPSG:32645")
    assert data.names == (
        "slope", "aspect_class", "distance_to_river", "ndvi", "lithology", "velocity", "mean_coherence",
        "velocity_absolute",
    )  # fmt: skip
    rate, _, _ = read_layer(simulated / "insar" / "layers" / "velocity.tif")
    ndvi, _, _ = read_layer(simulated / "ndvi.tif")
    np.testing.assert_array_equal(data.columns["velocity"](ALL), rate.ravel())
    np.testing.assert_array_equal(data.columns["velocity_absolute"](ALL), np.abs(rate).ravel())
    np.testing.assert_array_equal(data.columns["ndvi"](ALL), ndvi.ravel())
    rows, cols = np.divmod(data.number(ALL), grid.cols)
    x, y = data.places(ALL).T
    np.testing.assert_allclose(x, grid.transform.c + 30.0 * (cols + 0.5))
    np.testing.assert_allclose(y, grid.transform.f - 30.0 * (rows + 0.5))
    np.testing.assert_array_equal(data.area_m2(slice(3, 7)), [900.0] * 4)
    with rasterio.open(simulated / "lithology.tif") as source:
        number = source.read(1).ravel()
    labels = np.array(["", *data.feature("lithology").classes])[data.columns["lithology"](ALL).astype(int)]
    assert len(set(zip(number, labels, strict=True))) == len(set(labels)) == len(set(number)) > 2
    assert joined.observed.all()
    assert joined.census is not None
    assert joined.census.landslide_cells == data.landslide_rows.size > 100
    assert joined.elevation is not None
    box = data.geometry(np.array([5]))[0]
    assert (box.area, box.centroid.x) == (900.0, pytest.approx(x[5]))


def test_labels_of_cells_are_where_points_lie(join: Callable[..., Joined], simulated: Path) -> None:
    import pyogrio.raw

    data = join().data
    _, grid, _ = read_layer(simulated / "dem.tif")
    points = shapely.from_wkb(pyogrio.raw.read(simulated / "inventory.gpkg")[2])
    cols = ((shapely.get_x(points) - grid.transform.c) // 30.0).astype(int)
    rows = ((grid.transform.f - shapely.get_y(points)) // 30.0).astype(int)
    np.testing.assert_array_equal(data.landslide_rows, np.unique(rows * grid.cols + cols))
    assert set(np.unique(data.targets.labels)) == {UNLABELLED, LANDSLIDE}


def test_rows_by_numbers_equal_slices(join: Callable[..., Joined]) -> None:
    for units in ({"kind": "cells"}, {"kind": "aggregate", "size_m": 120.0}):
        data = join(units=units).data
        middle = slice(100, 160)
        numbers = np.arange(100, 160)
        shuffled = np.random.default_rng(0).permutation(numbers)
        whole = data.matrix(middle, data.names)
        assert whole.dtype == np.float32
        np.testing.assert_array_equal(data.matrix(numbers, data.names), whole)
        np.testing.assert_array_equal(data.matrix(shuffled, data.names), whole[shuffled - 100])
        slope = "slope" if units["kind"] == "cells" else "slope_mean"
        np.testing.assert_array_equal(data.matrix(ALL, [slope])[middle, 0], whole[:, 0])
        np.testing.assert_array_equal(
            data.errors(shuffled, data.names), data.errors(middle, data.names)[shuffled - 100]
        )
        np.testing.assert_array_equal(data.places(shuffled), data.places(middle)[shuffled - 100])
        np.testing.assert_array_equal(data.number(shuffled), data.number(middle)[shuffled - 100])
        assert [shape.wkb for shape in data.geometry(shuffled[:3])] == [
            data.geometry(middle)[row - 100].wkb for row in shuffled[:3]
        ]
        blocks = np.concatenate([data.matrix(rows, data.names) for rows in data.blocks()])
        np.testing.assert_array_equal(blocks, data.matrix(slice(0, data.count), data.names))


@pytest.mark.parametrize(
    "units",
    [
        {"kind": "aggregate", "size_m": 150.0, "statistics": ["mean", "max"]},
        {"kind": "slope", "channel_area_m2": 100_000.0, "least_area_m2": 20_000.0},
    ],
)
def test_larger_units_have_the_values_of_their_joined_table(
    join: Callable[..., Joined], content: dict[str, Any], tmp_path: Path, simulated: Path, units: dict[str, Any]
) -> None:
    inventory = {"path": str(simulated / "inventory_polygons.gpkg")}
    data = join(units=units, inventory=inventory).data
    table = join_units(parse_recipe(content | {"units": units, "inventory": inventory}), tmp_path / "table").table
    everything = slice(0, data.count)
    assert data.count == table.rows
    assert data.kind == units["kind"]
    shared = set(data.names) & set(table.names)
    left = set(data.names) - shared
    assert left == {"lithology_dominant"}
    assert {name for name in table.names if name.startswith("velocity")} - shared == {
        f"{name}_{statistic}" for name in ("velocity", "velocity_absolute")
        for statistic in ("sigma", "count", "valid_share")
    }  # fmt: skip
    for name in shared:
        np.testing.assert_array_equal(
            data.columns[name](everything), table.column(name).read(everything).astype(np.float32)
        )
        assert data.feature(name).unit == table.column(name).unit
    for own, column in (
        (data.number, "unit"), (data.area_m2, "area_m2"), (lambda rows: data.places(rows)[:, 0], "x"),
        (lambda _rows: data.targets.areal_density, "lad"),
        (lambda _rows: data.targets.number_density, "number_density"),
        (lambda _rows: data.targets.labels == LANDSLIDE, "landslide"),
    ):  # fmt: skip
        np.testing.assert_array_equal(own(everything), table.column(column).read(everything))
    with rasterio.open(simulated / "lithology.tif") as source:
        number = source.read(1).ravel()
    unit = data.units.labels.ravel()
    counts = np.zeros((data.count + 1, number.max() + 1), int)
    np.add.at(counts, (unit, number), 1)
    is_clear = (counts[1:] == counts[1:].max(axis=1, keepdims=True)).sum(axis=1) == 1
    pairs = set(zip(counts[1:].argmax(axis=1)[is_clear], data.columns["lithology_dominant"](everything)[is_clear],
                    strict=True))  # fmt: skip
    assert len(pairs) == len({number for number, _ in pairs}) == len({label for _, label in pairs}) > 1


def test_standard_deviations_go_with_their_features(join: Callable[..., Joined], simulated: Path) -> None:
    sigma, _, _ = read_layer(simulated / "insar" / "layers" / "velocity_std.tif")
    data = join().data
    assert set(data.sigma) == {"velocity", "velocity_absolute"}
    errors = data.errors(slice(0, data.count), ["slope", "velocity", "velocity_absolute"])
    np.testing.assert_array_equal(errors[:, 0], 0.0)
    np.testing.assert_array_equal(errors[:, 1], sigma.ravel())
    np.testing.assert_array_equal(errors[:, 2], sigma.ravel())
    assert data.is_absolute == {"velocity_absolute"}
    data = join(units={"kind": "aggregate", "size_m": 60.0}).data
    assert set(data.sigma) == {"velocity_mean", "velocity_absolute_mean"}
    assert "velocity_absolute_mean" in data.is_absolute
    # Errors of the pixels of a unit are taken as one where nothing is said of how they go together.
    blocks = sigma.reshape(36, 2, 36, 2).swapaxes(1, 2).reshape(-1, 4)
    np.testing.assert_allclose(data.errors(ALL, ["velocity_mean"])[:, 0], blocks.mean(axis=1), rtol=1e-5)


def test_sets_name_groups_factors_and_columns(join: Callable[..., Joined]) -> None:
    data = join(units={"kind": "aggregate", "size_m": 180.0}).data
    assert data.expand(["terrain"]) == ("slope_mean", "slope_sd", "aspect_class_dominant")
    assert data.expand(["slope"]) == ("slope_mean", "slope_sd")
    assert data.expand(["slope_sd", "terrain"]) == data.expand(["terrain"])
    assert data.expand(["lithology", "slope_mean"]) == ("slope_mean", "lithology_dominant")
    velocity = data.expand(["velocity"])
    assert "velocity_mean" in velocity
    assert not any(name.startswith("velocity_absolute") for name in velocity)
    assert set(data.expand(["insar"])) == {
        *velocity, *data.expand(["velocity_absolute"]), *data.expand(["mean_coherence"])
    }  # fmt: skip
    with pytest.raises(OptionError, match=r"\[feature_sets\].*terrain.*slope_mean.*'slop'"):
        data.expand(["slop"])
    with pytest.raises(OptionError, match="one of slope_mean"):
        data.feature("slope")
    assert join().data.expand(["aspect_class", "lithology"]) == ("aspect_class", "lithology")


def test_places_without_landslides_make_units_without(
    join: Callable[..., Joined], simulated: Path, write_shapes: Shapes
) -> None:
    """Blocks of 10 x 10 cells: a landslide, a place without, both of them, and nothing."""
    _, grid, _ = read_layer(simulated / "dem.tif")

    def point(row: int, col: int) -> shapely.Point:
        return shapely.Point(grid.map_coordinates(row + 0.5, col + 0.5))

    path = write_shapes(
        [point(5, 5), point(5, 15), point(5, 25), point(6, 26)],
        str(grid.crs), landslide=["yes", "no", "yes", "no"],
    )  # fmt: skip
    inventory = {"path": str(path), "presence_field": "landslide"}
    labels = join(units={"kind": "aggregate", "size_m": 300.0}, inventory=inventory).data.targets.labels
    np.testing.assert_array_equal(labels[:4], [LANDSLIDE, ABSENCE, LANDSLIDE, UNLABELLED])
    assert (labels == UNLABELLED).sum() == labels.size - 3
    labels = join(inventory=inventory).data.targets.labels.reshape(grid.shape)
    assert (labels[5, 15], labels[6, 26], labels[5, 25]) == (ABSENCE, ABSENCE, LANDSLIDE)


def test_density_is_that_of_polygons_over_units(
    join: Callable[..., Joined], simulated: Path, write_shapes: Shapes
) -> None:
    _, grid, _ = read_layer(simulated / "dem.tif")
    west, _, _, north = grid.bounds
    slide = shapely.box(west + 60.0, north - 240.0, west + 360.0, north - 60.0)
    mapped = shapely.box(west, north - 1200.0, west + 600.0, north)
    inventory = {
        "path": str(write_shapes([slide], str(grid.crs))),
        "mapped_area": str(write_shapes([mapped], str(grid.crs), "mapped.gpkg")),
    }
    joined = join(study={"target": "areal_density"}, units={"kind": "aggregate", "size_m": 300.0}, inventory=inventory)
    density = joined.data.targets.areal_density
    assert density[0] == pytest.approx(240.0 * 180.0 / 300.0**2)
    assert density[1] == pytest.approx(60.0 * 180.0 / 300.0**2)
    across = grid.cols // 10  # cells at the rim that fill no block are in none
    observed = joined.observed.reshape(-1, across)
    assert observed[:4, :2].all()
    assert observed.sum() == 8
    assert np.isnan(density[~joined.observed]).all()
    assert joined.data.targets.labels[0] == LANDSLIDE


def test_density_on_cells_is_given_where_it_is_asked_for(
    join: Callable[..., Joined], content: dict[str, Any], simulated: Path
) -> None:
    inventory = {"path": str(simulated / "inventory_polygons.gpkg")}
    assert join(inventory=inventory).data.targets.areal_density is None
    data = join(study={"target": "areal_density"}, inventory=inventory).data
    recipe = parse_recipe(content | {"inventory": inventory})
    assert data.units is not None
    expected = density_of_units(inventory_of(recipe, study_grid(recipe)), data.units)
    np.testing.assert_array_equal(data.targets.areal_density, expected.areal_density)
    np.testing.assert_array_equal(data.targets.number_density, expected.number_density_per_km2)


def test_values_are_painted_on_the_grid(join: Callable[..., Joined], simulated: Path) -> None:
    data = join(units={"kind": "aggregate", "size_m": 300.0}).data
    _, grid, _ = read_layer(simulated / "dem.tif")
    paint = data.paint(np.arange(1.0, data.count + 1.0))
    assert paint(slice(0, grid.rows)).shape == grid.shape
    assert paint(slice(10, 11))[0, 10] == data.units.labels[10, 10] == 7 + 2
    np.testing.assert_array_equal(paint(slice(5, 9)), paint(slice(0, grid.rows))[5:9])
