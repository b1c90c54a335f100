"""The area of applicability against brute force, and against what it is for."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from susceptibility.applicability import ApplicabilityModel, count_out_of_range
from susceptibility.errors import InputError, OptionError

WEIGHTS = np.array([3.0, 1.0, 0.0, 0.5])


def rows(count: int = 300, seed: int = 0) -> np.ndarray:
    """Units that differ by orders of magnitude."""
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(count, 4)) * [1.0, 500.0, 3.0, 1e-3] + [10.0, 2000.0, 0.0, 0.5]).astype(np.float32)


def folds(count: int = 300, number: int = 5) -> np.ndarray:
    return np.arange(count) % number


def brute_force(train: np.ndarray, fold: np.ndarray, weights: np.ndarray, X: np.ndarray) -> tuple[np.ndarray, float]:
    """Dissimilarity of X and threshold, as the paper writes them, row by row."""
    train, X = train.astype(np.float64), X.astype(np.float64)
    mean, sd = train.mean(axis=0), train.std(axis=0)
    scaled, wanted = (train - mean) / sd * weights, (X - mean) / sd * weights
    pairs = [np.linalg.norm(scaled[i] - scaled[j]) for i, j in itertools.combinations(range(len(scaled)), 2)]
    average = np.mean(pairs)
    own = []
    for row, number in zip(scaled, fold, strict=True):
        if number >= 0:
            own.append(np.linalg.norm(scaled[fold != number] - row, axis=1).min() / average)
    first, third = hinges(np.array(own))
    whisker = max(value for value in own if value <= third + 1.5 * (third - first))
    return np.array([np.linalg.norm(scaled - row, axis=1).min() for row in wanted]) / average, whisker


def hinges(values: np.ndarray) -> tuple[float, float]:
    """Medians of the lower and the upper half, the middle value in both."""
    ordered = np.sort(values)
    half = (len(ordered) + 1) // 2
    return float(np.median(ordered[:half])), float(np.median(ordered[-half:]))


@pytest.mark.parametrize("count", [60, 61, 62, 63])
def test_dissimilarity_and_threshold_are_those_of_brute_force(count: int) -> None:
    train, X = rows(count), rows(40, seed=1)
    fold = folds(count)
    fold[:5] = -1  # rows of which none was tested
    model = ApplicabilityModel().fit(train, WEIGHTS, fold)
    expected, threshold = brute_force(train, fold, WEIGHTS, X)
    found = model.dissimilarity(X)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert model.threshold_ == pytest.approx(threshold, rel=1e-12)
    np.testing.assert_array_equal(model.is_applicable(found), found <= threshold)


def test_a_threshold_by_hand() -> None:
    """On a line at 0, 1, 3, 7, 20: distances to others 1, 1, 2, 4, 13; hinges 1 and 4: the whisker ends at 4."""
    train = np.array([[0.0], [1.0], [3.0], [7.0], [20.0]], np.float32)
    model = ApplicabilityModel().fit(train, np.ones(1))
    average = np.mean([abs(a - b) for a, b in itertools.combinations(train[:, 0].tolist(), 2)])
    assert model.threshold_ == pytest.approx(4.0 / average, rel=1e-12)
    np.testing.assert_allclose(model.dissimilarity(np.array([[10.0]], np.float32)), 3.0 / average, rtol=1e-12)


def test_training_rows_are_not_dissimilar_at_all() -> None:
    model = ApplicabilityModel().fit(rows(), WEIGHTS, folds())
    np.testing.assert_array_equal(model.dissimilarity(rows()), 0.0)


def test_a_factor_out_of_range_is_flagged_and_one_without_weight_does_not_matter() -> None:
    model = ApplicabilityModel().fit(rows(1000), WEIGHTS, folds(1000))
    inside = rows(200, seed=1)
    before = model.dissimilarity(inside)
    assert model.is_applicable(before).mean() > 0.9
    for column in (0, 1):
        pushed = inside.copy()
        pushed[:, column] += 20.0 * rows()[:, column].std()
        assert not model.is_applicable(model.dissimilarity(pushed)).any()
    pushed = inside.copy()
    pushed[:, 2] += 1e6
    np.testing.assert_array_equal(model.dissimilarity(pushed), before)
    pushed[:, 2] = np.nan
    np.testing.assert_array_equal(model.dissimilarity(pushed), before)


def test_spatial_folds_allow_more_than_random_ones() -> None:
    """Folds that differ are predicted from afar, and validation vouches for that."""
    train = rows(400)
    train[:, 0] += np.repeat([0.0, 8.0, 16.0, 24.0], 100)
    near = ApplicabilityModel().fit(train, WEIGHTS, folds(400))
    far = ApplicabilityModel().fit(train, WEIGHTS, np.repeat(np.arange(4), 100))
    assert far.threshold_ > 3.0 * near.threshold_


def test_units_and_the_size_of_weights_do_not_matter() -> None:
    train, X = rows().astype(np.float64), rows(50, seed=1).astype(np.float64)
    model = ApplicabilityModel().fit(train, WEIGHTS, folds())
    units = np.array([1e-3, 1e4, 2.0, 7.0])
    other = ApplicabilityModel().fit(train * units, 10.0 * WEIGHTS, folds())
    np.testing.assert_allclose(model.dissimilarity(X), other.dissimilarity(X * units), rtol=1e-9)
    assert model.threshold_ == pytest.approx(other.threshold_, rel=1e-9)


def test_an_unknown_row_has_no_dissimilarity_and_is_not_applicable() -> None:
    train = rows()
    train[3, 0] = np.nan
    model = ApplicabilityModel().fit(train, WEIGHTS, folds())
    assert len(model.rows_) == model.training_rows_ == 299
    X = rows(5, seed=1)
    X[1, 0], X[2, 1] = np.nan, np.inf
    found = model.dissimilarity(X)
    np.testing.assert_array_equal(np.isnan(found), [False, True, True, False, False])
    assert not model.is_applicable(found)[1:3].any()
    assert model.dissimilarity(X[:0]).shape == (0,)


def test_blocks_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    model = ApplicabilityModel().fit(rows(), WEIGHTS, folds())
    X = rows(200, seed=1)
    whole = model.dissimilarity(X)
    assert model.dissimilarity(X[13:50]).tobytes() == whole[13:50].tobytes()
    monkeypatch.setattr("susceptibility.applicability._ROWS_AT_ONCE", 17)
    assert model.dissimilarity(X).tobytes() == whole.tobytes()


def test_many_training_rows_are_drawn_from_with_a_seed_and_err_on_the_side_of_caution() -> None:
    train, X = rows(2000), rows(500, seed=1)
    whole = ApplicabilityModel().fit(train, WEIGHTS, folds(2000))
    drawn = ApplicabilityModel(most_rows=300, seed=4).fit(train, WEIGHTS, folds(2000))
    again = ApplicabilityModel(most_rows=300, seed=4).fit(train, WEIGHTS, folds(2000))
    assert (len(drawn.rows_), drawn.training_rows_) == (300, 2000)
    assert drawn.rows_.tobytes() == again.rows_.tobytes()
    np.testing.assert_array_equal(drawn.factor_, whole.factor_)  # standardised by all rows
    assert drawn.mean_distance_ == pytest.approx(whole.mean_distance_, rel=0.05)
    distances = [model.dissimilarity(X) * model.mean_distance_ for model in (whole, drawn)]
    assert (distances[1] >= distances[0] - 1e-12).all()
    shares = [model.is_applicable(model.dissimilarity(X)).mean() for model in (whole, drawn)]
    assert abs(shares[0] - shares[1]) < 0.05


def test_a_state_predicts_the_same_to_the_bit() -> None:
    model = ApplicabilityModel(most_rows=200, seed=2).fit(rows(), WEIGHTS, folds())
    numbers, arrays = model.as_state()
    read = ApplicabilityModel.from_state(json.loads(json.dumps(numbers)), arrays)
    X = rows(50, seed=1)
    assert read.dissimilarity(X).tobytes() == model.dissimilarity(X).tobytes()
    assert (read.threshold_, read.training_rows_, read.seed) == (model.threshold_, 300, 2)


@pytest.mark.parametrize(
    ("number", "array"),
    [
        ({"format": "susceptibility applicability 2"}, {}),
        ({"threshold": "high"}, {}),
        ({"mean_distance": 0.0}, {}),
        ({"threshold": -1.0}, {}),
        ({}, {"rows": np.ones((3, 4))}),
        ({}, {"rows": np.full((3, 3), np.nan)}),
        ({}, {"factor": np.ones(2)}),
        ({}, {"source": np.array([0, 1, 9])}),
    ],
)
def test_a_state_of_something_else_is_refused(number: dict[str, Any], array: dict[str, np.ndarray]) -> None:
    numbers, arrays = ApplicabilityModel().fit(rows(), WEIGHTS, folds()).as_state()
    with pytest.raises(InputError, match="susceptibility applicability 1"):
        ApplicabilityModel.from_state(numbers | number, arrays | array)
    with pytest.raises(InputError, match="'threshold'"):
        ApplicabilityModel.from_state({key: value for key, value in numbers.items() if key != "threshold"}, arrays)


@pytest.mark.parametrize("weights", [np.zeros(4), -WEIGHTS, np.ones(3), np.array([1.0, np.nan, 1.0, 1.0])])
def test_weights_that_say_nothing_are_refused(weights: np.ndarray) -> None:
    with pytest.raises(OptionError, match="importance of each of 4 columns"):
        ApplicabilityModel().fit(rows(), weights, folds())


def test_rows_that_say_nothing_are_refused() -> None:
    with pytest.raises(InputError, match="all the same"):
        ApplicabilityModel().fit(np.ones((5, 4), np.float32), WEIGHTS)
    with pytest.raises(InputError, match="1 of them known"):
        ApplicabilityModel().fit(rows(1), WEIGHTS)
    with pytest.raises(InputError, match="at least two folds"):
        ApplicabilityModel().fit(rows(), WEIGHTS, np.zeros(300, int))
    with pytest.raises(InputError, match="none that was tested"):
        ApplicabilityModel().fit(rows(), WEIGHTS, np.full(300, -1))
    with pytest.raises(OptionError, match="at least 2"):
        ApplicabilityModel(most_rows=1).fit(rows(), WEIGHTS)
    with pytest.raises(InputError, match="rows of 4 columns"):
        ApplicabilityModel().fit(rows(), WEIGHTS).dissimilarity(rows()[:, :3])


def test_a_column_that_never_varied_is_not_looked_at() -> None:
    train = rows()
    train[:, 0] = 0.1
    model = ApplicabilityModel().fit(train, WEIGHTS, folds())
    np.testing.assert_array_equal(model.source_, [1, 3])
    assert model.rows_.shape == (300, 2)
    elsewhere = train.copy()
    elsewhere[:, 0] = 9.0
    np.testing.assert_array_equal(model.dissimilarity(elsewhere), 0.0)


def test_numbers_of_classes_are_told_apart_and_not_measured() -> None:
    """One axis for each class: the same distances as of one-hot columns, and 1 is no nearer to 2 than to 3."""
    rng = np.random.default_rng(0)
    codes = rng.integers(1, 4, 300)
    train, X = rows(300), rows(40, seed=1)
    train[:, 2], X[:, 2] = codes, np.arange(40) % 3 + 1
    weights, is_class = np.array([3.0, 1.0, 2.0, 0.5]), [False, False, True, False]
    model = ApplicabilityModel().fit(train, weights, folds(), is_class=is_class)

    def encoded(table: np.ndarray) -> np.ndarray:
        return np.column_stack([table[:, :2], *(table[:, 2] == code for code in (1, 2, 3)), table[:, 3]])

    expected = ApplicabilityModel().fit(encoded(train), np.array([3.0, 1.0, 2.0, 2.0, 2.0, 0.5]), folds())
    np.testing.assert_allclose(model.dissimilarity(X), expected.dissimilarity(encoded(X)), rtol=1e-12)
    assert model.threshold_ == pytest.approx(expected.threshold_, rel=1e-12)
    read = ApplicabilityModel.from_state(*model.as_state())
    assert read.dissimilarity(X).tobytes() == model.dissimilarity(X).tobytes()
    unseen = X.copy()
    unseen[:, 2] = 7
    assert (model.dissimilarity(unseen) > model.dissimilarity(X)).all()
    unseen[:, 2] = np.nan
    assert np.isnan(model.dissimilarity(unseen)).all()
    with pytest.raises(OptionError, match="each of 4 columns"):
        ApplicabilityModel().fit(train, weights, folds(), is_class=[True])


def test_a_dissimilarity_that_was_stored_as_float32_is_judged_the_same() -> None:
    model = ApplicabilityModel().fit(rows(), WEIGHTS, folds())
    at_the_threshold = np.array([model.threshold_, np.nextafter(model.threshold_, 9.0), np.nan])
    expected = model.is_applicable(at_the_threshold)
    np.testing.assert_array_equal(model.is_applicable(at_the_threshold.astype(np.float32)), expected)
    assert expected[0]
    assert not expected[2]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**20), st.integers(1, 40), st.integers(1, 3))
def test_counts_out_of_range_are_those_of_a_loop(seed: int, count: int, columns: int) -> None:
    rng = np.random.default_rng(seed)
    X = rng.integers(-3, 4, (count, columns)).astype(np.float32)
    X[rng.random(X.shape) < 0.2] = np.nan
    ranges = np.array([[-1.0, 2.0], [np.nan, 0.0], [0.0, 0.0]])[:columns]
    found = count_out_of_range(X, ranges)
    for column in range(columns):
        values = [value for value in X[:, column].tolist() if value == value]
        assert found.known[column] == len(values)
        assert found.below[column] == sum(value < ranges[column, 0] for value in values)
        assert found.above[column] == sum(value > ranges[column, 1] for value in values)
    parts = count_out_of_range(X[:3], ranges) + count_out_of_range(X[3:], ranges)
    for name in ("below", "above", "known", "share"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(found, name))


def test_ranges_of_other_features_are_refused() -> None:
    with pytest.raises(InputError, match="each of 4 features"):
        count_out_of_range(rows(), np.zeros((3, 2)))
