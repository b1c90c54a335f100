"""Coherence of two coregistered complex images, over a rectangular window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from insar.errors import InputError, OptionError
from insar.kernels.coherence import PRODUCTS, estimate_boxcar, multiply_cells
from insar.kernels.fringe import RAMP_REACH, estimate_flattened
from insar.windows import DEFAULT_WINDOW, ONE_LOOK, Looks, Window

DEFAULT_LEAST_SHARE = 0.5
"""Of the samples of a window: with fewer, the estimate belongs to the neighbours and not to the pixel."""


def check_images(first: NDArray[np.complexfloating], second: NDArray[np.complexfloating]) -> None:
    """Raise `InputError` unless both are complex images of one size."""
    if not (np.iscomplexobj(first) and np.iscomplexobj(second)) or first.ndim != 2 or first.shape != second.shape:
        raise InputError(
            "first and second image",
            required="two complex arrays (row, col) of the same size",
            found=f"{first.dtype} {first.shape} and {second.dtype} {second.shape}",
            remedy="Coregister both images to one grid, and cut them to the same rows and columns",
        )


@dataclass(frozen=True, slots=True)
class CoherenceEstimator:
    """Coherence over a window: ``|sum(a conj(b))| / sqrt(sum(|a|^2) sum(|b|^2))``.

    Parameters
    ----------
    window
        Cells of which each estimate is made: an odd number of rows and of columns.
    looks
        Pixels of a cell. Sums are made over the cell first; the result has one value for each cell.
    remove_fringe
        Whether the local ramp of phase is taken out before the sum (see Notes).
    least_share
        Of the pixels of the window that lie inside the image, how many must be valid at least.

    Raises
    ------
    OptionError
        For a window that is not odd, looks that are not positive, and a share that is not between 0 and 1.

    Notes
    -----
    A sample that either image lacks is left out of all three sums. Windows are cut at the edge of the image.

    The estimate is biased: independent images have `insar.coherence_bias.coherence_floor` on average, not 0.

    The ramp is that of the mean steps of phase from cell to cell, down and across, in a window that reaches three times
    as far as that of the coherence. At high coherence it is exact. At a coherence of 0.5 its noise costs a tenth of
    the estimate over 5 by 5 cells, at 0.3 a quarter, and since a ramp that is fitted to noise makes noise more alike,
    independent images have 0.20 on average instead of 0.18. Fringes that are narrower than two cells cannot be told
    from wider ones, and a fringe within a cell of several looks stays.
    """

    window: Window = DEFAULT_WINDOW
    looks: Looks = ONE_LOOK
    remove_fringe: bool = False
    least_share: float = DEFAULT_LEAST_SHARE

    def __post_init__(self) -> None:
        self.window.check()
        self.looks.check()
        if not 0.0 < self.least_share <= 1.0:
            raise OptionError(
                "least_share",
                required="a share of the window's samples above 0, at most 1",
                found=f"{self.least_share:g}",
                remedy=f"Give for instance {DEFAULT_LEAST_SHARE:g}",
            )

    @property
    def reach(self) -> tuple[int, int]:
        """Cells above and below, and to the left and right, that the estimate at one cell depends on."""
        rows, cols = self.window.reach
        return (RAMP_REACH * rows, RAMP_REACH * cols) if self.remove_fringe else (rows, cols)

    @property
    def scratch_bytes_per_cell(self) -> int:
        """Memory for each cell of a part, beside both images and the result."""
        return 8 * (PRODUCTS + 12) if self.remove_fringe else 4

    def cells(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of whole cells in an image; pixels that do not fill one, at the end, are left."""
        return shape[0] // self.looks.rows, shape[1] // self.looks.cols

    def estimate(
        self, first: NDArray[np.complexfloating], second: NDArray[np.complexfloating], rows: slice, cols: slice
    ) -> NDArray[np.float32]:
        """Coherence of some cells of a part of both images; the same bits as from any other part, or from the whole.

        Parameters
        ----------
        first, second
            (row, col) the same part of both images at full resolution, from a corner of a cell on, with the `reach`
            around the cells that are wanted wherever the image goes on; 0 or not finite is no data.
        rows, cols
            Cells of this part that are wanted.

        Returns
        -------
        NDArray
            (row, col) 0 to 1; NaN where the cell itself has no valid sample, or its window too few.

        Raises
        ------
        InputError
            If the parts are not complex or of different size.
        """
        coherence = np.empty((rows.stop - rows.start, cols.stop - cols.start), np.float32)
        self._fill(first, second, (rows.start, cols.start), coherence, np.empty((0, 0), np.float32))
        return coherence

    def estimate_with_samples(
        self,
        first: NDArray[np.complexfloating],
        second: NDArray[np.complexfloating],
        rows: slice,
        cols: slice,
        *,
        least_own: int = 1,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """As `estimate`; and (row, col) how many valid pixels lie in the window of each cell.

        `least_own` is how many pixels of the cell itself must be valid; with 0 its neighbours are enough.
        """
        coherence, samples = np.empty((2, rows.stop - rows.start, cols.stop - cols.start), np.float32)
        self._fill(first, second, (rows.start, cols.start), coherence, samples, least_own)
        return coherence, samples

    def _fill(
        self,
        first: NDArray[np.complexfloating],
        second: NDArray[np.complexfloating],
        place: tuple[int, int],
        coherence: NDArray[np.float32],
        samples: NDArray[np.float32],
        least_own: int = 1,
    ) -> None:
        check_images(first, second)
        first, second = np.ascontiguousarray(first), np.ascontiguousarray(second)
        sizes = *self.window, *self.looks
        estimate_boxcar(first, second, *place, *sizes, self.least_share, least_own, coherence, samples)
        if self.remove_fringe:
            products = np.empty((PRODUCTS, *self.cells(first.shape)), np.float64)
            multiply_cells(first, second, *self.looks, products)
            estimate_flattened(products, *place, *self.window.reach, np.isfinite(coherence), coherence)


def estimate_coherence(
    first: NDArray[np.complexfloating],
    second: NDArray[np.complexfloating],
    window: tuple[int, int] = DEFAULT_WINDOW,
    *,
    looks: tuple[int, int] = ONE_LOOK,
    remove_fringe: bool = False,
) -> NDArray[np.float32]:
    """Coherence of two coregistered complex images.

    Parameters
    ----------
    first, second
        (row, col) at full resolution; 0 or not finite is no data.
    window
        Rows and columns of cells, both odd, of which each estimate is made.
    looks
        Rows and columns of pixels that are taken together into one cell.
    remove_fringe
        Whether the local ramp of phase is taken out before the sum.

    Returns
    -------
    NDArray
        (row, col) of cells, 0 to 1; NaN where the cell itself has no valid sample, or less than half of its window.

    Raises
    ------
    InputError
        If the images are not complex or of different size.
    OptionError
        For a window that is not odd, or looks that are not positive.

    See Also
    --------
    CoherenceEstimator : the same of a part of the images, with what the estimate means.
    """
    estimator = CoherenceEstimator(Window(*window), Looks(*looks), remove_fringe)
    check_images(first, second)
    rows, cols = estimator.cells(first.shape)
    return estimator.estimate(first, second, slice(0, rows), slice(0, cols))
