"""Models of every kind, calibrated, come within 0.02 of the best AUC that the generating model leaves to reach."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from susceptibility.pipeline import run_study
from susceptibility.recipe import parse_recipe, read_recipe
from susceptibility.simulate import SimulationOptions, simulate_study

CALIBRATION = {
    "logistic_regression": "sigmoid",
    "linear_svm": "sigmoid",
    "random_forest": "isotonic",
    "xgboost": "sigmoid",
    "lightgbm": "isotonic",
    "frequency_ratio": "isotonic",
}


@pytest.mark.slow
def test_calibrated_models_reach_what_can_be_reached(tmp_path: Path) -> None:
    # No distances and rocks: a block holds few of their values, so that its own AUC is lower than that of the area.
    options = SimulationOptions(size=200, landslides=3000, seed=5, river_effect=0.0, fault_effect=0.0, rock_effect=0.0)
    content = read_recipe(simulate_study(tmp_path / "study", options)).model_dump(mode="json", exclude_none=True)
    content["factors"]["terrain"] = ["slope", "profile_curvature"]
    content["sampling"] = {"repeats": 2}
    content["models"] = {
        "names": list(CALIBRATION),
        "calibration": CALIBRATION,
        "random_forest": {"trees": 100, "depth": 6},
        "xgboost": {"trees": 150, "depth": 2},
        "lightgbm": {"trees": 150, "leaves": 4},
    }
    content["explain"] = {"permutations": 0, "shap": False, "dependence": False}
    run_study(parse_recipe(content), tmp_path / "out", workers=2)
    best = json.loads((tmp_path / "study" / "truth" / "model.json").read_text())["best_auc"]
    found = {
        (row["model"], row["scheme"]): row["mean"]
        for row in json.loads((tmp_path / "out" / "metrics.json").read_text())["metrics"]
        if row["metric"] == "auc_roc" and row["feature_set"] == "static_insar" and row["scheme"] != "training"
    }
    assert {model for model, _ in found} == set(CALIBRATION)
    assert found == {each: pytest.approx(best, abs=0.02) for each in found}
