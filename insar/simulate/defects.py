"""What goes wrong in interferograms: missing samples, unwrapping errors, and how components show them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from insar.simulate.fields import Outline
from insar.simulate.parameters import SimulationParameters
from insar.simulate.streams import Effect, random_stream

JUMP_MARGIN = 0.2  # of the scene's size, kept free around the centres of jumps
DOUBLE_ERROR_SHARE = 0.2  # of the regions with an unwrapping error are off by two cycles
SMALLEST_COMPONENT_SHARE = 0.002  # of the scene; smaller regions belong to no component
MOST_COMPONENTS = 250  # a component is one byte in files


@dataclass(frozen=True, slots=True)
class UnwrappingJump:
    """A region that is off by whole cycles in one interferogram.

    Attributes
    ----------
    pair_index
        Of the interferogram.
    outline
        Of the region.
    cycles
        Number of cycles that were added there.
    """

    pair_index: int
    outline: Outline
    cycles: int


def draw_jumps(parameters: SimulationParameters) -> tuple[UnwrappingJump, ...]:
    """Unwrapping errors of a scene, in different interferograms as long as there are enough."""
    rng = random_stream(parameters.seed, Effect.JUMPS)
    pair_count = len(parameters.pairs)
    order = rng.permutation(pair_count)
    jumps = []
    for number in range(parameters.unwrapping_jumps):
        outline = _draw_outline(rng, parameters, parameters.jump_radius_m, JUMP_MARGIN)
        jumps.append(UnwrappingJump(int(order[number % pair_count]), outline, int(rng.choice([-1, 1]))))
    return tuple(jumps) + _draw_errors(parameters)


def _draw_errors(parameters: SimulationParameters) -> tuple[UnwrappingJump, ...]:
    """Unwrapping errors of a share of the interferograms, several regions each."""
    rng = random_stream(parameters.seed, Effect.UNWRAPPING)
    pair_count = len(parameters.pairs)
    chosen = rng.permutation(pair_count)[: round(parameters.unwrapping_error_fraction * pair_count)]
    errors = []
    for pair_index in np.sort(chosen).tolist():
        for _ in range(parameters.unwrapping_error_patches):
            outline = _draw_outline(rng, parameters, parameters.jump_radius_m, 0.0)
            cycles = 2 if rng.random() < DOUBLE_ERROR_SHARE else 1
            errors.append(UnwrappingJump(pair_index, outline, cycles * int(rng.choice([-1, 1]))))
    return tuple(errors)


def draw_offset_cycles(parameters: SimulationParameters) -> NDArray[np.int64]:
    """Whole cycles that each interferogram is off by as a whole, (pair,)."""
    rng = random_stream(parameters.seed, Effect.OFFSETS)
    return rng.integers(-parameters.offset_cycles, parameters.offset_cycles + 1, len(parameters.pairs))


def draw_gap_blobs(rng: np.random.Generator, parameters: SimulationParameters) -> list[Outline]:
    """Connected gaps of one interferogram."""
    count = int(rng.poisson(parameters.missing_blobs_per_pair))
    return [_draw_outline(rng, parameters, parameters.missing_blob_radius_m, 0.0) for _ in range(count)]


def draw_missing(
    rng: np.random.Generator, coherence: NDArray[np.float32], missing_fraction: float
) -> NDArray[np.bool_]:
    """Samples missing at random, (row, col): `missing_fraction` of them, likelier the lower the coherence.

    Chances are in proportion to ``(1 - coherence)**2``.
    """
    weight = (1.0 - coherence) ** 2
    mean = float(weight.mean(dtype=np.float64))
    chance = missing_fraction * (weight / np.float32(mean) if mean > 0.0 else np.ones_like(weight))
    missing: NDArray[np.bool_] = rng.random(coherence.shape, np.float32) < chance
    return missing


def label_components(is_coherent: NDArray[np.bool_], jump_regions: list[NDArray[np.bool_]]) -> NDArray[np.uint8]:
    """Connected components as an unwrapper reports them, (row, col); 0 is none.

    Parameters
    ----------
    is_coherent
        (row, col) pixels that may belong to a component.
    jump_regions
        Regions with an unwrapping error, (row, col) each: they are cut off from what surrounds them.
    """
    import scipy.ndimage

    labels = np.zeros(is_coherent.shape, np.uint8)
    smallest = max(1, math.ceil(SMALLEST_COMPONENT_SHARE * is_coherent.size))
    rest = is_coherent.copy()
    for region in jump_regions:
        rest &= ~region
    next_label = 1
    for part in (rest, *(region & is_coherent for region in jump_regions)):
        regions, count = scipy.ndimage.label(part)
        sizes = np.bincount(regions.ravel(), minlength=count + 1)
        sizes[0] = 0
        kept = [number for number in np.argsort(-sizes, kind="stable") if sizes[number] >= smallest]
        lookup = np.zeros(count + 1, np.uint8)
        for number in kept[: MOST_COMPONENTS + 1 - next_label]:
            lookup[number] = next_label
            next_label += 1
        found = lookup[regions]
        labels = np.where(found > 0, found, labels)
    return labels


def _draw_outline(
    rng: np.random.Generator, parameters: SimulationParameters, radius_m: float, margin: float
) -> Outline:
    row = rng.uniform(margin, 1.0 - margin) * (parameters.rows - 1)
    col = rng.uniform(margin, 1.0 - margin) * (parameters.cols - 1)
    radius = radius_m / parameters.pixel_size_m
    half_length = radius * rng.uniform(0.9, 1.5)
    half_width = radius * rng.uniform(0.6, 0.9)
    return Outline.draw(rng, float(row), float(col), half_length, half_width, float(rng.uniform(0.0, 180.0)))
