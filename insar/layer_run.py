"""From work on blocks of a scene to a result folder of map layers: what event layers have in common."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from insar.blocks import Progress, available_workers, no_progress, parse_bytes
from insar.cluster import open_runner
from insar.layer_statistics import layer_statistics
from insar.layers import LayerDefinition, layer_definition, write_layer
from insar.placement import Placement
from insar.workspace import FlatArray


class LayerBlock(NamedTuple):
    """Results of some rows: each layer (row, col), and sums that are added up over all blocks."""

    layers: dict[str, NDArray[Any]]
    sums: dict[str, NDArray[Any]]


class LayerWork(Protocol):
    """What makes layers of full rows of a scene; must be picklable, and the same however the scene is cut."""

    @property
    def layers(self) -> tuple[str, ...]:
        """Names that `insar.layers.layer_definition` knows."""
        ...

    @property
    def bytes_per_row(self) -> int:
        """Bytes of everything that one row of a block takes: what is read and what is computed."""
        ...

    @property
    def rows_per_chunk(self) -> int:
        """Rows that the storage keeps together."""
        ...

    def __call__(self, rows: slice) -> LayerBlock:
        """The layers of some rows."""
        ...


@dataclass(frozen=True, slots=True)
class Machine:
    """Where blocks are computed, as the options say it.

    Attributes
    ----------
    workers
        Threads; all processors where None.
    memory_limit
        Memory for blocks, such as ``4GB``.
    cluster
        ``local``, the address of a dask scheduler, or ``slurm``.
    """

    workers: int | None = None
    memory_limit: str | None = None
    cluster: str = "local"

    @property
    def memory_bytes(self) -> int | None:
        """Memory limit in bytes."""
        return None if self.memory_limit is None else parse_bytes(self.memory_limit)

    @property
    def threads(self) -> int:
        """Threads of this process."""
        return self.workers or available_workers()


@dataclass(frozen=True, slots=True)
class FilledLayers:
    """Layers that were written: what each is and its file, statistics of those with numbers, and sums."""

    written: list[tuple[LayerDefinition, Path]]
    statistics: dict[str, dict[str, float | None]]
    sums: dict[str, NDArray[Any]] = field(default_factory=dict)


def fill_layers(
    work: LayerWork,
    shape: tuple[int, int],
    placement: Placement,
    products: Path,
    *,
    machine: Machine,
    files: Sequence[Path] = (),
    tags: Callable[[str], dict[str, str]] = lambda _: {},
    step: str = "compute",
    progress: Progress = no_progress,
) -> FilledLayers:
    """Do the work on all blocks, and write each layer on the map as ``layers/NAME.tif``, or ``NAME.tif`` for a pair's.

    Parameters
    ----------
    work
        What makes the layers.
    shape
        (rows, cols) of the scene it works on.
    placement
        Where its pixels go.
    products
        Folder that `insar.new_result.new_result` gave.
    machine
        Where blocks are computed.
    files
        What every worker of a cluster must see.
    tags
        Further tags of a layer, by its name.
    step
        What the work is called while it goes on.
    progress
        Called as the work goes on.
    """
    rows = shape[0]
    scratch = products.parent / "arrays"
    scratch.mkdir()
    arrays = {
        name: FlatArray(scratch / f"{number}.raw", shape, layer_definition(name).dtype)
        for number, name in enumerate(work.layers)
    }
    sums: dict[str, NDArray[Any]] = {}

    def keep(block: slice, result: LayerBlock) -> None:
        for name, array in arrays.items():
            array.write_rows(block, result.layers[name])
        for name, values in result.sums.items():
            sums[name] = sums.get(name, 0) + values
        progress(step, block.stop, rows)

    try:
        with open_runner(
            machine.cluster, workers=machine.workers, memory_limit=machine.memory_bytes, files=files
        ) as runner:
            runner.map(runner.row_blocks(rows, work.bytes_per_row, rows_per_chunk=work.rows_per_chunk), work, keep)
        written = _write_all(arrays, placement, products, machine.threads, tags, progress)
        statistics = {
            name: layer_statistics(array.map())
            for name, array in arrays.items()
            if layer_definition(name).dtype == "float32"
        }
    finally:
        for array in arrays.values():
            array.close()
    shutil.rmtree(scratch)
    return FilledLayers(written, statistics, sums)


def _write_all(
    arrays: Mapping[str, FlatArray],
    placement: Placement,
    products: Path,
    threads: int,
    tags: Callable[[str], dict[str, str]],
    progress: Progress,
) -> list[tuple[LayerDefinition, Path]]:
    written = []
    write = partial(_write_one, placement=placement, products=products, tags=tags)
    with ThreadPoolExecutor(threads) as pool:
        for count, entry in enumerate(pool.map(write, arrays.items()), start=1):
            written.append(entry)
            progress("write layers", count, len(arrays))
    return written


def _write_one(
    entry: tuple[str, FlatArray],
    *,
    placement: Placement,
    products: Path,
    tags: Callable[[str], dict[str, str]],
) -> tuple[LayerDefinition, Path]:
    name, array = entry
    definition = layer_definition(name)
    source = array.map()
    fill = np.nan if np.dtype(definition.dtype).kind == "f" else definition.nodata or 0
    path = products / f"{name}.tif" if "/" in name else products / "layers" / f"{name}.tif"
    path.parent.mkdir(exist_ok=True)

    def rows_of(rows: slice) -> NDArray[Any]:
        return placement.gather(source, rows, fill)

    write_layer(path, rows_of, placement.grid, definition, tags=tags(name))
    return definition, path
