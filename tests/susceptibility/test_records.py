"""Results of folds in files: what is read is what was written, to the bit."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from susceptibility.records import read_record, write_record
from susceptibility.validation import FoldResult


@dataclass(frozen=True, slots=True)
class Kept:
    """Something of every kind that is kept."""

    name: str
    number: int
    metrics: dict[str, float]
    values: NDArray[Any]
    codes: NDArray[Any]


FLOATS = st.floats(allow_nan=True, allow_infinity=True)
RECORDS = st.builds(
    Kept,
    name=st.text(max_size=8),
    number=st.integers(-(2**40), 2**40),
    metrics=st.dictionaries(st.text(max_size=5), FLOATS, max_size=4),
    values=arrays(np.float64, array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=4), elements=FLOATS),
    codes=arrays(st.sampled_from([np.uint8, np.int64]), array_shapes(max_dims=1, max_side=5)),
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(record=RECORDS)
def test_what_is_read_is_what_was_written(tmp_path: Path, record: Kept) -> None:
    write_record(tmp_path / "r.npz", record)
    found = read_record(tmp_path / "r.npz", Kept)
    assert (found.name, found.number, list(found.metrics)) == (record.name, record.number, list(record.metrics))
    for name, value in record.metrics.items():
        assert found.metrics[name] == value or (math.isnan(value) and math.isnan(found.metrics[name]))
    for one, other in ((found.values, record.values), (found.codes, record.codes)):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        np.testing.assert_array_equal(one, other)
    assert [path.name for path in tmp_path.iterdir()] == ["r.npz"]


def test_the_result_of_a_fold_is_kept_whole(tmp_path: Path) -> None:
    result = FoldResult(
        scheme="random", draw=1, repeat=2, fold=3, test=np.arange(4), target=np.array([0, 1, 0, 1], np.uint8),
        probability=np.array([0.1, 0.9, 1.0 / 3.0, np.nan]), metrics={"auc_roc": 0.75, "csi": math.nan},
        train_cells=12, importance=np.ones((2, 3)), name="event Alor",
    )  # fmt: skip
    write_record(tmp_path / "r.npz", result)
    found = read_record(tmp_path / "r.npz", FoldResult)
    for field in fields(FoldResult):
        one, other = getattr(found, field.name), getattr(result, field.name)
        np.testing.assert_equal(one, other, err_msg=field.name)
        assert type(one) is type(other), field.name


def test_a_record_that_was_not_finished_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_arguments: Any, **_options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", stop)
    with pytest.raises(KeyboardInterrupt):
        write_record(tmp_path / "r.npz", Kept("a", 1, {}, np.ones(2), np.ones(1)))
    assert not (tmp_path / "r.npz").exists()


def test_no_pickle_is_written_or_read(tmp_path: Path) -> None:
    objects = Kept("a", 1, {}, np.array([{}], object), np.ones(1))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        write_record(tmp_path / "r.npz", objects)
    assert not (tmp_path / "r.npz").exists()
    np.savez(tmp_path / "p.npz", plain=np.array("{}"), values=np.array([{}], object))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        read_record(tmp_path / "p.npz", Kept)
