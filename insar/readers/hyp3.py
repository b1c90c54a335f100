"""HyP3 stacks: the Sentinel-1 interferograms that ASF processes on demand, GAMMA's and ISCE2's alike.

Signs. A positive unwrapped phase is motion away from the satellite between the first and the second date of a name,
the convention of this package. A product whose first date is the later one is negated, and its baseline with it. The
perpendicular baseline is passed on as stated.

Water. A product's ``water_mask`` (1 land, 0 water) is not applied: masks are coarse at shores, rivers and landslide
lakes, and where HyP3 was asked to mask water before unwrapping the phase is 0 there, no data, already. Phase over open
water is noise of low coherence, which the options on coherence remove; a note says that a mask was found.

Extents. HyP3 cuts each product to the area of its two acquisitions, all on one lattice of pixels. The stack is the area
that all of them cover; nothing is resampled, and a note says what was cut off.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from insar.constants import SENTINEL1_WAVELENGTH_M
from insar.errors import InputError
from insar.grid import Grid
from insar.readers.attributes import number_of, orbit_direction
from insar.readers.base import Reader
from insar.readers.geotiff import GeoTiff, OpenRasters, RasterCube, RasterLayer, RasterPlane, chunk_rows, read_geotiff
from insar.readers.lattice import common_grid, describe_crop
from insar.readers.look_vectors import DerivedPlane, azimuth_from_east
from insar.readers.orbit import incidence_deg, wrapped_heading
from insar.readers.pairs import StoredPair, keep_first, order_dates
from insar.readers.sources import INCIDENCE_LIMITS_DEG, Decoding, cube_of, plane_of
from insar.stack import Acquisition, Cube, Geometry, Plane, Stack

PHASE, COHERENCE, COMPONENTS, WATER = "unw_phase", "corr", "conncomp", "water_mask"
HEIGHT, ELEVATION, ORIENTATION, INCIDENCE = "dem", "lv_theta", "lv_phi", "inc_map_ell"

_LAYERS = (PHASE, COHERENCE, COMPONENTS, WATER, HEIGHT, ELEVATION, ORIENTATION, INCIDENCE)
_PREFERRED = ("_clipped", "_clip", "")
_FILE = re.compile(rf"^(?P<stem>.+?)_(?P<layer>{'|'.join(_LAYERS)})(?P<clip>_clipped|_clip)?\.tif$")
_STEM = re.compile(
    r"^S1(?:[A-D]{2})?_(?P<area>.*?)"
    r"(?P<first>\d{8})(?:T\d{6})?_(?P<second>\d{8})(?:T\d{6})?_[A-Z0-9]+_INT\d+_\w+$"
)
_DEPTH = 2
_SAME_PASS_S = 300.0  # neighbouring tracks pass eight minutes apart; Sentinel-1A and C a good minute
_COHERENCE_LIMITS = (0.0, 1.001)
_DAY_S = 86_400.0


class Hyp3Reader:
    """Opens folders of HyP3 interferograms, in a folder for each product or all in one."""

    expects = "S1*_INT*_unw_phase.tif and *_corr.tif, in the folder or in folders below it"

    def recognises(self, path: Path) -> bool:
        """Whether there is a phase or a coherence under a name of HyP3 at most two folders below."""
        return path.is_dir() and any(
            {PHASE, COHERENCE} & product.files.keys() and _STEM.match(product.stem) for product in _find_products(path)
        )

    def open(self, path: Path) -> Stack:
        """Open a stack, see `insar.readers.base.Reader.open`."""
        products = [
            product
            for product in (_find_products(path) if path.is_dir() else ())
            if PHASE in product.files or (COHERENCE in product.files and _STEM.match(product.stem))
        ]
        if not products:
            raise InputError(
                path,
                required=f"HyP3 products: {self.expects}",
                found="no such file",
                remedy="Unzip the products into this folder, or check --processor",
            )
        return _open(path, products)


READER: Reader = Hyp3Reader()


@dataclass(frozen=True, slots=True)
class _Product:
    folder: Path
    stem: str
    files: dict[str, Path]
    texts: dict[str, str] = field(default_factory=dict)
    """Entries of its text file, once `described`."""

    @property
    def text_path(self) -> Path:
        return self.folder / f"{self.stem}.txt"

    def described(self) -> _Product:
        """The same with the entries of its text file, none where there is no such file."""
        if not self.text_path.is_file():
            return self
        lines = self.text_path.read_text(encoding="utf-8", errors="replace").splitlines()
        parts = (line.partition(":") for line in lines)
        return replace(self, texts={key.strip(): value.strip() for key, colon, value in parts if colon})

    def number(self, name: str) -> float | None:
        """A number of the product's text file; None where it has none."""
        return number_of(self.text_path, self.texts, name)

    @property
    def direction(self) -> str | None:
        return orbit_direction(self.texts.get("Reference Pass Direction"))


def _find_products(folder: Path) -> Iterator[_Product]:
    """Products at most two folders below, by folder and name; each file of them in its clipped form if it has one."""
    for place, folders, names in os.walk(folder, followlinks=True):
        here = Path(place)
        folders[:] = sorted(folders) if len(here.relative_to(folder).parts) < _DEPTH else []
        found = [match for match in map(_FILE.match, sorted(names)) if match]
        files: dict[str, dict[str, Path]] = {}
        for match in sorted(found, key=lambda match: _PREFERRED.index(match["clip"] or "")):
            files.setdefault(match["stem"], {}).setdefault(match["layer"], here / match[0])
        for stem in sorted(files):
            yield _Product(here, stem, files[stem])


def _open(path: Path, products: Sequence[_Product]) -> Stack:
    stored, notes = _choose(path, products)
    chosen = [each.content for each in stored]
    _require_one_track(stored)
    headers = _Headers(chosen)
    grid = common_grid(headers.all)
    cropped = describe_crop(headers.all, grid)
    notes += [cropped] if cropped else []
    rasters = OpenRasters()
    pairs = tuple(each.pair for each in stored)
    baselines = [each.content.number("Baseline") for each in stored]
    perpendicular = np.array(
        [
            np.nan if value is None else -value if each.is_reversed else value
            for each, value in zip(stored, baselines, strict=True)
        ],
        dtype=np.float64,
    )
    if np.isnan(perpendicular).any():
        notes.append(
            f"perpendicular baseline unknown for {np.isnan(perpendicular).sum()} of {len(pairs)} pairs: their .txt is "
            "absent or states none"
        )
    masks = sum(WATER in product.files for product in chosen)
    if masks:
        notes.append(f"the water_mask of {masks} products is not applied: phase over water is kept, with its coherence")
    notes.append("wavelength of Sentinel-1 assumed: the products do not state it")
    return Stack(
        path,
        "hyp3",
        pairs,
        SENTINEL1_WAVELENGTH_M,
        perpendicular,
        grid,
        unwrapped_phase=_cube(stored, PHASE, headers, grid, rasters, notes),
        coherence=_cube(stored, COHERENCE, headers, grid, rasters, notes),
        connected_components=_cube(stored, COMPONENTS, headers, grid, rasters, notes),
        geometry=_geometry(headers, grid, rasters, notes),
        acquisition=_acquisition(chosen),
        notes=tuple(notes),
    )


def _choose(path: Path, products: Sequence[_Product]) -> tuple[list[StoredPair[_Product]], list[str]]:
    """One product for each pair; where any has a phase, only those that have one."""
    found = []
    for product in products:
        match = _STEM.match(product.stem)
        if match is None:
            raise InputError(
                next(iter(product.files.values())),
                required="a name of HyP3 with its two dates, such as S1_056072_IW2_20220814_20220907_VV_INT80_E09B",
                found=product.stem,
                remedy="Give it back the name it was downloaded under, or move it elsewhere",
            )
        pair, is_reversed = order_dates(product.folder / product.stem, match["first"], match["second"])
        name = str((product.folder / product.stem).relative_to(path))
        found.append(StoredPair(name, pair, is_reversed, product.described()))
    notes = []
    if any(PHASE in each.content.files for each in found):
        notes = [f"{each.name} is left out: it has no {PHASE}" for each in found if PHASE not in each.content.files]
        found = [each for each in found if PHASE in each.content.files]
    stored, repeated = keep_first(found)
    return stored, [*repeated, *notes]


def _require_one_track(stored: Sequence[StoredPair[_Product]]) -> None:
    """Refuse products of several tracks or bursts: each alone looks right, and their mixture means nothing.

    Raises
    ------
    InputError
        Passes differ in direction, in their time of the day, or in the track or burst that their names state.
    """
    remedy = "Put the products of each track and burst in a folder of their own"
    checks: tuple[tuple[str, Callable[[_Product], str | None]], ...] = (
        ("burst or track", _track_of),
        ("pass direction", lambda product: product.direction),
    )
    for what, of in checks:
        known = [(each.content, value) for each in stored if (value := of(each.content)) is not None]
        for product, value in known[1:]:
            if value != known[0][1]:
                raise InputError(
                    product.folder / product.stem,
                    required=f"the {what} of {known[0][0].stem}: {known[0][1]}",
                    found=value,
                    remedy=remedy,
                )
    times = [(each.content, time) for each in stored if (time := each.content.number("UTC time")) is not None]
    for product, time in times[1:]:
        apart = abs(time - times[0][1]) % _DAY_S
        if min(apart, _DAY_S - apart) > _SAME_PASS_S:
            raise InputError(
                product.text_path,
                required=f"a pass within {_SAME_PASS_S:g} s of that of {times[0][0].stem}, {times[0][1]:.0f} s UTC",
                found=f"{time:.0f} s UTC",
                remedy=remedy,
            )


def _track_of(product: _Product) -> str | None:
    """Burst and swath, or track, as the names of the burst products state them; None for a frame of GAMMA's."""
    match = _STEM.match(product.stem)
    parts = match["area"].rstrip("_").split("_") if match else []
    if len(parts) == 2 and parts[1].startswith("IW"):
        return "_".join(parts)
    return f"track {parts[0]}" if len(parts) == 3 else None


class _Headers:
    """Headers of all rasters of a stack, read once: those of each pair, and the first of each of the geometry."""

    def __init__(self, products: Sequence[_Product]) -> None:
        self.of_pairs = {
            (product.stem, layer): read_geotiff(product.files[layer])
            for product in products
            for layer in (PHASE, COHERENCE, COMPONENTS)
            if layer in product.files
        }
        self.of_geometry = {
            layer: read_geotiff(next(product.files[layer] for product in products if layer in product.files))
            for layer in (HEIGHT, ELEVATION, ORIENTATION, INCIDENCE)
            if any(layer in product.files for product in products)
        }
        self.all = [*self.of_pairs.values(), *self.of_geometry.values()]


def _cube(
    stored: Sequence[StoredPair[_Product]],
    layer: str,
    headers: _Headers,
    grid: Grid,
    rasters: OpenRasters,
    notes: list[str],
) -> Cube | None:
    found = [headers.of_pairs.get((each.content.stem, layer)) for each in stored]
    present = [raster for raster in found if raster is not None]
    if not present:
        return None
    absent = [each.name for each, raster in zip(stored, found, strict=True) if raster is None]
    if absent:
        notes.append(f"no {layer} for {', '.join(absent)}: unknown (NaN) there")
    layers: list[RasterLayer | None] = []
    for each, raster in zip(stored, found, strict=True):
        if raster is None:
            layers.append(None)
            continue
        _require_type(raster, integer=layer == COMPONENTS)
        decoding = raster.decoding(0.0)
        if layer == PHASE and each.is_reversed:
            decoding = decoding.negated()
        limits = _COHERENCE_LIMITS if layer == COHERENCE else None
        layers.append(RasterLayer.on_grid(raster, grid, decoding, limits))
    return cube_of(RasterCube(tuple(layers), rasters, chunk_rows(present)), len(stored), grid)


def _require_type(raster: GeoTiff, *, integer: bool) -> None:
    if raster.is_floating or (integer and raster.is_integer):
        return
    raise InputError(
        raster.path,
        required="integer labels" if integer else "pixels that are real numbers (float32)",
        found=raster.dtype,
        remedy="Download the product again: this is not what HyP3 delivers",
    )


def _geometry(headers: _Headers, grid: Grid, rasters: OpenRasters, notes: list[str]) -> Geometry:
    found = headers.of_geometry

    def source(layer: str, decoding: Decoding, limits: tuple[float, float] | None = None) -> RasterPlane:
        return RasterPlane(RasterLayer.on_grid(found[layer], grid, decoding, limits), rasters)

    def height() -> Plane | None:
        # heights of 0 are real at the coast: only what is declared is no data
        return plane_of(source(HEIGHT, found[HEIGHT].decoding()), grid) if HEIGHT in found else None

    def incidence() -> Plane | None:
        degrees = 180.0 / np.pi
        if ELEVATION in found:
            decoding = replace(found[ELEVATION].decoding(0.0), factor=-degrees, offset=90.0)
            return plane_of(source(ELEVATION, decoding, INCIDENCE_LIMITS_DEG), grid)
        if INCIDENCE in found:
            decoding = found[INCIDENCE].decoding(0.0, factor=degrees)
            return plane_of(source(INCIDENCE, decoding, INCIDENCE_LIMITS_DEG), grid)
        return None

    def azimuth() -> Plane | None:
        if ORIENTATION not in found:
            return None
        phi = source(ORIENTATION, found[ORIENTATION].decoding(0.0), (-2.0 * np.pi, 2.0 * np.pi))
        return plane_of(DerivedPlane((phi,), azimuth_from_east), grid)

    geometry = Geometry(height=height(), incidence_angle=incidence(), azimuth_angle=azimuth())
    absent = [
        f"no {quantity}: no product has {layer}.tif"
        for quantity, layer, plane in (
            ("height", HEIGHT, geometry.height),
            ("incidence angle", ELEVATION, geometry.incidence_angle),
            ("azimuth angle", ORIENTATION, geometry.azimuth_angle),
        )
        if plane is None
    ]
    notes += absent
    return geometry


def _acquisition(products: Sequence[_Product]) -> Acquisition:
    described = next((product for product in products if product.texts), None)
    if described is None:
        return Acquisition(platform="Sentinel-1", antenna_side="right")
    heading = described.number("Heading")
    range_looks, azimuth_looks = described.number("Range looks"), described.number("Azimuth looks")
    earth_radius_m, height_m = described.number("Earth radius at nadir"), described.number("Spacecraft height")
    center_m = described.number("Slant range center")
    return Acquisition(
        platform="Sentinel-1",
        orbit_direction=described.direction,
        heading_deg=None if heading is None else wrapped_heading(heading),
        antenna_side="right",
        center_line_utc_s=described.number("UTC time"),
        starting_range_m=described.number("Slant range near"),
        earth_radius_m=earth_radius_m,
        platform_height_m=height_m,
        incidence_angle_deg=None
        if center_m is None or earth_radius_m is None or height_m is None
        else incidence_deg(center_m, earth_radius_m, height_m),
        range_looks=None if range_looks is None else round(range_looks),
        azimuth_looks=None if azimuth_looks is None else round(azimuth_looks),
        baseline_sense=_baseline_sense(described),
    )


def _baseline_sense(product: _Product) -> int:
    """Products of bursts are made with ISCE2, whose sign is the opposite of GAMMA's."""
    return -1 if product.texts.get("Reference Granule", "").endswith("BURST") else 1
