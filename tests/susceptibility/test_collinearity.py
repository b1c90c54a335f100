"""Correlations, variance inflation and components against NumPy, SciPy and scikit-learn, and known relations."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import StandardScaler

from susceptibility.collinearity import Collinearity, assess_collinearity, write_collinearity
from susceptibility.errors import InputError, OptionError
from susceptibility.figures_table import draw_correlation, draw_loadings, draw_vif
from susceptibility.table import Column, Table, UnitRows, build_table


def table_of(columns: dict[str, NDArray[Any]], unit: str = "m") -> Table:
    count = len(next(iter(columns.values())))
    place = np.zeros(count)
    units = UnitRows("cells", "EPSG:32633", count, np.arange(count), place, place, place)
    return build_table(units, [Column(name, unit, "", values) for name, values in columns.items()])


def correlated(rows: int, seed: int = 0, columns: int = 5) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, columns)) @ rng.normal(size=(columns, columns)) * [1.0, 50.0, 1e-4, 3.0, 9.0] + 700.0


def named(values: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    return {f"f{number}": values[:, number] for number in range(values.shape[1])}


def test_numbers_are_those_of_numpy_scipy_and_scikit_learn() -> None:
    values = correlated(800)
    values[::50, 2] = np.nan
    values[7, 4] = np.inf
    complete = values[np.isfinite(values).all(axis=1)]
    found = assess_collinearity(table_of(named(values)))

    assert (found.rows, found.dropped) == (783, 17)
    assert found.missing == {"f0": 0, "f1": 0, "f2": 16, "f3": 0, "f4": 1}
    np.testing.assert_allclose(found.pearson, np.corrcoef(complete, rowvar=False), atol=1e-10)
    np.testing.assert_allclose(found.spearman, spearmanr(complete).statistic, atol=1e-12)
    np.testing.assert_allclose(found.vif, np.diag(np.linalg.inv(np.corrcoef(complete, rowvar=False))), rtol=1e-8)
    for column in range(5):
        others = np.delete(complete, column, axis=1)
        fit = LinearRegression().fit(StandardScaler().fit_transform(others), complete[:, column])
        r2 = fit.score(StandardScaler().fit_transform(others), complete[:, column])
        assert found.vif[column] == pytest.approx(1.0 / (1.0 - r2), rel=1e-7)
    pca = PCA().fit(StandardScaler().fit_transform(complete))
    np.testing.assert_allclose(found.explained, pca.explained_variance_ratio_, atol=1e-12)
    signs = np.sign((found.components * pca.components_).sum(axis=1))
    np.testing.assert_allclose(found.components, pca.components_ * signs[:, None], atol=1e-8)
    scores = StandardScaler().fit_transform(complete) @ found.components.T
    expected = [[np.corrcoef(score, feature)[0, 1] for feature in complete.T] for score in scores.T]
    np.testing.assert_allclose(found.loadings, expected, atol=1e-9)
    assert (found.components[np.arange(5), np.abs(found.components).argmax(axis=1)] > 0.0).all()


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), rows_at_once=st.integers(7, 90))
def test_blocks_do_not_matter(seed: int, rows_at_once: int) -> None:
    values = correlated(150, seed)
    values[3] = np.nan
    whole = assess_collinearity(table_of(named(values)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("susceptibility.table._VALUES_AT_ONCE", 1)
        patch.setattr("susceptibility.table._FEWEST_ROWS", rows_at_once)
        parts = assess_collinearity(table_of(named(values)))
    np.testing.assert_allclose(parts.pearson, whole.pearson, atol=1e-11)
    np.testing.assert_allclose(parts.vif, whole.vif, rtol=1e-6)
    np.testing.assert_array_equal(parts.spearman, whole.spearman)


def test_a_large_mean_does_not_drown_the_variation() -> None:
    rng = np.random.default_rng(3)
    shift, other = rng.normal(size=(2, 500))
    found = assess_collinearity(table_of({"a": 4e6 + np.round(shift, 9), "b": other}))
    assert found.pearson[0, 1] == pytest.approx(np.corrcoef(shift, other)[0, 1], abs=1e-8)
    assert found.constant == ()


def test_exact_relations_are_infinite_and_named() -> None:
    rng = np.random.default_rng(1)
    a, b, c, d = rng.normal(size=(4, 3000)).astype(np.float32)
    rock = rng.integers(0, 3, 3000)
    columns = {
        "a": a, "b": b, "sum": a + 2 * b, "c": c, "twin": -3 * c + 5, "d": d + np.float32(0.01) * a,
        "rock_1": (rock == 0) * 1.0, "rock_2": (rock == 1) * 1.0, "rock_3": (rock == 2) * 1.0,
    }  # fmt: skip
    found = assess_collinearity(table_of(columns))
    assert np.isinf(found.vif[[0, 1, 2, 3, 4, 6, 7, 8]]).all()
    alone = assess_collinearity(table_of({name: columns[name] for name in ("a", "b", "c", "d", "rock_1", "rock_2")}))
    assert found.vif[5] == pytest.approx(alone.vif[3], rel=1e-9)
    assert set(map(frozenset, found.relations)) == {
        frozenset({"a", "b", "sum"}), frozenset({"c", "twin"}), frozenset({"rock_1", "rock_2", "rock_3"}),
    }  # fmt: skip
    assert found.explained.sum() == pytest.approx(1.0)
    assert found.strongest(0.999)[0][:2] == ("c", "twin")
    assert found.strongest(0.999)[0][2] == pytest.approx(-1.0)


def test_almost_is_not_exact() -> None:
    rng = np.random.default_rng(2)
    a = rng.normal(size=5000)
    found = assess_collinearity(table_of({"a": a, "b": a + 1e-3 * rng.normal(size=5000)}))
    assert found.vif[0] == pytest.approx(1e6, rel=0.1)
    assert found.relations == ()


def test_what_does_not_vary_has_no_correlation() -> None:
    rng = np.random.default_rng(4)
    columns = {"a": rng.normal(size=50), "flat": np.full(50, 0.1), "b": rng.normal(size=50)}
    found = assess_collinearity(table_of(columns))
    assert found.constant == ("flat",)
    assert np.isnan(found.vif[1])
    assert np.isnan(found.pearson[1]).all()
    assert np.isnan(found.spearman[:, 1]).all()
    assert found.pearson[0, 2] == pytest.approx(np.corrcoef(columns["a"], columns["b"])[0, 1])
    assert found.components.shape == (2, 3)
    assert (found.loadings[:, 1] == 0.0).all()


def test_long_tables_are_thinned_for_ranks_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    values = correlated(1000, seed=5)
    monkeypatch.setattr("susceptibility.collinearity.SPEARMAN_ROWS", 300)
    monkeypatch.setattr("susceptibility.table._VALUES_AT_ONCE", 1)
    monkeypatch.setattr("susceptibility.table._FEWEST_ROWS", 130)
    found = assess_collinearity(table_of(named(values)))
    assert found.spearman_rows == 250
    np.testing.assert_allclose(found.spearman, spearmanr(values[::4]).statistic, atol=1e-12)
    np.testing.assert_allclose(found.pearson, np.corrcoef(values, rowvar=False), atol=1e-10)


def test_what_cannot_be_correlated_is_refused() -> None:
    values = np.arange(5.0)
    with pytest.raises(OptionError, match="at least two quantities"):
        assess_collinearity(table_of({"a": values}))
    classes = table_of({"a": values, "b": values}, unit="class")
    with pytest.raises(OptionError, match="'a', a class or a direction"):
        assess_collinearity(classes, ["a", "b"])
    gaps = np.array([np.nan, np.nan, np.nan, 1.0, 2.0])
    with pytest.raises(InputError, match=r"2 of 5; unknown in: gaps \(3\)"):
        assess_collinearity(table_of({"a": values, "gaps": gaps}))


@pytest.fixture(scope="module")
def terrain_like() -> Collinearity:
    rng = np.random.default_rng(6)
    slope, north, wet = rng.normal(size=(3, 500))
    columns = {
        "slope_mean": slope, "slope_max": slope + 0.2 * rng.normal(size=500), "relief": slope + 0.5 * north,
        "aspect_cos": north, "twi_mean": wet - slope, "twin": 2 * wet, "wetness": wet, "flat": np.ones(500),
    }  # fmt: skip
    return assess_collinearity(table_of(columns))


def test_figures_and_files_are_written(terrain_like: Collinearity, tmp_path: Path) -> None:
    write_collinearity(tmp_path, terrain_like)
    draw_correlation(tmp_path / "correlation.png", terrain_like)
    draw_vif(tmp_path / "vif.png", terrain_like)
    draw_loadings(tmp_path / "loadings.png", terrain_like)
    for name in ("correlation", "vif", "loadings"):
        assert (tmp_path / f"{name}.png").read_bytes()[1:4] == b"PNG"
        draw = {"correlation": draw_correlation, "vif": draw_vif, "loadings": draw_loadings}[name]
        draw(tmp_path / "again.png", terrain_like)
        assert (tmp_path / "again.png").read_bytes() == (tmp_path / f"{name}.png").read_bytes()
    with (tmp_path / "vif.csv").open() as source:
        rows = {row["feature"]: row for row in csv.DictReader(source)}
    assert rows["twin"]["vif"] == "inf"
    assert rows["flat"]["vif"] == ""
    assert float(rows["slope_mean"]["vif"]) == terrain_like.vif[0]
    with (tmp_path / "loadings.csv").open() as source:
        first = next(csv.DictReader(source))
    assert float(first["relief"]) == terrain_like.loadings[0, 2]
    with (tmp_path / "correlation.csv").open() as source:
        assert len(list(csv.DictReader(source))) == 28
