"""The simulated landscape: rivers in balance, lines and classes that fit each other, and a model that can be found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyogrio
import pyogrio.raw
import pytest
import shapely
from numpy.typing import NDArray
from rasterio import features as rasterio_features

from insar.layers import layer_definition, read_layer
from susceptibility.factors.flow import route_flow
from susceptibility.factors.steepness import mean_of_segments, segment_steepness_by_gradient
from susceptibility.factors.streams import extract_streams
from susceptibility.inventory import InventoryKind, rasterize_inventory, read_inventory
from susceptibility.kernels import landscape as kernels
from susceptibility.landscape import CONCAVITY, LAND_COVERS, RIVER_AREA_M2, ROCKS, Landscape, make_landscape
from susceptibility.landscape_lines import grid_graph
from susceptibility.metrics import score
from susceptibility.recipe import read_recipe
from susceptibility.simulate import SimulationOptions, draw_inventory, logistic_truth, simulate_study
from susceptibility.truth import LogisticTruth, drawn_auc


@pytest.fixture(scope="module")
def landscape() -> Landscape:
    return make_landscape(64, 5)


class Drained(NamedTuple):
    """Where each cell drains to, how steeply, and what drains through it, found without the package."""

    receiver: NDArray[np.intp]
    gradient: NDArray[np.float64]
    cells: NDArray[np.intp]


@pytest.fixture(scope="module")
def drained(landscape: Landscape) -> Drained:
    z = landscape.elevation.astype(np.float64)
    rows, cols = z.shape
    padded = np.pad(z, 1, constant_values=np.inf)
    ways = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if down or right]
    drops = np.stack(
        [
            (z - padded[1 + down : 1 + down + rows, 1 + right : 1 + right + cols]) / (30.0 * np.hypot(down, right))
            for down, right in ways
        ]
    )
    best = drops.argmax(axis=0)
    row, col = np.mgrid[:rows, :cols]
    steps = np.array(ways)[best]
    receiver = ((row + steps[..., 0]) * cols + col + steps[..., 1]).ravel()
    gradient = drops.max(axis=0).ravel()
    receiver[gradient <= 0.0] = np.flatnonzero(gradient <= 0.0)
    cells = np.ones(z.size, np.intp)
    for cell in np.argsort(-z.ravel(), kind="stable"):
        if receiver[cell] != cell:
            cells[receiver[cell]] += cells[cell]
    return Drained(receiver, gradient, cells)


def test_water_leaves_by_the_lower_edge_alone(landscape: Landscape, drained: Drained) -> None:
    rows, cols = landscape.grid.shape
    ends = np.flatnonzero(drained.receiver == np.arange(rows * cols))
    assert (ends // cols == rows - 1).all()
    assert drained.cells[ends].sum() == rows * cols
    assert (ends % cols >= cols // 4).all()
    assert (ends % cols < cols - cols // 4).all()


def test_rivers_have_the_steepness_they_were_made_with(landscape: Landscape, drained: Drained) -> None:
    np.testing.assert_array_equal(landscape.area_m2.ravel(), drained.cells * 900.0)
    river = landscape.is_channel & (landscape.area_m2 > 250_000.0)
    river[-1] = False
    ksn = drained.gradient.reshape(river.shape)[river] * landscape.area_m2[river] ** CONCAVITY
    ratio = ksn / landscape.steepness[river]
    assert ratio.size > 60
    assert np.median(ratio) == pytest.approx(1.0, abs=0.003)
    assert (np.abs(ratio - 1.0) < 0.01).mean() > 0.7
    assert np.abs(ratio - 1.0).max() < 0.1


def test_rivers_join_and_flow_down(landscape: Landscape) -> None:
    grid = landscape.grid
    starts, ends = set(), []
    for line, ksn in zip(landscape.rivers.geometries, landscape.rivers.fields["ksn"], strict=True):
        x, y = shapely.get_coordinates(line).T
        row, col = (np.floor(part).astype(int) for part in grid.pixel_coordinates(x, y))
        assert (np.diff(landscape.elevation[row, col]) < 0.0).all()
        assert (np.diff(landscape.area_m2[row, col]) > 0.0).all()
        assert landscape.steepness[row, col].min() <= ksn <= landscape.steepness[row, col].max()
        assert np.hypot(np.diff(x), np.diff(y)).max() < 30.0 * 1.5
        starts.add((row[0], col[0]))
        ends.append((row[-1], col[-1]))
    assert all(end in starts or end[0] == grid.rows - 1 for end in ends)
    assert shapely.length(landscape.rivers.geometries) == pytest.approx(landscape.rivers.fields["length_m"])


def test_lines_stay_inside(landscape: Landscape) -> None:
    bounds = shapely.box(*landscape.grid.bounds).buffer(1e-6)
    for lines in (landscape.rivers, landscape.roads, landscape.faults):
        assert shapely.covers(bounds, lines.geometries).all()
        assert shapely.length(lines.geometries).min() > 0.0
    row, col = landscape.grid.pixel_coordinates(*shapely.get_coordinates(landscape.rivers.geometries).T)
    rivers = shapely.union_all(landscape.rivers.geometries).buffer(1.0)
    in_river = shapely.length(shapely.intersection(landscape.roads.geometries, rivers))
    assert (in_river < 0.1 * shapely.length(landscape.roads.geometries)).all()
    assert landscape.area_m2[row.astype(int), col.astype(int)].min() >= 0.04 * 64 * 64 * 900.0


def test_the_package_finds_the_rivers_and_their_steepness() -> None:
    made = make_landscape(150, 1)
    flow = route_flow(made.elevation, made.grid)
    np.testing.assert_allclose(flow.area_m2(), made.area_m2, rtol=1e-6)
    streams = extract_streams(flow, RIVER_AREA_M2)
    assert streams.segments == len(made.rivers.geometries) > 10
    known = mean_of_segments(streams, made.steepness.ravel()[streams.cell].astype(float))
    np.testing.assert_allclose(segment_steepness_by_gradient(streams), known, rtol=0.02)


def test_a_graph_weighs_steps_by_length_and_cost() -> None:
    graph = grid_graph(np.array([[1.0, 3.0], [5.0, 7.0]])).toarray()
    root = np.sqrt(2.0)
    expected = np.array([[0, 2, 3, 4 * root], [0, 0, 4 * root, 5], [0, 0, 0, 6], [0, 0, 0, 0]])
    np.testing.assert_allclose(np.maximum(graph, graph.T), np.maximum(expected, expected.T))


def test_classes_and_layers_are_plausible(landscape: Landscape) -> None:
    assert set(np.unique(landscape.lithology)) == {rock.number for rock in ROCKS}
    assert set(np.unique(landscape.land_cover)) <= set(LAND_COVERS)
    np.testing.assert_allclose(
        landscape.damage_proxy, landscape.coherence_pre - landscape.coherence_co, atol=1e-6
    )  # fmt: skip
    for name in ("mean_coherence", "coherence_pre", "coherence_co"):
        assert 0.0 <= getattr(landscape, name).min() <= getattr(landscape, name).max() <= 1.0
    wide = make_landscape(200, 1)
    still = np.abs(wide.velocity) < 5.0 * wide.velocity_std
    assert 0.5 < still.mean() < 0.99
    slope = np.degrees(np.arctan(np.hypot(*np.gradient(wide.elevation, 30.0))))
    assert 25.0 < np.median(slope) < 40.0
    assert slope.max() < 70.0


def test_kernels_do_the_same_uncompiled(landscape: Landscape) -> None:
    results = []
    for compiled in (True, False):
        called = {
            name: getattr(kernels, name) if compiled else getattr(kernels, name).py_func
            for name in ("find_receivers", "order_downstream", "drained_area", "raise_upstream", "creep")
        }
        elevation = landscape.elevation[-12:, 20:33].astype(np.float64)
        receiver = np.full(elevation.size, -1, np.int64)
        receiver[-elevation.shape[1] :] = np.arange(elevation.size - elevation.shape[1], elevation.size)
        changed = called["find_receivers"](elevation, receiver)
        receiver[receiver < 0] = np.flatnonzero(receiver < 0)  # water that leaves by the sides of the cut-out
        order, area_m2 = np.empty_like(receiver), np.empty(receiver.size)
        assert called["order_downstream"](receiver, order) == receiver.size
        called["drained_area"](receiver, order, 900.0, area_m2)
        raised = elevation.ravel().copy()
        steepness = landscape.steepness[-12:, 20:33].ravel().astype(np.float64)
        limit = np.full(raised.size, 0.6)
        called["raise_upstream"](
            receiver, order, area_m2, steepness, limit, CONCAVITY, 30.0, elevation.shape[1], raised
        )
        called["creep"](elevation, elevation < np.median(elevation), 0.5, 3)
        results.append([np.array(changed), receiver, order, area_m2, raised, elevation])
    for first, second in zip(*results, strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-14)


def test_the_seed_decides(landscape: Landscape) -> None:
    again, other = make_landscape(64, 5), make_landscape(64, 6)
    np.testing.assert_array_equal(again.elevation, landscape.elevation)
    np.testing.assert_array_equal(again.damage_proxy, landscape.damage_proxy)
    assert (again.roads.geometries == landscape.roads.geometries).all()
    assert not np.array_equal(other.elevation, landscape.elevation)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("landscape") / "study"
    simulate_study(folder, SimulationOptions(size=64, landslides=200, seed=5, road_effect=-0.2, damage_effect=0.6))
    return folder


def test_polygons_and_points_are_the_same_landslides(study: Path) -> None:
    _, grid, _ = read_layer(study / "dem.tif")
    labels = []
    for name, kind in (("inventory", InventoryKind.POINTS), ("inventory_polygons", InventoryKind.POLYGONS)):
        inventory = read_inventory(study / f"{name}.gpkg", str(grid.crs))
        assert inventory.kind is kind
        labels.append(rasterize_inventory(inventory, grid)[0])
    np.testing.assert_array_equal(labels[0], labels[1])
    info = pyogrio.read_info(study / "inventory_polygons.gpkg")
    assert dict(zip(info["fields"], info["ogr_types"], strict=True))["date"] == "OFTDate"
    _, _, points, fields = pyogrio.raw.read(study / "inventory.gpkg", columns=["date"])
    _, _, polygons, dated = pyogrio.raw.read(study / "inventory_polygons.gpkg", columns=["date"])
    assert dated[0].min() >= np.datetime64("2019-01-01")
    assert dated[0].max() <= np.datetime64("2024-12-31")
    point, polygon = shapely.STRtree(shapely.from_wkb(polygons)).query(shapely.from_wkb(points), "within")
    np.testing.assert_array_equal(point, np.arange(len(points)))
    np.testing.assert_array_equal(fields[0], dated[0][polygon])


def test_vectors_and_rasters_say_the_same(study: Path) -> None:
    lithology, grid, layer = read_layer(study / "lithology.tif")
    assert layer.unit == "class"
    meta, _, geometries, fields = pyogrio.raw.read(study / "lithology.gpkg")
    named = dict(zip(meta["fields"], fields, strict=True))
    shapes = shapely.from_wkb(geometries)
    assert shapely.area(shapes).sum() == pytest.approx(64 * 64 * 900.0)
    burnt = rasterio_features.rasterize(
        zip(shapes, named["lithology"], strict=True), out_shape=grid.shape, transform=grid.transform
    )
    np.testing.assert_array_equal(burnt, lithology)
    assert {rock.number: rock.name for rock in ROCKS} == dict(zip(named["lithology"], named["name"], strict=True))
    row, col = np.mgrid[: grid.rows, : grid.cols]
    centres = shapely.points(*grid.map_coordinates(row.ravel() + 0.5, col.ravel() + 0.5))
    for name in ("river", "road", "fault"):
        _, _, geometries, _ = pyogrio.raw.read(study / f"{name}s.gpkg")
        distance, _, layer = read_layer(study / "factors" / f"distance_to_{name}.tif")
        expected = shapely.distance(centres, shapely.union_all(shapely.from_wkb(geometries))).reshape(grid.shape)
        np.testing.assert_allclose(distance, expected, rtol=1e-6, atol=1e-3)
        assert layer.unit == "m"
    ksn, _, _ = read_layer(study / "truth" / "ksn.tif")
    assert 0.02 < np.isfinite(ksn).mean() < 0.5
    assert np.unique(ksn[np.isfinite(ksn)]) == pytest.approx([100.0 * rock.steepness for rock in reversed(ROCKS)])


def test_the_insar_folder_is_one(study: Path) -> None:
    listed = {layer["name"]: layer for layer in json.loads((study / "insar" / "manifest.json").read_text())["layers"]}
    assert set(listed) == {path.stem for path in (study / "insar" / "layers").iterdir()}
    for name, layer in listed.items():
        assert layer["unit"] == layer_definition(name).unit == read_layer(study / "insar" / layer["file"])[2].unit


def test_the_recipe_names_every_factor_of_the_model(study: Path) -> None:
    truth = json.loads((study / "truth" / "model.json").read_text())
    names = read_recipe(study / "recipe.toml").factors.names
    assert set(truth["coefficients"]) <= {name for group in names.values() for name in group}
    assert names["insar"] == ("damage_proxy", "velocity_absolute")
    assert truth["coefficients"]["lithology_schist"] == pytest.approx(0.8)
    assert truth["stds"]["lithology_schist"] == 1.0


def factors_of(folder: Path, names: list[str]) -> dict[str, NDArray[np.float32]]:
    """True factors (row, col) of a study, from its files alone."""
    from susceptibility.factors.terrain import terrain_factors

    elevation, grid, _ = read_layer(folder / "dem.tif")
    factors = terrain_factors(elevation, grid, ["slope", "profile_curvature"])
    factors["velocity_absolute"] = np.abs(read_layer(folder / "insar" / "layers" / "velocity.tif")[0])
    for name in set(names) - set(factors):
        inside = folder / ("insar/layers" if name == "damage_proxy" else "factors") / f"{name}.tif"
        factors[name] = read_layer(inside)[0]
    return {name: factors[name] for name in names}


def fit_logistic(
    design: NDArray[np.float64], label: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coefficients of largest likelihood, the intercept first, and their standard deviations; by Newton's method."""
    design = np.column_stack([np.ones(len(design)), design])
    coefficients = np.zeros(design.shape[1])
    coefficients[0] = np.log(label.mean() / (1.0 - label.mean()))
    for _ in range(25):
        p = 1.0 / (1.0 + np.exp(-design @ coefficients))
        information = (design * (p * (1.0 - p))[:, None]).T @ design
        step = np.linalg.solve(information, design.T @ (label - p))
        coefficients += step
        if np.abs(step).max() < 1e-9:
            break
    return coefficients, np.sqrt(np.diag(np.linalg.inv(information)))


@pytest.fixture(scope="module")
def wide_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wide") / "study"
    options = SimulationOptions(size=160, landslides=1500, seed=8, road_effect=0.3, damage_effect=0.5)
    simulate_study(folder, options)
    return folder


def design_of(truth: dict[str, Any], factors: dict[str, NDArray[np.float32]], known: NDArray[np.bool_]) -> Any:
    return np.stack(
        [(factors[name][known].astype(float) - truth["means"][name]) / truth["stds"][name] for name in factors], axis=1
    )


def test_logistic_regression_finds_the_model_and_reaches_the_best_auc(wide_study: Path) -> None:
    truth = json.loads((wide_study / "truth" / "model.json").read_text())
    names = list(truth["coefficients"])
    factors = factors_of(wide_study, names)
    probability, grid, _ = read_layer(wide_study / "truth" / "probability.tif")
    known = np.isfinite(probability)
    labels, _ = rasterize_inventory(read_inventory(wide_study / "inventory.gpkg", str(grid.crs)), grid)
    label = labels[known] > 0
    design = design_of(truth, factors, known)
    fitted, sigma = fit_logistic(design, label)

    expected = np.array([truth["intercept"], *truth["coefficients"].values()])
    assert (np.abs(fitted - expected) < 3.5 * sigma).all()
    assert np.mean(((fitted - expected) / sigma) ** 2) < 2.5
    assert sigma[1:].max() < 0.2
    auc = score(label, 1.0 / (1.0 + np.exp(-fitted[0] - design @ fitted[1:])))["auc_roc"]
    assert auc == pytest.approx(truth["best_auc"], abs=0.02)
    assert truth["drawn_auc"] == pytest.approx(truth["best_auc"], abs=0.015)
    assert score(label, probability[known])["auc_roc"] == pytest.approx(truth["drawn_auc"], abs=1e-5)


def redrawn(truth: LogisticTruth, factors: dict[str, NDArray[np.float32]], draws: int) -> NDArray[np.float64]:
    """Errors of the coefficients in standard deviations (draw, coefficient), over inventories of one model."""
    known = np.isfinite(truth.probability)
    design = design_of(truth.as_dict(), factors, known)
    expected = np.array([truth.intercept, *truth.coefficients.values()])
    errors = []
    for draw in range(draws):
        is_landslide = np.zeros(truth.probability.size, np.bool_)
        is_landslide[draw_inventory(truth.probability, draw)] = True
        fitted, sigma = fit_logistic(design, is_landslide[known.ravel()])
        errors.append((fitted - expected) / sigma)
    return np.array(errors)


def test_errors_of_the_coefficients_are_of_the_size_stated(wide_study: Path) -> None:
    described = json.loads((wide_study / "truth" / "model.json").read_text())
    factors = factors_of(wide_study, list(described["coefficients"]))
    rocks = [name for name in factors if name.startswith("lithology")]
    truth = logistic_truth(factors, described["coefficients"], 1500, classes=rocks)
    errors = redrawn(truth, factors, 30)
    # 30 draws of 10 coefficients: the mean square is 1 +- sqrt(2 / 300), somewhat more as they are correlated.
    assert np.mean(errors**2) == pytest.approx(1.0, abs=0.3)
    assert np.abs(errors.mean(axis=0)).max() < 4.0 / np.sqrt(30)


def test_without_an_effect_insar_adds_nothing(wide_study: Path) -> None:
    described = json.loads((wide_study / "truth" / "model.json").read_text())
    effects = described["coefficients"] | {"velocity_absolute": 0.0, "damage_proxy": 0.0}
    factors = factors_of(wide_study, list(effects))
    rocks = [name for name in factors if name.startswith("lithology")]
    truth = logistic_truth(factors, effects, 1500, classes=rocks)
    known = np.isfinite(truth.probability)
    cells = draw_inventory(truth.probability, 4)
    is_landslide = np.zeros(truth.probability.size, np.bool_)
    is_landslide[cells] = True
    label = is_landslide[known.ravel()]
    static = [name for name in effects if name not in {"velocity_absolute", "damage_proxy"}]
    scores = {}
    for title, names in (("all", list(effects)), ("static", static)):
        design = design_of(truth.as_dict(), {name: factors[name] for name in names}, known)
        fitted, _ = fit_logistic(design, label)
        scores[title] = score(label, 1.0 / (1.0 + np.exp(-fitted[0] - design @ fitted[1:])))["auc_roc"]
    assert scores["all"] - scores["static"] < 0.003
    assert scores["static"] == pytest.approx(truth.best_auc, abs=0.02)


def test_the_auc_of_a_draw_is_that_of_all_pairs() -> None:
    rng = np.random.default_rng(0)
    p = np.round(rng.uniform(size=(9, 11)), 1)
    p[0, 0] = np.nan
    cells = draw_inventory(p, 1)
    flat, hit = p.ravel(), np.isin(np.arange(p.size), cells)
    known = np.isfinite(flat)
    high, low = flat[hit & known][:, None], flat[~hit & known][None, :]
    assert drawn_auc(p, cells) == pytest.approx(np.mean((high > low) + 0.5 * (high == low)))
    assert np.isnan(drawn_auc(p, np.empty(0, np.intp)))
