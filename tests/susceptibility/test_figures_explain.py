"""Pictures of explanations are written whole, the same each time, and show what they were given."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from susceptibility import figures_explain
from susceptibility.explain import AblationRow, CurveSummary, Scale, ShapValues
from susceptibility.explain.groups import Range
from susceptibility.schema import FeatureSchema

SCHEMA = (
    FeatureSchema("slope", "deg", "topography"),
    FeatureSchema("rate", "m/yr", "insar"),
    FeatureSchema("rock", "", "lithology", classes=("granite", "schist", "a very long name of a rock", "clay", "sand")),
)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Figures that were saved."""
    figures: list[Any] = []
    save = figures_explain.save_figure

    def keep(figure: Any, path: Path) -> None:
        figures.append(figure)
        save(figure, path)

    monkeypatch.setattr(figures_explain, "save_figure", keep)
    return figures


def explained(rows: int = 50) -> tuple[ShapValues, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, 3)).astype(np.float32)
    X[:, 2] = rng.integers(1, 6, rows)
    values = X * np.array([1.0, 3.0, 0.1])
    values[0] = np.nan
    return ShapValues(values, 0.0, values.sum(axis=1), ("slope", "rate", "rock"), Scale.LOG_ODDS, True), X


def is_png(path: Path) -> bool:
    return path.read_bytes().startswith(b"\x89PNG") and path.read_bytes().rstrip().endswith(b"IEND\xaeB`\x82")


def test_a_summary_shows_the_known_rows_with_the_most_important_feature_on_top(
    tmp_path: Path, drawn: list[Any]
) -> None:
    found, X = explained()
    for name in ("first.png", "second.png"):
        figures_explain.draw_shap_summary(tmp_path / name, found, X, SCHEMA, "XGBoost")
    assert is_png(tmp_path / "first.png")
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()
    axes = drawn[0].axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["rock", "slope", "rate"]
    assert axes.get_xlabel() == "what the feature adds, in log-odds, before calibration"
    swarms = [each.get_offsets() for each in axes.collections]  # two quantities; the class is a grey line of points
    np.testing.assert_allclose(np.sort(swarms[1][:, 0]), np.sort(found.values[1:, 1]))
    assert np.abs(swarms[1][:, 1] - 2.0).max() <= 0.4


def test_dependence_of_shapley_values_has_a_panel_for_each_feature(tmp_path: Path, drawn: list[Any]) -> None:
    found, X = explained()
    figures_explain.draw_shap_dependence(tmp_path / "a.png", found, X, SCHEMA, "XGBoost", most=2)
    assert is_png(tmp_path / "a.png")
    assert [axes.get_xlabel() for axes in drawn[0].axes] == ["rate (m/yr)", "slope (deg)"]
    x, y = drawn[0].axes[0].lines[1].get_data()
    np.testing.assert_allclose(y, 3.0 * x, rtol=1e-5)
    assert len(x) == 49


def test_importance_is_drawn_by_its_share_with_its_range(tmp_path: Path, drawn: list[Any]) -> None:
    ranges = {
        "random forest": {"slope": Range(0.02, 0.01, 0.04, 9), "rate": Range(0.01, 0.0, 0.02, 9)},
        "XGBoost": {"slope": Range(2.0, 1.0, 3.0, 9), "rate": Range(3.0, 2.0, 4.0, 9), "rock": Range(0.5, 0.5, 0.5, 9)},
    }
    figures_explain.draw_importance_ranges(tmp_path / "a.png", ranges, "mean |SHAP|", most=2)
    assert is_png(tmp_path / "a.png")
    first, second = drawn[0].axes
    assert [label.get_text() for label in first.get_yticklabels()] == ["rate", "slope"]
    assert [bar.get_width() for bar in second.patches] == [3.0, 2.0]
    segments = second.collections[0].get_segments()
    np.testing.assert_allclose([segment[:, 0] for segment in segments], [[2.0, 4.0], [1.0, 3.0]])
    assert "5 to 95 % of 9 repeats" in first.get_xlabel()


def test_curves_share_one_scale_so_that_flat_ones_look_flat(tmp_path: Path, drawn: list[Any]) -> None:
    points = np.array([0.0, 1.0, 5.0])
    classes = np.arange(1.0, 6.0)
    steep = np.array([0.1, 0.5, 0.9])
    flat = np.array([0.4, 0.4, np.nan, 0.41, 0.4])
    curves = {
        title: [
            CurveSummary(SCHEMA[0], "partial dependence", points, steep, steep - 0.1, steep + 0.1, 4),
            CurveSummary(SCHEMA[2], "partial dependence", classes, flat, flat, flat, 4),
        ]
        for title in ("random forest", "XGBoost")
    }
    figures_explain.draw_dependence(tmp_path / "a.png", curves, "probability")
    assert is_png(tmp_path / "a.png")
    first, second = drawn[0].axes
    assert first.get_ylim() == second.get_ylim() == pytest.approx((-0.05, 1.05))
    np.testing.assert_array_equal(first.lines[0].get_ydata(), steep)
    assert [label.get_text() for label in second.get_xticklabels()][2] == "a very long n…"


def test_ablation_shows_intervals_where_they_are_known(tmp_path: Path, drawn: list[Any]) -> None:
    rows = [
        AblationRow("insar", ("rate",), "auc_roc", 0.04, 0.02, 0.06, 25, "needed"),
        AblationRow("topography", ("slope",), "auc_roc", 0.01, math.nan, math.nan, 1, "not shown"),
    ]
    figures_explain.draw_ablation(tmp_path / "a.png", {"XGBoost": rows}, "AUC-ROC")
    assert is_png(tmp_path / "a.png")
    axes = drawn[0].axes[0]
    np.testing.assert_allclose(axes.lines[1].get_xdata(), [0.02, 0.06])
    assert len(axes.lines) == 4  # nought, an interval, two points
    assert [label.get_text() for label in axes.get_yticklabels()] == ["topography", "InSAR"]


def test_colors_go_by_group() -> None:
    colors = figures_explain.group_colors(SCHEMA)
    assert list(colors) == ["topography", "insar", "lithology"]
    assert len(set(colors.values())) == 3


def test_ranks_run_from_nought_to_one_and_equal_values_share_one() -> None:
    np.testing.assert_allclose(figures_explain._ranks(np.array([5.0, 1.0, 3.0], np.float32)), [1.0, 0.0, 0.5])
    np.testing.assert_allclose(figures_explain._ranks(np.array([2.0, 2.0, 9.0], np.float32)), [0.25, 0.25, 1.0])
