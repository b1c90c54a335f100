"""Plain folders of coherence: GeoTIFFs on one map grid, each named after its two dates, whatever made them.

Values. Floats from 0 to 1, or bytes from 0 to 255; exactly 0 is no data, as is what a header declares.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from insar.errors import InputError
from insar.readers.base import Reader
from insar.readers.coherence_rasters import find_rasters, open_rasters
from insar.stack import Stack

_COHERENCE = re.compile(r"(?<![a-z])(coh|cor|corr|cc|coherence|gamma)(?![a-z])", re.IGNORECASE)
_OTHER = re.compile(
    r"(?<![a-z])(unw|wrap|wrapped|phase|phs|ifg|int|diff|diff_pha|amp|amplitude|conncomp|disp|los|dem|hgt|mask|theta|phi)",
    re.IGNORECASE,
)


class RastersReader:
    """Opens folders of GeoTIFFs of coherence."""

    expects = "coherence as *YYYYMMDD_YYYYMMDD*.tif, all in the folder"

    def recognises(self, path: Path) -> bool:
        """Whether there are GeoTIFFs of pairs whose names do not say that they are of something else."""
        return path.is_dir() and bool(_find(path))

    def open(self, path: Path) -> Stack:
        """Open a folder, see `insar.readers.base.Reader.open`."""
        files = _find(path) if path.is_dir() else []
        if not files:
            raise InputError(
                path,
                required=f"GeoTIFFs of {self.expects}",
                found="no such file",
                remedy="Name the files after their two dates, such as 20240106_20240118_coherence.tif",
            )
        found = open_rasters(files)
        notes = [*found.notes, "no height, no incidence angle, no wavelength: coherence alone"]
        others = sorted({file.name for file in find_rasters(path)} - {file.name for file in files})
        if others:
            notes.append(f"left out, not coherence by their names: {', '.join(others)}")
        return Stack(
            path,
            "rasters",
            found.pairs,
            float("nan"),
            np.full(len(found.pairs), np.nan),
            found.grid,
            coherence=found.cube,
            notes=tuple(notes),
        )


READER: Reader = RastersReader()


def _find(folder: Path) -> list[Path]:
    """Files named as coherence; where none is, those whose names say nothing else."""
    found = find_rasters(folder)
    named = [file for file in found if _COHERENCE.search(file.stem)]
    return named or [file for file in found if not _OTHER.search(file.stem)]
