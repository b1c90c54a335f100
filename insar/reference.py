"""The reference point: the pixel that all displacements are relative to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from insar.errors import InputError, OptionError
from insar.grid import LonLat, RowCol
from insar.layers import row_slices
from insar.stack import Plane, Stack
from insar.survey import Survey, survey_stack

ReferenceChoice = RowCol | LonLat | tuple[int, int] | str
"""Where a user wants the reference: pixel, place, or ``auto``."""


@dataclass(frozen=True, slots=True)
class ReferencePoint:
    """The reference point of a result.

    Attributes
    ----------
    pixel
        Row and column of the stack.
    how
        ``given`` or ``auto``.
    score
        0..1, product of `terms`; None where it was given.
    terms
        What the score is made of, each 0..1.
    unusable_pairs
        Indices of the interferograms without data at the point.
    """

    pixel: RowCol
    how: str
    score: float | None = None
    terms: dict[str, float] | None = None
    unusable_pairs: tuple[int, ...] = ()


def find_reference(stack: Stack, choice: ReferenceChoice = "auto", survey: Survey | None = None) -> ReferencePoint:
    """Find the pixel that the user gave, or the best one.

    Raises
    ------
    InputError
        If a given place is outside the stack or has no data in some interferogram, or no pixel has data.
    OptionError
        If the choice cannot be understood.
    """
    if isinstance(choice, str):
        if choice != "auto":
            raise OptionError(
                "reference",
                required="'auto', a row and a column, or a longitude and a latitude",
                found=repr(choice),
                remedy="Correct it",
            )
        return score_reference(stack, survey or survey_stack(stack))
    pixel = locate(stack, choice) if isinstance(choice, LonLat) else RowCol(*choice)
    rows, cols = stack.shape
    if not (0 <= pixel.row < rows and 0 <= pixel.col < cols):
        raise InputError(
            f"reference row {pixel.row}, column {pixel.col}",
            required=f"a pixel of the stack: rows 0 to {rows - 1}, columns 0 to {cols - 1}",
            found="a pixel outside",
            remedy="Correct it, or let --reference auto choose",
        )
    missing = np.flatnonzero(~np.isfinite(reference_phase(stack, pixel)))
    if len(missing):
        raise InputError(
            f"reference row {pixel.row}, column {pixel.col}",
            required="data in every interferogram used",
            found=f"no data in {len(missing)} of {len(stack.pairs)}, first in {stack.pairs[missing[0]].name}",
            remedy="Choose another pixel, drop those pairs, or let --reference auto choose",
        )
    return ReferencePoint(pixel, "given")


def reference_phase(stack: Stack, pixel: RowCol) -> NDArray[np.float64]:
    """(pair,) rad at a pixel, NaN where there is no data."""
    return stack.require_phase().read(*reference_window(pixel, 1))[:, 0, 0].astype(np.float64)


def reference_window(pixel: RowCol, size: int) -> tuple[slice, slice]:
    """Rows and columns of the square of `size` pixels on a side around the reference point, cut at the first ones."""
    reach = size // 2
    return (
        slice(max(0, pixel.row - reach), pixel.row + reach + 1),
        slice(max(0, pixel.col - reach), pixel.col + reach + 1),
    )


def score_reference(stack: Stack, survey: Survey) -> ReferencePoint:
    """The best pixel of the survey's lattice; the same stack always gives the same one.

    A candidate has data in every interferogram (or, where no pixel has, in as many as any). Its score multiplies

    - `coherence`: mean over the interferograms, the least of it and its lattice neighbours, so that a single bright
      pixel does not win (1 without coherence);
    - `evenness`: least coherence of any interferogram over the mean (1 without coherence);
    - `quietness`: ``1 / (1 + z^2 / 4)`` with z the robust score of the pixel's stacked rate among all candidates;
    - `interior`: distance to the edge of the data, full from 5 % of the scene's smaller side.

    Ties go to the first row, then the first column.
    """
    from scipy import ndimage

    phase = survey.required_phase(stack)
    valid = np.isfinite(phase)
    count = valid.sum(axis=0)
    best_count = int(count.max())
    if best_count == 0:
        raise InputError(
            stack.path,
            required="at least one pixel with data",
            found="none on the lattice that was looked at",
            remedy="Check the interferograms; they may be all zero",
        )
    candidates = count == best_count
    terms = {
        "coherence": np.ones(candidates.shape),
        "evenness": np.ones(candidates.shape),
        "quietness": _quietness(stack, phase, candidates),
        "interior": np.ones(candidates.shape),
    }
    if survey.coherence is not None:
        known = np.isfinite(survey.coherence)
        total = np.where(known, survey.coherence, 0.0).sum(axis=0, dtype=np.float64)
        mean = total / np.maximum(known.sum(axis=0), 1)
        least = np.where(known, survey.coherence, np.inf).min(axis=0)
        terms["coherence"] = ndimage.minimum_filter(mean, size=3, mode="nearest")
        terms["evenness"] = np.where(mean > 0, np.minimum(least, mean) / np.maximum(mean, 1e-6), 0.0)
    spacing = tuple(float(steps[1] - steps[0]) if len(steps) > 1 else 1.0 for steps in (survey.rows, survey.cols))
    distance = ndimage.distance_transform_edt(np.pad(candidates, 1), sampling=spacing)[1:-1, 1:-1]
    reach = max(3.0, 0.05 * min(stack.shape))
    terms["interior"] = np.minimum(1.0, distance / reach)
    score = np.where(candidates, np.prod(list(terms.values()), axis=0), -1.0)
    at = np.unravel_index(int(np.argmax(score)), score.shape)
    pixel = RowCol(int(survey.rows[at[0]]), int(survey.cols[at[1]]))
    return ReferencePoint(
        pixel,
        "auto",
        score=float(score[at]),
        terms={name: float(term[at]) for name, term in terms.items()},
        unusable_pairs=tuple(int(index) for index in np.flatnonzero(~valid[:, at[0], at[1]])),
    )


def _quietness(stack: Stack, phase: NDArray[np.float32], candidates: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How little a pixel moves against the typical one, from the stack of all interferograms."""
    days = np.array([pair.temporal_baseline_days for pair in stack.pairs], dtype=np.float64)
    typical = np.array(
        [np.median(samples) if len(samples) else 0.0 for samples in (plane[np.isfinite(plane)] for plane in phase)]
    )
    relative = np.where(np.isfinite(phase), phase - typical[:, None, None], 0.0)
    seen = np.where(np.isfinite(phase), (days**2)[:, None, None], 0.0).sum(axis=0)
    rate = np.einsum("p,pij->ij", days, relative) / np.maximum(seen, 1.0)
    centre = np.median(rate[candidates])
    scatter = 1.4826 * np.median(np.abs(rate[candidates] - centre))
    z = np.abs(rate - centre) / scatter if scatter > 0 else np.zeros_like(rate)
    quietness: NDArray[np.float64] = 1.0 / (1.0 + z**2 / 4.0)
    return quietness


def locate(stack: Stack, place: LonLat) -> RowCol:
    """Pixel of the stack at a place; in radar coordinates the nearest of the look-up table.

    Raises
    ------
    InputError
        If the place is outside the stack.
    """
    if not (-180 <= place.lon <= 360 and -90 <= place.lat <= 90):
        raise OptionError(
            "--reference-lonlat",
            required="longitude, then latitude, in degrees",
            found=f"{place.lon} {place.lat}",
            remedy="Correct the order or the values",
        )
    latitude, longitude = stack.geometry.latitude, stack.geometry.longitude
    if not stack.in_radar_coordinates or latitude is None or longitude is None:
        return stack.grid.rowcol(place)
    return _nearest(stack, latitude, longitude, place)


def place_of(stack: Stack, pixel: RowCol) -> LonLat:
    """Longitude and latitude of a pixel of the stack; NaN where unknown."""
    latitude, longitude = stack.geometry.latitude, stack.geometry.longitude
    if not stack.in_radar_coordinates or latitude is None or longitude is None:
        return stack.grid.lonlat(pixel)
    window = slice(pixel.row, pixel.row + 1), slice(pixel.col, pixel.col + 1)
    return LonLat(float(longitude.read(*window)[0, 0]), float(latitude.read(*window)[0, 0]))


def _nearest(stack: Stack, latitude: Plane, longitude: Plane, place: LonLat) -> RowCol:
    rows, _ = stack.shape
    shrink = np.cos(np.radians(place.lat))
    best, nearest, step = np.inf, RowCol(0, 0), np.inf
    for block in row_slices(rows, 512):
        east = (longitude.read(block, slice(None)).astype(np.float64) - place.lon + 180.0) % 360.0 - 180.0
        north = latitude.read(block, slice(None)).astype(np.float64) - place.lat
        distance = np.hypot(east * shrink, north)
        if not np.isfinite(distance).any():
            continue
        at = np.unravel_index(int(np.nanargmin(distance)), distance.shape)
        if distance[at] < best:
            best = float(distance[at])
            nearest = RowCol(block.start + int(at[0]), int(at[1]))
            steps = np.hypot(np.diff(east, axis=1) * shrink, np.diff(north, axis=1))
            step = float(np.nanmedian(steps)) if steps.size else np.inf
            if block.stop - block.start > 1:
                step = max(step, float(np.nanmedian(np.hypot(np.diff(east, axis=0) * shrink, np.diff(north, axis=0)))))
    if not best <= 1.5 * step:
        raise InputError(
            f"longitude {place.lon}, latitude {place.lat}",
            required="a place inside the stack",
            found=f"the nearest pixel (row {nearest.row}, column {nearest.col}) {best * 111.2:.1f} km away",
            remedy="Give longitude first, then latitude; `insar info` shows the extent",
        )
    return nearest
