"""What candidates rely on, against plain sums over the same models, rows and folds."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from susceptibility.design import Candidate
from susceptibility.evaluation import Evaluation, SampledRows, evaluate, fit_models
from susceptibility.explain import NotExplained, ShapValues, feature_groups
from susceptibility.explanations import Explanation, ImportanceRow, explain_candidates, importance_rows
from susceptibility.models.learner import SusceptibilityModel
from susceptibility.recipe import parse_recipe
from susceptibility.study import Study, prepare_study

LOGISTIC = Candidate("all", "logistic_regression")
BOOSTED = Candidate("all", "xgboost")
VECTORS = Candidate("all", "linear_svm")
ALONE = Candidate("alone", "logistic_regression")


class Work(NamedTuple):
    """A study that was evaluated and fitted."""

    study: Study
    rows: SampledRows
    evaluation: Evaluation
    fitted: dict[Candidate, list[SusceptibilityModel]]

    def explain(self, **options: Any) -> dict[Candidate, Explanation]:
        """Explain its candidates."""
        return explain_candidates(self.study.design, self.rows, self.fitted, workers=1, **{"most_rows": 500} | options)

    def sample(self, candidate: Candidate, draw: int) -> np.ndarray:
        """Features (row, feature) of one draw."""
        return self.rows.features(draw, self.study.design.names(candidate.feature_set))


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Work:
    """240 places whose landslides go with slope and rate; greenness tells nothing."""
    folder = tmp_path_factory.mktemp("explained")
    rng = np.random.default_rng(12)
    slope, height, rate, green = rng.normal(size=(4, 240))
    rock = rng.choice(["clay", "marl", "granite"], 240)
    chance = 1.0 / (1.0 + np.exp(1.2 - 1.5 * slope - 1.0 * rate))
    slide = (rng.random(240) < chance).astype(int)
    x, y = rng.uniform(0.0, 4000.0, (2, 240)) + np.array([[500_000.0], [4_000_000.0]])
    lines = ["x,y,slide,slope,height,rate,green,rock"]
    for values in zip(x, y, slide, slope, height, rate, green, rock, strict=True):
        lines.append(",".join(value if isinstance(value, str) else f"{value:.6g}" for value in values))
    (folder / "t.csv").write_text("\n".join(lines) + "\n")
    content = {
        "table": {
            "path": str(folder / "t.csv"), "crs": "EPSG:32633", "landslide": "slide", "classes": ["rock"],
            "groups": {"terrain": ["slope", "height"], "insar": ["rate"], "cover": ["green", "rock"]},
        },
        "feature_sets": {"all": ["slope", "height", "rate", "green", "rock"], "alone": ["slope", "height"]},
        "sampling": {"ratio": 1.0, "repeats": 3},
        "models": {"names": ["logistic_regression", "xgboost", "linear_svm"], "inner_folds": 2,
                   "xgboost": {"trees": 10, "depth": 2}},
        "validation": {"folds": 3, "repeats": 2},
        "explain": {"permutations": 4},
    }  # fmt: skip
    study = prepare_study(parse_recipe(content), folder / "work")
    rows = SampledRows.of(study.data, study.data.names, study.samples, folder / "sampled.bin")
    groups = {feature.name: feature.group for feature in study.data.schema}
    evaluation = evaluate(study.design, rows, study.partitions, groups=groups, workers=1)
    fitted, _ = fit_models(study.design, rows, study.partitions, workers=1)
    return Work(study, rows, evaluation, fitted)


@pytest.fixture(scope="module")
def explained(work: Work) -> dict[Candidate, Explanation]:
    """Explanations of all candidates."""
    return work.explain()


@pytest.fixture(scope="module")
def importance(work: Work, explained: dict[Candidate, Explanation]) -> list[ImportanceRow]:
    """Importance to all candidates."""
    return importance_rows(work.evaluation, work.fitted, explained)


def rows_of(importance: list[ImportanceRow], candidate: Candidate, kind: str = "feature") -> dict[str, ImportanceRow]:
    return {
        row.name: row for row in importance if (row.feature_set, row.model) == candidate and row.kind == kind
    }  # fmt: skip


def logistic_values(model: SusceptibilityModel, features: np.ndarray) -> np.ndarray:
    """Shapley values (row, feature) of a linear model, from its own coefficients."""
    columns = model.preprocessor_.transform(features).astype(np.float64)
    terms = model.estimator_.coef_[-1] * (columns - columns.mean(axis=0))
    return np.stack([terms[:, model.preprocessor_.source_ == each].sum(axis=1) for each in range(5)], axis=1)


def test_shapley_magnitudes_are_of_every_draw(work: Work, explained: dict[Candidate, Explanation]) -> None:
    found = explained[LOGISTIC]
    groups = feature_groups(found.schema)
    assert found.magnitudes.shape == (3, 5)
    for draw, model in enumerate(work.fitted[LOGISTIC]):
        values = logistic_values(model, work.sample(LOGISTIC, draw))
        np.testing.assert_allclose(found.magnitudes[draw], np.abs(values).mean(axis=0), rtol=1e-4, atol=1e-7)
        together = [np.abs(values[:, list(columns)].sum(axis=1)).mean() for columns in groups.values()]
        np.testing.assert_allclose(found.group_magnitudes[draw], together, rtol=1e-4, atol=1e-7)
    assert isinstance(found.shap, ShapValues)
    np.testing.assert_array_equal(found.features, work.sample(LOGISTIC, 0))
    first = logistic_values(work.fitted[LOGISTIC][0], found.features)
    np.testing.assert_allclose(found.shap.values, first, rtol=1e-3, atol=1e-6)


def test_rows_to_explain_are_drawn_from_the_sample(work: Work) -> None:
    first, again = (work.explain(most_rows=20, with_dependence=False)[BOOSTED] for _ in range(2))
    assert isinstance(first.shap, ShapValues)
    assert first.shap.values.shape == first.features.shape == (20, 5)
    np.testing.assert_array_equal(first.features, again.features)
    np.testing.assert_array_equal(first.magnitudes, again.magnitudes)
    sample = {row.tobytes() for row in work.sample(BOOSTED, 0)}
    assert {row.tobytes() for row in first.features} <= sample
    assert first.curves == ()
    # Values are of the rows that are shown.
    margin = first.shap.base + first.shap.values.sum(axis=1)
    np.testing.assert_allclose(margin, first.shap.margin, rtol=1e-4, atol=1e-5)
    order = np.argsort(work.fitted[BOOSTED][0].predict(first.features), kind="stable")
    assert (np.diff(first.shap.margin[order]) > -1e-6).all()


def test_dependence_is_the_mean_prediction_of_each_draw(work: Work, explained: dict[Candidate, Explanation]) -> None:
    for column, curve in enumerate(explained[BOOSTED].curves):
        assert curve.feature.name == work.study.design.names("all")[column]
        assert curve.repeats == 3
        means = np.empty((3, len(curve.points)))
        for draw, model in enumerate(work.fitted[BOOSTED]):
            features = work.sample(BOOSTED, draw)
            assert len(features) <= 200  # else some of them are drawn
            for place, value in enumerate(curve.points):
                changed = features.copy()
                changed[:, column] = value
                means[draw, place] = model.predict(changed).mean()
        np.testing.assert_allclose(curve.median, np.median(means, axis=0), rtol=1e-6)
        np.testing.assert_allclose(curve.q05, np.quantile(means, 0.05, axis=0), rtol=1e-6)
    rock = explained[BOOSTED].curves[4]
    np.testing.assert_array_equal(rock.points, [1.0, 2.0, 3.0])


def test_models_without_shapley_values_say_so(
    explained: dict[Candidate, Explanation], importance: list[ImportanceRow]
) -> None:
    assert isinstance(explained[VECTORS].shap, NotExplained)
    assert explained[VECTORS].magnitudes.shape == (0, 5)
    for row in rows_of(importance, VECTORS).values():
        assert math.isnan(row.shap_median)
        assert row.shap_scale == ""
        assert math.isfinite(row.permutation_mean)
    assert {row.shap_scale for row in rows_of(importance, BOOSTED).values()} == {"log-odds"}


def test_parts_that_are_not_asked_for_are_not_made(work: Work) -> None:
    told: list[tuple[int, int]] = []
    found = work.explain(
        with_shap=False, with_dependence=False, progress=lambda done, total: told.append((done, total))
    )
    assert all(each.shap is None and each.curves == () and each.magnitudes.size == 0 for each in found.values())
    assert told == [(number, 6) for number in range(7)]
    rows = importance_rows(work.evaluation, work.fitted, found)
    assert all(math.isnan(row.shap_median) and row.shap_scale == "" for row in rows)
    bare = importance_rows(work.evaluation, work.fitted, {})
    assert [row.permutation_mean for row in bare] == [row.permutation_mean for row in rows]


def drops_of(work: Work, candidate: Candidate, of: Callable[[Any], np.ndarray]) -> np.ndarray:
    return np.concatenate([of(result) for result in work.evaluation.folds[candidate, "spatial-blocks"]])


def test_permutation_importance_is_that_of_the_held_out_spatial_folds(
    work: Work, importance: list[ImportanceRow]
) -> None:
    for candidate in (LOGISTIC, BOOSTED, VECTORS, ALONE):
        drops = drops_of(work, candidate, lambda result: result.importance)
        assert drops.shape[0] == 3 * 3 * 4  # draws, folds and shuffles of the first repeat
        for column, row in enumerate(rows_of(importance, candidate).values()):
            assert row.permutation_mean == pytest.approx(drops[:, column].mean())
            assert row.permutation_std == pytest.approx(drops[:, column].std(ddof=1))
            assert row.permutation_q05 == pytest.approx(np.quantile(drops[:, column], 0.05))
            assert row.permutation_q95 == pytest.approx(np.quantile(drops[:, column], 0.95))
            assert row.score == "auc_roc"
    assert all(
        result.importance.shape[0] == 0
        for (_, scheme), results in work.evaluation.folds.items()
        for result in results
        if scheme == "random" or result.repeat > 0
    )


def test_what_drives_landslides_is_important_and_what_does_not_is_not(importance: list[ImportanceRow]) -> None:
    for candidate in (LOGISTIC, BOOSTED, VECTORS):
        rows = rows_of(importance, candidate)
        ranked = sorted(rows, key=lambda name: -rows[name].permutation_mean)
        assert ranked[:2] == ["slope", "rate"]
        assert abs(rows["green"].permutation_mean) < 0.25 * rows["rate"].permutation_mean


def test_groups_are_shuffled_together_and_add_up_where_that_is_meant(
    work: Work, explained: dict[Candidate, Explanation], importance: list[ImportanceRow]
) -> None:
    for candidate in (LOGISTIC, BOOSTED):
        groups = rows_of(importance, candidate, "group")
        assert list(groups) == ["terrain", "insar", "cover"]
        drops = drops_of(work, candidate, lambda result: result.group_importance)
        magnitudes = explained[candidate].group_magnitudes
        for number, row in enumerate(groups.values()):
            assert row.permutation_mean == pytest.approx(drops[:, number].mean())
            assert row.shap_median == pytest.approx(np.median(magnitudes[:, number]))
            assert row.shap_q95 == pytest.approx(np.quantile(magnitudes[:, number], 0.95))
    features, groups = (rows_of(importance, BOOSTED, kind) for kind in ("feature", "group"))
    assert groups["terrain"].native == pytest.approx(features["slope"].native + features["height"].native)
    # Slopes of a linear model do not add up.
    assert all(math.isnan(row.native) for row in rows_of(importance, LOGISTIC, "group").values())


def test_one_group_alone_has_no_rows_of_groups(importance: list[ImportanceRow]) -> None:
    assert list(rows_of(importance, ALONE)) == ["slope", "height"]
    assert not rows_of(importance, ALONE, "group")


def test_the_own_measure_of_a_model_is_averaged_over_draws(work: Work, importance: list[ImportanceRow]) -> None:
    for candidate in (LOGISTIC, BOOSTED):
        expected = np.mean([model.native_importance() for model in work.fitted[candidate]], axis=0)
        found = [row.native for row in rows_of(importance, candidate).values()]
        np.testing.assert_allclose(found, expected)
    assert rows_of(importance, LOGISTIC)["rate"].group == "insar"
