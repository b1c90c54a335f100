"""Classes: bounds against brute force, tables that add up, plausibility of right maps and of wrong ones."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from susceptibility import class_bounds, classes
from susceptibility.class_bounds import (
    BoundsMethod,
    ClassBounds,
    classify,
    equal_bounds,
    find_bounds,
    given_bounds,
    natural_breaks,
    quantile_bounds,
)
from susceptibility.classes import ClassTable, LandslideMeasure, tabulate_classes, tabulate_held_out
from susceptibility.errors import InputError, OptionError
from susceptibility.plausibility import check_plausibility, measure_smoothness, summarise

NAN = float("nan")


def within(values: np.ndarray, number: np.ndarray) -> float:
    return sum(float(((values[number == each] - values[number == each].mean()) ** 2).sum()) for each in set(number))


@settings(max_examples=40)
@given(
    arrays(np.float64, st.integers(5, 11), elements=st.integers(0, 60).map(float), unique=True),
    st.integers(2, 4),
)
def test_natural_breaks_are_the_best_of_all(values: np.ndarray, classes: int) -> None:
    found = within(values, classify(values, natural_breaks(values, classes)))
    ordered = np.sort(values)
    best = min(
        sum(
            float(((part - part.mean()) ** 2).sum())
            for part in (ordered[a:b] for a, b in pairwise((0, *cut, len(values))))
        )
        for cut in combinations(range(1, len(values)), classes - 1)
    )
    assert found == pytest.approx(best, abs=1e-9)


def test_natural_breaks_find_the_gaps() -> None:
    values = np.array([[0.1, 0.11, 0.12, NAN], [0.5, 0.52, 0.9, 0.91]], np.float32)
    bounds = natural_breaks(values, 3, 0.0, 1.0)
    np.testing.assert_allclose(bounds.inner, [0.31, 0.71], atol=1e-6)
    assert (bounds.lowest, bounds.highest) == (0.0, 1.0)


def test_a_sample_of_even_ranks_is_near_the_full_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.beta(0.6, 4.0, 6000), rng.beta(5.0, 2.0, 2000)]).astype(np.float32)
    sampled = np.array(natural_breaks(values, 5).inner)
    monkeypatch.setattr(class_bounds, "_SAMPLE", values.size)
    full = np.array(natural_breaks(values, 5).inner)
    assert np.abs(sampled - full).max() < 0.002
    shuffled = rng.permutation(values)
    assert np.array_equal(natural_breaks(shuffled, 5).inner, full)


def test_few_values_have_few_classes() -> None:
    with pytest.raises(InputError, match="at least 3 different values"):
        natural_breaks(np.array([1.0, 1.0, 2.0]), 3)
    with pytest.raises(InputError, match="known values"):
        natural_breaks(np.array([NAN]), 3)
    with pytest.raises(InputError, match="known values"):
        find_bounds(BoundsMethod.EQUAL, 3, np.array([NAN]))
    with pytest.raises(InputError, match="rising"):
        quantile_bounds(np.array([0.0] * 90 + [0.5] * 10), 4)


def test_quantiles_hold_equally_many() -> None:
    values = np.random.default_rng(1).exponential(size=10_000)
    number = classify(values, quantile_bounds(values, 5))
    assert np.bincount(number)[1:].tolist() == [2000] * 5


def test_equal_steps_and_given_bounds() -> None:
    np.testing.assert_allclose(equal_bounds(5).inner, [0.2, 0.4, 0.6, 0.8])
    density = np.array([NAN, 2.0, 7.0, 12.0])
    assert find_bounds(BoundsMethod.EQUAL, 2, density) == ClassBounds(BoundsMethod.EQUAL, (7.0,), 2.0, 12.0)
    assert find_bounds(BoundsMethod.EQUAL, 2, density, lowest=0.0).inner == (6.0,)
    asked = find_bounds(BoundsMethod.GIVEN, 5, density, given=[0.3, 0.7], lowest=0.0, highest=1.0)
    assert asked == given_bounds([0.3, 0.7])
    assert find_bounds(BoundsMethod.QUANTILES, 2, density).inner == (7.0,)
    assert find_bounds(BoundsMethod.NATURAL_BREAKS, 3, density).inner == (4.5, 9.5)
    assert equal_bounds(5).labels[0] == "very low"
    assert equal_bounds(3).labels == ("class 1", "class 2", "class 3")
    for wrong in ([0.5, 0.5], [0.7, 0.3], [0.0, 0.5], [0.5, 1.0], [], [NAN]):
        with pytest.raises(OptionError, match="bounds"):
            given_bounds(wrong)
    with pytest.raises(OptionError, match="2 to 255"):
        equal_bounds(1)


@given(arrays(np.float32, 50, elements=st.floats(0, 1, width=32)), st.integers(2, 12))
def test_each_value_lies_within_its_class(values: np.ndarray, classes: int) -> None:
    bounds = equal_bounds(classes)
    number = classify(values, bounds)
    ends = np.array(bounds.intervals, np.float32)[number - 1]
    assert (values >= ends[:, 0]).all()
    assert ((values < ends[:, 1]) | (number == classes)).all()


def test_a_bound_belongs_to_the_class_above_and_unknown_to_none() -> None:
    values = np.array([0.0, 0.19999, 0.2, 0.4, 0.6, 0.8, 1.0, NAN, np.inf], np.float32)
    assert classify(values, equal_bounds(5)).tolist() == [1, 1, 2, 3, 4, 5, 5, 0, 0]
    assert classify(values.astype(np.float64), equal_bounds(5)).tolist() == [1, 1, 2, 3, 4, 5, 5, 0, 0]


def test_the_table_adds_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classes, "_ROWS_AT_ONCE", 3)
    values = np.array([0.1, 0.1, 0.9, 0.9, 0.5, NAN, 0.1], np.float32)
    area = np.array([1.0, 2.0, 0.5, 1.5, 1.0, 4.0, 5.0]) * 1e6
    slides = np.array([0.0, 1.0, 3.0, 2.0, 0.0, 7.0, NAN])
    low, second, middle, _, high = (table := tabulate_classes(values, area, slides, equal_bounds(5))).rows
    assert (low.units, low.area_km2, low.observed_km2) == (3, 8.0, 3.0)
    assert (low.label, low.lower, low.upper) == ("very low", 0.0, pytest.approx(0.2))
    assert low.landslides == 1.0
    assert low.density == pytest.approx(1 / 3)
    assert high.area_share == pytest.approx(2 / 11)
    assert high.landslide_share == pytest.approx(5 / 6)
    assert high.density == pytest.approx(2.5)
    assert high.frequency_ratio == pytest.approx((5 / 6) / (2 / 6))
    assert middle.frequency_ratio == 0.0
    assert (second.units, second.area_share) == (0, 0.0)
    assert np.isnan(second.density)
    assert np.isnan(second.frequency_ratio)
    assert (table.unknown_area_km2, table.unknown_landslides) == (4.0, 7.0)
    assert sum(row.area_share for row in table.rows) == pytest.approx(1.0)


def test_the_table_of_areal_density() -> None:
    values = np.array([0.1, 0.9], np.float32)
    table = tabulate_classes(values, 2e6, np.array([1e5, 1e6]), given_bounds([0.5]), measure=LandslideMeasure.AREA_M2)
    assert [row.density for row in table.rows] == pytest.approx([0.05, 0.5])
    assert table.rows[1].frequency_ratio == pytest.approx((10 / 11) / 0.5)


def test_tables_that_do_not_fit_are_refused() -> None:
    values, bounds = np.zeros(3, np.float32), equal_bounds(5)
    for area, slides in ((np.ones(2), np.zeros(3)), (np.ones(3), np.zeros(2)), (-np.ones(3), np.zeros(3))):
        with pytest.raises(InputError, match="landslides and areas"):
            tabulate_classes(values, area, slides, bounds)


def test_held_out_landslides_keep_the_areas() -> None:
    values = np.array([0.1, 0.1, 0.1, 0.9], np.float32)
    bounds = equal_bounds(2)
    table = tabulate_classes(values, 1e6, np.array([0, 0, 0, 4]), bounds)
    held_out = tabulate_held_out(
        table, np.array([0.2, 0.8, 0.9, 0.9, NAN]), np.array([True, True, False, False, True]), bounds
    )
    assert [row.area_km2 for row in held_out.rows] == [3.0, 1.0]
    assert [row.landslides for row in held_out.rows] == [1.0, 1.0]
    assert [row.frequency_ratio for row in held_out.rows] == pytest.approx([2 / 3, 2.0])
    assert held_out.unknown_landslides == 1.0
    often = tabulate_held_out(
        table, np.array([0.2, 0.8, 0.3, 0.9]), np.ones(4, np.bool_), bounds, times=2.0
    )  # two landslides, each predicted twice
    assert [row.landslides for row in often.rows] == [1.0, 1.0]
    assert [row.density for row in often.rows] == pytest.approx([1 / 3, 1.0])


def rows_of(*contents: tuple[int, int]) -> ClassTable:
    """Table of classes by their units of 1 km2 and their landslides."""
    edges = np.linspace(0.0, 1.0, len(contents) + 1)
    values, slides = [], []
    for index, (units, count) in enumerate(contents):
        values += [(edges[index] + edges[index + 1]) / 2.0] * units
        slides += [count / units] * units if units else []
    return tabulate_classes(np.array(values, np.float32), 1e6, np.array(slides), equal_bounds(len(contents)))


def test_a_sound_map_passes() -> None:
    findings = check_plausibility(rows_of((50, 0), (20, 1), (15, 3), (10, 6), (5, 40)))
    assert [finding.passed for finding in findings] == [True, True, True]
    assert "80.0 % of all landslides on 5.0 % of the area" in findings[1].sentence
    assert summarise(findings).startswith("0 of 3 checks speak against the map.")


def test_each_fault_is_found() -> None:
    falling, concentrated, small = check_plausibility(rows_of((20, 0), (20, 9), (20, 1), (5, 0), (35, 8)))
    assert (falling.passed, concentrated.passed, small.passed) == (False, False, False)
    assert "from 0.45 per km2 (low, 9 landslides) to 0.05 per km2 (moderate, 1 landslide)" in falling.sentence
    assert "35.0 % of the area; an even share of 5 classes would be 20.0 %" in small.sentence


def test_what_cannot_be_told_is_not_passed() -> None:
    empty = rows_of((50, 0), (0, 0), (5, 0))
    assert [finding.passed for finding in check_plausibility(empty)] == [None, None, True]
    nothing = tabulate_classes(np.array([NAN], np.float32), 1e6, np.array([2.0]), equal_bounds(5))
    findings = check_plausibility(nothing)
    assert [finding.passed for finding in findings] == [None, None, None]
    assert "3 could not be made" in summarise(findings)


def test_an_empty_class_between_does_not_hide_a_fall() -> None:
    assert check_plausibility(rows_of((50, 30), (0, 0), (5, 1)))[0].passed is False


def test_held_out_landslides_may_say_otherwise() -> None:
    table = rows_of((50, 0), (20, 1), (15, 3), (10, 6), (5, 40))
    unseen = tabulate_held_out(table, np.array([0.1] * 9 + [0.9]), np.ones(10, np.bool_), equal_bounds(5))
    findings = check_plausibility(table, held_out=unseen)
    assert [finding.passed for finding in findings] == [True, True, False, False, True]
    assert "held-out" in findings[2].sentence


def test_smoothness_of_known_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    import susceptibility.plausibility as plausibility

    monkeypatch.setattr(plausibility, "_ROWS_AT_ONCE", 3)
    stripes = np.repeat(np.arange(1, 6, dtype=np.uint8), 4)[:, np.newaxis] * np.ones((1, 10), np.uint8)
    smooth = measure_smoothness(stripes)
    assert smooth.jumps == 0.0
    assert smooth.at_random == pytest.approx(12 / 25)
    checker = np.where(np.indices((6, 7)).sum(axis=0) % 2, 1, 5).astype(np.uint8)
    assert measure_smoothness(checker).jumps == 1.0
    random = np.random.default_rng(0).integers(1, 6, (200, 200)).astype(np.uint8)
    scattered = measure_smoothness(random)
    assert scattered.jumps == pytest.approx(scattered.at_random, abs=0.01)
    gap = np.array([[1, 0, 5], [1, 1, 5]], np.uint8)
    assert measure_smoothness(gap).jumps == pytest.approx(1 / 4)
    table = rows_of((50, 0), (20, 1), (15, 3), (10, 6), (5, 40))
    for each, passed in ((smooth, True), (scattered, False), (measure_smoothness(np.zeros((3, 3), np.uint8)), None)):
        assert check_plausibility(table, smoothness=each)[-1].passed is passed
    with pytest.raises(InputError, match="rows and columns"):
        measure_smoothness(np.zeros(4, np.uint8))
