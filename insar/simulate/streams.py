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
    EVENT_COVER = 13
    EVENT_TEXTURE = 14
    EVENT_LANDSLIDES = 15
    EVENT_LOSS = 16
    EVENT_WEATHER = 17
    EVENT_LASTING_SPECKLE = 18
    EVENT_DECAYING_SPECKLE = 19
    EVENT_NEW_LASTING_SPECKLE = 20
    EVENT_NEW_DECAYING_SPECKLE = 21
    EVENT_NOISE = 22
    EVENT_GAPS = 23
    EVENT_BACKSCATTER = 24


def random_stream(seed: int, effect: Effect, *items: int) -> np.random.Generator:
    """Generator of one effect or, where `items` are given, of its part for one date, interferogram or strip of rows.

    The keys are those that `numpy.random.SeedSequence.spawn` would hand out, taken by number so that any part can be
    made alone.
    """
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(int(effect), *items)))
