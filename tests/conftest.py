"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real data: ``SCARP_DATA``, or ``shared/data`` beside the checkout."""
    named = os.environ.get("SCARP_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real data not found: {folder} is no folder (set SCARP_DATA)")
    return folder
