"""How the terrain at a pixel compares with that around it: relief, roughness, position, curvature, aspect class.

Notes
-----
With ``z`` the elevation and ``mean`` that of a square window of an odd number of pixels around it, the pixel included:

    relief         highest minus lowest elevation of the window
    tpi            z - mean: positive on ridges, negative in valleys (Weiss 2001; De Reu et al. 2013)
    roughness      standard deviation over the window of z - mean, both windows of the same size (Cavalli et al. 2008);
                   unlike the standard deviation of elevations it is 0 on a tilted plane
    curvature      -(d2z/dx2 + d2z/dy2), the derivatives of Zevenbergen & Thorne (1987): their general curvature, the
                   negative Laplacian; positive on convex ground, and defined on level ground too
    aspect_class   1 flat, 2 north, 3 north-east, ... 9 north-west: sectors of 45 degrees, the first from 337.5 to 22.5

Windows are given in metres, and are the odd number of pixels nearest to that, each way: see `window_of`.

Where they are not defined:

- A window that reaches over the edge of the raster, or over pixels without data, tells of the terrain only in part: its
  highest point may be missing, its mean is that of one side. Such pixels are NaN, `Windows.least_known` being 1. With a
  smaller share (0.5 for a coast, say) windows of which at least so much has data count, as if the rest were not there.
  Roughness looks at the residuals in a window, and so reaches twice as far.
- Curvature and aspect class need all of 3 x 3 pixels, as the factors of `susceptibility.factors.terrain` do.

References
----------
Cavalli, M., Tarolli, P., Marchi, L., Dalla Fontana, G. (2008). The effectiveness of airborne LiDAR data in the
recognition of channel-bed morphology. Catena 73, 249-260.

De Reu, J. et al. (2013). Application of the topographic position index to heterogeneous landscapes. Geomorphology 186,
39-49.

Weiss, A. (2001). Topographic position and landforms analysis. ESRI User Conference, San Diego.

Zevenbergen, L. W., Thorne, C. R. (1987). Quantitative analysis of land surface topography. Earth Surface Processes and
Landforms 12, 47-56.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.grid import Grid
from insar.layers import row_slices
from susceptibility.errors import InputError, OptionError
from susceptibility.factors.definitions import RELIEF_FACTORS
from susceptibility.factors.terrain import check_elevation
from susceptibility.kernels import relief as kernels
from susceptibility.projection import require_metric
from susceptibility.workers import run_in_threads

ASPECT_CLASSES = {1: "flat", 2: "N", 3: "NE", 4: "E", 5: "SE", 6: "S", 7: "SW", 8: "W", 9: "NW"}

LEAST_PIXELS = 3
"""Smallest width of a window; the factors of windows are 0 in a single pixel."""

_ROWS_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Windows:
    """Sizes of the windows that factors look at.

    Attributes
    ----------
    relief_m, roughness_m, tpi_m
        Side of the square, in metres.
    least_known
        Share of a window, above 0 and at most 1, that must have data.

    Raises
    ------
    OptionError
        A size is not positive, or the share is not in its bounds.
    """

    relief_m: float = 500.0
    roughness_m: float = 150.0
    tpi_m: float = 500.0
    least_known: float = 1.0

    def __post_init__(self) -> None:
        for name in ("relief_m", "roughness_m", "tpi_m"):
            size = getattr(self, name)
            if not (math.isfinite(size) and size > 0.0):
                raise OptionError(
                    f"window {name}", required="a side in metres, above 0", found=str(size), remedy="Correct it"
                )
        if not 0.0 < self.least_known <= 1.0:
            raise OptionError(
                "least known share of a window",
                required="a share above 0, at most 1",
                found=str(self.least_known),
                remedy="Use 1 for windows that are known everywhere",
            )


def window_of(size_m: float, grid: Grid) -> tuple[int, int]:
    """Return the rows and columns of the window that stands for a size on a grid.

    The odd number nearest to the size, the larger one half-way, and at least `LEAST_PIXELS`: on pixels of 90 m a window
    of 500 m is 5 x 5 pixels, or 450 m; and one of 100 m is 3 x 3 pixels.
    """
    width, height = grid.resolution
    return _odd_pixels(size_m / height), _odd_pixels(size_m / width)


def rows_needed(name: str, grid: Grid, windows: Windows | None = None) -> int:
    """Return how many rows above and below its own a factor depends on.

    Raises
    ------
    OptionError
        The name is none of `RELIEF_FACTORS`.
    """
    if name in {"curvature", "aspect_class"}:
        return 1
    rows, _ = window_of(_size_m(name, windows or Windows()), grid)
    return rows - 1 if name == "roughness" else rows // 2


def relief_factors(
    elevation: NDArray[np.floating[Any]],
    grid: Grid,
    names: Sequence[str] | None = None,
    windows: Windows | None = None,
) -> dict[str, NDArray[Any]]:
    """Compute factors of a whole terrain model.

    Parameters
    ----------
    elevation : (row, col)
        Metres, NaN where unknown.
    grid
        Where the pixels lie: projected, in metres. Pixels need not be square.
    names
        Of `RELIEF_FACTORS`; None for all of them.
    windows
        None for those of `Windows` as they are.

    Returns
    -------
    dict of (row, col) float32, aspect_class uint8
        By name, in the unit of their definition; NaN or class 0 where not defined, see the notes above.

    Raises
    ------
    OptionError
        A name is unknown.
    InputError
        The grid is not in metres, has another shape than the elevations, or these cannot be elevations in metres.
    """
    names = tuple(RELIEF_FACTORS) if names is None else tuple(dict.fromkeys(names))
    for name in names:
        rows_needed(name, grid, windows)  # refuses a name that is unknown before anything is computed
    require_metric(grid, "grid of the elevations")
    if elevation.shape != grid.shape:
        raise InputError(
            "elevation",
            required=f"{grid.rows} rows x {grid.cols} columns, as its grid",
            found=" x ".join(str(size) for size in elevation.shape),
            remedy="Read the elevations and their grid from the same file",
        )
    check_elevation(elevation, "elevation")
    factors = {name: np.empty(grid.shape, RELIEF_FACTORS[name].dtype) for name in names}
    run_in_threads(
        [
            partial(_fill, name, elevation, grid, windows, rows, factor[rows])
            for name, factor in factors.items()
            for rows in row_slices(grid.rows, max(_ROWS_AT_ONCE, 4 * rows_needed(name, grid, windows)))
        ]
    )
    return factors


def relief_of_rows(
    name: str, elevation: NDArray[np.floating[Any]], grid: Grid, windows: Windows | None = None
) -> NDArray[Any]:
    """Compute one factor of some full rows of a grid.

    Parameters
    ----------
    name
        One of `RELIEF_FACTORS`.
    elevation : (row + 2 `rows_needed`, col)
        Metres: the rows with those above and below them; NaN where unknown, as beyond the grid.
    grid
        The whole grid; only the size and the direction of its pixels count.
    windows
        None for those of `Windows` as they are.

    Returns
    -------
    (row, col) float32, or uint8 for aspect_class
        The same values whichever rows are computed together.
    """
    windows = windows or Windows()
    reach = rows_needed(name, grid, windows)
    shape = (elevation.shape[0] - 2 * reach, elevation.shape[1])
    step_x_m, step_y_m = grid.transform.a, grid.transform.e  # signed: eastward, northward
    if name == "aspect_class":
        classes = np.empty(shape, np.uint8)
        kernels.aspect_class(elevation, step_x_m, step_y_m, classes)
        return classes
    factor = np.empty(shape, np.float32)
    if name == "curvature":
        kernels.curvature_per_m(elevation, step_x_m, step_y_m, factor)
        return factor
    rows, cols = window_of(_size_m(name, windows), grid)
    least_cells = max(1, math.ceil(windows.least_known * rows * cols - 1e-9))
    of_window = {"relief": kernels.relief_m, "tpi": kernels.position_m, "roughness": kernels.roughness_m}[name]
    of_window(elevation, rows // 2, cols // 2, least_cells, factor)
    return factor


def _fill(
    name: str,
    elevation: NDArray[np.floating[Any]],
    grid: Grid,
    windows: Windows | None,
    rows: slice,
    factor: NDArray[Any],
) -> None:
    reach = rows_needed(name, grid, windows)
    first, last = max(rows.start - reach, 0), min(rows.stop + reach, grid.rows)
    beyond = (first - (rows.start - reach), rows.stop + reach - last)
    surrounded = np.pad(elevation[first:last], (beyond, (0, 0)), constant_values=np.nan)
    factor[...] = relief_of_rows(name, surrounded, grid, windows)


def _odd_pixels(pixels: float) -> int:
    return max(LEAST_PIXELS, 2 * math.floor(pixels / 2.0) + 1)


def _size_m(name: str, windows: Windows) -> float:
    sizes_m = {"relief": windows.relief_m, "tpi": windows.tpi_m, "roughness": windows.roughness_m}
    if name not in sizes_m:
        raise OptionError(
            "factors",
            required=f"names out of {', '.join(RELIEF_FACTORS)}",
            found=repr(name),
            remedy="Correct the name",
        )
    return sizes_m[name]
