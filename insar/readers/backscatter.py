"""Calibrated, terrain-corrected backscatter: GeoTIFFs of SNAP, HyP3 RTC and others, and BEAM-DIMAP products of SNAP.

Dates, polarisations, units and passes come from the metadata where they are stated there, else from names. Images may
differ in extent as long as their pixels fall on one lattice.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from insar.backscatter import Scale
from insar.backscatter_stack import (
    BackscatterImage,
    BackscatterStack,
    IncidencePlane,
    MaskCoding,
    Orbit,
    TerrainMask,
    require_one_kind,
)
from insar.errors import InputError, MissingInputError, OptionError
from insar.grid import Grid, RowCol
from insar.readers.backscatter_bands import BandKind, ChosenBand, choose_bands
from insar.readers.backscatter_names import HYP3_MASK, NamedFacts, facts_of_name
from insar.readers.backscatter_products import Product, read_product
from insar.readers.backscatter_units import decide_scale, sample_values
from insar.readers.files import OpenFiles
from insar.readers.geotiff import OpenRasters, RasterLayer, RasterPlane, read_geotiff
from insar.readers.lattice import covering_grid
from insar.readers.sources import INCIDENCE_LIMITS_DEG
from insar.stack import PlaneSource

_SUFFIXES = (".tif", ".tiff", ".dim")
_EXPECTED = "GeoTIFFs or BEAM-DIMAP products (.tif, .tiff, .dim) of calibrated, terrain-corrected backscatter"
_DAWN_H, _DUSK_H, _TWILIGHT_H = 6.0, 18.0, 2.5
_FARTHEST_LATITUDE_DEG = 60.0


@dataclass(frozen=True, slots=True)
class PaddedPlane:
    """A `insar.stack.PlaneSource` on a grid that is wider than the product: NaN outside it.

    `first_row` and `first_col` are where in the wider grid the product's first pixel is.
    """

    source: PlaneSource
    first_row: int
    first_col: int
    rows: int
    cols: int

    def read_window(self, rows: slice, cols: slice) -> NDArray[np.float32]:
        """One window of the wider grid, (row, col)."""
        window = np.full((rows.stop - rows.start, cols.stop - cols.start), np.nan, np.float32)
        top, bottom = max(rows.start, self.first_row), min(rows.stop, self.first_row + self.rows)
        left, right = max(cols.start, self.first_col), min(cols.stop, self.first_col + self.cols)
        if top < bottom and left < right:
            window[top - rows.start : bottom - rows.start, left - cols.start : right - cols.start] = (
                self.source.read_window(
                    slice(top - self.first_row, bottom - self.first_row),
                    slice(left - self.first_col, right - self.first_col),
                )
            )
        return window


def open_backscatter(
    paths: Sequence[Path], *, orbit: Orbit | None = None, scale: Scale | None = None
) -> BackscatterStack:
    """Find and describe the images in files and folders, nothing read but headers and a sample of each.

    Parameters
    ----------
    paths
        Files, and folders that are searched with those below them.
    orbit
        Direction of the pass of all images; None to take what each of them states.
    scale
        Unit of all images; None to take what each of them states.

    Raises
    ------
    MissingInputError
        A path is not there, or there is no image.
    InputError
        A file is not usable, its date, unit or pass is unknown, or its pixels are not on the lattice of the others.
    OptionError
        `orbit` or `scale` contradicts what an image is.
    """
    found = sorted(set(_find_files(paths)))
    if not found:
        raise MissingInputError(
            ", ".join(map(str, paths)) or "FILES",
            required=_EXPECTED,
            found="none",
            remedy="Give the files, or a folder that holds them",
        )
    return _Opening(tuple(paths), orbit, scale).open(found)


def open_incidence(path: Path, grid: Grid) -> PlaneSource:
    """Incidence angles from the ellipsoid, degrees, of a GeoTIFF on the lattice of a grid; NaN outside it.

    Raises
    ------
    MissingInputError
        There is no such file.
    InputError
        Its pixels are not on the lattice, it has several bands, or what is read are no such angles.
    """
    raster = read_geotiff(path)
    covering_grid([_Placed(path, grid), raster])
    layer = RasterLayer(path, raster.decoding(0.0), limits=INCIDENCE_LIMITS_DEG)
    return _padded(RasterPlane(layer, OpenRasters()), raster.grid, grid)


def _find_files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_file():
            if path.suffix.lower() not in _SUFFIXES:
                raise InputError(path, required=_EXPECTED, found="another kind of file", remedy="Leave it out")
            yield path
        elif path.is_dir():
            for place, folders, names in os.walk(path, followlinks=True):
                # the rasters of a .dim are named by its header
                folders[:] = sorted(name for name in folders if not name.lower().endswith(".data"))
                yield from (Path(place) / name for name in names if name.lower().endswith(_SUFFIXES))
        else:
            raise MissingInputError(path, required=_EXPECTED, found="no such file", remedy="Check the path")


class _Opening:
    """One opening of a set of files: what is found, and what is to be told of it."""

    def __init__(self, paths: tuple[Path, ...], orbit: Orbit | None, scale: Scale | None) -> None:
        self.paths = paths
        self.orbit = orbit
        self.scale = scale
        self.rasters, self.files = OpenRasters(), OpenFiles()
        self.remarks: Counter[str] = Counter()
        self.notes: list[str] = []

    def open(self, found: Sequence[Path]) -> BackscatterStack:
        chosen = [band for path in found for band in self._bands_of(path)]
        images = [band for band in chosen if band.kind is BandKind.BACKSCATTER]
        if not images:
            raise MissingInputError(
                ", ".join(map(str, self.paths)),
                required="bands of calibrated backscatter whose name states VV, VH, HH or HV",
                found="; ".join([*self.notes, *self._counted()][:5]) or "none",
                remedy="Name the polarisation and the date in the name of each file, as 20240106_VV.tif",
            )
        _require_one_quantity(images)
        chosen += self._masks_beside(images, {band.product.path for band in chosen})
        grid = covering_grid([band.product for band in chosen if band.kind is BandKind.BACKSCATTER])
        described = sorted((self._image(band, grid) for band in images), key=lambda image: (image.day, image.name))
        require_one_kind(self.paths, [(image.name, image.orbit) for image in described])
        masks, incidences = self._masks(chosen, grid), self._incidences(chosen, grid)
        if described[0].orbit is None:
            self.notes.append(
                "no image states its orbit direction: all are taken as of one pass (--orbit, or asc or desc in names)"
            )
        return BackscatterStack(
            self.paths,
            grid,
            tuple(described),
            masks=masks,
            incidences=incidences,
            rows_per_chunk=max(band.product.rows_per_chunk for band in images),
            notes=(*self.notes, *self._counted()),
        )

    def _counted(self) -> list[str]:
        return [f"{count} of the files or bands: {remark}" for remark, count in self.remarks.items()]

    def _bands_of(self, path: Path) -> list[ChosenBand]:
        named = facts_of_name(path)
        if named.hyp3_part is not None and named.hyp3_part != HYP3_MASK:
            if named.hyp3_part == "inc_map":
                self.remarks["_inc_map of HyP3 holds the local incidence angle, of no use for layover: left out"] += 1
            return []
        product = read_product(path, self.rasters, self.files)
        bands, left_out = choose_bands(product, named)
        self.remarks.update(left_out)
        return bands

    def _masks_beside(self, images: Sequence[ChosenBand], known: set[Path]) -> list[ChosenBand]:
        """Masks of HyP3 products of which only images were named."""
        beside = sorted(
            {
                mask
                for band in images
                if band.named.is_hyp3
                for mask in [band.product.path.with_name(f"{band.product.path.stem[:-3]}_{HYP3_MASK}.tif")]
                if mask not in known and mask.is_file()
            }
        )
        return [band for mask in beside for band in self._bands_of(mask)]

    def _image(self, band: ChosenBand, grid: Grid) -> BackscatterImage:
        product, stored = band.product, band.stored
        if not stored.is_floating:
            raise InputError(
                band.name,
                required="calibrated backscatter, real numbers (float32)",
                found="integers, digital numbers without calibration",
                remedy="Calibrate to Sigma0 or Gamma0 and write real numbers",
            )
        day = product.day or band.named.day
        if day is None:
            raise InputError(
                band.name,
                required="a date of acquisition, in its metadata or its name (20240106, 2024-01-06 or 06Jan2024)",
                found="none",
                remedy="Rename the file",
            )
        declared = stored.no_data
        sample = sample_values(stored.open(declared or (0.0,)), product.grid)
        scale, remark = decide_scale(band.name, band.scale, self.scale, sample)
        if remark is not None:
            self.remarks[remark] += 1
        if not sample.size:
            self.remarks["no data in any of the parts that were looked at"] += 1
        if scale is Scale.DECIBEL:
            # 0 dB is a value, but where nothing else is declared it is what lies outside of the swath
            no_data = (0.0,) if declared is None else declared
        else:
            no_data = tuple(dict.fromkeys((0.0, *(declared or ()))))
        return BackscatterImage(
            band.name,
            product.path,
            day,
            band.polarisation or "",
            self._orbit_of(product, band.named, band.name),
            scale,
            _padded(stored.open(no_data), product.grid, grid),
            replace(product.view, is_sentinel1=product.view.is_sentinel1 or band.named.is_sentinel1),
        )

    def _orbit_of(self, product: Product, named: NamedFacts, name: str) -> Orbit | None:
        stated = product.orbit or named.orbit
        if self.orbit is not None:
            if product.orbit is not None and product.orbit is not self.orbit:
                raise OptionError(
                    f"--orbit {self.orbit}",
                    required=f"the direction that {name} states",
                    found=str(product.orbit),
                    remedy="Leave out --orbit: the images say themselves which pass they are of",
                )
            return self.orbit
        if stated is None:
            stated = _orbit_by_clock(product, named)
            if stated is not None:
                self.remarks[
                    "orbit direction from the time in the name: Sentinel-1 ascends at 18 h local solar time"
                ] += 1
        return stated

    def _masks(self, chosen: Sequence[ChosenBand], grid: Grid) -> tuple[TerrainMask, ...]:
        masks = []
        for band in chosen:
            day = band.product.day or band.named.day
            if band.kind is not BandKind.MASK or day is None:
                continue
            coding = MaskCoding.HYP3 if band.named.is_hyp3 else MaskCoding.SNAP
            orbit = self._orbit_of(band.product, band.named, band.name)
            source = _padded(band.stored.open(()), band.product.grid, self._on_lattice(band, grid))
            masks.append(TerrainMask(band.name, day, orbit, coding, source))
        return tuple(sorted(masks, key=lambda mask: (mask.day, mask.name)))

    def _incidences(self, chosen: Sequence[ChosenBand], grid: Grid) -> tuple[IncidencePlane, ...]:
        planes = []
        for band in chosen:
            day = band.product.day or band.named.day
            if band.kind is not BandKind.INCIDENCE or day is None:
                continue
            orbit = self._orbit_of(band.product, band.named, band.name)
            source = _padded(band.stored.open((0.0,)), band.product.grid, self._on_lattice(band, grid))
            planes.append(IncidencePlane(band.name, day, orbit, source))
        return tuple(sorted(planes, key=lambda plane: (plane.day, plane.name)))

    @staticmethod
    def _on_lattice(band: ChosenBand, grid: Grid) -> Grid:
        covering_grid([_Placed(band.product.path, grid), band.product])
        return grid


@dataclass(frozen=True, slots=True)
class _Placed:
    path: Path
    grid: Grid


def _padded(source: PlaneSource, own: Grid, grid: Grid) -> PaddedPlane:
    row, col = grid.pixel_coordinates(*own.map_coordinates(0.0, 0.0))
    return PaddedPlane(source, round(row), round(col), own.rows, own.cols)


def _orbit_by_clock(product: Product, named: NamedFacts) -> Orbit | None:
    """Pass of a Sentinel-1 image: the orbit follows the line between day and night, northward at dusk."""
    if not named.is_sentinel1 or named.utc_hours is None:
        return None
    place = product.grid.lonlat(RowCol(product.grid.rows // 2, product.grid.cols // 2))
    if not abs(place.lat) <= _FARTHEST_LATITUDE_DEG:
        return None
    local = (named.utc_hours + place.lon / 15.0) % 24.0
    if abs(local - _DUSK_H) <= _TWILIGHT_H:
        return Orbit.ASCENDING
    return Orbit.DESCENDING if abs(local - _DAWN_H) <= _TWILIGHT_H else None


def _require_one_quantity(images: Sequence[ChosenBand]) -> None:
    first: dict[str, ChosenBand] = {}
    for band in images:
        if band.quantity is not None:
            first.setdefault(band.quantity, band)
    if len(first) > 1:
        one, other = list(first.values())[:2]
        raise InputError(
            other.name,
            required=f"{one.quantity}, as {one.name}",
            found=str(other.quantity),
            remedy="Give images of one quantity: their difference is one of geometry, not of time",
        )
