"""``manifest.json``: what a result folder holds, what it was made of, and how far it can be trusted."""

from __future__ import annotations

import hashlib
import json
import math
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import date, datetime
from enum import Enum
from importlib import metadata
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from insar.errors import InputError, MissingInputError
from insar.grid import Grid
from insar.layers import LayerDefinition
from insar.stack import Stack

NAME = "manifest.json"
_FORMAT = 1
"""Raised when a reader of older manifests could no longer understand a newer one."""

_PACKAGES = ("scarp", "numpy", "numba", "scipy", "rasterio", "pyproj", "h5py")


def write_manifest(
    folder: Path,
    *,
    layers: Sequence[tuple[LayerDefinition, Path]],
    stack: Stack,
    configuration: Mapping[str, Any],
    summary: Mapping[str, Any],
    left_out: Mapping[str, str],
    grid: Grid | None = None,
    files: Iterable[Path] = (),
    checksums: Mapping[Path, str] | None = None,
    started: datetime | None = None,
    finished: datetime | None = None,
) -> Path:
    """Write the manifest of a result folder.

    Parameters
    ----------
    folder
        Result folder.
    layers
        What each layer is and its file, inside `folder`.
    stack
        The interferograms that were used.
    configuration
        Every option as it was resolved.
    summary
        Figures of quality: network, reference, statistics, times. NaN becomes null.
    left_out
        Layers that were not made, and why.
    grid
        Grid of the layers; that of the stack by default.
    files
        Further files inside `folder` to list with their checksum, such as the time series.
    checksums
        Checksums of files that are known already.
    started, finished
        When the run began and ended.

    Returns
    -------
    Path
        The manifest, written under a temporary name and then renamed.
    """
    return write_derived_manifest(
        folder,
        layers=layers,
        grid=grid or stack.grid,
        inputs=_described_stack(stack),
        configuration=configuration,
        summary=summary,
        left_out=left_out,
        files=files,
        checksums=checksums,
        started=started,
        finished=finished,
    )


def write_derived_manifest(
    folder: Path,
    *,
    layers: Sequence[tuple[LayerDefinition, Path]],
    grid: Grid,
    inputs: Mapping[str, Any],
    configuration: Mapping[str, Any],
    summary: Mapping[str, Any],
    left_out: Mapping[str, str],
    files: Iterable[Path] = (),
    checksums: Mapping[Path, str] | None = None,
    started: datetime | None = None,
    finished: datetime | None = None,
) -> Path:
    """Write the manifest of a result that was made of other results instead of a stack.

    Parameters
    ----------
    inputs
        The results it was made of, by role.
    folder, layers, grid, configuration, summary, left_out, files, checksums, started, finished
        As of `write_manifest`.
    """
    known = checksums or {}
    content = {
        "format": _FORMAT,
        "grid": _described_grid(grid),
        "layers": [_described_layer(definition, path, folder, known) for definition, path in layers],
        "left_out": [{"name": name, "reason": reason} for name, reason in left_out.items()],
        "files": [_described_file(path, folder, known) for path in files],
        "inputs": inputs,
        "configuration": configuration,
        "summary": summary,
        "versions": versions(),
        "started": started,
        "finished": finished,
    }
    return _written(folder, content)


def replace_layers(
    folder: Path,
    *,
    product: str,
    names: Iterable[str],
    layers: Sequence[tuple[LayerDefinition, Path]] = (),
    facts: Mapping[str, Any] | None = None,
) -> Path:
    """Take the layers of an added product out of a manifest, and list those that are there now.

    Called without `layers` before files are replaced, and with them after: a layer that is listed is whole.

    Parameters
    ----------
    folder
        Result folder.
    product
        What the layers belong to; `facts` are kept under this name in ``products``.
    names
        Every layer that the product may have.
    layers
        What each layer is and its file, inside `folder`.
    facts
        How it was made; None for no product.
    """
    content = read_manifest(folder)
    dropped = set(names)
    kept = [layer for layer in content.get("layers") or [] if layer.get("name") not in dropped]
    content["layers"] = kept + [_described_layer(definition, path, folder, {}) for definition, path in layers]
    products = {name: told for name, told in (content.get("products") or {}).items() if name != product}
    content["products"] = products if facts is None else {**products, product: facts}
    return _written(folder, content)


def add_to_summary(folder: Path, more: Mapping[str, Any]) -> Path:
    """Add entries to the summary of a manifest, in place of those of the same name."""
    content = read_manifest(folder)
    content["summary"] = {**content["summary"], **more}
    return _written(folder, content)


def _written(folder: Path, content: Mapping[str, Any]) -> Path:
    target = folder / NAME
    partial = folder / f".{NAME}.partial"
    try:
        partial.write_text(json.dumps(_plain(content), indent=2, allow_nan=False) + "\n", encoding="utf-8")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return target


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of a result folder.

    Raises
    ------
    MissingInputError
        The folder has none.
    InputError
        It is not JSON, or of a newer format than this version knows.
    """
    path = folder / NAME
    if not path.is_file():
        raise MissingInputError(
            path,
            required="the manifest of a finished result",
            found="no such file",
            remedy="Give a folder that `insar run` has finished, or run it again: it resumes",
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(
            path, required="JSON", found=str(error), remedy="The file is damaged; run the processing again"
        ) from error
    if not isinstance(content, dict) or not isinstance(content.get("format"), int) or content["format"] > _FORMAT:
        found = content.get("format") if isinstance(content, dict) else type(content).__name__
        raise InputError(
            path,
            required=f"a manifest of format {_FORMAT} or older",
            found=f"format {found}",
            remedy="Update this package, or run the processing again",
        )
    return content


def checksum(path: Path) -> str:
    """SHA-256 of a file's content."""
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def versions() -> dict[str, str]:
    """Versions of this package, of Python and of what the numbers depend on."""
    import rasterio

    found = {"python": platform.python_version(), "gdal": str(rasterio.__gdal_version__)}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "unknown"
    return found


def _described_grid(grid: Grid) -> dict[str, Any]:
    return {
        "rows": grid.rows,
        "cols": grid.cols,
        "transform": list(grid.transform)[:6],
        "crs": grid.crs,
        "bounds": grid.bounds,
        "resolution": grid.resolution,
    }


def _described_layer(
    definition: LayerDefinition, path: Path, folder: Path, checksums: Mapping[Path, str]
) -> dict[str, Any]:
    return {
        "name": definition.name,
        "unit": definition.unit,
        "sign": definition.sign,
        "description": definition.description,
        "dtype": definition.dtype,
        "nodata": "nan" if np.dtype(definition.dtype).kind == "f" else definition.nodata,
        **_described_file(path, folder, checksums),
    }


def _described_file(path: Path, folder: Path, checksums: Mapping[Path, str]) -> dict[str, Any]:
    return {
        "file": path.relative_to(folder).as_posix(),
        "bytes": path.stat().st_size,
        "sha256": checksums.get(path) or checksum(path),
    }


def _described_stack(stack: Stack) -> dict[str, Any]:
    return {
        "path": stack.path,
        "processor": stack.processor,
        "wavelength_m": stack.wavelength_m,
        "rows": stack.grid.rows,
        "cols": stack.grid.cols,
        "in_radar_coordinates": stack.in_radar_coordinates,
        "has_coherence": stack.coherence is not None,
        "acquisition": {name: value for name, value in asdict(stack.acquisition).items() if value is not None},
        "dates": stack.dates,
        "pairs": [pair.name for pair in stack.pairs],
        "notes": stack.notes,
    }


def _plain(value: Any) -> Any:
    """Reduce to what JSON can say: numbers that are not finite become null, dates ISO text."""
    if isinstance(value, Enum):
        value = value.value
    elif isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    elif is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    elif isinstance(value, tuple) and hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        return {str(key): _plain(content) for key, content in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"{type(value).__name__} cannot be written to a manifest")
