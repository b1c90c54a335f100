"""What a command says of its progress on the terminal."""

from __future__ import annotations

import logging
import sys


def set_up_logging(*, quiet: bool, verbose: bool) -> None:
    """Say errors alone, warnings, or what is being done."""
    level = logging.ERROR if quiet else logging.INFO if verbose else logging.WARNING
    logging.basicConfig(level=level, format="%(message)s", stream=sys.stderr, force=True)
    # Libraries speak up only when something is wrong.
    for library in ("rasterio", "numba", "matplotlib", "fiona", "pyogrio"):
        logging.getLogger(library).setLevel(logging.ERROR)
