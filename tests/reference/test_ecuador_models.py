"""Logistic regression on the landslides of the Reserva Biológica San Francisco, Ecuador, against published AUC.

Lovelace, R., Nowosad, J., Muenchow, J. (2019). Geocomputation with R, chapter 12: a generalised linear model of slope,
curvatures, elevation and catchment area has AUC 0.8216 on its own data, 0.7726 by k-means on the coordinates (five
folds, 100 repeats) and 0.8097 by random folds. Data: spDataLarge (CC0).
"""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest

from susceptibility.metrics import score
from susceptibility.models import MODELS, SusceptibilityModel
from susceptibility.schema import FeatureSchema
from susceptibility.validation import cross_validate, partition_cells

PREDICTORS = ("slope", "cplan", "cprof", "elev", "log10_carea")
SCHEMA = tuple(FeatureSchema(name) for name in PREDICTORS)
REPEATS = 100


def regression(seed: int) -> SusceptibilityModel:
    definition = MODELS["logistic_regression"]
    return SusceptibilityModel(definition, definition.options(inverse_regularisation=math.inf), SCHEMA, seed=seed)


def forest(seed: int) -> SusceptibilityModel:
    definition = MODELS["random_forest"]
    return SusceptibilityModel(definition, definition.options(trees=60), SCHEMA, seed=seed)


@pytest.fixture(scope="module")
def points(shared_data: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    with (shared_data / "ecuador" / "lsl.csv").open(newline="", encoding="utf-8") as source:
        rows = list(csv.DictReader(source))
    features = np.array([[float(row[name]) for name in PREDICTORS] for row in rows], np.float32)
    target = np.array([row["lslpts"] == "TRUE" for row in rows], np.uint8)
    coordinates_m = np.array([[float(row["x"]), float(row["y"])] for row in rows])
    assert target.sum() == 175
    assert target.size == 350
    return features, target, coordinates_m


def test_auc_on_its_own_data(points: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    features, target, _ = points
    fitted = regression(0).fit(features, target)
    assert score(target, fitted.predict(features))["auc_roc"] == pytest.approx(0.8216, abs=0.0005)


@pytest.mark.parametrize(("scheme", "published"), [("kmeans", 0.7726), ("random", 0.8097)])
def test_auc_by_cross_validation(
    points: tuple[np.ndarray, np.ndarray, np.ndarray], scheme: str, published: float
) -> None:
    features, target, coordinates_m = points
    partitions = [partition_cells(scheme, coordinates_m, target, folds=5, repeat=repeat) for repeat in range(REPEATS)]
    results = cross_validate(regression, features, target, partitions, workers=1)
    assert len(results) == 5 * REPEATS
    assert np.mean([result.metrics["auc_roc"] for result in results]) == pytest.approx(published, abs=0.01)


def test_random_folds_flatter_a_random_forest(points: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    features, target, coordinates_m = points

    def mean_auc(scheme: str) -> float:
        partitions = [partition_cells(scheme, coordinates_m, target, folds=5, repeat=repeat) for repeat in range(3)]
        results = cross_validate(forest, features, target, partitions, workers=1)
        return float(np.mean([result.metrics["auc_roc"] for result in results]))

    assert mean_auc("random") > mean_auc("kmeans") + 0.05
