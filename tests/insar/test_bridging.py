"""Regions off by whole cycles, and the bridges between them."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine
from numpy.typing import NDArray

from insar.bridging import (
    LEAST_REGION_PIXELS,
    REGIONS,
    RegionCycles,
    bridge_regions,
    plan_bridging,
    region_labels,
    require_components,
)
from insar.errors import InputError
from insar.grid import Grid, RowCol
from insar.stack import Cube, Pair, Stack
from insar.unwrapping import UnwrapCorrection, summarise_unwrapping
from insar.unwrapping_plan import plan_unwrapping

TWO_PI = 2 * np.pi
PAIR = Pair(date(2020, 1, 1), date(2020, 1, 13))


@dataclass
class InMemory:
    values: NDArray[np.float32]

    def read_block(self, pairs: NDArray[np.intp], rows: slice, cols: slice) -> NDArray[np.float32]:
        return self.values[pairs][:, rows, cols].copy()


def stack_of(phase: NDArray[Any], components: NDArray[Any] | None, pairs: list[Pair] | None = None) -> Stack:
    count, rows, cols = phase.shape
    if pairs is None:
        days = [date(2020, 1, 1) + timedelta(days=12 * number) for number in range(count + 1)]
        pairs = [Pair(*days[number : number + 2]) for number in range(count)]

    def cube(values):
        return Cube(InMemory(values.astype(np.float32)), np.arange(count), rows, cols)

    return Stack(
        path=Path("memory"),
        processor="test",
        pairs=tuple(pairs),
        wavelength_m=0.0555,
        perpendicular_baselines_m=np.zeros(count),
        grid=Grid(rows, cols, Affine(1, 0, 0, 0, -1, 0), "EPSG:32633"),
        unwrapped_phase=cube(phase),
        connected_components=None if components is None else cube(components),
    )


@pytest.fixture
def striped():
    """Four upright regions with rivers of 4, 8 and 2 pixels between them, and a phase that slopes and is noisy."""
    random = np.random.default_rng(1)
    labels = np.zeros((60, 100), np.float32)
    for label, (first, last) in {3: (0, 20), 1: (24, 55), 7: (63, 80), 2: (82, 100)}.items():
        labels[:, first:last] = label
    labels[labels == 0] = np.nan
    phase = 0.05 * np.arange(100)[None, :] + 0.02 * np.arange(60)[:, None] + random.normal(0, 0.3, labels.shape)
    return phase, labels


def shifted(phase, labels, cycles):
    wrong = np.zeros(phase.shape)
    for label, count in cycles.items():
        wrong[labels == label] = count
    broken = phase + TWO_PI * wrong
    broken[np.isnan(labels)] = np.nan
    return broken


@pytest.mark.parametrize("reference", [None, RowCol(30, 40), RowCol(2, 90), RowCol(0, 22)])
def test_cycles_between_regions_are_found(striped, reference):
    """Relative to the region of the reference point, or to the largest one where it lies in none."""
    phase, labels = striped
    wrong = {3: 1, 1: 0, 7: -2, 2: 3}
    found = bridge_regions(shifted(phase, labels, wrong), labels, PAIR, reference)
    unmoved = wrong[2] if reference == RowCol(2, 90) else 0
    expected = {label: count - unmoved for label, count in wrong.items()}
    assert {label: int(found.cycles[label]) for label in wrong} == expected
    assert np.count_nonzero(found.cycles) == sum(count != 0 for count in expected.values())
    assert found.report is not None
    assert found.report["regions"] == 4
    assert found.report["turned"] == {str(label): expected[label] for label in sorted(expected) if expected[label]}
    assert not found.report["undecided"]


def test_small_regions_stay_and_are_named(striped):
    phase, labels = striped
    labels[10:15, 22:24] = 9
    wrong = {3: 1, 9: 1}
    found = bridge_regions(shifted(phase, labels, wrong), labels, PAIR)
    assert LEAST_REGION_PIXELS > 10
    assert found.cycles[9] == 0
    assert found.cycles[3] == 1
    assert found.report is not None
    assert found.report["small"] == [9]
    larger = bridge_regions(shifted(phase, labels, wrong), labels, PAIR, least_pixels=5)
    assert larger.cycles[9] == 1


def test_an_offset_between_whole_cycles_is_not_trusted(striped):
    phase, labels = striped
    found = bridge_regions(shifted(phase, labels, {2: 1.45, 7: 1.0}), labels, PAIR)
    assert found.cycles[7] == 1
    assert found.cycles[2] == 0
    assert found.report is not None
    assert found.report["undecided"] == [2]


def test_a_steep_ramp_is_taken_off_where_asked():
    """Across a gap of 20 pixels the ramp grows by a cycle."""
    labels = np.full((40, 100), np.nan, np.float32)
    labels[:, :50], labels[:, 70:] = 1, 2
    phase = shifted(0.25 * np.arange(100.0)[None, :] * np.ones((40, 1)), labels, {2: 1})
    assert bridge_regions(phase, labels, PAIR).cycles[2] != 1
    assert bridge_regions(phase, labels, PAIR, with_ramp=True).cycles[2] == 1


def test_one_region_or_none_needs_no_bridge(striped):
    phase, labels = striped
    for plane in (np.ones_like(labels), np.full_like(labels, np.nan)):
        found = bridge_regions(phase, plane, PAIR)
        assert not found.cycles.any()
        assert found.report is None


def test_touching_regions_and_missing_samples(striped):
    phase, _ = striped
    labels = np.where(np.hypot(*np.mgrid[-30:30, -50:50]) < 15, 2, 1).astype(np.float32)
    broken = shifted(phase, labels, {2: -1})
    broken[np.random.default_rng(2).random(phase.shape) < 0.2] = np.nan
    found = bridge_regions(broken, labels, PAIR)
    assert np.flatnonzero(found.cycles).tolist() == [2]
    assert found.cycles[2] == -1
    assert found.pixels[1:3].sum() == np.isfinite(broken).sum()


def test_applied_block_by_block_on_any_number_of_workers(striped):
    phase, labels = striped
    cycles = [{3: 1, 2: -1}, {}, {7: 2}]
    broken = np.stack([shifted(phase, labels, wrong) for wrong in cycles])
    stack = stack_of(broken, np.broadcast_to(labels, broken.shape))
    done = []
    one, two = (
        plan_bridging(stack, RowCol(30, 40), workers=workers, progress=lambda *step: done.append(step))
        for workers in (1, 3)
    )
    np.testing.assert_array_equal(one.regions.cycles, two.regions.cycles)
    assert done[2] == ("bridge", 3, 3)
    assert [entry["pair"] for entry in one.report] == [pair.name for pair in stack.pairs]
    whole, parts = broken.astype(np.float32), broken.astype(np.float32)
    components = np.asarray(stack.connected_components)
    turned = one.regions.apply(whole, components)
    for rows in (slice(0, 17), slice(17, 60)):
        one.regions.apply(parts[:, rows], components[:, rows])
    assert whole.tobytes() == parts.tobytes()
    np.testing.assert_allclose(whole[0][labels > 0], phase[labels > 0], atol=1e-5)
    assert turned.in_pairs.tolist() == [60 * (20 + 18), 0, 60 * 17]
    assert turned.in_pixels[:, 5].tolist() == [1] * 60
    assert turned.in_pixels[:, 90].tolist() == [1] * 60
    assert turned.in_pixels[:, 40].tolist() == [0] * 60


def test_without_components_it_says_what_is_needed(striped):
    stack = stack_of(striped[0][None], None)
    with pytest.raises(InputError, match=r"connected components.*--unwrap-correction closure"):
        plan_bridging(stack)
    with pytest.raises(InputError, match="connected components"):
        plan_unwrapping(stack, UnwrapCorrection.BRIDGING, RowCol(0, 0), np.zeros(1))


def test_labels_beyond_those_told_apart_are_none():
    assert region_labels(np.array([np.nan, -1, 0, 1, 255, 256, 70000.0])).tolist() == [0, 0, 0, 1, 255, 0, 0]
    assert (RegionCycles(np.ones((1, 2), np.int16)) + RegionCycles(np.ones((1, 2), np.int16))).cycles.tolist() == [
        [2, 2]
    ]


@pytest.fixture
def triangles(striped):
    """Six dates, all pairs of neighbours and next ones; regions of two pairs are off."""
    phase, labels = striped
    days = [date(2020, 1, 1) + timedelta(days=12 * number) for number in range(7)]
    pairs = [Pair(days[one], days[two]) for one in range(7) for two in range(one + 1, min(one + 4, 7))]
    random = np.random.default_rng(3)
    clean = np.stack([phase + random.normal(0, 0.1, phase.shape) for _ in pairs])
    scale = np.array([days.index(pair.secondary) - days.index(pair.reference) for pair in pairs])
    clean = scale[:, None, None] * phase + random.normal(0, 0.1, clean.shape)
    broken = clean.copy()
    broken[4][labels == 2] += TWO_PI
    broken[9][labels == 3] -= TWO_PI
    broken[:, np.isnan(labels)] = np.nan
    broken[random.random(broken.shape) < 0.15] = np.nan
    components = np.broadcast_to(labels, broken.shape)
    reference = np.nanmedian(broken[:, 28:33, 38:43], axis=(1, 2))
    return stack_of(broken, components, pairs), clean, reference


@pytest.mark.parametrize("correction", list(UnwrapCorrection))
def test_a_scene_as_a_whole(triangles, correction):
    stack, clean, reference = triangles
    plan = pickle.loads(pickle.dumps(plan_unwrapping(stack, correction, RowCol(30, 40), reference, workers=1)))
    broken, components = np.asarray(stack.unwrapped_phase), np.asarray(stack.connected_components)
    result = plan.correct(broken.copy(), reference_phase=reference, components=components)
    there = np.isfinite(broken)
    wrong = np.rint(np.where(there, result.phase - clean, 0) / TWO_PI)
    untouched = np.rint(np.where(there, broken - clean, 0) / TWO_PI)
    if correction is UnwrapCorrection.NONE:
        np.testing.assert_array_equal(wrong, untouched)
        assert not result.corrected.any()
    else:
        # Regions decide for their pixels, so that nothing is left, whatever is missing.
        assert not wrong.any()
        assert (result.corrected > 0).sum() == untouched.any(axis=0).sum()
    for rows in (slice(0, 13), slice(13, 60)):
        part = plan.correct(broken[:, rows].copy(), reference_phase=reference, components=components[:, rows])
        assert part.phase.tobytes() == result.phase[:, rows].tobytes()
        assert part.corrected.tobytes() == result.corrected[rows].tobytes()
    counted = plan.corrector.correct(broken.copy(), reference_phase=reference, is_correcting=False)
    np.testing.assert_array_equal(result.open_loops_before, counted.open_loops_before)
    summary = summarise_unwrapping([(pair.reference, pair.secondary) for pair in stack.pairs], result.sums)
    assert summary["pixels_open_before"] > 500
    if correction.closes and not correction.bridges:
        assert plan.report["voted"] == [
            {"pair": stack.pairs[4].name, "region": 2, "cycles": 1},
            {"pair": stack.pairs[9].name, "region": 3, "cycles": -1},
        ]
        assert summary["samples_turned_with_region"] == (untouched != 0).sum()


def test_the_region_of_the_reference_point_is_not_voted_on(triangles):
    stack, _, _ = triangles
    pixel = RowCol(30, 90)
    reference = np.nanmedian(np.asarray(stack.unwrapped_phase)[:, 28:33, 88:93], axis=(1, 2))
    plan = plan_unwrapping(stack, UnwrapCorrection.CLOSURE, pixel, reference, workers=1)
    # Relative to region 2 the others are off in that pair.
    assert {
        (entry["region"], entry["cycles"]) for entry in plan.report["voted"] if entry["pair"] == stack.pairs[4].name
    } == {
        (1, -1),
        (3, -1),
        (7, -1),
    }


def test_components_may_be_absent_where_loops_alone_are_asked_for(triangles):
    stack, _, reference = triangles
    bare = replace(stack, connected_components=None)
    plan = plan_unwrapping(bare, UnwrapCorrection.CLOSURE, RowCol(30, 40), reference, workers=1)
    assert plan.regions is None
    result = plan.correct(np.asarray(bare.unwrapped_phase), reference_phase=reference)
    assert (result.corrected > 0).sum() > 500
    with pytest.raises(InputError):
        require_components(bare)


def test_a_table_counts_every_label(striped):
    assert RegionCycles(np.zeros((3, REGIONS), np.int16)).apply(
        np.zeros((3, 4, 5), np.float32), np.ones((3, 4, 5))
    ).in_pairs.tolist() == [0, 0, 0]
