"""PyRate's published results of its Sydney test stack: time series, linear rate, standard error.

What PyRate did was found from its arrays and is redone here: each interferogram minus its median over the 5 x 5 pixels
around row 58, column 38; at each pixel the minimum spanning tree of the interferograms that are valid there, weighted
by how much of each interferogram is without data; no other correction. Its displacement is phase times wavelength /
4 pi in millimetres, positive away from the satellite, the opposite of this package's. With those choices its time
series, rates and standard errors are reproduced at every pixel where it published them. They are PyRate's choices, not
this package's: least squares over all interferograms, which uses up to five more at a pixel, gives rates that differ by
0.6 mm/yr RMS.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from insar.inversion import invert_network
from insar.readers import open_stack
from insar.stack import Stack
from insar.velocity import fit_rate

REFERENCE_ROWS, REFERENCE_COLS = slice(56, 61), slice(36, 41)
MM_PER_M = 1000.0


@pytest.fixture(scope="module")
def stack(shared_data: Path) -> Stack:
    return open_stack(shared_data / "sydney_envisat" / "roipac")


@pytest.fixture(scope="module")
def published(shared_data: Path) -> dict[str, NDArray[np.floating]]:
    """PyRate's arrays; the time series as (date, row, col) with the first date, which it leaves out, put back as 0."""
    folder = shared_data / "sydney_envisat" / "reference"
    names = ("linear_rate", "linear_error", "linear_samples")
    arrays = {name: np.load(folder / f"{name}.npy") for name in names}
    later = np.moveaxis(np.load(folder / "tscuml_0.npy"), -1, 0)
    first = np.where(np.isfinite(arrays["linear_rate"]), 0.0, np.nan)
    return {**arrays, "series": np.concatenate([first[None], later])}


@pytest.fixture(scope="module")
def referenced_mm(stack: Stack) -> NDArray[np.float64]:
    """(pair, row, col): range change of each interferogram against PyRate's reference area."""
    millimetres = np.asarray(stack.unwrapped_phase, np.float64) * stack.wavelength_m / (4.0 * np.pi) * MM_PER_M
    area = millimetres[:, REFERENCE_ROWS, REFERENCE_COLS].reshape(len(millimetres), -1)
    return millimetres - np.nanmedian(area, axis=1)[:, None, None]


@pytest.fixture(scope="module")
def tree(stack: Stack, referenced_mm: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(pair, row, col): whether the interferogram is in the pixel's minimum spanning tree (Kruskal)."""
    valid = np.isfinite(referenced_mm)
    order = np.argsort((~valid).sum(axis=(1, 2)), kind="stable")
    chosen = np.zeros_like(valid)
    for row, col in np.ndindex(*stack.shape):
        component: dict[date, date] = {day: day for day in stack.dates}
        for pair in order:
            first, second = (component[day] for day in (stack.pairs[pair].reference, stack.pairs[pair].secondary))
            if valid[pair, row, col] and first != second:
                chosen[pair, row, col] = True
                component = {day: first if root == second else root for day, root in component.items()}
    return chosen


@pytest.fixture(scope="module")
def ours_mm(stack: Stack, referenced_mm: NDArray[np.float64], tree: NDArray[np.bool_]) -> NDArray[np.float64]:
    pairs = [(pair.reference, pair.secondary) for pair in stack.pairs]
    return invert_network(np.where(tree, referenced_mm, np.nan), pairs)


def test_rate_and_standard_error_of_the_published_time_series(
    stack: Stack, published: dict[str, NDArray[np.floating]]
) -> None:
    rate = fit_rate(published["series"], stack.dates)
    complete = published["linear_samples"] == len(stack.dates)
    assert complete.sum() == 2677
    np.testing.assert_allclose(rate.velocity[complete], published["linear_rate"][complete], rtol=1e-6)
    np.testing.assert_allclose(rate.velocity_std[complete], published["linear_error"][complete], rtol=1e-6)
    # PyRate also fits the six pixels that lack the last date; a rate of fewer dates is not given here
    assert (published["linear_samples"] == 12).sum() == 6
    assert np.isnan(rate.velocity[~complete]).all()


def test_pixels_published_are_those_whose_interferograms_connect_the_dates(
    tree: NDArray[np.bool_], published: dict[str, NDArray[np.floating]]
) -> None:
    connects_all = tree.sum(axis=0) == 12
    np.testing.assert_array_equal(connects_all, published["linear_samples"] == 13)


def test_time_series(ours_mm: NDArray[np.float64], published: dict[str, NDArray[np.floating]]) -> None:
    known = np.isfinite(published["series"])
    assert known.sum() == 2677 * 13 + 6 * 12
    np.testing.assert_allclose(ours_mm[known], published["series"][known], rtol=0, atol=2e-5)


def test_rate_from_the_interferograms(
    stack: Stack, ours_mm: NDArray[np.float64], published: dict[str, NDArray[np.floating]]
) -> None:
    rate = fit_rate(ours_mm, stack.dates)
    complete = published["linear_samples"] == len(stack.dates)
    np.testing.assert_allclose(rate.velocity[complete], published["linear_rate"][complete], rtol=0, atol=1e-5)
    np.testing.assert_allclose(rate.velocity_std[complete], published["linear_error"][complete], rtol=0, atol=1e-5)


def test_least_squares_over_all_interferograms_is_close_but_not_the_same(
    stack: Stack, referenced_mm: NDArray[np.float64], published: dict[str, NDArray[np.floating]]
) -> None:
    pairs = [(pair.reference, pair.secondary) for pair in stack.pairs]
    rate = fit_rate(invert_network(referenced_mm, pairs), stack.dates).velocity
    difference = (rate - published["linear_rate"])[published["linear_samples"] == len(stack.dates)]
    assert np.sqrt(np.mean(difference**2)) == pytest.approx(0.587, abs=0.005)
