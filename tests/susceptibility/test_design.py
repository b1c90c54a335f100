"""What is compared: models that suit, those that do not, and keys that are asked for in vain."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from susceptibility.dataset import Dataset
from susceptibility.design import Candidate, Design, make_design, seed_of_draw
from susceptibility.errors import OptionError
from susceptibility.given_table import read_given_table
from susceptibility.models import MODELS
from susceptibility.provenance import notes_on
from susceptibility.recipe import Recipe, parse_recipe
from susceptibility.schema import Task
from susceptibility.study import prepare_study

UNITS = {"pgv": "cm/s", "slope": "deg", "twi": "1", "lithology_coefficient": "1", "landcover_coefficient": "1"}
GROUPS = {"terrain": ["slope", "twi"], "shaking": ["pgv"], "insar": ["rate"]}
MakeDesign = Callable[..., Design]


@pytest.fixture
def content(tmp_path: Path) -> dict[str, Any]:
    """A recipe of a table with all that the model of the USGS reads, and a rate."""
    rng = np.random.default_rng(4)
    names = [*UNITS, "rate", "density", "x", "y"]
    values = rng.uniform(1.0, 30.0, (60, len(names)))
    values[:, -3] = np.where(rng.random(60) < 0.5, 0.0, values[:, -3] / 100.0)
    values[:, -2:] = rng.uniform(0.0, 5000.0, (60, 2)) + np.array([500_000.0, 4_000_000.0])
    text = "\n".join([",".join(names), *(",".join(f"{value:.4f}" for value in row) for row in values)])
    path = tmp_path / "t.csv"
    path.write_text(text + "\n", encoding="utf-8")
    return {
        "table": {"path": str(path), "crs": "EPSG:32633", "areal_density": "density", "units": UNITS, "groups": GROUPS},
        "feature_sets": {"static": [*UNITS], "all": [*UNITS, "rate"], "terrain_alone": ["slope", "rate"]},
        "models": {"names": ["random_forest", "usgs_2018"]},
        "validation": {"folds": 2},
        "explain": {"permutations": 0},
    }


@pytest.fixture
def make(content: dict[str, Any]) -> MakeDesign:
    """Make the design of the recipe with some of its sections changed."""

    def call(**sections: dict[str, Any]) -> Design:
        recipe = parse_recipe({name: content.get(name, {}) | sections.get(name, {}) for name in {*content, *sections}})
        return make_design(recipe, data_of(recipe))

    return call


def data_of(recipe: Recipe) -> Dataset:
    assert recipe.table is not None
    return read_given_table(recipe.table)


def test_candidates_go_by_feature_set_then_by_model(make: MakeDesign) -> None:
    design = make(models={"names": ["xgboost", "random_forest"]}, feature_sets={"static": ["slope"], "all": ["rate"]})
    assert list(design.feature_sets) == ["static", "all", "terrain_alone"]
    assert design.candidates == tuple(
        Candidate(title, model)
        for title in ("static", "all", "terrain_alone")
        for model in ("xgboost", "random_forest")
    )
    assert design.names("terrain_alone") == ("slope", "rate")


def test_a_model_is_left_out_where_it_lacks_features_and_that_is_told(make: MakeDesign) -> None:
    design = make()
    assert Candidate("all", "usgs_2018") in design.candidates
    assert Candidate("terrain_alone", "usgs_2018") not in design.candidates
    assert Candidate("terrain_alone", "random_forest") in design.candidates
    left_out, fixed = design.notes
    assert left_out.startswith("USGS 2018")
    assert left_out.endswith("left out there: terrain_alone.")
    assert fixed == MODELS["usgs_2018"].note


def test_what_is_left_out_reaches_the_reader(content: dict[str, Any], tmp_path: Path) -> None:
    study = prepare_study(parse_recipe(content), tmp_path / "work")
    assert any("left out there: terrain_alone" in note for note in notes_on(study))


def test_a_model_that_suits_no_set_is_refused(make: MakeDesign) -> None:
    with pytest.raises(OptionError, match=r"features of usgs_2018.*none called pgv"):
        make(table={"leave_out": ["pgv"], "units": {}, "groups": {}},
             feature_sets={"static": ["slope"], "all": ["rate"], "terrain_alone": ["twi"]})  # fmt: skip
    with pytest.raises(OptionError, match=r"model logistic_regression.*found regression"):
        make(study={"target": "areal_density"}, models={"names": ["random_forest", "logistic_regression"]})


def test_models_of_a_recipe_that_names_none_suit_its_target(content: dict[str, Any]) -> None:
    del content["models"]
    assert parse_recipe(content).model_names == ("logistic_regression", "random_forest", "xgboost")
    content["study"] = {"target": "areal_density"}
    assert parse_recipe(content).model_names == ("random_forest", "xgboost")


def test_the_usgs_model_tells_no_numbers_of_landslides(make: MakeDesign) -> None:
    with pytest.raises(OptionError, match=r"learn a number density; found usgs_2018"):
        make(study={"target": "number_density"})
    assert make(study={"target": "areal_density"}).upper == 1.0
    assert make(study={"target": "number_density"}, models={"names": ["random_forest"]}).upper is None


@pytest.mark.parametrize(
    ("target", "score", "suited"),
    [
        ("presence", "r2", "auc_roc, auc_pr, brier"),
        ("presence", "mae", "auc_roc, auc_pr, brier"),
        ("areal_density", "auc_roc", "r2, mse, mae"),
        ("areal_density", "brier", "r2, mse, mae"),
    ],
)
def test_a_score_must_suit_the_target(make: MakeDesign, target: str, score: str, suited: str) -> None:
    with pytest.raises(OptionError, match=rf"\[explain\] score: required .*'{target}': {suited}; found '{score}'"):
        make(study={"target": target}, explain={"score": score})


@pytest.mark.parametrize(("target", "score"), [("presence", "auc_roc"), ("areal_density", "r2")])
def test_a_score_that_is_not_named_suits_the_target(make: MakeDesign, target: str, score: str) -> None:
    assert make(study={"target": target}).score == score
    named = {"presence": "brier", "areal_density": "mse"}[target]
    assert make(study={"target": target}, explain={"score": named}).score == named


def test_the_bound_of_a_landslide_is_of_densities_alone(make: MakeDesign) -> None:
    assert make(validation={"positive_above": 0.2}).positive_above == 0.0
    design = make(study={"target": "areal_density"}, validation={"positive_above": 0.2})
    assert (design.positive_above, design.task) == (0.2, Task.REGRESSION)


def test_densities_are_not_calibrated(make: MakeDesign) -> None:
    with pytest.raises(OptionError, match=r"\[models.calibration\] random_forest.*found 'isotonic'"):
        make(study={"target": "areal_density"}, models={"calibration": {"random_forest": "isotonic"}})
    assert make(models={"calibration": {"random_forest": "isotonic"}})


def test_an_ablation_needs_two_groups(make: MakeDesign) -> None:
    with pytest.raises(OptionError, match="at least two groups; found one, 'table'"):
        make(explain={"ablation": True}, table={"groups": {}})
    assert make(explain={"ablation": True})
    assert make(table={"groups": {}})


def test_how_models_are_fitted_is_that_of_the_recipe(make: MakeDesign) -> None:
    design = make(
        models={
            "names": ["xgboost"], "impute": "median", "scale": "minmax", "min_share": 0.1, "unseen": "other",
            "inner_folds": 3, "calibration": {"xgboost": "sigmoid"}, "xgboost": {"trees": 7},
            "search": {"xgboost": {"depth": [2, 3]}}, "search_method": "halving",
        },
        sampling={"seed": 9},
    )  # fmt: skip
    model = design.builder(Candidate("all", "xgboost"))(4)
    assert (model.seed, model.options.trees, model.task, model.upper) == (4, 7, Task.CLASSIFICATION, None)
    assert [feature.name for feature in model.schema] == list(design.names("all"))
    assert (model.preprocessing.impute, model.preprocessing.scale) == ("median", "minmax")
    assert (model.preprocessing.min_share, model.preprocessing.unseen) == (0.1, "other")
    assert (model.calibration.method, model.calibration.folds) == ("sigmoid", 3)
    assert (model.search.method, model.search.folds, dict(model.search.parameters)) == ("halving", 3, {"depth": (2, 3)})
    assert design.seed == 9
    assert seed_of_draw(design, 0) != seed_of_draw(design, 1)


def test_keys_of_another_command_are_told_of(quick_recipe: dict[str, Any], simulated: Path, tmp_path: Path) -> None:
    path = str(simulated / "lithology.tif")
    quick_recipe["factors"] |= {"categories": {"rock": {"path": path}, "cover": {"path": path, "min_share": 0.05}}}
    study = prepare_study(parse_recipe(quick_recipe), tmp_path / "work")
    (note,) = study.design.notes
    assert note.startswith("'min_share' and 'unseen' of [factors.categories] (cover)")
    assert note in notes_on(study)
    quick_recipe["factors"]["categories"]["cover"] |= {"min_share": 0.01, "unseen": "zeros"}
    assert prepare_study(parse_recipe(quick_recipe), tmp_path / "same").design.notes == ()
