"""Random streams: one per effect, so that switching one effect leaves the others as they were."""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Effect(IntEnum):
    """Effects that draw random numbers. A value is part of what a seed means: new effects go to the end."""

    TERRAIN = 0
    LAND_COVER = 1
    SLOPES = 2
    TURBULENCE = 3
    STRATIFICATION = 4
    BASELINES = 5
    DEM_ERROR = 6
    NOISE = 7
    GAPS = 8
    JUMPS = 9
    OFFSETS = 10
    UNWRAPPING = 11
    RAMPS = 12


def random_stream(seed: int, effect: Effect, item: int | None = None) -> np.random.Generator:
    """Generator of one effect or, where `item` is given, of its part for one date or interferogram.

    The keys are those that `numpy.random.SeedSequence.spawn` would hand out, taken by number so that any
    interferogram can be made alone.
    """
    key = (int(effect),) if item is None else (int(effect), item)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))
