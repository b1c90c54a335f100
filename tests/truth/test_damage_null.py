"""The promise of `damage_significant`: where nothing happened, it flags the share that was asked for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, zoom

import insar
from insar.damage_chain import DamageOptions, prepare_damage
from insar.event_pairs import choose_event_pairs
from insar.significance import Loss, PairSample, fit_loss_test

SIZE = 256
LOOKS = 25


def sample_coherence(truth: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float32]:
    """Magnitude of the sample coherence of `LOOKS` independent looks at circular Gaussian speckle."""
    power_one = power_two = np.zeros(truth.shape)
    product = np.zeros(truth.shape, complex)
    for _ in range(LOOKS):
        one, other = (random.normal(size=truth.shape) + 1j * random.normal(size=truth.shape) for _ in range(2))
        two = truth * one + np.sqrt(1 - truth**2) * other
        power_one, power_two = power_one + abs(one) ** 2, power_two + abs(two) ** 2
        product = product + one * two.conj()
    return (abs(product) / np.sqrt(power_one * power_two)).astype(np.float32)


def regional_change(random: np.random.Generator) -> NDArray[np.float64]:
    """A factor from 0.6 to 1 that varies over a third of the scene, as that of rain does."""
    coarse = random.normal(size=(3, 3))
    return np.clip(0.85 + 0.12 * zoom(coarse, SIZE / 3, order=3), 0.6, 1.0)


def land_cover(random: np.random.Generator) -> NDArray[np.float64]:
    """Patches from dense forest to rock."""
    texture = gaussian_filter(random.normal(size=(SIZE, SIZE)), 6)
    rank = np.argsort(np.argsort(texture.ravel())).reshape(texture.shape) / texture.size
    return 0.15 + 0.8 * rank


def landslides(random: np.random.Generator) -> NDArray[np.bool_]:
    """Patches on one pixel in a hundred."""
    texture = gaussian_filter(random.normal(size=(SIZE, SIZE)), 2)
    return texture > np.quantile(texture, 0.99)


def dense_landslides(random: np.random.Generator) -> NDArray[np.bool_]:
    """Patches on three pixels in ten of one square, none elsewhere."""
    texture = gaussian_filter(random.normal(size=(64, 64)), 2)
    slides = np.zeros((SIZE, SIZE), bool)
    slides[64:128, 128:192] = texture > np.quantile(texture, 0.7)
    return slides


def simulated(
    seed: int, slides_of: Callable[[np.random.Generator], NDArray[np.bool_]] | None = None, history: int = 4
) -> tuple[PairSample, NDArray[np.bool_], NDArray[np.float64]]:
    """Pairs before an event and one across it, with the landslides and the coherence without any change."""
    random = np.random.default_rng(seed)
    cover = land_cover(random)
    slides = np.zeros((SIZE, SIZE), bool) if slides_of is None else slides_of(random)
    pairs = []
    for number in range(history + 1):
        truth = cover * regional_change(random)
        if slides_of is not None and number == history:
            truth = np.where(slides, 0.1 * truth, 0.8 * truth)  # a change of the whole scene besides
        pairs.append(sample_coherence(truth, random))
    lattice = np.arange(SIZE)
    sample = PairSample(lattice, lattice, np.array(pairs[:-1]), pairs[-1], [str(number) for number in range(history)])
    return sample, slides, cover


def classify(sample: PairSample, rate: float) -> NDArray[np.uint8]:
    test, _ = fit_loss_test(sample, (SIZE, SIZE), rate)
    return test.classify(sample.history, sample.across, sample.rows, sample.cols)


@pytest.mark.parametrize("rate", [0.001, 0.01, 0.05])
def test_simulated_pairs_with_regional_changes_keep_the_promise(rate):
    shares = [np.mean(classify(simulated(seed)[0], rate) == Loss.SIGNIFICANT) for seed in range(4)]
    assert np.mean(shares) == pytest.approx(rate, rel=0.25)
    assert np.max(shares) < 2.0 * rate


@pytest.mark.parametrize("seed", [11, 12])
def test_landslides_are_found_under_a_change_of_the_whole_scene(seed):
    sample, slides, cover = simulated(seed, slides_of=landslides)
    flagged = classify(sample, 0.01) == Loss.SIGNIFICANT
    coherent = slides & (cover > 0.6)
    found, false = flagged[coherent].mean(), flagged[~slides].mean()
    assert found > 0.5
    assert false < 1.25 * 0.01
    # The plain drop, at a threshold that only the truth can tell, finds about as many at the same false alarms.
    drop = sample.history[-1] - sample.across
    assert found > np.mean(drop[coherent] > np.quantile(drop[~slides], 1 - false))


def test_landslides_are_found_where_they_are_dense():
    found, false, plain = [], [], []
    for seed in range(3):
        sample, slides, cover = simulated(seed, slides_of=dense_landslides)
        flagged = classify(sample, 0.01) == Loss.SIGNIFICANT
        coherent = slides & (cover > 0.5)
        found.append(flagged[coherent].mean())
        false.append(flagged[~slides].mean())
        drop = sample.history[-1] - sample.across
        plain.append(np.mean(drop[coherent] > np.quantile(drop[~slides], 1 - false[-1])))
    assert np.mean(found) > 0.75 * np.mean(plain)
    assert np.mean(false) < 0.01


def real_stack(shared_data: Path) -> insar.Stack:
    return insar.open_stack(shared_data / "galapagos_coherence")


@pytest.mark.parametrize(("rate", "tolerance"), [(0.001, 2.0), (0.01, 1.25), (0.05, 1.1)])
def test_real_pair_before_any_event_is_flagged_at_the_promised_rate(shared_data, rate, tolerance):
    stack = real_stack(shared_data)
    pairs = choose_event_pairs(stack.pairs, date(2024, 2, 15))
    assert [pair.name for pair in pairs.co] == ["20240211_20240223"]
    assert len(pairs.history) == 3
    chain = prepare_damage(stack, pairs, DamageOptions(false_alarm_rate=rate))
    block = chain(slice(0, stack.shape[0]))
    achieved = block.sums["significant_pixels"] / block.sums["tested_pixels"]
    assert rate / tolerance < achieved < rate * tolerance
    assert "damage_zscore" in block.layers


def test_every_real_pair_in_place_of_the_co_pair_keeps_the_promise(shared_data):
    stack = real_stack(shared_data)
    coherence = np.asarray(stack.coherence)
    shares = {}
    for days in (12, 24):
        like = [number for number, pair in enumerate(stack.pairs) if pair.temporal_baseline_days == days]
        for co in like:
            rest = [number for number in like if number != co]
            names = [stack.pairs[number].name for number in rest]
            rows, cols = (np.arange(size) for size in stack.shape)
            _, record = fit_loss_test(PairSample(rows, cols, coherence[rest], coherence[co], names), stack.shape, 0.01)
            shares[stack.pairs[co].name] = record.event_share
    assert len(shares) == 7
    assert np.mean(list(shares.values())) == pytest.approx(0.01, rel=0.1)
    assert all(0.75 < share / 0.01 < 1.3 for share in shares.values()), shares
