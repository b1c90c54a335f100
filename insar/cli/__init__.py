"""The command ``insar``."""

from __future__ import annotations

import gc
import os

FEW_COLLECTIONS = 50_000
"""New objects between two searches for garbage, by default 700."""


def main() -> None:
    """Entry point of the console script."""
    # Importing makes many objects and no garbage: looking for it took a twentieth of a short run.
    gc.set_threshold(FEW_COLLECTIONS)
    # Blocks are what runs in parallel. A threaded BLAS beside them slows both, and adds in an order that depends on
    # how many threads there are; it must know before NumPy is imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from insar.cli.app import app, run_app

    run_app(app)
