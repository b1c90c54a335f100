"""Tie points of BEAM-DIMAP products: quantities known on a coarse grid, which SNAP interpolates between."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from insar.errors import InputError
from insar.readers.envi import read_envi_header
from insar.readers.files import OpenFiles
from insar.readers.xml_files import iterate_xml

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_HALF_TURN_DEG = 180.0


@dataclass(frozen=True, slots=True)
class TiePoints:
    """A quantity on a coarse grid; a `insar.stack.PlaneSource` of it at every pixel.

    Attributes
    ----------
    values
        (tie row, tie col) as stored.
    offset, step
        Place of the first tie point and distance to the next, in rows and columns, counted from the corner of the
        first pixel.
    """

    values: NDArray[np.float64] = field(repr=False, compare=False)
    offset: tuple[float, float]
    step: tuple[float, float]

    def read_window(self, rows: slice, cols: slice) -> NDArray[np.float64]:
        """Bilinear interpolation at the centres of the pixels of a window, linear beyond the outermost tie points."""
        above, down = self._places(rows, 0)
        left, across = self._places(cols, 1)
        upper = self.values[above][:, left] * (1.0 - across) + self.values[above][:, left + 1] * across
        lower = self.values[above + 1][:, left] * (1.0 - across) + self.values[above + 1][:, left + 1] * across
        between: NDArray[np.float64] = upper * (1.0 - down[:, None]) + lower * down[:, None]
        return between

    def _places(self, window: slice, axis: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Tie point before each pixel, and the pixel's distance from it in tie points."""
        fraction = (np.arange(window.start, window.stop) + 0.5 - self.offset[axis]) / self.step[axis]
        before = np.clip(np.floor(fraction), 0, self.values.shape[axis] - 2).astype(np.intp)
        return before, fraction - before


def read_tie_points(path: Path, *names: str) -> Mapping[str, TiePoints]:
    """The named grids of tie points of a product, those that it has.

    Raises
    ------
    InputError
        A grid is declared but cannot be read.
    """
    declared, files = _read_sections(path)
    found = {}
    for element in declared:
        name = _text(element, "TIE_POINT_GRID_NAME")
        if name in names:
            header = files.get(_text(element, "TIE_POINT_GRID_INDEX"), f"{name}.hdr")
            image = (path.with_suffix(".data") / "tie_point_grids" / header).with_suffix(".img")
            found[name] = _read_grid(path, element, image, is_longitude=name == "longitude")
    return found


def _read_sections(path: Path) -> tuple[list[Element], dict[str, str]]:
    declared: list[Element] | None = None
    files: dict[str, str] | None = None
    for element in iterate_xml(path):
        if element.tag == "Tie_Point_Grids":
            declared = element.findall("Tie_Point_Grid_Info")
        elif element.tag == "Data_Access":
            files = {
                # only the file's name counts: the folder is stale where the product was renamed
                _text(item, "TIE_POINT_GRID_INDEX"): re.split(r"[/\\]", str(place.get("href", "")))[-1]
                for item in element.findall("Tie_Point_Grid_File")
                if (place := item.find("TIE_POINT_GRID_FILE_PATH")) is not None
            }
        elif element.tag == "Dataset_Sources":
            break
        if declared is not None and files is not None:
            break  # what follows are megabytes of metadata
    return declared or [], files or {}


def _read_grid(path: Path, element: Element, image: Path, *, is_longitude: bool) -> TiePoints:
    try:
        size = int(_text(element, "NROWS")), int(_text(element, "NCOLS"))
        offset = float(_text(element, "OFFSET_Y")), float(_text(element, "OFFSET_X"))
        step = float(_text(element, "STEP_Y")), float(_text(element, "STEP_X"))
        if min(size) < 2 or min(step) <= 0.0:
            raise ValueError(f"{size[0]} rows x {size[1]} columns, steps of {step[0]:g} and {step[1]:g}")
    except ValueError as error:
        raise InputError(
            path,
            required="NROWS, NCOLS, OFFSET_X, OFFSET_Y, STEP_X and STEP_Y of a grid of tie points",
            found=str(error),
            remedy="Write the product again",
        ) from error
    header = read_envi_header(image)
    band = header.band(image)
    if (header.rows, header.cols) != size:
        raise InputError(
            header.path,
            required=f"the size that {path} states: {size[0]} rows x {size[1]} columns",
            found=f"{header.rows} rows x {header.cols} columns",
            remedy="Write the product again",
        )
    band.check_file()
    values = np.empty(size, np.float64)
    with OpenFiles().borrow(image) as file:
        band.read_window(file, slice(0, size[0]), slice(0, size[1]), values)
    if is_longitude and np.ptp(values) > _HALF_TURN_DEG:  # across the 180th meridian
        values[values < 0.0] += 2.0 * _HALF_TURN_DEG
    return TiePoints(values, offset, step)


def _text(element: Element, name: str) -> str:
    return (element.findtext(name) or "").strip()
