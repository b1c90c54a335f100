"""The joined table: what it is built from, that it comes back as it was, and that its bytes repeat."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from numpy.typing import NDArray

from insar.grid import Grid
from susceptibility.errors import InputError, MissingInputError, OptionError
from susceptibility.features import Feature, FeatureStore
from susceptibility.table import (
    Column,
    Table,
    UnitRows,
    build_table,
    cell_columns,
    cell_rows,
    feature_column,
    rows_at_once,
)
from susceptibility.table_files import METADATA_KEY, MISSING_KEY, read_table, sidecar_of, write_table

SLOPE = Feature("slope", "deg", "Angle of the terrain", "terrain", Path("slope.tif"))
RATE = Feature("velocity", "m/yr", "Rate", "insar", Path("velocity.tif"), sign="positive toward the satellite")


def small_units(count: int = 5, *, with_geometry: bool = False) -> UnitRows:
    place = np.arange(count, dtype=np.float64) * 100.0
    squares = shapely.box(place, 0.0, place + 100.0, 100.0)
    return UnitRows(
        "slope", "EPSG:32633", count, np.arange(1, count + 1), place + 50.0, place * 0.0 + 50.0,
        np.full(count, 10_000.0), (lambda rows: squares[rows]) if with_geometry else None,
    )  # fmt: skip


def small_table(*, with_geometry: bool = False) -> Table:
    rng = np.random.default_rng(0)
    slope = rng.uniform(0.0, 60.0, 5).astype(np.float32)
    slope[2] = np.nan
    columns = [
        feature_column(SLOPE, slope, "mean"),
        feature_column(SLOPE, np.arange(5, dtype=np.float32) / 3.0, "sd"),
        feature_column(RATE, np.array([-0.1, 1e-8, np.inf, 0.3, -7.25e-3], np.float32), "extreme"),
        Column("landslide", "1", "Whether a landslide", np.array([0.0, 1.0, np.nan, 1.0, 0.0]), "target", "uint8"),
        Column("lad", "1", "Areal density", rng.uniform(size=5), "target", "float64"),
        Column("lithology_dominant", "class", "Rock", np.array([1, 2, 3, 2, 1]), dtype="int32", group="rasters"),
    ]
    return build_table(small_units(with_geometry=with_geometry), columns, {"recipe": {"study": {"name": "x"}}})


def expected(values: NDArray[Any]) -> NDArray[Any]:
    return np.where(np.isfinite(values), values, np.nan) if values.dtype.kind == "f" else values


def assert_same(read: Table, table: Table) -> None:
    assert (read.kind, read.crs, read.rows) == (table.kind, table.crs, table.rows)
    assert read.columns == table.columns  # all but the values
    assert read.provenance == table.provenance
    for name in table.names:
        np.testing.assert_array_equal(read.read(name), expected(table.read(name)), err_msg=name)


def test_columns_have_their_order_names_units_and_signs() -> None:
    table = small_table()
    assert table.names == (
        "unit", "x", "y", "area_m2", "landslide", "lad", "slope_mean", "slope_sd", "velocity_extreme",
        "lithology_dominant",
    )  # fmt: skip
    assert [column.name for column in table.targets] == ["landslide", "lad"]
    slope, spread, rate, rock = table.features
    assert (slope.unit, slope.statistic, slope.group) == ("deg", "mean", "terrain")
    assert slope.description == "Mean in the unit of: Angle of the terrain"
    assert rate.sign == "positive toward the satellite"
    assert spread.sign is None
    assert feature_column(RATE, np.zeros(1), "sd").sign is None
    assert feature_column(RATE, np.zeros(1), "moving_share").unit == "1"
    assert slope.is_quantity
    assert not rock.is_quantity
    assert not feature_column(Feature("aspect", "deg", "", "terrain", Path()), np.zeros(1)).is_quantity


@pytest.mark.parametrize("name", ["t.parquet", "t.csv"])
def test_a_table_comes_back_as_it_was(tmp_path: Path, name: str) -> None:
    table = small_table()
    missing = write_table(table, tmp_path / name)
    assert {column: count for column, count in missing.items() if count} == {
        "landslide": 1, "slope_mean": 1, "velocity_extreme": 1,
    }  # fmt: skip
    read = read_table(tmp_path / name)
    assert_same(read, table)
    assert read.read("slope_mean").dtype == np.float32
    assert read.read("unit").dtype == np.int64
    some = read_table(tmp_path / name, ["slope_sd", "unit"])
    assert some.names == ("slope_sd", "unit")
    np.testing.assert_array_equal(some.read("unit", slice(1, 3)), [2, 3])


@pytest.mark.parametrize("name", ["t.parquet", "t.csv"])
def test_the_same_table_gives_the_same_bytes(tmp_path: Path, name: str) -> None:
    for folder in ("a", "b"):
        write_table(small_table(with_geometry=True), tmp_path / folder / name)
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == sorted(
        {name, *(["t.csv.json"] * ("csv" in name))}
    )


def test_the_parquet_file_explains_itself(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write_table(small_table(), path)
    schema = pq.read_schema(path)
    described = json.loads(schema.metadata[METADATA_KEY.encode()])
    assert described["crs"] == "EPSG:32633"
    assert described["provenance"]["recipe"] == {"study": {"name": "x"}}
    fields = schema.field("velocity_extreme").metadata
    assert fields[b"UNIT"] == b"m/yr"
    assert fields[b"SIGN"] == b"positive toward the satellite"
    assert schema.field("landslide").type == pa.uint8()
    assert json.loads(pq.ParquetFile(path).metadata.metadata[MISSING_KEY.encode()])["slope_mean"] == 1
    assert pq.read_table(path).column("landslide").to_pylist() == [0, 1, None, 1, 0]


def test_a_csv_table_is_plain(tmp_path: Path) -> None:
    write_table(small_table(with_geometry=True), tmp_path / "t.csv")
    header, first, *_ = (tmp_path / "t.csv").read_text().splitlines()
    assert header == ",".join(small_table().names)
    assert first.split(",")[:5] == ["1", "50", "50", "10000", "0"]
    assert (tmp_path / "t.csv").read_text().splitlines()[3].split(",")[4] == ""
    described = json.loads((tmp_path / "t.csv.json").read_text())
    assert described["missing"]["slope_mean"] == 1
    assert described["columns"][6]["unit"] == "deg"


def test_geometries_make_it_geoparquet(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    table = small_table(with_geometry=True)
    write_table(table, path)
    geo = json.loads(pq.read_schema(path).metadata[b"geo"])
    assert geo["version"] == "1.1.0"
    assert geo["primary_column"] == "geometry"
    column = geo["columns"]["geometry"]
    assert column["encoding"] == "WKB"
    assert column["crs"]["id"] == {"authority": "EPSG", "code": 32633}
    read = read_table(path)
    assert read.geometry is not None
    assert table.geometry is not None
    assert shapely.equals_exact(read.geometry(slice(0, 5)), table.geometry(slice(0, 5)), 0.0).all()
    assert_same(read, table)


def test_cells_are_units_too(grid: Grid, tmp_path: Path) -> None:
    planes = {
        name: np.random.default_rng(1).normal(size=grid.shape).astype(np.float32) for name in ("slope", "velocity")
    }
    planes["slope"][0, 3] = np.nan
    store = FeatureStore(grid, (SLOPE, RATE), planes)
    cells = np.array([3, 13, 119])
    table = build_table(cell_rows(grid, cells, with_geometry=True), cell_columns(store, cells))
    assert table.names == ("unit", "x", "y", "area_m2", "slope", "velocity")
    np.testing.assert_array_equal(np.stack([table.read("x"), table.read("y")], 1), store.coordinates_m(cells))
    np.testing.assert_array_equal(table.read("slope"), planes["slope"].flat[cells])
    assert (table.read("area_m2") == 10_000.0).all()
    assert table.geometry is not None
    squares = table.geometry(slice(0, 3))
    np.testing.assert_array_equal(shapely.get_x(shapely.centroid(squares)), table.read("x"))
    assert (shapely.area(squares) == 10_000.0).all()
    write_table(table, tmp_path / "cells.parquet")
    assert_same(read_table(tmp_path / "cells.parquet"), table)


def test_blocks_cover_every_row_once() -> None:
    count = 2 * rows_at_once(1) + 7
    values = np.arange(count, dtype=np.float32)
    values[5] = np.inf
    units = UnitRows("cells", "EPSG:32633", count, values, values, values, values)
    table = build_table(units, [feature_column(SLOPE, values)])
    blocks = list(table.blocks(["slope"]))
    assert len(blocks) == 3
    np.testing.assert_array_equal(np.concatenate([block[:, 0] for _, block in blocks]), expected(values))


def peak_of_writing(path: Path, layers: int) -> int:
    """Bytes that NumPy and Arrow hold at most, each at its own time, while a table of 20000 rows is written."""

    def values(rows: slice) -> NDArray[np.float32]:
        return np.random.default_rng(rows.start).normal(size=rows.stop - rows.start).astype(np.float32)

    units = UnitRows("cells", "EPSG:32633", 20_000, values, values, values, values)
    units = replace(units, number=lambda rows: np.arange(rows.start, rows.stop))
    table = build_table(units, [Column(f"f{number}", "1", "", values) for number in range(layers)])
    usual = pa.default_memory_pool()
    watched = pa.proxy_memory_pool(usual)
    pa.set_memory_pool(watched)
    tracemalloc.start()
    try:
        write_table(table, path)
        return tracemalloc.get_traced_memory()[1] + watched.max_memory()
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(usual)


def test_memory_does_not_grow_with_the_number_of_layers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("susceptibility.table._VALUES_AT_ONCE", 100_000)
    monkeypatch.setattr("susceptibility.table._FEWEST_ROWS", 100)
    few, many = (peak_of_writing(tmp_path / "t.parquet", layers) for layers in (10, 160))
    assert many < 1.5 * few + 2**19  # the footer describes every column of every row group


def test_what_cannot_be_a_table_is_refused(tmp_path: Path) -> None:
    slope = feature_column(SLOPE, np.zeros(5, np.float32))
    with pytest.raises(OptionError, match="at least one unit and one feature"):
        build_table(small_units(), [])
    with pytest.raises(OptionError, match=r"each name once.*'slope'"):
        build_table(small_units(), [slope, slope])
    with pytest.raises(OptionError, match=r"each name once.*'x'"):
        build_table(small_units(), [Column("x", "", "", np.zeros(5))])
    with pytest.raises(InputError, match="one value for each of 6 units"):
        build_table(small_units(6), [slope])
    with pytest.raises(OptionError, match="one of mean, sd"):
        feature_column(SLOPE, np.zeros(5), "average")
    with pytest.raises(OptionError, match=r"\.parquet or \.csv"):
        write_table(small_table(), tmp_path / "t.xlsx")
    halves = build_table(small_units(), [Column("class", "class", "", np.full(5, 0.5), dtype="uint8")])
    with pytest.raises(InputError, match="whole numbers that uint8 holds"):
        write_table(halves, tmp_path / "t.parquet")
    short = build_table(small_units(), [Column("short", "1", "", lambda _rows: np.zeros(3))])
    with pytest.raises(InputError, match="5 values for rows 0 to 5"):
        write_table(short, tmp_path / "t.csv")
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_table_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="susceptibility table"):
        read_table(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("no parquet")
    with pytest.raises(InputError, match="a Parquet file"):
        read_table(tmp_path / "text.parquet")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    with pytest.raises(InputError, match="no description of its columns"):
        read_table(tmp_path / "other.parquet")
    write_table(small_table(), tmp_path / "t.csv")
    with pytest.raises(OptionError, match="one of unit, x, y"):
        read_table(tmp_path / "t.csv", ["slop"])
    lines = (tmp_path / "t.csv").read_text().splitlines()
    (tmp_path / "t.csv").write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(InputError, match="5 rows"):
        read_table(tmp_path / "t.csv")
    sidecar_of(tmp_path / "t.csv").unlink()
    with pytest.raises(InputError, match=r"\.csv\.json"):
        read_table(tmp_path / "t.csv")
