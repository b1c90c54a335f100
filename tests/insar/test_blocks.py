"""Blocks cover the scene, keep to memory, and are consumed in order."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from insar import blocks as blocks_module
from insar.blocks import (
    BLOCKS_PER_WORKER,
    WORKING_COPIES,
    ThreadRunner,
    available_memory,
    map_blocks,
    parse_bytes,
    row_blocks,
)
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


@given(st.integers(1, 3000), st.sampled_from([1, 4, 63, 256]), st.integers(1, 200))
def test_there_are_enough_blocks_but_no_chunk_is_cut_for_it(rows, rows_per_chunk, share):
    blocks = row_blocks(rows, 1000, rows_per_chunk=rows_per_chunk, share=share)
    chunks = -(-rows // rows_per_chunk)
    assert len(blocks) >= min(share, chunks) / 2
    assert all(block.start % rows_per_chunk == 0 for block in blocks)


@pytest.mark.parametrize(("allowed", "height"), [(300, 256), (256, 256), (130, 128), (200, 128), (108, 108), (3, 3)])
def test_chunks_taller_than_memory_are_cut_where_it_costs_least(allowed, height):
    limit = allowed * 1000 * WORKING_COPIES * 2
    blocks = row_blocks(1024, 1000, rows_per_chunk=256, memory_limit=limit, share=1)
    assert blocks[0].stop == height


def test_threads_keep_to_the_memory_there_is(monkeypatch):
    monkeypatch.setattr(blocks_module, "available_memory", lambda: 12_000_000)
    # Half of it, for two copies of three blocks; chunks of 256 rows would take ten times as much.
    assert ThreadRunner(2).row_blocks(1024, 10_000, rows_per_chunk=256)[0].stop == 100
    assert ThreadRunner(2, 1_200_000).row_blocks(1024, 10_000, rows_per_chunk=256)[0].stop == 20
    monkeypatch.setattr(blocks_module, "available_memory", lambda: None)
    assert ThreadRunner(2).row_blocks(1024, 10_000, rows_per_chunk=256)[0].stop == 256
    assert len(ThreadRunner(3).row_blocks(1024, 10_000)) >= 3 * BLOCKS_PER_WORKER


def test_a_container_has_less_memory_than_its_machine(monkeypatch, tmp_path):
    machine = available_memory()
    assert machine is None or 10**7 < machine < 10**14
    (tmp_path / "max").write_text("max\n")
    (tmp_path / "limit").write_text("123456\n")
    monkeypatch.setattr(blocks_module, "_CGROUP_LIMITS", (tmp_path / "max", tmp_path / "absent"))
    assert available_memory() is None or available_memory() > 10**7
    monkeypatch.setattr(blocks_module, "_CGROUP_LIMITS", (tmp_path / "max", tmp_path / "limit"))
    assert available_memory() == 123456


MEMORY_PROBE = """
import re, sys
import insar
from insar.blocks import ThreadRunner
from insar.grid import RowCol
from insar.inversion import BlockInverter
from insar.chain import BlockChain
from insar.rates import RateFitter

def kilobytes(name):
    return int(re.search(name + r":\\s+(\\d+)", open("/proc/self/status").read())[1])

stack = insar.open_stack(sys.argv[1])
inverter = BlockInverter(stack, RowCol(3, 4), with_mean_coherence=True)
chain = BlockChain(inverter, rates=RateFitter(inverter.dates))
chain(slice(0, 1))  # kernels are loaded
runner = ThreadRunner(2, int(sys.argv[2]))
blocks = runner.row_blocks(stack.shape[0], chain.bytes_per_row, rows_per_chunk=chain.rows_per_chunk)
assert len(blocks) > 6
open("/proc/self/clear_refs", "w").write("5")  # the peak is counted from here
before = kilobytes("VmRSS")
runner.map(blocks, chain, lambda *_: None)
print(1024 * (kilobytes("VmHWM") - before))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is measured by /proc")
@pytest.mark.parametrize("compression", [None, "lzf"])
def test_blocks_take_no_more_memory_than_allowed(known_stack, tmp_path, compression):
    limit = 60_000_000
    path = tmp_path / "ifgramStack.h5"
    rows, cols = 320, 600
    with h5py.File(known_stack.path) as source, h5py.File(path, "w") as sink:
        sink.attrs.update({**source.attrs, "LENGTH": str(rows), "WIDTH": str(cols)})
        for name, dataset in source.items():
            if dataset.ndim == 3:
                wide = np.tile(dataset[()], (1, rows // dataset.shape[1], cols // dataset.shape[2]))
                sink.create_dataset(name, data=wide, chunks=(1, 16, cols), compression=compression)
            else:
                sink[name] = dataset[()]
    probe = [sys.executable, "-c", MEMORY_PROBE, str(path), str(limit)]
    taken = int(subprocess.run(probe, capture_output=True, text=True, check=True).stdout)
    assert 0 < taken <= limit


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
