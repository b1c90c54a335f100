"""The command ``insar``."""

from __future__ import annotations


def main() -> None:
    """Entry point of the console script."""
    from insar.cli.app import app, run_app

    run_app(app)
