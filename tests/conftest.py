"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# The first example of a test may compile a kernel: time says nothing. Continuous integration repeats itself exactly.
settings.register_profile("suite", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("suite")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real data: ``SCARP_DATA``, or ``shared/data`` beside the checkout."""
    named = os.environ.get("SCARP_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real data not found: {folder} is no folder (set SCARP_DATA)")
    return folder
