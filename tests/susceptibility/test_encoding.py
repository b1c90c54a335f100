"""One-hot columns: names, rare and unseen classes, shares, JSON, scikit-learn."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from affine import Affine
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from insar.grid import Grid
from susceptibility.categories import CategoryMap, ClassShares
from susceptibility.encoding import CategoryEncoder
from susceptibility.errors import InputError, OptionError

ROCKS = ["marl"] * 50 + ["granite"] * 46 + ["peat"] * 3 + ["ash"]


def test_one_column_for_each_class() -> None:
    encoder = CategoryEncoder("rock", min_share=0.0)
    columns = encoder.fit_transform(ROCKS)
    assert encoder.feature_names_ == ("rock_ash", "rock_granite", "rock_marl", "rock_peat")
    np.testing.assert_array_equal(columns.sum(axis=0), [1, 46, 50, 3])
    np.testing.assert_array_equal(columns.sum(axis=1), 1.0)
    assert encoder.shares_["granite"] == pytest.approx(0.46)


def test_rare_classes_share_a_column() -> None:
    encoder = CategoryEncoder("rock", min_share=0.05)
    columns = encoder.fit_transform(ROCKS)
    assert encoder.merged_ == ("ash", "peat")
    assert encoder.feature_names_ == ("rock_granite", "rock_marl", "rock_other")
    np.testing.assert_array_equal(columns.sum(axis=0), [46, 50, 4])


@pytest.mark.parametrize(("unseen", "columns"), [("zeros", [0, 0, 0]), ("other", [0, 0, 1])])
def test_classes_that_were_not_there_in_training(
    unseen: str, columns: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    encoder = CategoryEncoder("rock", min_share=0.05, unseen=unseen).fit(ROCKS)
    with caplog.at_level(logging.WARNING):
        encoded = encoder.transform(["chalk", "peat", "marl", "chalk", "tuff"])
    np.testing.assert_array_equal(encoded, [columns, [0, 0, 1], [0, 1, 0], columns, columns])
    assert "chalk (2 times), tuff (1 times)" in caplog.text
    assert encoder.count_unseen(["chalk", "peat", "chalk", None]) == {"chalk": 2}


def test_other_has_a_column_even_if_no_class_is_rare() -> None:
    encoder = CategoryEncoder("rock", min_share=0.0, unseen="other")
    assert encoder.fit_transform(["a", "b"]).tolist() == [[1, 0, 0], [0, 1, 0]]
    assert encoder.transform(["c"]).tolist() == [[0, 0, 1]]


def test_an_unknown_class_is_unknown_in_every_column(caplog: pytest.LogCaptureFixture) -> None:
    encoder = CategoryEncoder("cover", min_share=0.0).fit(np.array([11.0, 20.0, np.nan, 11.0]))
    assert encoder.shares_ == {"11": pytest.approx(2 / 3), "20": pytest.approx(1 / 3)}
    encoded = encoder.transform(np.array([[20.0], [np.nan]]))
    np.testing.assert_array_equal(encoded, [[0, 1], [np.nan, np.nan]])
    assert not caplog.records
    assert encoder.transform([]).shape == (0, 2)


def test_numbers_are_the_same_class_in_any_type() -> None:
    encoder = CategoryEncoder("cover", min_share=0.0).fit(np.array([130, 11, 20], np.uint8))
    assert encoder.feature_names_ == ("cover_11", "cover_20", "cover_130")
    for column in (np.array([20.0], np.float32), ["20"], [20], np.array(["20"])):
        np.testing.assert_array_equal(encoder.transform(column), [[0, 1, 0]])


def test_names_are_plain_and_different() -> None:
    labels = ["Sand & gravel", "sand-gravel", "other", "-1", "1", "???"]
    encoder = CategoryEncoder("rock", min_share=0.0, unseen="other").fit(labels)
    assert encoder.classes_ == ("-1", "1", "???", "Sand & gravel", "other", "sand-gravel")
    assert encoder.feature_names_ == (
        "rock_minus_1",
        "rock_1",
        "rock",
        "rock_sand_gravel",
        "rock_other_2",
        "rock_sand_gravel_2",
        "rock_other",
    )


def test_shares_of_units() -> None:
    """A unit whose class is known on half of its area has the shares of that half."""
    encoder = CategoryEncoder("rock", min_share=0.1).fit_shares(
        ClassShares(("ash", "granite", "marl"), np.array([[0.1, 0.9, 0.0], [0.0, 0.2, 0.8]]))
    )
    assert encoder.merged_ == ("ash",)
    shares = ClassShares(("chalk", "granite", "marl"), np.array([[0.25, 0.25, 0.0], [0.0, 0.0, 0.0], [0.0, 0.4, 0.4]]))
    np.testing.assert_allclose(
        encoder.transform_shares(shares), [[0.5, 0.0, 0.0], [np.nan] * 3, [0.5, 0.5, 0.0]], rtol=1e-6
    )


def test_planes_of_a_map(caplog: pytest.LogCaptureFixture) -> None:
    """The codes of another area's map differ; the labels count."""
    encoder = CategoryEncoder("rock", min_share=0.0).fit(["granite", "marl"])
    grid = Grid(2, 2, Affine(10.0, 0.0, 5e5, 0.0, -10.0, 4e6), "EPSG:32633")
    categories = CategoryMap(grid, np.array([[1, 2], [3, 0]], np.uint16), ("ash", "granite", "marl"))
    with caplog.at_level(logging.WARNING):
        planes = dict(encoder.planes(categories))
    assert "ash (1 times)" in caplog.text
    np.testing.assert_array_equal(planes["rock_granite"], np.array([[0, 1], [0, np.nan]], np.float32))
    np.testing.assert_array_equal(planes["rock_marl"], np.array([[0, 0], [1, np.nan]], np.float32))


@pytest.mark.parametrize("unseen", ["zeros", "other"])
def test_json_brings_everything_back(unseen: str) -> None:
    encoder = CategoryEncoder("rock", min_share=0.05, unseen=unseen).fit(ROCKS)
    restored = CategoryEncoder.from_json(encoder.to_json())
    assert restored.to_json() == encoder.to_json()
    assert restored.feature_names_ == encoder.feature_names_
    samples = ["peat", "marl", "chalk", None]
    np.testing.assert_array_equal(restored.transform(samples), encoder.transform(samples))
    for text in ("", "[]", "{}", encoder.to_json().replace("encoder 1", "encoder 2")):
        with pytest.raises(InputError, match="Train the model again"):
            CategoryEncoder.from_json(text)


def test_a_step_of_scikit_learn() -> None:
    encoder = CategoryEncoder("rock", min_share=0.05)
    copy = clone(encoder.fit(ROCKS))
    assert copy.get_params() == encoder.get_params()
    assert not hasattr(copy, "classes_")
    model = make_pipeline(CategoryEncoder("rock"), LogisticRegression())
    model.set_params(categoryencoder__min_share=0.02)
    target = [rock == "granite" for rock in ROCKS]
    np.testing.assert_array_equal(model.fit(np.array(ROCKS, object)[:, None], target).predict(ROCKS), target)
    assert model[:-1].get_feature_names_out().tolist() == ["rock_granite", "rock_marl", "rock_peat", "rock_other"]


def test_bad_input_is_refused() -> None:
    with pytest.raises(OptionError, match="at most 0\\.5000"):
        CategoryEncoder(min_share=0.6).fit(["a", "b"])
    with pytest.raises(OptionError, match="below 1"):
        CategoryEncoder(min_share=-0.1).fit(["a"])
    with pytest.raises(OptionError, match="zeros or other"):
        CategoryEncoder(unseen="ignore").fit(["a"])
    with pytest.raises(OptionError, match="fitted"):
        CategoryEncoder().transform(["a"])
    with pytest.raises(OptionError, match="one of name"):
        CategoryEncoder().set_params(drop="first")
    with pytest.raises(InputError, match="at least one that is known"):
        CategoryEncoder().fit([None, np.nan])
    with pytest.raises(InputError, match="2 x 2 values"):
        CategoryEncoder().fit(np.zeros((2, 2)))
    with pytest.raises(InputError, match="whole number"):
        CategoryEncoder().fit([0.5])
