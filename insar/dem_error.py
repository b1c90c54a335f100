"""Height errors of the DEM: the baselines of the dates and the view of each pixel, which turn them into displacement.

The range that a target's height adds to an interferogram grows with the perpendicular baseline. What is left of it
where the DEM is wrong looks like displacement that follows the baselines of the dates, and is told from motion by that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar import graph
from insar.errors import InputError, OptionError
from insar.graph import connected_subsets
from insar.stack import Plane, Stack
from insar.timefunctions import TimeModel

LEAST_BASELINE_SPREAD_M = 0.1
"""Baselines that scatter less than this about the model of time say nothing of heights."""


def date_baselines(stack: Stack) -> NDArray[np.float64]:
    """Perpendicular baseline of every date relative to the first, positive at the smaller look angle.

    Parameters
    ----------
    stack
        Its `acquisition.baseline_sense` says which way its baselines point; taken as 1 where it does not.

    Returns
    -------
    (date,) m, the least-squares solution of the baselines of the pairs.

    Raises
    ------
    InputError
        If the baselines are unknown, do not connect all dates, or are all zero.
    """
    stated = stack.perpendicular_baselines_m
    known = [pair for pair, baseline in zip(stack.pairs, stated, strict=True) if np.isfinite(baseline)]
    subsets = connected_subsets(known)
    if len(subsets) != 1 or subsets[0] != stack.dates:
        raise InputError(
            f"{stack.path} with --dem-error",
            required="perpendicular baselines of interferograms that connect all dates",
            found=f"baselines of {len(known)} of {len(stack.pairs)} interferograms",
            remedy="Add the baseline files, exclude the dates without, or leave the DEM error out",
        )
    if not np.nan_to_num(stated).any():
        raise InputError(
            f"{stack.path} with --dem-error",
            required="perpendicular baselines",
            found="zero for all interferograms",
            remedy="Add the real baselines, or leave the DEM error out",
        )
    solved = graph.date_baselines(stack.pairs, stated)
    baselines = np.array([solved[day] for day in stack.dates])
    relative: NDArray[np.float64] = (baselines - baselines[0]) * (stack.acquisition.baseline_sense or 1)
    return relative


def dem_error_design(
    design: NDArray[np.float64], model: TimeModel, baselines_m: NDArray[np.float64]
) -> NDArray[np.float64]:
    r"""(date, term + 1) design of a model of time with the baseline term as its last column.

    Notes
    -----
    A height error `e` (height in the DEM minus true height) adds the displacement :math:`-B_\perp e / (R \sin\theta)`
    toward the satellite (Fattahi & Amelung 2013, in the domain of the series). The column is :math:`-B_\perp`, so that
    all pixels share the design and the coefficient of a pixel is :math:`e / (R \sin\theta)`.

    Raises
    ------
    OptionError
        If the dates do not tell the baseline term from the model, or leave no degree of freedom.

    References
    ----------
    Fattahi, H., Amelung, F. (2013), DEM error correction in InSAR time series, IEEE Trans. Geosci. Remote Sens. 51(7).
    """
    dates, terms = design.shape
    unexplained = baselines_m - design @ np.linalg.lstsq(design, baselines_m, rcond=None)[0]
    spread = float(np.sqrt(np.mean(unexplained**2)))
    if dates < terms + 2 or spread < LEAST_BASELINE_SPREAD_M:
        raise OptionError(
            f"--dem-error with --model {model.text}",
            required=f"at least {terms + 2} dates, and baselines that scatter by {LEAST_BASELINE_SPREAD_M:g} m or more "
            f"about the {terms} terms of the model",
            found=f"{dates} dates, whose baselines scatter by {spread:.2g} m about it",
            remedy="Use fewer terms in the model of time, or leave the DEM error out",
        )
    return np.column_stack([design, -baselines_m])


@dataclass(frozen=True, slots=True)
class ViewGeometry:
    """Slant range times the sine of the incidence angle of every pixel; can be pickled and used from several threads.

    Attributes
    ----------
    incidence_angle
        (row, col) deg, or one for all pixels; None where it follows from the range.
    earth_radius_m, platform_height_m
        For ranges from incidence angles, or the other way round; None where unknown.
    starting_range_m, range_step_m
        Slant range of the first column and its growth from column to column; 0 for a range taken as constant.
    """

    incidence_angle: Plane | float | None
    earth_radius_m: float | None
    platform_height_m: float | None
    starting_range_m: float | None
    range_step_m: float

    def range_times_sine_m(self, rows: slice, cols: slice, shape: tuple[int, int]) -> NDArray[np.float64]:
        """(row, col) m of a window of a stack of `shape` (rows, cols); NaN where the incidence angle is unknown."""
        first, last, _ = cols.indices(shape[1])
        top, bottom, _ = rows.indices(shape[0])
        if self.incidence_angle is None:
            slant = self._stated_range(np.arange(first, last))
            return np.broadcast_to(slant * np.sin(self._incidence_at(slant)), (bottom - top, last - first))
        if isinstance(self.incidence_angle, Plane):
            degrees = self.incidence_angle.read(rows, cols).astype(np.float64)
        else:
            degrees = np.full((bottom - top, last - first), self.incidence_angle)
        incidence: NDArray[np.float64] = np.radians(degrees)
        if self.earth_radius_m is not None and self.platform_height_m is not None:
            sine = np.sin(incidence)
            look = np.arcsin(self.earth_radius_m / (self.earth_radius_m + self.platform_height_m) * sine)
            # Law of sines in the triangle of the Earth's centre, the target and the platform.
            product: NDArray[np.float64] = self.earth_radius_m * np.sin(incidence - look) / np.sin(look) * sine
            return product
        return self._stated_range(np.arange(first, last)) * np.sin(incidence)

    @property
    def facts(self) -> Mapping[str, Any]:
        """Plain values for the manifest: where slant range and incidence angle come from."""
        by_triangle = (
            self.incidence_angle is not None and self.earth_radius_m is not None and self.platform_height_m is not None
        )
        stated = "stated" if self.range_step_m else "stated, taken as constant"
        return {
            "slant_range": "from the incidence angle and the height of the platform" if by_triangle else stated,
            "incidence_angle": "from the slant range"
            if self.incidence_angle is None
            else "per pixel"
            if isinstance(self.incidence_angle, Plane)
            else "of the middle of the scene",
        }

    def _stated_range(self, cols: NDArray[np.intp]) -> NDArray[np.float64]:
        if self.starting_range_m is None:
            raise ValueError("a view needs a range or the height of the platform; view_geometry checks it")
        return self.starting_range_m + self.range_step_m * cols.astype(np.float64)

    def _incidence_at(self, slant_m: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.earth_radius_m is None or self.platform_height_m is None:
            raise ValueError("a view needs incidence angles or the height of the platform; view_geometry checks it")
        orbit = self.earth_radius_m + self.platform_height_m
        cosine = (orbit**2 - self.earth_radius_m**2 - slant_m**2) / (2.0 * self.earth_radius_m * slant_m)
        angles: NDArray[np.float64] = np.arccos(np.clip(cosine, -1.0, 1.0))
        return angles


def view_geometry(stack: Stack, incidence_deg: float | None = None) -> ViewGeometry:
    """Where slant range and incidence angle of a stack's pixels come from.

    The range follows from the incidence angle, the radius of the Earth and the height of the platform where these are
    known; else it is the stated one, that of each column in radar coordinates and one for all pixels of a map. Where
    incidence angles are absent they follow from the range of each column, or are that of the scene's middle.

    Parameters
    ----------
    stack
        What it is for.
    incidence_deg
        Of all pixels, where the stack does not hold that of each; None to use what the stack says.

    Raises
    ------
    InputError
        If the stack says too little.
    """
    seen = stack.acquisition
    has_triangle = seen.earth_radius_m is not None and seen.platform_height_m is not None
    step = seen.range_pixel_size_m if stack.in_radar_coordinates else None
    incidence: Plane | float | None = stack.geometry.incidence_angle
    if incidence is None:
        incidence = incidence_deg
    if incidence is None and not (has_triangle and step and seen.starting_range_m):
        incidence = seen.incidence_angle_deg
    has_incidence = incidence is not None
    missing = []
    if not has_incidence and not has_triangle:
        missing.append("incidence angle")
    if seen.starting_range_m is None and not (has_incidence and has_triangle):
        missing.append("slant range")
    if missing:
        raise InputError(
            f"{stack.path} with --dem-error",
            required="incidence angles and the slant range, or the heights that they follow from",
            found=f"neither {' nor '.join(missing)}, nor both of Earth radius and platform height"
            if not has_triangle
            else f"no {missing[0]}",
            remedy="Add the geometry files and the metadata of the pass, give the incidence angle with --incidence, or "
            "leave the DEM error out",
        )
    return ViewGeometry(
        incidence,
        seen.earth_radius_m if has_triangle else None,
        seen.platform_height_m if has_triangle else None,
        seen.starting_range_m,
        step or 0.0,
    )
