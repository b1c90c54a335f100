"""Layers of a result folder of `insar`: which there are, what each means, and how one looks on the study grid."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.grid import Grid
from insar.layers import LayerDefinition, grid_of, layer_definition, write_layer
from susceptibility.errors import InputError, MissingInputError, OptionError
from susceptibility.publishing import checksum
from susceptibility.storage import open_aligned, open_raster, read_window

logger = logging.getLogger(__name__)

CLASSES, FLAGS = "class", "bit flags"
"""Units of layers whose numbers cannot be averaged or compared."""

_NO_INDICATOR = 255


@dataclass(frozen=True, slots=True)
class InsarLayer:
    """One layer of a result.

    Attributes
    ----------
    name
        As in ``layers/<name>.tif``.
    path
        The raster.
    unit, description, sign
        As its tags say, else the manifest, else the definition of `insar`; `sign` is None where none matters.
    std_path
        Raster of its standard deviation, in its unit; None where the result has none.
    is_angle
        A direction, of which 359 and 1 degrees average to 0, not to 180.
    """

    name: str
    path: Path
    unit: str
    description: str
    sign: str | None
    std_path: Path | None
    is_angle: bool

    @property
    def is_quantity(self) -> bool:
        """Whether its values can be compared and averaged."""
        return self.unit not in {CLASSES, FLAGS} and not self.is_angle


@dataclass(frozen=True, slots=True)
class InsarResult:
    """A result folder of `insar`.

    Attributes
    ----------
    folder
        Has ``layers/``.
    listed
        What the manifest says of each layer, by name; empty where there is no manifest.
    """

    folder: Path
    listed: dict[str, dict[str, Any]]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the layers that are there."""
        layers = self.folder / "layers"
        return tuple(sorted(path.relative_to(layers).with_suffix("").as_posix() for path in layers.rglob("*.tif")))

    def layer(self, name: str) -> InsarLayer:
        """One layer by its name.

        Raises
        ------
        MissingInputError
            The result has no such layer.
        InputError
            Its tags, the manifest and the definition of the layer do not agree on its unit, or its standard deviation
            is in another unit.
        """
        path = self._path(name)
        if not path.is_file():
            raise MissingInputError(
                path,
                required=f"the layer {name!r} of an insar result",
                found="only " + (", ".join(self.names) or "an empty folder"),
                remedy="Correct the layers of [factors.insar], or run insar so that it makes the layer",
            )
        tags, entry, known = _tags(path), self.listed.get(name, {}), _definition(name)
        if "sha256" in entry and entry["sha256"] != checksum(path):
            logger.warning("%s: not the file that the manifest describes; it was changed since insar wrote it", path)
        unit = _agreed_unit(path, tags.get("UNITS"), entry.get("unit"), known)
        return InsarLayer(
            name,
            path,
            unit,
            tags.get("DESCRIPTION") or str(entry.get("description") or (known.description if known else name)),
            tags.get("SIGN") or entry.get("sign") or (known.sign if known else None),
            self._std_path(name, unit),
            known is not None and known.is_angle,
        )

    def quantity(self, name: str) -> InsarLayer:
        """One layer whose values can be compared and averaged; raises `OptionError` for classes and directions."""
        layer = self.layer(name)
        if not layer.is_quantity:
            raise OptionError(
                f"[factors.insar] layer {name!r}",
                required="a layer that is a quantity",
                found="a direction" if layer.is_angle else layer.unit,
                remedy="Leave it out of the layers",
            )
        return layer

    def _path(self, name: str) -> Path:
        return self.folder / "layers" / f"{name}.tif"

    def _std_path(self, name: str, unit: str) -> Path | None:
        for candidate in _std_names(name):
            path = self._path(candidate)
            if path.is_file():
                _agreed_unit(path, _tags(path).get("UNITS"), unit, None)
                return path
        return None


@dataclass(frozen=True, slots=True)
class LayerValues:
    """A layer on the study grid.

    Attributes
    ----------
    values
        (row, col) float32 in the layer's unit, NaN where it is unknown.
    sigma
        (row, col) float32 standard deviation of each value, NaN where it is unknown; None where the result has none.
    """

    values: NDArray[np.float32]
    sigma: NDArray[np.float32] | None


def open_result(folder: Path) -> InsarResult:
    """Open a result folder of `insar`.

    Raises
    ------
    MissingInputError
        There is no folder ``layers`` in it.
    InputError
        Its manifest is damaged.
    """
    if not (folder / "layers").is_dir():
        raise MissingInputError(
            folder,
            required="a result folder of insar, with layers/<name>.tif in it",
            found="no folder 'layers' there",
            remedy="Give the folder that `insar run -o` wrote",
        )
    path = folder / "manifest.json"
    if not path.is_file():
        logger.warning("%s: no manifest.json; units are taken from the layers themselves", folder)
        return InsarResult(folder, {})
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(
            path, required="the manifest of an insar result", found=str(error), remedy="Run insar again"
        ) from error
    layers = content.get("layers", {}) if isinstance(content, dict) else {}
    if isinstance(layers, list):
        layers = {str(entry.get("name")): entry for entry in layers if isinstance(entry, dict)}
    return InsarResult(folder, {str(name): entry for name, entry in layers.items() if isinstance(entry, dict)})


def values_on_grid(layer: InsarLayer, grid: Grid, *, absolute: bool = False) -> LayerValues:
    """A layer and its standard deviation, brought to the study grid in the same way.

    Parameters
    ----------
    layer
        A quantity.
    grid
        Of the study.
    absolute
        Take the absolute value, after alignment.

    Notes
    -----
    A mean of several pixels gets the mean of their standard deviations: the errors of pixels so close to each other,
    mostly of the atmosphere, are taken as the same.
    """
    with open_aligned(layer.path, grid) as aligned:
        values = aligned.read(slice(0, grid.rows))
    sigma = None
    if layer.std_path is not None:
        with open_aligned(layer.std_path, grid) as aligned:
            sigma = aligned.read(slice(0, grid.rows))
    return LayerValues(np.abs(values) if absolute else values, sigma)


def class_share_on_grid(
    layer: InsarLayer, grid: Grid, classes: Sequence[int] = (), *, flags: int = 0
) -> NDArray[np.float32]:
    """Part of each cell of the study grid that some classes of a layer take.

    Parameters
    ----------
    layer
        Of classes, or of bit flags.
    grid
        Of the study.
    classes
        Of a layer of classes: their shares are added.
    flags
        Of a layer of bit flags: their sum; a pixel counts where it has any of them.

    Returns
    -------
    (row, col) float32
        0 to 1, of the part of the cell where the layer is known; NaN where it is not. By area where the layer's pixels
        are smaller than the cells, else 0 or 1 as the pixel at the cell's centre.

    Raises
    ------
    OptionError
        The layer is neither, or neither classes nor flags that suit it are given.
    """
    _check_classes(layer, classes, flags)
    with open_raster(layer.path) as source:
        own = grid_of(source)

        def indicator(rows: slice) -> NDArray[np.uint8]:
            values = read_window(source, layer.path, rows=rows)
            known = np.isfinite(values)
            if flags:
                meant = (np.where(known, values, 0.0).astype(np.int64) & flags) != 0
            else:
                meant = np.isin(values, np.asarray(classes, np.float32))
            return np.where(known, meant, _NO_INDICATOR).astype(np.uint8)

        definition = LayerDefinition("share", "1", "Is one of the classes", dtype="uint8", nodata=_NO_INDICATOR)
        with tempfile.TemporaryDirectory(prefix="class-share-") as folder:
            path = Path(folder) / "share.tif"
            write_layer(path, indicator, own, definition)
            with open_aligned(path, grid, resampling="nearest") as aligned:
                finer = aligned.places.finer_by > 1.0
            with open_aligned(path, grid, resampling="average" if finer else "nearest") as aligned:
                return aligned.read(slice(0, grid.rows))


def _check_classes(layer: InsarLayer, classes: Sequence[int], flags: int) -> None:
    wanted = {CLASSES: bool(classes) and not flags, FLAGS: flags > 0 and not classes}
    if not wanted.get(layer.unit, False):
        raise OptionError(
            f"classes of the layer {layer.name!r}",
            required="classes of a layer of classes, or flags of a layer of bit flags",
            found=f"classes {list(classes)}, flags {flags} of a layer in {layer.unit!r}",
            remedy="See the layer's description for what its numbers mean",
        )


def _definition(name: str) -> LayerDefinition | None:
    try:
        return layer_definition(name)
    except KeyError:
        return None


def _std_names(name: str) -> tuple[str, ...]:
    """Names that the standard deviation of a layer may have: that of one pass has the pass at its end."""
    for orbit in ("_ascending", "_descending"):
        if name.endswith(orbit):
            return f"{name.removesuffix(orbit)}_std{orbit}", f"{name}_std"
    return (f"{name}_std",)


def _agreed_unit(path: Path, tagged: str | None, listed: str | None, definition: LayerDefinition | None) -> str:
    """Unit of a layer, where its tag, the manifest and the definition of the layer must not differ."""
    defined = None if definition is None else definition.unit
    if tagged and tagged == listed:
        # Two witnesses from the run itself: a layer of that name may have had another meaning in its chain.
        return tagged
    stated = {unit for unit in (tagged, listed, defined) if unit}
    if len(stated) > 1:
        raise InputError(
            path,
            required=f"one unit: its tag says {tagged!r}, the manifest {listed!r}, the definition {defined!r}",
            found="units that differ",
            remedy="Run insar again, or mend the file's UNITS tag",
        )
    return stated.pop() if stated else ""


def _tags(path: Path) -> dict[str, str]:
    with open_raster(path) as source:
        return dict(source.tags())
