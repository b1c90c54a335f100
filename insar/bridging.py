"""Regions of an interferogram that are off by whole cycles against each other, and the bridges that tell by how many.

An unwrapper is sure of the phase within a connected component; between components it guesses.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from insar.blocks import Progress, available_workers, no_progress
from insar.errors import InputError
from insar.grid import RowCol
from insar.stack import Cube, Pair, Stack

REGIONS = 256
"""Labels of connected components told apart; 0 takes the samples without label and those beyond."""

LEAST_REGION_PIXELS = 50
"""Smaller regions are not bridged: too few pixels lie at the ends of a bridge."""

WINDOW_PIXELS = 8
"""Half the side of the window around the end of a bridge whose median phase counts."""

LARGEST_FRACTION = 1.0 / 3.0
"""Cycles by which an offset may differ from whole ones; it is not trusted beyond."""

_RAMP_PIXELS = 20_000

TWO_PI = 2.0 * np.pi


def region_labels(components: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Labels of regions that are told apart, 0 for all others; any shape."""
    return np.where((components > 0) & (components < REGIONS), components, 0).astype(np.uint8)


def require_components(stack: Stack) -> Cube:
    """The connected components of a stack; raises `InputError` where it has none."""
    if stack.connected_components is None:
        raise InputError(
            f"{stack.path} with --unwrap-correction bridging",
            required="the connected components of the unwrapped interferograms",
            found="a stack without them",
            remedy="Add the unwrapper's component files, or use --unwrap-correction closure, which needs none",
        )
    return stack.connected_components


class Turned(NamedTuple):
    """How many samples were changed: (row, col) of each pixel, and (pair,) of each interferogram."""

    in_pixels: NDArray[np.uint16]
    in_pairs: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class RegionCycles:
    """Whole cycles to take off the regions of each interferogram.

    Attributes
    ----------
    cycles
        (pair, label) cycles; column 0, of samples in no region, is 0.
    """

    cycles: NDArray[np.int16]

    def __add__(self, other: RegionCycles) -> RegionCycles:
        return RegionCycles(self.cycles + other.cycles)

    def apply(self, phase: NDArray[np.floating], components: NDArray[np.floating]) -> Turned:
        """Take the cycles off a block, in place.

        Parameters
        ----------
        phase
            (pair, row, col) rad, NaN where missing.
        components
            (pair, row, col) label of the region, NaN where none.
        """
        in_pixels = np.zeros(phase.shape[1:], dtype=np.uint16)
        in_pairs = np.zeros(len(phase), dtype=np.int64)
        for pair in np.flatnonzero(self.cycles.any(axis=1)):
            cycles = self.cycles[pair][region_labels(components[pair])]
            cycles[~np.isfinite(phase[pair])] = 0
            phase[pair] -= (TWO_PI * cycles).astype(phase.dtype)
            in_pixels += cycles != 0
            in_pairs[pair] = np.count_nonzero(cycles)
        return Turned(in_pixels, in_pairs)


@dataclass(frozen=True, slots=True)
class Bridges:
    """What bridging the regions of all interferograms gave.

    Attributes
    ----------
    regions
        Cycles to take off.
    pixels
        (pair, label) size of each region.
    report
        For every interferogram with more than one region large enough: ``pair``, number of ``regions``, ``turned``
        regions with the cycles taken off, ``undecided`` regions whose offset is not near to whole cycles and ``small``
        regions that were not bridged.
    """

    regions: RegionCycles
    pixels: NDArray[np.int64]
    report: tuple[dict[str, Any], ...]


class _Bridge(NamedTuple):
    """The shortest way between two regions: their labels, and the flat indices of the pixels at its ends."""

    first: int
    second: int
    first_pixel: int
    second_pixel: int


class _PairBridges(NamedTuple):
    cycles: NDArray[np.int16]
    pixels: NDArray[np.int64]
    report: dict[str, Any] | None


def plan_bridging(
    stack: Stack,
    reference: RowCol | None = None,
    *,
    least_pixels: int = LEAST_REGION_PIXELS,
    with_ramp: bool = False,
    workers: int | None = None,
    progress: Progress = no_progress,
) -> Bridges:
    """Find by how many cycles regions are off, interferogram by interferogram, one plane of each worker in memory.

    Regions are tied to each other by the shortest bridges between them (their minimum spanning tree), from the one
    with the reference point, or the largest one, outward. The offset across a bridge is the difference of the median
    phases around its ends, rounded to whole cycles.

    Parameters
    ----------
    stack
        With connected components.
    reference
        Pixel whose region stays as it is.
    least_pixels
        Smaller regions stay as they are.
    with_ramp
        Whether to take a plane, fitted to the region that stays, off the phase first.
    workers
        Threads; all processors where None. Each takes some 30 bytes per pixel of the scene.
    progress
        Called after every interferogram.

    Raises
    ------
    InputError
        If the stack has no phase or no connected components.
    """
    phase, components = stack.require_phase(), require_components(stack)

    def bridge(index: int) -> _PairBridges:
        window = slice(0, phase.rows), slice(0, phase.cols)
        return bridge_regions(
            phase.select([index]).read(*window)[0],
            components.select([index]).read(*window)[0],
            stack.pairs[index],
            reference,
            least_pixels=least_pixels,
            with_ramp=with_ramp,
        )

    found = []
    with ThreadPoolExecutor(workers or available_workers(), thread_name_prefix="bridge") as pool:
        for result in pool.map(bridge, range(len(stack.pairs))):
            found.append(result)
            progress("bridge", len(found), len(stack.pairs))
    return Bridges(
        RegionCycles(np.stack([result.cycles for result in found])),
        np.stack([result.pixels for result in found]),
        tuple(result.report for result in found if result.report is not None),
    )


def bridge_regions(
    phase: NDArray[np.floating],
    components: NDArray[np.floating],
    pair: Pair,
    reference: RowCol | None = None,
    *,
    least_pixels: int = LEAST_REGION_PIXELS,
    with_ramp: bool = False,
) -> _PairBridges:
    """Bridge the regions of one interferogram; see `plan_bridging`.

    Parameters
    ----------
    phase, components
        (row, col) rad and label of the region, NaN where missing.
    pair
        Its dates, for the report.
    reference, least_pixels, with_ramp
        As there.
    """
    labels = region_labels(components)
    labels[~np.isfinite(phase)] = 0
    pixels = np.bincount(labels.ravel(), minlength=REGIONS).astype(np.int64)
    pixels[0] = 0
    large = pixels >= max(least_pixels, 1)
    cycles = np.zeros(REGIONS, dtype=np.int16)
    if np.count_nonzero(large) < 2:
        return _PairBridges(cycles, pixels, None)
    root = int(np.argmax(pixels))
    if reference is not None and large[labels[reference.row, reference.col]]:
        root = int(labels[reference.row, reference.col])
    small = np.flatnonzero((pixels > 0) & ~large)
    labels[~large[labels]] = 0
    if with_ramp:
        phase = phase - _ramp(phase, labels == root)
    undecided = []
    for bridge in _outward(_spanning_bridges(labels), root):
        offset = _offset_cycles(phase, labels, bridge)
        whole = np.rint(offset)
        if abs(offset - whole) > LARGEST_FRACTION:
            undecided.append(bridge.second)
        else:
            cycles[bridge.second] = cycles[bridge.first] + np.int16(whole)
    report = {
        "pair": pair.name,
        "regions": int(np.count_nonzero(large)),
        "turned": {str(label): int(cycles[label]) for label in np.flatnonzero(cycles).tolist()},
        "undecided": sorted(undecided),
        "small": small.tolist(),
    }
    return _PairBridges(cycles, pixels, report)


def _spanning_bridges(labels: NDArray[np.uint8]) -> list[_Bridge]:
    """Minimum spanning tree of the regions by the gaps between them.

    Each pixel belongs to the region nearest to it; regions whose territories touch are neighbours, and their shortest
    bridge runs between pixels nearest to a place where they touch.
    """
    from scipy import ndimage

    nearest = ndimage.distance_transform_edt(labels == 0, return_distances=False, return_indices=True)
    flat = np.ravel_multi_index((nearest[0], nearest[1]), labels.shape)
    owner = labels.ravel()[flat]
    ends = np.concatenate(
        [
            np.stack([here[differs], there[differs]])
            for here, there, differs in (
                (flat[:-1], flat[1:], owner[:-1] != owner[1:]),
                (flat[:, :-1], flat[:, 1:], owner[:, :-1] != owner[:, 1:]),
            )
        ],
        axis=1,
    )
    owners = labels.ravel()[ends]
    turned = owners[0] > owners[1]
    ends[:, turned], owners[:, turned] = ends[::-1, turned], owners[::-1, turned]
    rows, cols = np.divmod(ends, labels.shape[1])
    gap = (rows[0] - rows[1]) ** 2 + (cols[0] - cols[1]) ** 2
    tree: dict[int, int] = {}

    def top(label: int) -> int:
        while tree.setdefault(label, label) != label:
            label = tree[label]
        return label

    bridges = []
    seen = set()
    for place in np.lexsort((ends[1], ends[0], owners[1], owners[0], gap)):
        first, second = int(owners[0, place]), int(owners[1, place])
        if (first, second) in seen:
            continue
        seen.add((first, second))
        one, two = top(first), top(second)
        if one != two:
            tree[two] = one
            bridges.append(_Bridge(first, second, int(ends[0, place]), int(ends[1, place])))
    return bridges


def _outward(bridges: list[_Bridge], root: int) -> Iterator[_Bridge]:
    """Bridges in an order, and with their ends so, that the first region is always reached already."""
    reached, rest = {root}, list(bridges)
    while rest:
        bridge = next(bridge for bridge in rest if bridge.first in reached or bridge.second in reached)
        rest.remove(bridge)
        if bridge.first not in reached:
            bridge = _Bridge(bridge.second, bridge.first, bridge.second_pixel, bridge.first_pixel)
        reached.add(bridge.second)
        yield bridge


def _offset_cycles(phase: NDArray[np.floating], labels: NDArray[np.uint8], bridge: _Bridge) -> float:
    """Cycles by which the second region lies above the first, not rounded."""
    medians = []
    for label, pixel in ((bridge.first, bridge.first_pixel), (bridge.second, bridge.second_pixel)):
        row, col = divmod(pixel, labels.shape[1])
        window = (
            slice(max(0, row - WINDOW_PIXELS), row + WINDOW_PIXELS + 1),
            slice(max(0, col - WINDOW_PIXELS), col + WINDOW_PIXELS + 1),
        )
        medians.append(float(np.median(phase[window][labels[window] == label].astype(np.float64))))
    return (medians[1] - medians[0]) / TWO_PI


def _ramp(phase: NDArray[np.floating], is_inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Plane through the phase of a region, by least squares."""
    places = np.flatnonzero(is_inside)
    places = places[:: max(1, len(places) // _RAMP_PIXELS)]
    rows, cols = np.divmod(places, phase.shape[1])
    design = np.stack([np.ones(len(places)), rows, cols], axis=1)
    constant, down, right = np.linalg.lstsq(design, phase.ravel()[places], rcond=None)[0]
    plane: NDArray[np.float64] = (
        constant + down * np.arange(phase.shape[0])[:, None] + right * np.arange(phase.shape[1])[None, :]
    )
    return plane
