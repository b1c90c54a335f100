"""Shape of the terrain at each pixel: slope, aspect and curvature of a surface through 3 x 3 elevations.

Notes
-----
Derivatives are those of Zevenbergen & Thorne (1987): with x to the east, y to the north, ``L`` the pixel size and the
nine elevations named by their direction, ``z`` the centre,

    p = dz/dx = (E - W) / 2L            r = d2z/dx2  = (E - 2z + W) / L2
    q = dz/dy = (N - S) / 2L            t = d2z/dy2  = (N - 2z + S) / L2
                                        s = d2z/dxdy = (NE - NW - SE + SW) / 4 L2

From them, with ``g = p2 + q2``:

    slope              atan(sqrt(g))
    aspect             direction of (-p, -q), clockwise from grid north
    profile curvature  -(r p2 + 2 s p q + t q2) / (g (1 + g)^(3/2))
    plan curvature     -(r q2 - 2 s p q + t p2) / g^(3/2)

The curvatures are those of real lines, in 1/m: of the vertical section along the steepest descent, and of the contour
line (Krcho 1973; Minar et al. 2020), as SAGA and RSAGA give them. The 1987 paper itself states second derivatives in
those two directions, which lack the factors of ``1 + g`` and ``g``; they differ by up to 3 times on a slope of 45 deg.

Where they are not defined:

- The outermost ring of the raster, and every pixel beside one without data, is NaN: a surface through fewer than nine
  elevations has no curvature. (SAGA continues the terrain linearly, which halves curvature there.)
- On level ground slope is 0, aspect NaN, the components of its unit vector are 0, as is the curvature of a plane; on a
  peak, in a pit or a pass, where the slope is 0 but the ground is not level, curvature is NaN.

References
----------
Zevenbergen, L. W., Thorne, C. R. (1987). Quantitative analysis of land surface topography. Earth Surface Processes and
Landforms 12, 47-56.

Minar, J., Evans, I. S., Jenco, M. (2020). A comprehensive system of definitions of land surface (topographic)
curvatures, with implications for their application in geoscience modelling and prediction. Earth-Science Reviews 211,
103414.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.grid import Grid
from insar.layers import LayerDefinition, row_slices
from susceptibility.errors import InputError, OptionError
from susceptibility.factors.definitions import FACTORS, TERRAIN_FACTORS
from susceptibility.kernels import terrain as kernels
from susceptibility.projection import require_metric
from susceptibility.workers import run_in_threads

NEIGHBOURS = 1
"""Rows and columns beside a pixel that its factors depend on."""

LOWEST_ELEVATION_M, HIGHEST_ELEVATION_M = -11_500.0, 9_000.0
"""Bounds of the Earth's surface; what lies outside is no elevation."""

_ROWS_AT_ONCE = 256
_UNDECLARED_NO_DATA = (-9999.0, 9999.0, -32768.0, 32767.0)


def terrain_factors(
    elevation: NDArray[np.floating[Any]], grid: Grid, names: Sequence[str] | None = None
) -> dict[str, NDArray[np.float32]]:
    """Compute factors of a whole terrain model.

    Parameters
    ----------
    elevation : (row, col)
        Metres, NaN where unknown.
    grid
        Where the pixels lie: projected, in metres. Pixels need not be square.
    names
        Of `TERRAIN_FACTORS`; None for all of them.

    Returns
    -------
    dict of (row, col) float32
        By name, in the unit of their definition; NaN where not defined, see the notes above.

    Raises
    ------
    OptionError
        A name is unknown.
    InputError
        The grid is not in metres, has another shape than the elevations, or these cannot be elevations in metres.
    """
    names = check_names(names, TERRAIN_FACTORS)
    require_metric(grid, "grid of the elevations")
    if elevation.shape != grid.shape:
        raise InputError(
            "elevation",
            required=f"{grid.rows} rows x {grid.cols} columns, as its grid",
            found=" x ".join(str(size) for size in elevation.shape),
            remedy="Read the elevations and their grid from the same file",
        )
    check_elevation(elevation, "elevation")
    surrounded = np.pad(elevation, ((NEIGHBOURS, NEIGHBOURS), (0, 0)), constant_values=np.nan)
    factors = {name: np.empty(grid.shape, np.float32) for name in names}
    run_in_threads(
        [
            partial(_fill, name, surrounded[rows.start : rows.stop + 2 * NEIGHBOURS], grid, factor[rows])
            for name, factor in factors.items()
            for rows in row_slices(grid.rows, _ROWS_AT_ONCE)
        ]
    )
    return factors


def factor_of_rows(name: str, elevation: NDArray[np.floating[Any]], grid: Grid) -> NDArray[np.float32]:
    """Compute one factor of some full rows of a grid.

    Parameters
    ----------
    name
        One of `TERRAIN_FACTORS`.
    elevation : (row + 2 `NEIGHBOURS`, col)
        Metres: the rows with those above and below them; NaN where unknown, as beyond the grid.
    grid
        The whole grid; only the size and the direction of its pixels count.

    Returns
    -------
    (row, col) float32
        The same values whichever rows are computed together.
    """
    step_x_m, step_y_m = grid.transform.a, grid.transform.e  # signed: eastward, northward
    factor = np.empty((elevation.shape[0] - 2 * NEIGHBOURS, elevation.shape[1]), np.float32)
    match name:
        case "elevation":
            factor[...] = elevation[NEIGHBOURS:-NEIGHBOURS]
        case "slope":
            kernels.slope_deg(elevation, step_x_m, step_y_m, factor)
        case "aspect":
            kernels.aspect_deg(elevation, step_x_m, step_y_m, factor)
        case "aspect_sin":
            kernels.aspect_vector(elevation, step_x_m, step_y_m, False, factor)
        case "aspect_cos":
            kernels.aspect_vector(elevation, step_x_m, step_y_m, True, factor)
        case "profile_curvature":
            kernels.profile_curvature_per_m(elevation, step_x_m, step_y_m, factor)
        case "plan_curvature":
            kernels.plan_curvature_per_m(elevation, step_x_m, step_y_m, factor)
        case _:
            raise _unknown_factor(name)
    return factor


def _fill(name: str, elevation: NDArray[np.floating[Any]], grid: Grid, factor: NDArray[np.float32]) -> None:
    factor[...] = factor_of_rows(name, elevation, grid)


def check_names(names: Sequence[str] | None, known: Mapping[str, LayerDefinition] = FACTORS) -> tuple[str, ...]:
    """Return the names of factors, each once, all of them for None; raises `OptionError` for one that is unknown."""
    if names is None:
        return tuple(known)
    for name in names:
        if name not in known:
            raise _unknown_factor(name)
    return tuple(dict.fromkeys(names))


def check_elevation(elevation: NDArray[np.floating[Any]], subject: str) -> None:
    """Refuse numbers that cannot be elevations, such as a no-data value that the file does not declare."""
    if not np.isfinite(elevation).any():
        return
    lowest, highest = float(np.nanmin(elevation)), float(np.nanmax(elevation))
    strays = [value for value in _UNDECLARED_NO_DATA if (elevation == value).any()]
    if lowest < LOWEST_ELEVATION_M or highest > HIGHEST_ELEVATION_M or strays:
        raise InputError(
            subject,
            required=f"elevations in metres, from {LOWEST_ELEVATION_M:.0f} to {HIGHEST_ELEVATION_M:.0f}",
            found=f"{strays[0]:.0f}" if strays else f"{lowest:g} to {highest:g}",
            remedy="Declare the value that means no data, for example: gdal_edit.py -a_nodata -9999 FILE",
        )


def _unknown_factor(name: str) -> OptionError:
    near = get_close_matches(name, FACTORS, n=1)
    return OptionError(
        "factors",
        required=f"names out of {', '.join(FACTORS)}",
        found=repr(name),
        remedy=f"Did you mean {near[0]}" if near else "Check the spelling",
    )
