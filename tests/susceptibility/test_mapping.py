"""Maps: block by block as at once, unknown stays unknown, classes and their table add up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from insar.grid import Grid
from insar.layers import read_layer
from susceptibility.features import Feature, FeatureStore
from susceptibility.inventory import LANDSLIDE
from susceptibility.mapping import class_edges, classify, predict_map, tabulate_classes, write_map
from susceptibility.models import MODELS

GRID = Grid(700, 130, Affine(20.0, 0.0, 0.0, 0.0, -20.0, 0.0), "EPSG:32633")


@pytest.fixture(scope="module")
def store() -> FeatureStore:
    rng = np.random.default_rng(0)
    planes = {name: rng.normal(size=GRID.shape).astype(np.float32) for name in ("a", "b")}
    planes["b"][100:160, 20:60] = np.nan
    features = tuple(Feature(name, "1", name, "rasters", Path("x")) for name in planes)
    return FeatureStore(GRID, features, planes)


@pytest.fixture(scope="module")
def forests() -> list:
    rng = np.random.default_rng(1)
    features = rng.normal(size=(300, 2)).astype(np.float32)
    target = (features.sum(axis=1) > 0).astype(np.uint8)
    definition = MODELS["random_forest"]
    models = [definition.build(definition.options(trees=12), seed) for seed in range(3)]
    for model in models:
        model.fit(features, target)
    return models


def test_a_map_equals_prediction_in_memory(store: FeatureStore, forests: list, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    predicted = predict_map(
        forests, store, ["a", "b"], tmp_path, workers=2, progress=lambda done, total: told.append((done, total))
    )
    cells = np.stack([store.planes["a"].ravel(), store.planes["b"].ravel()], axis=1)
    known = np.isfinite(cells).all(axis=1)
    each = np.stack([model.predict_proba(cells[known])[:, 1] for model in forests])
    np.testing.assert_array_equal(predicted.probability.ravel()[known], each.mean(axis=0).astype(np.float32))
    assert predicted.std is not None
    np.testing.assert_array_equal(predicted.std.ravel()[known], each.std(axis=0, ddof=1).astype(np.float32))
    assert np.isnan(predicted.probability[100:160, 20:60]).all()
    assert np.isnan(predicted.std[100:160, 20:60]).all()
    assert np.isfinite(predicted.probability).sum() == known.sum()
    assert told[-1] == (700, 700)


def test_a_map_needs_only_its_own_features(store: FeatureStore, forests: list, tmp_path: Path) -> None:
    assert np.isfinite(predict_map(forests[:1], store, ["a", "a"], tmp_path).probability).all()


def test_the_number_of_workers_changes_nothing(store: FeatureStore, forests: list, tmp_path: Path) -> None:
    one = predict_map(forests, store, ["a", "b"], tmp_path / "1", workers=1)
    three = predict_map(forests, store, ["a", "b"], tmp_path / "3", workers=3)
    assert one.probability.tobytes() == three.probability.tobytes()


@given(arrays(np.float32, 50, elements=st.floats(0, 1, width=32)), st.integers(2, 12))
def test_classes_are_equal_steps(probability: np.ndarray, classes: int) -> None:
    number = classify(probability, classes)
    assert number.min() >= 1
    assert number.max() <= classes
    bounds = np.concatenate([[0.0], class_edges(classes), [1.0]]).astype(np.float32)
    assert (probability >= bounds[number - 1]).all()
    assert ((probability < bounds[number]) | (number == classes)).all()


def test_bounds_belong_to_the_class_above_and_unknown_to_none() -> None:
    probability = np.array([0.0, 0.19999, 0.2, 0.4, 0.6, 0.8, 1.0, np.nan], np.float32)
    assert classify(probability, 5).tolist() == [1, 1, 2, 3, 4, 5, 5, 0]


def test_the_class_table_adds_up() -> None:
    grid = Grid(2, 5, Affine(500.0, 0.0, 0.0, 0.0, -500.0, 0.0), "EPSG:32633")
    probability = np.array([[0.1, 0.1, 0.1, 0.1, np.nan], [0.9, 0.9, 0.5, 0.5, 0.5]], np.float32)
    labels = np.zeros((2, 5), np.uint8)
    labels[1, :3] = LANDSLIDE
    labels[0, 4] = LANDSLIDE  # where the map says nothing
    low, second, middle, fourth, high = tabulate_classes(probability, labels, grid, 5)
    assert (low.cells, middle.cells, high.cells) == (4, 3, 2)
    assert high.area_km2 == pytest.approx(0.5)
    assert high.area_share == pytest.approx(2 / 9)
    assert high.landslide_share == pytest.approx(2 / 3)
    assert high.density_per_km2 == pytest.approx(4.0)
    assert high.frequency_ratio == pytest.approx(3.0)
    assert low.frequency_ratio == 0.0
    assert np.isnan(second.density_per_km2)
    assert np.isnan(fourth.frequency_ratio)


def test_written_maps_say_what_they_are(store: FeatureStore, forests: list, tmp_path: Path) -> None:
    predicted = predict_map(forests, store, ["a", "b"], tmp_path / "work")
    paths = write_map(predicted, GRID, 5, tmp_path / "map", {"MODEL": "random_forest"})
    assert [path.name for path in paths] == ["probability.tif", "class.tif", "probability_std.tif"]
    probability, grid, layer = read_layer(paths[0])
    np.testing.assert_array_equal(probability, predicted.probability)
    assert grid.same_as(GRID)
    assert layer.unit == "1"
    assert "relative" in layer.description
    classes, _, _ = read_layer(paths[1])
    np.testing.assert_array_equal(np.nan_to_num(classes), classify(predicted.probability, 5))
    assert not list((tmp_path / "map").glob(".*"))
