"""SNAP stacks: terrain-corrected BEAM-DIMAP products, in a folder for each pair or all in one.

Signs. SNAP forms an interferogram as master times the conjugate of the slave, the first and the second date in a
band's name, so that its unwrapped phase grows where the range grew from the first to the second: the convention of
this package, and that of ISCE2. A pair whose first date is the later one is negated.

The perpendicular baseline of a pair is the one stated under its earlier date as master with the later one as slave,
that is B(secondary) - B(reference). The same product also states the opposite (masters and slaves exchanged) and zero
for each date with itself, and may start with the master that everything was coregistered to, which is none of the two.

The figure is passed on as stated. By the definitions of the two processors it is positive in SNAP where the secondary
sees the target under the smaller look angle, and in ISCE2, for a radar that looks to the right, where it sees it under
the larger one. Neither selecting a network nor the sign of deformation depends on it; the sign of an estimated DEM
error does.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from insar.constants import SENTINEL1_WAVELENGTH_M, SPEED_OF_LIGHT_M_PER_S
from insar.errors import InputError, MissingInputError
from insar.grid import Grid
from insar.readers.attributes import orbit_direction, seconds_of_day
from insar.readers.base import Reader
from insar.readers.dimap import DimapProduct, read_dimap
from insar.readers.files import OpenFiles
from insar.readers.grids import require_same_grid
from insar.readers.orbit import platform_state, wrapped_heading
from insar.readers.pairs import StoredPair, keep_first, order_dates
from insar.readers.sources import INCIDENCE_LIMITS_DEG, FlatCube, FlatPlane, Layer, cube_of, plane_of
from insar.stack import Acquisition, Cube, Geometry, Pair, Plane, Stack

_HEADER = ".dim"
_RECOGNITION_DEPTH = 2
_DATES_IN_BAND = re.compile(r"(?<![0-9A-Za-z])(\d{2}[A-Za-z]{3}\d{4})_(\d{2}[A-Za-z]{3}\d{4})(?![0-9A-Za-z])")
_DATES_IN_PATH = re.compile(r"(?<!\d)(\d{8})[_-](\d{8})(?!\d)")
_POLARISATION = re.compile(r"(?:^|_)(VV|VH|HH|HV)(?:_|$)", re.IGNORECASE)


class SnapReader:
    """Opens folders of terrain-corrected BEAM-DIMAP products."""

    expects = "*.dim products with bands Unw_Phase_ifg_<date>_<date>, in the folder or in folders below it"

    def recognises(self, path: Path) -> bool:
        """Whether there is a ``.dim`` in the folder or at most two folders below."""
        return path.is_dir() and next(find_headers(path, _RECOGNITION_DEPTH), None) is not None

    def open(self, path: Path) -> Stack:
        """Open a stack, see `insar.readers.base.Reader.open`."""
        if not path.is_dir():
            raise InputError(
                path,
                required="a folder with SNAP products",
                found="a file",
                remedy="Give the folder that holds the .dim files",
            )
        products = [read_dimap(header) for header in sorted(find_headers(path))]
        if not products:
            raise MissingInputError(
                path, required=self.expects, found="no .dim file", remedy="Save the products in BEAM-DIMAP format"
            )
        return _open(path, products)


READER: Reader = SnapReader()


@dataclass(frozen=True, slots=True)
class _Band:
    product: DimapProduct
    name: str

    @property
    def polarisation(self) -> str | None:
        match = _POLARISATION.search(self.name)
        return match[1].upper() if match else None


def _open(path: Path, products: Sequence[DimapProduct]) -> Stack:
    notes: list[str] = []
    on_map = [product for product in products if product.transform is not None]
    in_radar = [product for product in products if product.transform is None and _holds_pairs(product)]
    phases = _find_bands(path, on_map, _is_phase)
    coherences = _find_bands(path, on_map, _is_coherence)
    if not phases and not coherences:
        if in_radar:
            in_radar[0].grid()  # says what to do
        raise InputError(
            path,
            required="bands Unw_Phase_ifg_<date>_<date> or coh_<date>_<date> in the .dim products",
            found=f"none in {len(products)} products, of which the first is {products[0].path}",
            remedy="Import the unwrapped phase into SNAP and run Terrain Correction",
        )
    if in_radar:
        notes.append(f"left out, not terrain corrected: {', '.join(str(product.path.name) for product in in_radar)}")
    chosen, repeated = keep_first(phases or coherences)
    notes += repeated
    matched = _match_coherence(chosen, coherences, notes) if phases else {each.pair: each for each in chosen}
    used = [each.content.product for each in (*chosen, *matched.values())]
    grid = used[0].grid()
    for product in used[1:]:
        require_same_grid(used[0].path, grid, product.path, product.grid())

    files = OpenFiles()
    pairs = tuple(each.pair for each in chosen)
    perpendicular = np.array([_baseline(pair, used) for pair in pairs], dtype=np.float64)
    if np.isnan(perpendicular).any():
        notes.append(f"perpendicular baseline unknown for {np.isnan(perpendicular).sum()} of {len(pairs)} pairs")
    absent = [each.content.product.path.name for each in chosen if each.pair not in matched]
    if absent and matched:
        notes.append(f"no coherence for {', '.join(absent)}: unknown (NaN) there")
    wavelength_m = _wavelength(used, notes, is_needed=bool(phases))
    return Stack(
        path,
        "snap",
        pairs,
        wavelength_m,
        perpendicular,
        grid,
        unwrapped_phase=_cube([*chosen], grid, files, signed=True) if phases else None,
        coherence=_cube([matched.get(pair) for pair in pairs], grid, files) if matched else None,
        geometry=_geometry(used[0].path, grid, on_map, files, notes),
        acquisition=read_acquisition(used[0]),
        notes=tuple(notes),
    )


def find_headers(folder: Path, depth: int | None = None) -> Iterator[Path]:
    """The ``.dim`` files below a folder, following links, but not into the ``.data`` folders of their rasters."""
    visited = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        here = Path(place)
        identity = (here.stat().st_dev, here.stat().st_ino)
        if identity in visited:
            folders.clear()
            continue
        visited.add(identity)
        yield from (here / name for name in sorted(names) if name.lower().endswith(_HEADER))
        level = len(here.relative_to(folder).parts)
        keep = [] if depth is not None and level >= depth else folders
        folders[:] = sorted(name for name in keep if not name.lower().endswith(".data"))


def _is_phase(name: str, unit: str) -> bool:
    return name.lower().startswith("unw") or unit == "abs_phase"


def _is_coherence(name: str, unit: str) -> bool:
    return name.lower().startswith("coh") or unit == "coherence"


def _holds_pairs(product: DimapProduct) -> bool:
    return any(_is_phase(name, band.unit) or _is_coherence(name, band.unit) for name, band in product.bands.items())


def _find_bands(
    folder: Path, products: Sequence[DimapProduct], is_wanted: Callable[[str, str], bool]
) -> list[StoredPair[_Band]]:
    found = []
    for product in products:
        for name, declared in product.bands.items():
            if declared.image is None or not is_wanted(name, declared.unit):
                continue
            band = _Band(product, name)
            pair, is_reversed = order_dates(f"band {name} of {product.path}", *_dates(folder, band))
            found.append(StoredPair(f"{product.path.relative_to(folder)}:{name}", pair, is_reversed, band))
    return found


def _dates(folder: Path, band: _Band) -> tuple[str, str]:
    in_name = _DATES_IN_BAND.search(band.name)
    if in_name is not None:
        return in_name[1], in_name[2]
    in_path = _DATES_IN_PATH.findall(str(band.product.path.relative_to(folder)))
    if not in_path:
        raise InputError(
            f"band {band.name} of {band.product.path}",
            required="two dates in its name (Unw_Phase_ifg_07Apr2024_19Apr2024) or in that of its product or folder",
            found="none",
            remedy="Rename the product to YYYYMMDD_YYYYMMDD_unw_tc.dim, with its .data folder",
        )
    first, second = in_path[-1]
    return first, second


def _match_coherence(
    phases: Sequence[StoredPair[_Band]], coherences: Sequence[StoredPair[_Band]], notes: list[str]
) -> dict[Pair, StoredPair[_Band]]:
    """For each phase the coherence of the same dates: of its own product first, then of its own polarisation."""
    by_pair: dict[Pair, list[StoredPair[_Band]]] = {}
    for each in coherences:
        by_pair.setdefault(each.pair, []).append(each)
    matched = {}
    for phase in phases:
        candidates = by_pair.pop(phase.pair, [])
        if not candidates:
            continue
        own = phase.content
        ranked = sorted(
            candidates,
            key=lambda each: (each.content.product is not own.product, each.content.polarisation != own.polarisation),
        )
        matched[phase.pair] = ranked[0]
        notes += [f"{each.name} is left out: {ranked[0].name} is of the same dates" for each in ranked[1:]]
    for pair in sorted(by_pair):
        notes.append(f"{by_pair[pair][0].name} is left out: no unwrapped phase of the same dates")
    return matched


def _cube(stored: Sequence[StoredPair[_Band] | None], grid: Grid, files: OpenFiles, *, signed: bool = False) -> Cube:
    layers: list[Layer | None] = []
    for each in stored:
        if each is None:
            layers.append(None)
            continue
        layer = each.content.product.layer(each.content.name)
        declared = layer.decoding
        decoding = replace(declared, no_data=tuple({0.0, *declared.no_data}))
        layers.append(replace(layer, decoding=decoding.negated() if signed and each.is_reversed else decoding))
    return cube_of(FlatCube(tuple(layers), files), len(stored), grid)


def _baseline(pair: Pair, products: Sequence[DimapProduct]) -> float:
    first, second = pair.reference, pair.secondary
    for product in products:
        stated = product.baselines_m
        if (first, second) in stated:
            return stated[first, second]
        if (second, first) in stated:
            return -stated[second, first]
        for master, _ in stated:
            if (master, first) in stated and (master, second) in stated:
                return stated[master, second] - stated[master, first]
    return float("nan")


def _wavelength(products: Sequence[DimapProduct], notes: list[str], *, is_needed: bool) -> float:
    frequencies = {product.path: product.number("radar_frequency") for product in products}
    known = {path: value for path, value in frequencies.items() if value}
    if not known:
        if (products[0].text("mission") or "").upper().startswith("SENTINEL-1"):
            notes.append("wavelength of Sentinel-1 assumed: the products do not state their radar_frequency")
            return SENTINEL1_WAVELENGTH_M
        if not is_needed:
            notes.append("wavelength unknown: coherence does not need it")
            return float("nan")
        raise InputError(
            products[0].path,
            required="radar_frequency in its Abstracted_Metadata",
            found="none",
            remedy="Export the products with their metadata",
        )
    first_path, first = next(iter(known.items()))
    for path, value in known.items():
        if abs(value / first - 1.0) > 1e-3:
            raise InputError(
                path,
                required=f"the radar frequency of {first_path}: {first} MHz",
                found=f"{value} MHz",
                remedy="Put the products of each sensor in a folder of their own",
            )
    return SPEED_OF_LIGHT_M_PER_S / (first * 1e6)


def _geometry(
    first: Path, grid: Grid, products: Sequence[DimapProduct], files: OpenFiles, notes: list[str]
) -> Geometry:
    def plane(prefix: str, limits: tuple[float, float] | None = None) -> Plane | None:
        for product in products:
            for name, band in product.bands.items():
                if name.lower().startswith(prefix) and band.image is not None:
                    require_same_grid(first, grid, product.path, product.grid())
                    return plane_of(FlatPlane(product.layer(name), files, limits), grid)
        return None

    # localIncidenceAngle is that against the slope, another angle: not taken for it
    geometry = Geometry(
        height=plane("elevation"), incidence_angle=plane("incidenceanglefromellipsoid", INCIDENCE_LIMITS_DEG)
    )
    if geometry.height is None:
        notes.append("no height: no product has a band elevation")
    if geometry.incidence_angle is None:
        notes.append("no incidence angle: no product has a band incidenceAngleFromEllipsoid")
    return geometry


def read_acquisition(product: DimapProduct) -> Acquisition:
    """Sensor and pass from the abstracted metadata of a product."""
    heading = product.number("centre_heading")
    start, stop = product.moment("first_line_time"), product.moment("last_line_time")
    state = None if product.state_vector is None else platform_state(*product.state_vector)
    side = (product.text("antenna_pointing") or "").lower()
    near, far = product.number("incidence_near"), product.number("incidence_far")
    range_looks, azimuth_looks = product.number("range_looks"), product.number("azimuth_looks")
    return Acquisition(
        platform=product.text("mission"),
        orbit_direction=orbit_direction(product.text("pass")),
        heading_deg=None if heading is None else wrapped_heading(heading),
        antenna_side=side if side in ("right", "left") else None,
        center_line_utc_s=None if start is None or stop is None else seconds_of_day(start + (stop - start) / 2),
        starting_range_m=product.number("slant_range_to_first_pixel"),
        range_pixel_size_m=product.number("range_spacing"),
        azimuth_pixel_size_m=product.number("azimuth_spacing"),
        earth_radius_m=None if state is None else state.earth_radius_m,
        platform_height_m=None if state is None else state.height_m,
        range_looks=None if not range_looks else round(range_looks),
        azimuth_looks=None if not azimuth_looks else round(azimuth_looks),
        incidence_angle_deg=None if near is None or far is None else 0.5 * (near + far),
        baseline_sense=1,
    )
