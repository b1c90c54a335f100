"""The README's example runs as it stands, on a sample stack."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]


def test_the_library_example(tmp_path, monkeypatch):
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    (tmp_path / "merged_stack").symlink_to(ROOT / "data_samples" / "isce_tops")
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(block, "README.md", "exec"), names)
    assert names["rate"].velocity.shape == names["stack"].shape
    assert np.isfinite(names["phase_of_dates"]).any()
