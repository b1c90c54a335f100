"""Coherence over ensembles of similar pixels ("siblings"), which follow the edges of fields instead of a rectangle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from insar.coherence import check_images
from insar.errors import InputError, OptionError
from insar.intensity_ratio import LEVEL_MEMBERS, ratio_bounds
from insar.kernels.coherence import PRODUCTS, multiply_cells
from insar.kernels.siblings import average_alike, describe_history, sum_siblings
from insar.temporal_coherence import REACH, estimate_temporal_coherence
from insar.windows import DEFAULT_REJECTION_RATE, ONE_LOOK, SIBLING_WINDOW, Looks, Window

DEFAULT_LEAST_IMAGES = 6
DEFAULT_LEAST_SIBLINGS = 10

LEVEL_WINDOW = Window(5, 5)
"""In which the level of intensity is found that the siblings share."""

_NEAR_RATE_SHARE = 0.5
"""Of the false rejections, how often pixels of that small window are left out: what it costs the rate is below 10 %."""


class SiblingCoherence(NamedTuple):
    """What `SiblingEstimator` finds."""

    coherence: NDArray[np.float32]
    """(pair, row, col) 0 to 1; NaN where the cell has no data in a pair or in the history, or too few siblings."""

    siblings: NDArray[np.uint16]
    """(row, col) how many, the cell itself among them; 0 where the history does not tell."""


class _Field(NamedTuple):
    """The first arguments of `insar.kernels.siblings.sum_siblings`; of all cells, and of those that are wanted."""

    log_intensity: NDArray[np.float64]
    inverse_images: NDArray[np.float64]
    level: NDArray[np.float64]
    below: NDArray[np.float64]
    above: NDArray[np.float64]
    common: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SiblingEstimator:
    """Coherence over those pixels of a window whose mean intensity, before the event, was that of the pixel itself.

    Parameters
    ----------
    window
        Cells among which siblings are looked for.
    false_rejection_rate
        Share of the pixels of a uniform field that the test takes for different.
    least_images
        Images of the history that must have data at a cell.
    least_siblings
        With fewer siblings, the cell itself among them, there is no estimate.
    looks
        Pixels of a cell.

    Raises
    ------
    OptionError
        For a window that is not odd, looks that are not positive, a rate that is not between 0 and 1, or too few
        images or siblings.

    Notes
    -----
    Siblings are found in two steps. The ratio of the mean intensity of a pixel to that of each neighbour in 5 by 5
    cells says which of these may be of its kind; their mean is the level of its field. Siblings are all pixels of the
    window whose ratio to that level is likely, and the pixel itself. Compared with the level, which is known better
    than the pixel itself, pixels of another field stand out more: six images tell 6 dB.

    Bounds are exact for the number of images and their temporal coherence (`insar.intensity_ratio`). The ratio of mean
    intensities is the likelihood ratio test for speckle. A Kolmogorov-Smirnov or Anderson-Darling test of amplitudes
    has next to no power at six images, and since its levels are discrete it keeps no rate that is asked for; images
    that are coherent with each other it takes for independent. In simulations with independent images, with coherence
    that lasts, and with coherence that decays, the share that is rejected is within 10 % of the rate of 0.05; of
    rates of 0.01 and less it is up to a third below where images are coherent with each other. Such images say less
    about the level, and more of another field are let in.

    Temporal coherence is estimated around each cell from pairs of the history, without its bias. Fringes that the
    images still have hide a part of it: with 0.02 cycles in a cell, a tenth to a third more pixels are rejected than
    is stated, with 0.07 two or three times as many.

    Pixels of equal mean intensity and different statistics, a point target in a field of equal brightness for
    instance, are not told apart. Images that are sampled more finely than they resolve, by up to 1.2 in rows and
    columns, keep the rate at one look; cells of several looks then hold fewer independent samples than pixels, and a
    third more are rejected.

    References
    ----------
    Spaans, K. and Hooper, A. (2016), Journal of Geophysical Research: Solid Earth 121, 6258-6269: coherence over
    ensembles chosen from amplitudes.
    """

    window: Window = SIBLING_WINDOW
    false_rejection_rate: float = DEFAULT_REJECTION_RATE
    least_images: int = DEFAULT_LEAST_IMAGES
    least_siblings: int = DEFAULT_LEAST_SIBLINGS
    looks: Looks = ONE_LOOK

    def __post_init__(self) -> None:
        self.window.check()
        self.looks.check()
        if not 0.0 < self.false_rejection_rate < 1.0:
            raise OptionError(
                "false_rejection_rate",
                required="a share of pixels between 0 and 1",
                found=f"{self.false_rejection_rate:g}",
                remedy=f"Give for instance {DEFAULT_REJECTION_RATE:g}",
            )
        if self.least_images < 2 or not 1 <= self.least_siblings <= self.window.rows * self.window.cols:
            raise OptionError(
                "least_images, least_siblings",
                required="at least 2 images, and from 1 sibling to as many as the window has cells",
                found=f"{self.least_images} images, {self.least_siblings} siblings in {self.window.rows} by "
                f"{self.window.cols} cells",
                remedy=f"Give for instance {DEFAULT_LEAST_IMAGES} images and {DEFAULT_LEAST_SIBLINGS} siblings",
            )

    @property
    def reach(self) -> tuple[int, int]:
        """Cells above and below, and to the left and right, that the estimate at one cell depends on."""
        near_rows, near_cols = (sum(both) for both in zip(LEVEL_WINDOW.reach, REACH, strict=True))
        return max(self.window.reach[0], near_rows), max(self.window.reach[1], near_cols)

    def scratch_bytes_per_cell(self, pairs: int) -> int:
        """Memory for each cell of a part, beside the images and the result."""
        return 8 * (PRODUCTS * pairs + 14)

    def estimate(
        self,
        history: NDArray[np.complexfloating],
        first: Sequence[NDArray[np.complexfloating]],
        second: Sequence[NDArray[np.complexfloating]],
        rows: slice,
        cols: slice,
    ) -> SiblingCoherence:
        """Sibling coherence of some cells of a part of the images; the same bits as from any other part.

        Parameters
        ----------
        history
            (image, row, col) images before the event at full resolution, none of them after it; from a corner of a
            cell on, with the `reach` around the cells that are wanted wherever the image goes on; 0 or not finite is
            no data.
        first, second
            Both images of each pair, (row, col) of the same part.
        rows, cols
            Cells of this part that are wanted.

        Returns
        -------
        SiblingCoherence
            Coherence of each pair and the number of siblings.

        Raises
        ------
        InputError
            If the history has fewer than `least_images` images, or images are not complex or of different size.
        """
        self._check_history(history)
        for one, other in zip(first, second, strict=True):
            check_images(history[0], one)
            check_images(history[0], other)
        field = self._describe_field(np.ascontiguousarray(history), rows, cols)
        products = np.empty((len(first), PRODUCTS, *field.log_intensity.shape), np.float64)
        for pair, (one, other) in enumerate(zip(first, second, strict=True)):
            multiply_cells(np.ascontiguousarray(one), np.ascontiguousarray(other), *self.looks, products[pair])
        wanted = field.level.shape
        result = SiblingCoherence(np.empty((len(first), *wanted), np.float32), np.empty(wanted, np.uint16))
        sum_siblings(*field, products, rows.start, cols.start, *self.window.reach, self.least_siblings, *result)
        return result

    def _describe_field(self, history: NDArray[np.complexfloating], rows: slice, cols: slice) -> _Field:
        """What cells are compared by, and the bounds of the cells that are wanted."""
        shape = history.shape[1] // self.looks.rows, history.shape[2] // self.looks.cols
        intensity, log_intensity = np.empty((2, *shape))
        images = np.empty(shape, np.int32)
        describe_history(history, *self.looks, intensity, log_intensity, images)
        known = images >= self.least_images
        log_intensity[~known] = np.nan
        temporal = estimate_temporal_coherence(history, self.looks)
        bounds = ratio_bounds(
            np.where(known, images, 0),
            self.looks.rows * self.looks.cols,
            temporal,
            self.false_rejection_rate * _NEAR_RATE_SHARE,
            self.false_rejection_rate,
        )
        level, members = np.empty((2, rows.stop - rows.start, cols.stop - cols.start))
        # Of two pixels of the same kind, the sum of both tolerances is the square of their bound.
        average_alike(
            intensity,
            log_intensity,
            0.5 * bounds.pair**2,
            rows.start,
            cols.start,
            *LEVEL_WINDOW.reach,
            level,
            members,
        )
        common = np.clip(temporal.square[rows, cols], 0.0, 1.0)
        inverse_images = 1.0 / np.maximum(images, 1)
        # The bounds are for LEVEL_MEMBERS, and for as many images as the cell itself has.
        scale = (1.0 + 1.0 / np.maximum(members, 1.0)) / (1.0 + 1.0 / LEVEL_MEMBERS)
        scale /= common + (1.0 - common) * inverse_images[rows, cols]
        below, above = bounds.below[rows, cols], bounds.above[rows, cols]
        return _Field(log_intensity, inverse_images, level, scale * below**2, scale * above**2, common)

    def _check_history(self, history: NDArray[np.complexfloating]) -> None:
        if history.ndim != 3 or not np.iscomplexobj(history) or len(history) < self.least_images:
            raise InputError(
                "history of the sibling coherence",
                required=f"a complex array (image, row, col) of at least {self.least_images} images before the event",
                found=f"{history.dtype} {history.shape}",
                remedy="Give more images from before the event, or estimate boxcar coherence alone",
            )
