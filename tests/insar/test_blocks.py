"""Blocks cover the scene, keep to memory, and are consumed in order."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from insar.blocks import WORKING_COPIES, map_blocks, parse_bytes, row_blocks
from insar.errors import OptionError


@given(
    st.integers(1, 5000),
    st.integers(1, 10**8),
    st.sampled_from([1, 7, 64]),
    st.integers(1, 8),
    st.none() | st.integers(10**9, 10**11),
)
def test_blocks_cover_every_row_once_and_fit(rows, bytes_per_row, rows_per_chunk, workers, limit):
    try:
        blocks = row_blocks(rows, bytes_per_row, rows_per_chunk=rows_per_chunk, workers=workers, memory_limit=limit)
    except OptionError:
        assert limit is not None
        assert bytes_per_row * WORKING_COPIES * (workers + 1) > limit
        return
    assert [row for block in blocks for row in range(block.start, block.stop)] == list(range(rows))
    if limit is not None:
        assert (
            max(block.stop - block.start for block in blocks) * bytes_per_row * WORKING_COPIES * (workers + 1) <= limit
        )


def test_results_arrive_in_order_on_the_calling_thread():
    blocks = row_blocks(40, 1, workers=4)
    seen = []

    def compute(block):
        time.sleep(0.002 * (block.start % 3))
        return block.start

    def consume(block, result):
        assert threading.current_thread() is threading.main_thread()
        assert result == block.start
        seen.append(result)

    map_blocks(blocks, compute, consume, workers=4)
    assert seen == [block.start for block in blocks]


def test_the_first_error_is_raised():
    def compute(block):
        if block.start >= 3:
            raise ValueError(f"row {block.start}")
        return block.start

    consumed = []
    with pytest.raises(ValueError, match="row 3"):
        map_blocks([slice(row, row + 1) for row in range(20)], compute, lambda _, row: consumed.append(row), workers=2)
    assert consumed == [0, 1, 2]


@pytest.mark.parametrize(("text", "size"), [("4GB", 4e9), ("500 mb", 5e8), ("1.5G", 1.5e9), ("1000", 1000)])
def test_sizes(text, size):
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "much", "-1GB", "4GiBs", "0"])
def test_no_sizes(text):
    with pytest.raises(OptionError, match="--memory-limit"):
        parse_bytes(text)
