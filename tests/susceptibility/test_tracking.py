"""Susceptibility through time: a slope that gathers speed rises, its rate is what moved it, nothing else changes."""

from __future__ import annotations

import csv
import itertools
import json
import math
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from series_results import write_result

from insar.grid import Grid
from insar.layers import LayerDefinition, layer_definition, write_layer
from susceptibility.change_attribution import attribute_change, largest_source
from susceptibility.class_bounds import equal_bounds
from susceptibility.dataset import Dataset, Targets
from susceptibility.displacement_series import open_series
from susceptibility.elsewhere import predict_elsewhere, track_recipe
from susceptibility.epoch_columns import followed_columns
from susceptibility.errors import OptionError
from susceptibility.factor_rasters import align_factors, find_factors
from susceptibility.factors.rasters import write_factors
from susceptibility.inventory import LANDSLIDE, UNLABELLED
from susceptibility.join import join_dataset
from susceptibility.models import MODELS
from susceptibility.models.learner import SusceptibilityModel
from susceptibility.pipeline import run_study
from susceptibility.recipe import parse_recipe
from susceptibility.schema import FeatureSchema
from susceptibility.track_files import TrackedModel, write_track
from susceptibility.tracking import TrackOptions, median_prediction, track_susceptibility

GRID = Grid(20, 26, Affine(30.0, 0.0, 500_000.0, 0.0, -30.0, 4_000_000.0), "EPSG:32633")
DATES = tuple(date(2023, 1, 5) + timedelta(days=12 * step) for step in range(20))
PATCH = (slice(6, 11), slice(8, 15))
ONSET = 11  # date after which the patch gathers speed
TOWARD = "positive toward the satellite"
SCHEMA = (
    FeatureSchema("slope", "deg", "terrain", "Slope"),
    FeatureSchema("cumulative_displacement", "m", "insar", "Displacement", TOWARD),
    FeatureSchema("velocity", "m/yr", "insar", "Rate", TOWARD),
    FeatureSchema("velocity_absolute", "m/yr", "insar", "Absolute rate"),
    FeatureSchema("mean_coherence", "1", "insar", "Coherence"),
)
NAMES = tuple(feature.name for feature in SCHEMA)


def make_series(grid: Grid = GRID, patch: tuple[slice, slice] = PATCH) -> np.ndarray:
    """Steady motion of up to 4 mm/yr everywhere; the patch gathers speed, to 120 mm/yr away from the satellite."""
    days = np.array([(day - DATES[0]).days for day in DATES], np.float64)
    rate = np.linspace(-0.004, 0.004, grid.rows * grid.cols).reshape(grid.shape)
    series = days[:, None, None] / 365.25 * rate
    since = np.maximum(days - days[ONSET], 0.0) / 365.25
    series[:, patch[0], patch[1]] -= 0.6 * since[:, None, None] ** 2 + 0.1 * since[:, None, None]
    series[:, 0, 0] = np.nan
    return series.astype(np.float32)


class Logistic:
    """A model whose answer is known: slope counts, and the absolute rate, the displacement does not."""

    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale

    def predict(self, X: np.ndarray) -> np.ndarray:
        Z = X.astype(np.float64)
        risk = 0.05 * Z[:, 0] + 60.0 * self.scale * Z[:, 3] + 0.0 * Z.sum(axis=1) - 3.0
        return 1.0 / (1.0 + np.exp(-risk))


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_result(tmp_path_factory.mktemp("track") / "insar", make_series(), DATES, GRID)
    coherence = np.full(GRID.shape, 0.7, np.float32)
    write_layer(folder / "layers" / "mean_coherence.tif", coherence, GRID, layer_definition("mean_coherence"))
    return folder


@pytest.fixture(scope="module")
def data(result: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("factors")
    slope = np.linspace(5.0, 40.0, GRID.rows * GRID.cols, dtype=np.float32).reshape(GRID.shape)
    write_layer(folder / "slope.tif", slope, GRID, LayerDefinition("slope", "deg", "Slope"))
    joined, _ = align_factors(find_factors(SCHEMA, folder, insar=result)[0], GRID, folder / "work")
    labels = np.full(joined.count, UNLABELLED, np.uint8)
    labels[[3, 50, 8 * 26 + 10]] = LANDSLIDE
    return replace(joined, targets=Targets(labels))


BOUNDS = equal_bounds(5)


def on_grid(values: np.ndarray) -> np.ndarray:
    return np.asarray(values).reshape(*values.shape[:-1], *GRID.shape)


def test_a_slope_that_gathers_speed_rises_and_its_rate_is_why(result: Path, data: Dataset, tmp_path: Path) -> None:
    track = track_susceptibility([Logistic()], data, NAMES, result, tmp_path, BOUNDS)
    assert track.epochs == DATES[4:]
    assert track.layers == ("cumulative_displacement", "velocity")
    in_patch = np.zeros(GRID.shape, np.bool_)
    in_patch[PATCH] = True
    change, driver = on_grid(track.change), on_grid(track.driver)
    known = np.isfinite(change)
    assert not known[0, 0]
    assert known.sum() == known.size - 1
    assert (change[in_patch] > 0.1).all()
    np.testing.assert_allclose(change[~in_patch & known], 0.0, atol=1e-5)  # its rate is steady
    assert (driver[in_patch] == track.layers.index("velocity")).all()
    assert (driver[~in_patch] == -1).all()
    contributions = on_grid(track.contributions)
    np.testing.assert_array_equal(contributions[0][in_patch], 0.0)  # the model does not look at the displacement
    np.testing.assert_allclose(contributions[1][in_patch], change[in_patch], atol=1e-6)
    assert np.isnan(contributions[:, ~in_patch]).all()
    before = [number for number, day in enumerate(track.epochs) if day <= DATES[ONSET]]
    np.testing.assert_allclose(track.probability[before[-1]], track.probability[0], atol=1e-5)
    assert (np.diff(on_grid(track.probability)[before[-1] :, in_patch], axis=0) > 0.0).all()
    (place,) = track.rising.places
    assert (place.rows, place.driver) == (35, "velocity")
    assert place.area_m2 == 35 * 900.0
    east, north = 500_000.0 + 30.0 * (8 + 3.5), 4_000_000.0 - 30.0 * (6 + 2.5)
    assert abs(place.x - east) < 3.0
    assert abs(place.y - north) < 3.0
    assert place.after - place.before == pytest.approx(change[in_patch].mean(), abs=1e-6)
    assert place.largest_rise == pytest.approx(change[in_patch].max(), abs=1e-6)


def test_the_last_map_is_that_of_the_result(result: Path, data: Dataset, tmp_path: Path) -> None:
    """Bit by bit, since the features are."""
    models = [Logistic(scale) for scale in (0.5, 1.0, 2.0)]
    track = track_susceptibility(models, data, NAMES, result, tmp_path, BOUNDS)
    X = data.matrix(slice(0, data.count), NAMES)
    np.testing.assert_array_equal(track.probability[-1], median_prediction(models, X).astype(np.float32))
    assert set(track.differences.values()) == {(0.0, 0)}
    assert not any("differs" in warning for warning in track.warnings)
    assert track.constant == ("mean_coherence",)
    assert any("mean_coherence: kept" in warning for warning in track.warnings)
    assert any("all interferograms" in warning for warning in track.warnings)
    days = np.array([(day - DATES[0]).days for day in DATES], np.float64)
    ratio = math.sqrt(np.sum((days - days.mean()) ** 2) / np.sum((days[:5] - days[:5].mean()) ** 2))
    assert any(f"first epoch is {ratio:.1f} times as uncertain" in warning for warning in track.warnings)
    assert track.std is not None
    each = np.stack([model.predict(X) for model in models])
    np.testing.assert_array_equal(track.std[-1], each.std(axis=0, ddof=1).astype(np.float32))


def test_each_map_is_the_model_on_what_was_known_then(result: Path, data: Dataset, tmp_path: Path) -> None:
    track = track_susceptibility([Logistic()], data, NAMES, result, tmp_path, BOUNDS, options=TrackOptions(every=5))
    assert track.epochs == (DATES[4], DATES[9], DATES[14], DATES[19])
    series = make_series().reshape(len(DATES), -1).astype(np.float64)
    for number, day in enumerate(track.epochs):
        until = DATES.index(day) + 1
        years = np.array([(each - DATES[0]).days for each in DATES[:until]]) / 365.25
        rate = np.full(series.shape[1], np.nan)
        rate[1:] = np.polyfit(years, series[:until, 1:], 1)[0]
        X = data.matrix(slice(0, data.count), NAMES)
        X[:, 3] = np.abs(rate)
        X[0] = np.nan
        np.testing.assert_allclose(track.probability[number], Logistic().predict(X), atol=2e-6)


def test_numbers_of_the_table(result: Path, data: Dataset, tmp_path: Path) -> None:
    track = track_susceptibility([Logistic()], data, NAMES, result, tmp_path, BOUNDS)
    labels = data.targets.labels
    for number, row in enumerate(track.table):
        values = track.probability[number].astype(np.float64)
        known = np.isfinite(values)
        change = values - track.probability[0]
        step = values - track.probability[max(number - 1, 0)]
        assert row.predicted == known.sum() == GRID.rows * GRID.cols - 1
        assert row.area_km2 == pytest.approx(known.sum() * 9e-4)
        assert row.mean == pytest.approx(values[known].mean(), rel=1e-9)
        histogram = np.histogram(track.probability[number][known], np.linspace(0.0, 1.0, 6))[0]
        np.testing.assert_allclose(row.class_km2, histogram * 9e-4)
        assert row.landslides == 3
        assert row.landslide_mean == pytest.approx(values[labels == LANDSLIDE].mean())
        assert row.landslides_in_highest == pytest.approx((values[labels == LANDSLIDE] >= 0.8).mean())
        assert (row.rose, row.fell) == ((change >= 0.1).sum(), (change <= -0.1).sum())
        assert row.rose_km2 == pytest.approx(row.rose * 9e-4)
        assert (row.rose_since_previous, row.fell_since_previous) == ((step >= 0.1).sum(), (step <= -0.1).sum())
        assert sum(row.drivers.values()) == row.rose + row.fell
        assert row.dates_used == DATES.index(row.date) + 1


def test_the_same_whatever_the_blocks_and_workers(
    result: Path, data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = []
    for workers, rows in ((1, 65_536), (3, 37)):
        monkeypatch.setattr("susceptibility.dataset.ROWS_AT_ONCE", rows)
        monkeypatch.setattr("susceptibility.ensemble._ROWS_AT_ONCE", rows)
        work = tmp_path / str(workers)
        work.mkdir()
        models = [Logistic(), Logistic(1.5)]
        track = track_susceptibility(
            models, data, NAMES, result, work, BOUNDS, options=TrackOptions(every=4), workers=workers
        )
        outcomes.append((track.probability, track.contributions, track.driver, track.change))
        assert track.rising.count == 1
    for first, second in zip(*outcomes, strict=True):
        np.testing.assert_array_equal(first, second)


def test_a_layer_that_was_changed_since_is_noticed(result: Path, data: Dataset, tmp_path: Path) -> None:
    moved = replace(data, columns=dict(data.columns) | {"velocity": lambda rows: data.columns["velocity"](rows) + 0.01})
    track = track_susceptibility([Logistic()], moved, NAMES, result, tmp_path, BOUNDS)
    assert track.differences["velocity"][0] == pytest.approx(0.01, abs=1e-6)
    assert any(warning.startswith("velocity: at the last epoch it differs") for warning in track.warnings)


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as source:
        return source.read(1)


def test_result_folder(result: Path, data: Dataset, tmp_path: Path) -> None:
    write_layer(tmp_path / "dem.tif", np.fromfunction(lambda row, col: 40.0 * np.sin(row / 4) + 5.0 * col, GRID.shape),
                GRID, LayerDefinition("elevation", "m", "Elevation"))  # fmt: skip
    tracked = TrackedModel("xgboost_all", [Logistic(), Logistic(1.5)], NAMES, BOUNDS)
    told = write_track(
        tracked, data, result, tmp_path / "out", elevation=tmp_path / "dem.tif", options=TrackOptions(every=5)
    )
    out = tmp_path / "out"
    assert "From 2023-02-22 to 2023-08-21, in 4 epochs, susceptibility rose by 0.1 or more on 0.0315 km2" in told[0]
    assert "velocity 100 %" in told[1]
    days = sorted(path.name for path in (out / "maps").iterdir())
    assert days[-1] == f"{DATES[-1]:%Y%m%d}"
    first, last = (read(out / "maps" / day / "probability.tif") for day in (days[0], days[-1]))
    np.testing.assert_array_equal(read(out / "change.tif"), (last.astype(np.float64) - first).astype(np.float32))
    driver = read(out / "driver.tif")
    assert (driver[PATCH] == 3).all()
    assert (driver == 1).sum() == GRID.rows * GRID.cols - 36
    assert driver[0, 0] == 0
    with rasterio.open(out / "driver.tif") as source:
        assert "2 cumulative_displacement; 3 velocity" in source.tags()["DESCRIPTION"]
    parts = sum(read(out / f"change_by_{layer}.tif") for layer in ("cumulative_displacement", "velocity"))
    np.testing.assert_allclose(parts[PATCH], read(out / "change.tif")[PATCH], atol=1e-6)
    with (out / "track.csv").open() as source:
        lines = list(csv.DictReader(source))
    assert [line["date"] for line in lines] == [f"{DATES[index]:%Y-%m-%d}" for index in (4, 9, 14, 19)]
    assert lines[-1]["rose"] == lines[-1]["moved_by_velocity"] == "35"
    assert float(lines[-1]["very_low_km2"]) >= 0.0
    meta, _, shapes, fields = pyogrio.raw.read(out / "rising.gpkg")
    columns = dict(zip(meta["fields"], fields, strict=True))
    assert columns["driver"].tolist() == ["velocity"]
    assert columns["area_m2"][0] == 35 * 900.0
    import shapely

    outline = shapely.from_wkb(shapes[0])
    assert outline.equals(shapely.box(500_240.0, 3_999_670.0, 500_450.0, 3_999_820.0))
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["constant_features"] == ["mean_coherence"]
    assert manifest["difference_from_layers"]["velocity"] == {"largest": 0.0, "rows_known_in_one": 0}
    page = (out / "report.html").read_text()
    for words in ("Shapley", "all interferograms", "mean_coherence: kept", "moved by", "2023-08-21"):
        assert words.lower() in page.lower(), words
    assert not (out / ".work").exists()
    assert {path.name for path in (out / "figures").iterdir()} == {"epochs.png", "change.png", "places.png"}
    with pytest.raises(OptionError, match="--overwrite"):
        write_track(tracked, data, result, out)
    again = tmp_path / "again"
    write_track(tracked, data, result, again, elevation=tmp_path / "dem.tif", options=TrackOptions(every=5), workers=1)
    for path in sorted(out.rglob("*")):
        if path.is_file():
            assert path.read_bytes() == (again / path.relative_to(out)).read_bytes(), path.name


def test_features_that_do_not_follow_the_series(result: Path, data: Dataset, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="none among slope, mean_coherence"):
        followed_columns(data, ("slope", "mean_coherence"), open_series(result))
    with pytest.raises(OptionError, match="above 0"):
        TrackOptions(threshold=0.0)


def shapley_by_orders(predict: Any, before: np.ndarray, after: np.ndarray, sources: list[list[int]]) -> np.ndarray:
    """Mean effect over all orders, spelled out."""
    values = np.zeros((len(before), len(sources)))
    orders = list(itertools.permutations(range(len(sources))))
    for order in orders:
        mixed = before.copy()
        at = predict(mixed)
        for source in order:
            mixed[:, sources[source]] = after[:, sources[source]]
            now = predict(mixed)
            values[:, source] += (now - at) / len(orders)
            at = now
    return values


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 4), st.integers(0, 10_000))
def test_contributions_are_shapley_values_and_add_up(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    before = rng.normal(size=(7, 6)).astype(np.float32)
    after = before.copy()
    sources = [list(map(int, part)) for part in np.array_split(rng.permutation(5), count)]
    changed = [column for source in sources for column in source]
    after[:, changed] += rng.normal(size=(7, len(changed))).astype(np.float32)
    mixing = rng.normal(size=(6, 6))

    def predict(X: np.ndarray) -> np.ndarray:
        return np.tanh(np.einsum("ri,ij,rj->r", X, mixing, X)) + X[:, 0]

    values = attribute_change(predict, before, after, sources)
    np.testing.assert_allclose(values.sum(axis=1), predict(after) - predict(before), atol=1e-12)
    np.testing.assert_allclose(values, shapley_by_orders(predict, before, after, sources), atol=1e-12)


def test_the_source_that_moved_it_the_way_it_moved() -> None:
    values = np.array([[0.3, -0.1], [0.3, -0.6], [0.2, 0.2], [0.0, 0.0], [np.nan, np.nan]])
    change = values.sum(axis=1)
    np.testing.assert_array_equal(largest_source(values, change), [0, 1, 0, -1, -1])


def test_a_change_in_no_source_is_refused() -> None:
    before, after = np.zeros((2, 3), np.float32), np.ones((2, 3), np.float32)
    with pytest.raises(OptionError, match="in none of them"):
        attribute_change(lambda X: X.sum(axis=1), before, after, [[0], [1]])
    with pytest.raises(OptionError, match="in two"):
        attribute_change(lambda X: X.sum(axis=1), before, after, [[0, 1], [1, 2]])
    with pytest.raises(OptionError, match="11 of them"):
        attribute_change(lambda X: X.sum(axis=1), before, after, [[0]] * 11)


def test_units_of_many_cells_and_a_trained_model(simulated: Path, tmp_path: Path) -> None:
    """Through the join of a recipe: at the last epoch the statistics of units are those of the result."""
    with rasterio.open(simulated / "dem.tif") as source:
        grid = Grid(source.height, source.width, Affine(*source.transform[:6]), "EPSG:32632")
        assert source.crs.to_epsg() is not None
        grid = replace(grid, crs=f"EPSG:{source.crs.to_epsg()}")
    patch = (slice(20, 32), slice(28, 44))
    result = write_result(tmp_path / "insar", make_series(grid, patch), DATES, grid)
    content = {
        "factors": {
            "dem": str(simulated / "dem.tif"),
            "terrain": ["slope"],
            "insar": {"path": str(result), "layers": ["velocity"], "absolute": ["velocity"]},
        },
        "inventory": {"path": str(simulated / "inventory.gpkg")},
        "units": {"kind": "aggregate", "size_m": 120.0},
    }
    data = join_dataset(parse_recipe(content), tmp_path / "join").data
    names = tuple(name for name in data.names if name.startswith(("slope_mean", "velocity")))
    assert {"velocity_mean", "velocity_moving_share", "velocity_absolute_extreme"} <= set(names)
    X = data.matrix(slice(0, data.count), names)
    usable = np.isfinite(X).all(axis=1)
    moves = np.abs(X[:, names.index("velocity_mean")]) > 0.01
    assert moves[usable].sum() > 5
    definition = MODELS["xgboost"]
    model = SusceptibilityModel(definition, definition.options(trees=10, depth=2), data.features(names))
    model.fit(X[usable], moves[usable].astype(np.uint8))
    track = track_susceptibility([model], data, names, result, tmp_path / "join", BOUNDS, options=TrackOptions(every=7))
    assert set(track.differences.values()) == {(0.0, 0)}
    np.testing.assert_array_equal(track.probability[-1], model.predict(X).astype(np.float32))
    assert track.layers == ("velocity",)
    rising = {int(member) for rows in track.rising.members for member in rows}
    assert rising == set(np.flatnonzero(usable & moves & (track.change >= 0.1)).tolist())
    assert len(rising) > 5
    assert {place.driver for place in track.rising.places} == {"velocity"}
    assert all(place.rows == 1 and math.isclose(place.area_m2, 120.0**2) for place in track.rising.places)


def test_recipe_to_track_and_the_same_area_predicted_again(
    simulated: Path, quick_recipe: dict[str, Any], tmp_path: Path
) -> None:
    """Through the run itself: its own map bit by bit, at the last epoch and by its bundle."""
    with rasterio.open(simulated / "dem.tif") as source:
        grid = Grid(source.height, source.width, Affine(*source.transform[:6]), f"EPSG:{source.crs.to_epsg()}")
    insar = write_result(tmp_path / "insar", make_series(grid, (slice(20, 32), slice(28, 44))), DATES, grid)
    content = quick_recipe
    content["factors"]["insar"] = {"path": str(insar), "layers": ["cumulative_displacement"], "absolute": ["velocity"]}
    content["models"]["names"] = ["xgboost"]
    content["validation"]["folds"], content["explain"] = 2, {"permutations": 0, "shap": False, "dependence": False}
    recipe = parse_recipe(content)
    run_study(recipe, tmp_path / "run", workers=1)
    own = read(tmp_path / "run" / "maps" / "xgboost_static_insar" / "probability.tif")
    assert np.isfinite(own).sum() > 4000
    unmapped = parse_recipe({key: table for key, table in content.items() if key != "inventory"})
    with pytest.raises(OptionError, match=r"\[inventory\] path.*to learn from"):
        run_study(unmapped, tmp_path / "unmapped", workers=1)
    told = track_recipe(
        unmapped, tmp_path / "run", tmp_path / "track", model="xgboost_static_insar", options=TrackOptions(every=8)
    )
    assert told[0].startswith("From ")
    np.testing.assert_array_equal(read(tmp_path / "track" / "maps" / "20230821" / "probability.tif"), own)
    with pytest.raises(OptionError, match="none among"):
        track_recipe(recipe, tmp_path / "run", tmp_path / "other", model="xgboost_static")
    chosen = track_recipe(recipe, None, tmp_path / "other", options=TrackOptions(every=8), workers=1)
    assert chosen == ["Model: xgboost_static_insar: the only one with features of insar.", *told]
    for path in (tmp_path / "track" / "maps").rglob("*.tif"):
        other = tmp_path / "other" / path.relative_to(tmp_path / "track")
        assert path.read_bytes() == other.read_bytes(), "as trained in place"
    assert {path.name for path in tmp_path.iterdir() if path.name.startswith(".other")} == set()
    summary = predict_elsewhere(tmp_path / "run", tmp_path / "map.tif", recipe=unmapped, model="xgboost_static_insar")
    np.testing.assert_array_equal(read(tmp_path / "map.tif"), own)
    assert summary.predicted == np.isfinite(own).sum()
    best = predict_elsewhere(tmp_path / "run", tmp_path / "best.tif", recipe=unmapped)
    assert "the best of 2 under spatial block validation" in best.lines()[0]
    factors = tmp_path / "factors"
    write_factors(simulated / "dem.tif", factors, ["slope", "profile_curvature"])
    predict_elsewhere(
        tmp_path / "run", tmp_path / "again.tif", factors=factors, insar=insar, model="xgboost_static_insar"
    )
    np.testing.assert_array_equal(read(tmp_path / "again.tif"), own)
    with pytest.raises(OptionError, match="neither"):
        predict_elsewhere(tmp_path / "run", tmp_path / "none.tif")
