"""The command ``insar``."""

from __future__ import annotations

import gc

FEW_COLLECTIONS = 50_000
"""New objects between two searches for garbage, by default 700."""


def main() -> None:
    """Entry point of the console script."""
    # Importing makes many objects and no garbage: looking for it took a twentieth of a short run.
    gc.set_threshold(FEW_COLLECTIONS)
    from insar.cli.app import app, run_app

    run_app(app)
