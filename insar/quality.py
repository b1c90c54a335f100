"""Flags that say of every pixel what should make a reader careful."""

from __future__ import annotations

from enum import IntFlag

import numpy as np
from numpy.typing import NDArray

LOW_TEMPORAL_COHERENCE = 0.7
"""Temporal coherence below which a pixel is flagged (Pepe & Lanari 2006)."""


LOOPS_UNKNOWN = 65535
"""Number of open loops of a pixel none of whose loops is complete."""


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
    OPEN_LOOPS = 128
    """Loops of interferograms do not close: unwrapping errors are left."""


def quality_flags(
    subsets: NDArray[np.integer],
    temporal_coherence: NDArray[np.floating],
    shadow_mask: NDArray[np.floating] | None = None,
    corrected: NDArray[np.integer] | None = None,
    open_loops: NDArray[np.integer] | None = None,
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
    corrected
        (...) number of samples whose unwrapping was corrected.
    open_loops
        (...) number of loops that do not close, `LOOPS_UNKNOWN` where no loop is complete.
    """
    flags = np.zeros(subsets.shape, dtype=np.uint8)
    flags[subsets == 0] |= np.uint8(Quality.NO_DATA)
    flags[subsets > 1] |= np.uint8(Quality.GAP_FILLED)
    flags[temporal_coherence < LOW_TEMPORAL_COHERENCE] |= np.uint8(Quality.LOW_TEMPORAL_COHERENCE)
    if corrected is not None:
        flags[corrected > 0] |= np.uint8(Quality.UNWRAPPING_CORRECTED)
    if open_loops is not None:
        flags[(open_loops > 0) & (open_loops != LOOPS_UNKNOWN)] |= np.uint8(Quality.OPEN_LOOPS)
    if shadow_mask is not None:
        flags[np.nan_to_num(shadow_mask) != 0] |= np.uint8(Quality.LAYOVER_OR_SHADOW)
    return flags
