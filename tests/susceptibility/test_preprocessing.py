"""Preprocessing learns from the training rows alone, and a model sees what it was fitted on."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from susceptibility.errors import InputError, OptionError
from susceptibility.models import Preprocessor
from susceptibility.schema import FeatureSchema

AB = (FeatureSchema("a"), FeatureSchema("b"))
ROCK = FeatureSchema("rock", classes=("granite", "marl", "slate", "tuff"))


def rows(*values: tuple[float, ...]) -> np.ndarray:
    return np.array(values, np.float32)


@pytest.mark.parametrize("scale", ["standard", "minmax"])
def test_scales_equal_scikit_learn(scale: str) -> None:
    from sklearn.preprocessing import MinMaxScaler, StandardScaler

    rng = np.random.default_rng(0)
    X = (rng.normal(size=(200, 2)) * [1.0, 1e5] + [3.0, 4e6]).astype(np.float32)
    new = (rng.normal(size=(50, 2)) * [2.0, 2e5]).astype(np.float32)
    known = (StandardScaler if scale == "standard" else MinMaxScaler)().fit(X.astype(np.float64))
    own = Preprocessor(AB, scale=scale).fit(X)
    np.testing.assert_allclose(own.transform(new), known.transform(new.astype(np.float64)), rtol=1e-6, atol=1e-6)
    assert own.transform(new).dtype == np.float32


def test_nothing_to_do_copies_nothing() -> None:
    X = rows((1, 2), (3, 4))
    own = Preprocessor(AB).fit(X)
    assert own.is_identity_
    assert own.transform(X) is X


def test_a_median_and_the_most_frequent_class_take_the_place_of_what_is_unknown() -> None:
    nan = np.nan
    X = rows((1, 1), (2, 2), (9, 2), (nan, nan))
    own = Preprocessor((AB[0], ROCK), impute="median", min_share=0.0).fit(X)
    assert [column.name for column in own.columns_] == ["a", "rock = granite", "rock = marl"]
    np.testing.assert_array_equal(own.transform(X)[3], [2.0, 0.0, 1.0])
    np.testing.assert_array_equal(own.transform(X)[0], [1.0, 1.0, 0.0])


def test_without_imputation_unknown_rows_are_refused_at_fitting_and_stay_unknown_after() -> None:
    nan = np.nan
    X = rows((1, 1), (2, 2), (3, 3))
    own = Preprocessor((AB[0], ROCK), scale="standard").fit(X)
    found = own.transform(rows((nan, 1), (2, nan)))
    np.testing.assert_array_equal(np.isnan(found), [[True, False, False, False], [False, True, True, True]])
    with pytest.raises(InputError, match=r"feature 'a' .*known values in all rows; found 1 of 2 rows without"):
        Preprocessor((AB[0], ROCK)).fit(rows((nan, 1), (2, 2)))
    with pytest.raises(InputError, match=r"a known value in one row at least; found 2 of 2"):
        Preprocessor((AB[0],), impute="median").fit(rows((nan,), (nan,)))
    with pytest.raises(InputError, match=r"feature 'a': required finite numbers; found infinity"):
        Preprocessor((AB[0],), impute="median").fit(rows((np.inf,), (1,)))


@pytest.mark.parametrize(("unseen", "expected"), [("zeros", [0.0, 0.0]), ("other", [0.0, 1.0])])
def test_rare_classes_share_a_column_and_unseen_ones_are_none_or_among_them(unseen: str, expected: list) -> None:
    X = rows(*[(1,)] * 97, *[(2,)] * 3)
    own = Preprocessor((ROCK,), min_share=0.05, unseen=unseen).fit(X)
    assert [column.name for column in own.columns_] == ["rock = granite", "rock = other"]
    np.testing.assert_array_equal(own.transform(rows((1,), (2,))), [[1, 0], [0, 1]])
    np.testing.assert_array_equal(own.transform(rows((3,), (4,), (17,))), [expected] * 3)
    assert own.count_unseen(rows((1,), (3,), (3,), (17,), (np.nan,))) == {"rock": {"slate": 2, "number 17": 1}}


def test_a_class_number_that_is_none_is_refused() -> None:
    own = Preprocessor((ROCK,)).fit(rows((1,), (2,)))
    for wrong in (0.0, -3.0, 1.5):
        with pytest.raises(InputError, match=f"class numbers: whole, from 1 to 4; found {wrong:g}"):
            own.transform(rows((wrong,)))
        with pytest.raises(InputError, match="class numbers"):
            Preprocessor((ROCK,)).fit(rows((1,), (wrong,)))
    with pytest.raises(OptionError, match=r"min_share: required at most 0\.2500"):
        Preprocessor((ROCK,), min_share=0.3).fit(rows((1,), (2,), (3,), (4,)))


def test_a_constant_has_no_scale_and_no_column() -> None:
    X = rows((7, 1), (7, 2), (7, 4))
    own = Preprocessor(AB, scale="standard").fit(X)
    assert own.columns_ == (AB[1],)
    assert np.isfinite(own.transform(rows((8, 3)))).all()
    np.testing.assert_array_equal(own.sum_by_feature(np.array([0.4])), [0.0, 0.4])
    with pytest.raises(InputError, match=r"one at least that is not the same in all rows; found a, each of one value"):
        Preprocessor((AB[0],), scale="minmax").fit(rows((7,), (7,)))


def test_importance_of_the_columns_of_a_class_is_summed_without_signs() -> None:
    own = Preprocessor((ROCK, AB[0])).fit(rows((1, 5), (2, 6), (3, 9)))
    assert own.source_.tolist() == [0, 0, 0, 1]
    np.testing.assert_allclose(own.sum_by_feature(np.array([-1.0, 2.0, 0.5, -4.0])), [3.5, -4.0])
    np.testing.assert_allclose(own.column_sd_[:3], np.sqrt(2.0) / 3.0)


def test_another_number_of_features_is_refused() -> None:
    with pytest.raises(InputError, match=r"rows of 2 features: a, b; found 3 x 1 values"):
        Preprocessor(AB).fit(np.zeros((3, 1), np.float32))


@settings(max_examples=40, deadline=None)
@given(
    quantities=arrays(np.float32, (12, 2), elements=st.floats(-1e6, 1e6, width=32)),
    codes=arrays(np.int64, 12, elements=st.integers(1, 4)),
    scale=st.sampled_from(["none", "standard", "minmax"]),
    impute=st.sampled_from(["none", "median"]),
    unseen=st.sampled_from(["zeros", "other"]),
)
def test_what_is_written_transforms_the_same(quantities, codes, scale, impute, unseen) -> None:
    schema = (AB[0], ROCK, AB[1])
    X = np.column_stack([quantities[:, 0], codes, quantities[:, 1]]).astype(np.float32)
    own = Preprocessor(schema, impute, scale, 0.1, unseen).fit(X)
    read = Preprocessor.from_state(schema, json.loads(json.dumps(own.state(), allow_nan=False)))
    new = np.vstack([X, rows((np.nan, 3, 1), (1, np.nan, 2))])
    assert read.transform(new).tobytes() == own.transform(new).tobytes()
    assert read.columns_ == own.columns_
    assert np.isfinite(own.transform(X)).all()
    # One column of each class feature is 1, or none where the class is unseen.
    assert (
        own.transform(X)[:, [number for number, each in enumerate(own.source_) if each == 1]].sum(axis=1) == 1
    ).all()
