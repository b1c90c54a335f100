"""The slope units of the Wenchuan earthquake of 2008 by recipes, for presence and for the share that slides cover.

19,592 slope units, 72.9 % of them with landslides. With 5 folds, blocks of 19 km and default options of the models:

| presence | scheme | AUC-ROC | AUC-PR | Brier |
|---|---|---|---|---|
| random forest | random | 0.872 | 0.947 | 0.125 |
| random forest | spatial blocks | 0.842 | 0.928 | 0.136 |
| XGBoost | random | 0.875 | 0.948 | 0.124 |
| XGBoost | spatial blocks | 0.847 | 0.931 | 0.135 |

| areal density | scheme | r2 | Spearman | RMSE |
|---|---|---|---|---|
| random forest | random | 0.344 | 0.686 | 0.166 |
| random forest | spatial blocks | 0.293 | 0.647 | 0.172 |
| XGBoost | random | 0.338 | 0.683 | 0.167 |
| XGBoost | spatial blocks | 0.286 | 0.645 | 0.173 |

The models of these tests have few trees and three folds, and score a little less; bounds leave them 0.03.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from recipe_scores import Score, Scores, report_text, scores_of, validated, written_scores

from susceptibility.given_table import read_given_table
from susceptibility.inventory import LANDSLIDE
from susceptibility.pipeline import run_study
from susceptibility.recipe import TableSection, parse_recipe

MODELS = ("random_forest", "xgboost")
ALL = slice(None)


def table(data: Path) -> dict[str, Any]:
    return {
        "path": str(data / "wenchuan" / "wenchuan_slope_units.csv.gz"),
        "x": "POINT_X",
        "y": "POINT_Y",
        "crs": "EPSG:4326",
        "area_m2": "area_grid",
        "landslide_area_m2": "area_slide",
        "landslide": "presence",
        "classes": ["litho"],
        "leave_out": ["count"],
    }


def recipe(data: Path, target: str) -> dict[str, Any]:
    return {
        "study": {"name": "Wenchuan", "target": target},
        "table": table(data),
        "models": {
            "names": list(MODELS),
            "random_forest": {"trees": 8, "leaf_cells": 10},
            "xgboost": {"trees": 25, "learning_rate": 0.2},
        },
        "validation": {"folds": 3},
        "explain": {"permutations": 0, "shap": False, "dependence": False},
        "map": {"applicability": False},
    }


@pytest.fixture(scope="module")
def raw(shared_data: Path) -> dict[str, NDArray[np.float64]]:
    values = np.genfromtxt(shared_data / "wenchuan" / "wenchuan_slope_units.csv.gz", delimiter=",", names=True)
    return {name: values[name] for name in values.dtype.names}


@pytest.fixture(scope="module")
def result(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the areal density."""
    folder = tmp_path_factory.mktemp("wenchuan") / "result"
    run_study(parse_recipe(recipe(shared_data, "areal_density")), folder, workers=1)
    return folder


def test_densities_above_one_are_taken_as_one(shared_data: Path, raw: dict[str, NDArray[np.float64]]) -> None:
    data = read_given_table(TableSection(**table(shared_data)))
    share = raw["area_slide"] / raw["area_grid"]
    assert (data.count, np.count_nonzero(share > 1.0)) == (19_592, 219)
    assert data.targets.areal_density is not None
    np.testing.assert_array_equal(data.targets.areal_density, np.minimum(share, 1.0))
    np.testing.assert_array_equal(data.targets.labels == LANDSLIDE, raw["presence"] == 1.0)
    assert data.notes == (
        "219 of 19592 units have an areal density above 1, up to 20.8: landslides were counted that reach beyond their "
        "unit, or twice. They are taken as 1.",
    )


def test_features_are_all_columns_that_are_no_answer(shared_data: Path, raw: dict[str, NDArray[np.float64]]) -> None:
    """The area of a unit is none, though larger units have more landslides."""
    data = read_given_table(TableSection(**table(shared_data)))
    named = {"presence", "area_grid", "area_slide", "count", "POINT_X", "POINT_Y"}
    assert set(data.names) == set(raw) - named
    assert len(data.names) == 16
    for feature in data.schema:
        values = data.columns[feature.name](ALL)
        if feature.name == "litho":
            assert feature.classes == tuple(map(str, (1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13)))
            np.testing.assert_array_equal(np.array(feature.classes, float)[values.astype(int) - 1], raw["litho"])
        else:
            np.testing.assert_array_equal(values, raw[feature.name].astype(np.float32))


def test_places_are_in_the_zone_of_their_middle(shared_data: Path, raw: dict[str, NDArray[np.float64]]) -> None:
    """103.7 E is in zone 48, whose scale there is that of 145 km west of its middle: the ground is 0.01 % shorter."""
    from pyproj import Geod

    data = read_given_table(TableSection(**table(shared_data)))
    assert data.crs == "EPSG:32648"
    places = data.places(ALL)
    lon, lat = raw["POINT_X"], raw["POINT_Y"]
    _, _, ground_m = Geod(ellps="WGS84").inv(lon[:-1], lat[:-1], lon[1:], lat[1:])
    np.testing.assert_allclose(np.hypot(*np.diff(places, axis=0).T), ground_m, rtol=5e-4)


def test_a_count_of_landslides_left_among_the_features_is_told_of(
    shared_data: Path, raw: dict[str, NDArray[np.float64]]
) -> None:
    """Though one unit has a landslide that was counted and none that was mapped."""
    assert np.count_nonzero((raw["count"] > 0.0) != (raw["presence"] == 1.0)) == 1
    data = read_given_table(TableSection(**table(shared_data) | {"leave_out": []}))
    assert "part units with landslides from all others, wholly or nearly without a miss: count." in data.notes[-1]


def test_the_answer_is_no_feature(shared_data: Path) -> None:
    from susceptibility.errors import OptionError

    with pytest.raises(OptionError, match="area_slide"):
        read_given_table(TableSection(**table(shared_data) | {"features": ["slope_avg", "area_slide"]}))


def is_within(scores: Scores, model: str, metric: str, random: float, spatial: float, *, tolerance: float) -> None:
    """Assert both means, that the spatial one is the worse, and that it is not far worse."""
    beside, apart = (scores[Score(model, scheme, metric)] for scheme in ("random", "spatial-blocks"))
    assert beside == pytest.approx(random, abs=tolerance)
    assert apart == pytest.approx(spatial, abs=tolerance)
    better, worse = (apart, beside) if metric in {"brier", "rmse"} else (beside, apart)
    assert better > worse
    assert better - worse < 0.1


def test_presence(shared_data: Path, tmp_path: Path) -> None:
    study, evaluation = validated(recipe(shared_data, "presence"), tmp_path)
    assert study.samples[0].cells.size == 19_592
    assert study.samples[0].prevalence == pytest.approx(0.72943, abs=1e-5)
    scores = scores_of(evaluation)
    for model in MODELS:
        is_within(scores, model, "auc_roc", 0.872, 0.843, tolerance=0.03)
        is_within(scores, model, "auc_pr", 0.947, 0.929, tolerance=0.03)
        is_within(scores, model, "brier", 0.125, 0.136, tolerance=0.015)


def test_areal_density(result: Path) -> None:
    scores = written_scores(result)
    for model in MODELS:
        is_within(scores, model, "r2", 0.341, 0.289, tolerance=0.04)
        is_within(scores, model, "spearman", 0.685, 0.646, tolerance=0.03)
        is_within(scores, model, "rmse", 0.1665, 0.1725, tolerance=0.01)


def test_the_report_tells_of_clipped_densities(result: Path) -> None:
    text = report_text(result)
    assert "219 of 19592 units have an areal density above 1, up to 20.8" in text
    assert "A density is predicted" in text
    scores = written_scores(result)
    for scheme in ("random", "spatial-blocks"):
        for model in MODELS:
            assert f" {scores[Score(model, scheme, 'r2')]:.3f} " in text
