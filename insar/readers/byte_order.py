"""Whether the bytes of a raster of float32 are in the order that its format says: no header states it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from insar.errors import InputError

_PROBES, _PROBE_VALUES = 16, 1024


def require_byte_order(raster: Path, *, big: bool, remedy: str) -> None:
    """Refuse a raster of phases or coherences whose numbers make sense only with their bytes the other way round.

    At most 64 KiB are read, from up to 16 places, until one holds something else than zeros; where none does, nothing
    can be told and nothing is refused.

    Raises
    ------
    InputError
        The bytes are the other way round; names `raster`.
    """
    stored, other = (">f4", "<f4") if big else ("<f4", ">f4")
    last = max(0, raster.stat().st_size // 4 - _PROBE_VALUES)
    with raster.open("rb") as stream:
        for probe in range(_PROBES):
            stream.seek(4 * (probe * last // (_PROBES - 1)))
            sample = np.frombuffer(stream.read(4 * _PROBE_VALUES), stored)
            if not sample.any():
                continue
            if _count_plausible(sample) < _count_plausible(sample.view(other)):
                order = ("big-endian", "little-endian") if big else ("little-endian", "big-endian")
                raise InputError(raster, required=f"{order[0]} float32", found=f"{order[1]} numbers", remedy=remedy)
            return


def _count_plausible(sample: NDArray[np.float32]) -> int:
    """How many of the values could be radians, coherences or amplitudes, or are none."""
    with np.errstate(invalid="ignore"):  # what is read the wrong way round may be a signalling NaN
        size = np.abs(sample.astype(np.float64))
    return int(np.count_nonzero((size == 0.0) | ((size > 1e-9) & (size < 1e6)) | np.isnan(size)))
