"""Flags that say of every pixel what should make a reader careful."""

from __future__ import annotations

from enum import IntFlag

import numpy as np
from numpy.typing import NDArray

LOW_TEMPORAL_COHERENCE = 0.7
"""Temporal coherence below which a pixel is flagged (Pepe & Lanari 2006)."""


class Quality(IntFlag):
    """Bits of the layer `quality`."""

    NO_DATA = 1
    GAP_FILLED = 2
    """Some dates are tied to the others by minimum norm alone."""
    LOW_TEMPORAL_COHERENCE = 4
    UNWRAPPING_CORRECTED = 8
    LAYOVER = 16
    SHADOW = 32
    LAYOVER_OR_SHADOW = 64
    """Masked by the processor, which does not say by which."""


def quality_flags(
    subsets: NDArray[np.integer],
    temporal_coherence: NDArray[np.floating],
    shadow_mask: NDArray[np.floating] | None = None,
) -> NDArray[np.uint8]:
    """Flags of every pixel.

    Parameters
    ----------
    subsets
        (...) disconnected subsets of the network, 0 where there is no data.
    temporal_coherence
        (...) 0..1, NaN where there is no data.
    shadow_mask
        (...) nonzero where the processor masked layover or shadow.
    """
    flags = np.zeros(subsets.shape, dtype=np.uint8)
    flags[subsets == 0] |= np.uint8(Quality.NO_DATA)
    flags[subsets > 1] |= np.uint8(Quality.GAP_FILLED)
    flags[temporal_coherence < LOW_TEMPORAL_COHERENCE] |= np.uint8(Quality.LOW_TEMPORAL_COHERENCE)
    if shadow_mask is not None:
        flags[np.nan_to_num(shadow_mask) != 0] |= np.uint8(Quality.LAYOVER_OR_SHADOW)
    return flags
