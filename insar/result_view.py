"""From where the satellite saw a finished result: its layers, or what its manifest says of the pass."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.errors import MissingInputError, OptionError
from insar.line_of_sight import LineOfSight, azimuth_of_heading, line_of_sight
from insar.preview import read_values
from insar.result import ResultFolder


@dataclass(frozen=True, slots=True)
class ResultView:
    """Incidence angle and azimuth of the line of sight over a result, each a layer or one number in degrees.

    `notes` say what was taken for want of a layer.
    """

    incidence: Path | float
    azimuth: Path | float
    notes: tuple[str, ...]

    @property
    def incidence_name(self) -> str:
        """The layer, or the number."""
        return str(self.incidence)

    def read_incidence(self, rows: slice, cols: slice) -> NDArray[np.float64]:
        """(row, col) degrees from the vertical; NaN is unknown."""
        return _read(self.incidence, rows, cols)

    def read_sight(self, rows: slice, cols: slice) -> LineOfSight:
        """(row, col) unit vectors to the satellite; NaN is unknown."""
        return line_of_sight(self.read_incidence(rows, cols), _read(self.azimuth, rows, cols))

    def described(self) -> dict[str, Any]:
        """For the manifest: which layer, or which number."""
        return {
            name: f"layer {source.stem}" if isinstance(source, Path) else round(source, 4)
            for name, source in (("incidence_angle", self.incidence), ("azimuth_angle", self.azimuth))
        }


def view_of_result(result: ResultFolder, *, incidence_deg: float | None, option: str = "--incidence") -> ResultView:
    """Find the line of sight of a result.

    Parameters
    ----------
    result
        The result.
    incidence_deg
        One incidence angle for a result that has no layer of it.
    option
        How the user gives that angle.

    Raises
    ------
    MissingInputError
        There is neither a layer nor what stands in for it.
    OptionError
        The angle is none, or there is a layer already.
    """
    notes: list[str] = []
    incidence: Path | float | None = result.layer_path("incidence_angle")
    if incidence_deg is not None:
        if incidence is not None:
            raise OptionError(
                f"{option} {incidence_deg:g}",
                required="a result without the layer incidence_angle",
                found=f"{incidence}, which knows the angle of every pixel",
                remedy=f"Leave out {option}",
            )
        if not 5.0 <= incidence_deg <= 85.0:
            raise OptionError(
                option,
                required="an angle from the vertical between 5 and 85 degrees",
                found=f"{incidence_deg:g}",
                remedy="Correct the angle",
            )
        incidence = incidence_deg
        notes.append(f"The incidence angle is {incidence_deg:g} degrees everywhere, as {option} says.")
    if incidence is None:
        raise MissingInputError(
            result.folder / "layers" / "incidence_angle.tif",
            required="the incidence angle of the line of sight",
            found="a result without it",
            remedy=f"Give {option} DEG, the angle at the middle of the scene, or process a stack with geometry files",
        )
    azimuth: Path | float | None = result.layer_path("azimuth_angle")
    if azimuth is None:
        azimuth, note = _azimuth_of_pass(result)
        notes.append(note)
    return ResultView(incidence, azimuth, tuple(notes))


def _azimuth_of_pass(result: ResultFolder) -> tuple[float, str]:
    acquisition = result.inputs.get("acquisition") or {}
    heading, side = acquisition.get("heading_deg"), acquisition.get("antenna_side")
    if not isinstance(heading, (int, float)):
        raise MissingInputError(
            result.folder / "layers" / "azimuth_angle.tif",
            required="the horizontal direction to the satellite, or the heading of the platform in the manifest",
            found="a result with neither",
            remedy="Run the processing again: it writes the layer where the stack has geometry files, "
            "and the heading where its metadata name it",
        )
    azimuth = azimuth_of_heading(float(heading), looks_left=side == "left")
    assumed = "" if side in ("left", "right") else ", taken to look to the right,"
    return azimuth, (
        f"The direction to the satellite is {azimuth:.1f} degrees anticlockwise from north everywhere, from the "
        f"heading of {heading:.1f} degrees of the platform{assumed}: good to a few degrees."
    )


def _read(source: Path | float, rows: slice, cols: slice) -> NDArray[np.float64]:
    if isinstance(source, Path):
        return read_values(source, rows, cols).astype(np.float64)
    return np.full((rows.stop - rows.start, cols.stop - cols.start), source)
