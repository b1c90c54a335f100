"""Work on blocks to a result folder, whatever the work is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from affine import Affine

from insar.errors import InputError, OptionError
from insar.grid import Grid, RowCol
from insar.layer_run import LayerBlock, Machine, fill_layers
from insar.layers import read_layer
from insar.new_result import new_result
from insar.placement import SamePixels
from insar.writers.manifest import write_derived_manifest

GRID = Grid(37, 20, Affine(10.0, 0.0, 500_000.0, 0.0, -10.0, 4_000_000.0), "EPSG:32633")
PAIR = "coherence/20240101_20240113"


@dataclass(frozen=True)
class RowNumbers:
    """Writes the number of each row."""

    layers: tuple[str, ...] = ("coherence_pre", "damage_significant", PAIR)
    bytes_per_row: int = 1000
    rows_per_chunk: int = 4

    def __call__(self, rows: slice) -> LayerBlock:
        values = np.broadcast_to(
            np.arange(rows.start, rows.stop, dtype=np.float32)[:, None], (rows.stop - rows.start, 20)
        )
        return LayerBlock(
            {"coherence_pre": values, "damage_significant": values % 3, PAIR: values / 100},
            {"pixels": np.array(values.size)},
        )


def _make(output: Path, *, overwrite: bool = False, workers: int = 2, memory_limit: str | None = None) -> Path:
    with new_result(output, "damage", overwrite=overwrite) as products:
        filled = fill_layers(
            RowNumbers(),
            GRID.shape,
            SamePixels(GRID, RowCol(0, 0)),
            products,
            machine=Machine(workers, memory_limit),
            tags=lambda name: {"NAMED": name},
        )
        assert filled.sums["pixels"] == 740
        assert set(filled.statistics) == {"coherence_pre", PAIR}
        write_derived_manifest(
            products,
            layers=filled.written,
            grid=GRID,
            inputs={},
            configuration={"product": "damage"},
            summary={},
            left_out={},
        )
    return output


def _fail_half_way(products: Path) -> None:
    (products / "report.html").write_text("half")
    raise InputError("x", required="y", found="z", remedy="w")


def test_layers_and_pairs_have_their_files_whatever_the_blocks(tmp_path: Path) -> None:
    one = _make(tmp_path / "one")
    other = _make(tmp_path / "other", workers=1, memory_limit="5KB")
    assert sorted(path.relative_to(one).as_posix() for path in one.rglob("*.tif")) == [
        f"{PAIR}.tif",
        "layers/coherence_pre.tif",
        "layers/damage_significant.tif",
    ]
    values, grid, _ = read_layer(one / "layers" / "coherence_pre.tif")
    np.testing.assert_array_equal(values[:, 0], np.arange(37))
    assert grid == GRID
    for path in one.rglob("*.tif"):
        assert path.read_bytes() == (other / path.relative_to(one)).read_bytes()
    assert not (one / ".work").exists()


def test_a_result_is_replaced_only_when_asked(tmp_path: Path) -> None:
    output = _make(tmp_path / "out")
    (output / "notes.txt").write_text("mine")
    with pytest.raises(OptionError, match="--overwrite"):
        _make(output)
    _make(output, overwrite=True)
    assert (output / "notes.txt").read_text() == "mine"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "x").write_text("")
    with pytest.raises(OptionError, match="no result of it"):
        _make(tmp_path / "other", overwrite=True)
    with pytest.raises(OptionError, match="another result"), new_result(output, "backscatter", overwrite=True):
        pass


def test_an_error_leaves_nothing_behind(tmp_path: Path) -> None:
    output = tmp_path / "out"
    with pytest.raises(InputError), new_result(output, "damage", overwrite=False) as products:
        _fail_half_way(products)
    assert not output.exists()
    kept = _make(tmp_path / "kept")
    before = {path: path.read_bytes() for path in kept.rglob("*") if path.is_file()}
    with pytest.raises(InputError), new_result(kept, "damage", overwrite=True) as products:
        _fail_half_way(products)
    assert {path: path.read_bytes() for path in kept.rglob("*") if path.is_file()} == before
