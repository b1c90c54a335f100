"""Coherence of images estimated while it is read: the same values whatever is read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from insar import coherence_stack as coherence_module
from insar.coherence import CoherenceEstimator, estimate_coherence
from insar.coherence_chain import CoherenceChain, MeanAmplitude, median_of_known
from insar.coherence_stack import SiblingSource, coherence_stack, every_pair, history_before, sequential_pairs
from insar.grid import Grid
from insar.multilook import multilook_grid
from insar.siblings import SiblingEstimator
from insar.slc import SlcStack
from insar.stack import Pair
from insar.windows import ONE_LOOK, Looks, Window

DAYS = tuple(date(2024, 1, 1) + timedelta(days=12 * number) for number in range(8))


@dataclass(frozen=True)
class Images:
    """Images in memory."""

    values: NDArray[np.complex64]

    def read_block(self, images: NDArray[np.intp], rows: slice, cols: slice) -> NDArray[np.complex64]:
        assert 0 <= rows.start < rows.stop <= self.values.shape[1]
        assert 0 <= cols.start < cols.stop <= self.values.shape[2]
        return self.values[images, rows, cols]


@pytest.fixture(scope="module")
def slc() -> SlcStack:
    """Eight images of 45 x 83 pixels that share half of their speckle, with a gap."""
    random = np.random.default_rng(4)

    def noise(*shape: int) -> NDArray[np.complex128]:
        return (random.normal(size=shape) + 1j * random.normal(size=shape)) / np.sqrt(2)

    values = np.sqrt(0.6) * noise(45, 83) + np.sqrt(0.4) * noise(8, 45, 83)
    values[3, 10:14, 20:40] = 0
    return SlcStack(Path("slc"), "isce", DAYS, Grid.radar(45, 83), Images(values.astype(np.complex64)))


@pytest.fixture(params=["one tile", "many tiles"])
def tiles(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut blocks into tiles of a few cells, or not at all."""
    if request.param == "many tiles":
        monkeypatch.setattr(coherence_module, "TILE_BYTES", 0)
        monkeypatch.setattr(coherence_module, "_LEAST_TILE", 7)


@pytest.mark.usefixtures("tiles")
@pytest.mark.parametrize("looks", [ONE_LOOK, Looks(2, 3)])
@pytest.mark.parametrize("remove_fringe", [False, True])
def test_any_block_has_the_values_of_the_whole_scene(slc: SlcStack, looks: Looks, remove_fringe: bool) -> None:
    stack = coherence_stack(slc, sequential_pairs(DAYS, 2), CoherenceEstimator(Window(3, 5), looks, remove_fringe))
    coherence = stack.require_coherence()
    whole = coherence.compute()
    assert whole.shape == (13, 45 // looks.rows, 83 // looks.cols)
    images = slc.read(np.array([2, 4]), slice(0, 45), slice(0, 83))
    direct = estimate_coherence(*images, (3, 5), looks=looks, remove_fringe=remove_fringe)
    np.testing.assert_array_equal(whole[stack.pairs.index(Pair(DAYS[2], DAYS[4]))], direct)
    for rows, cols in ((slice(0, 1), slice(0, 5)), (slice(7, 12), slice(3, 20)), (slice(20, 22), slice(0, 27))):
        np.testing.assert_array_equal(coherence.read(rows, cols), whole[:, rows, cols])
    np.testing.assert_array_equal(coherence.select([4, 1]).read(slice(3, 9), slice(2, 9)), whole[[4, 1], 3:9, 2:9])


def _siblings(slc: SlcStack, looks: Looks) -> SiblingSource:
    estimator = SiblingEstimator(Window(9, 7), looks=looks, least_siblings=4)
    pairs = (Pair(DAYS[5], DAYS[6]), Pair(DAYS[6], DAYS[7]))
    return SiblingSource(slc, pairs, history_before(slc, DAYS[6]), estimator, multilook_grid(slc.grid, looks))


@pytest.mark.parametrize("looks", [ONE_LOOK, Looks(2, 3)])
def test_tiles_do_not_change_a_bit(slc: SlcStack, looks: Looks, monkeypatch: pytest.MonkeyPatch) -> None:
    boxcar = coherence_stack(
        slc, sequential_pairs(DAYS, 1), CoherenceEstimator(Window(5, 3), looks)
    ).require_coherence()
    siblings = _siblings(slc, looks).cube
    whole = boxcar.compute(), siblings.compute()
    monkeypatch.setattr(coherence_module, "TILE_BYTES", 0)
    monkeypatch.setattr(coherence_module, "_LEAST_TILE", 6)
    np.testing.assert_array_equal(boxcar.compute(), whole[0])
    np.testing.assert_array_equal(siblings.compute(), whole[1])


@pytest.mark.usefixtures("tiles")
@pytest.mark.parametrize("looks", [ONE_LOOK, Looks(2, 3)])
def test_sibling_coherence_of_any_block_is_that_of_the_whole_scene(slc: SlcStack, looks: Looks) -> None:
    cube = _siblings(slc, looks).cube
    whole = cube.compute()
    assert np.isfinite(whole).mean() > 0.9
    for rows, cols in ((slice(0, 1), slice(0, 5)), (slice(7, 12), slice(3, 20)), (slice(20, 22), slice(0, 27))):
        np.testing.assert_array_equal(cube.read(rows, cols), whole[:, rows, cols])


def test_a_chain_gives_the_same_layers_whatever_the_blocks(slc: SlcStack) -> None:
    looks = Looks(2, 3)
    stack = coherence_stack(slc, [Pair(DAYS[5], DAYS[6]), Pair(DAYS[6], DAYS[7])], CoherenceEstimator(looks=looks))
    amplitude = MeanAmplitude(slc, np.array([2, 3, 4]), looks)
    chain = CoherenceChain(stack, True, _siblings(slc, looks), (0, 1), amplitude)
    whole = chain(slice(0, 22))
    assert set(whole.layers) == set(chain.layers)
    parts = [chain(slice(start, min(start + 5, 22))) for start in range(0, 22, 5)]
    for name, values in whole.layers.items():
        np.testing.assert_array_equal(np.concatenate([part.layers[name] for part in parts]), values)
    for name, total in whole.sums.items():
        np.testing.assert_allclose(sum(part.sums[name] for part in parts), total, rtol=1e-12)


def test_the_mean_amplitude_is_that_of_the_cells_that_have_data(slc: SlcStack) -> None:
    looks = Looks(2, 3)
    images = slc.read(np.array([2, 3, 4]), slice(0, 44), slice(0, 81)).astype(np.complex128)
    intensity = np.abs(images) ** 2
    intensity[intensity == 0] = np.nan
    cells = intensity.reshape(3, 22, 2, 27, 3).swapaxes(2, 3).reshape(3, 22, 27, 6)
    with np.errstate(all="ignore"):
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            expected = 20 * np.log10(np.nanmean(np.sqrt(np.nanmean(cells, axis=3)), axis=0))
    np.testing.assert_allclose(MeanAmplitude(slc, np.array([2, 3, 4]), looks).read(slice(0, 22)), expected, atol=1e-5)


def test_the_median_of_what_is_known() -> None:
    random = np.random.default_rng(1)
    values = random.normal(size=(5, 30, 40)).astype(np.float32)
    values[random.random(values.shape) < 0.4] = np.nan
    values[:, 0, 0] = np.nan
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        expected = np.nanmedian(values, axis=0)
    np.testing.assert_allclose(median_of_known(values), expected, atol=1e-6)


def test_pairs_of_dates() -> None:
    assert len(every_pair(DAYS)) == 28
    assert len(sequential_pairs(DAYS, 2)) == 13
    assert {pair.temporal_baseline_days for pair in sequential_pairs(DAYS, 3, 24)} == {12, 24}
