"""The joined table on disk: Parquet, or CSV with a description beside it.

Unknown is null in Parquet and an empty field in CSV. What a column is - unit of measure, sign, description, role,
group, statistic - is kept in the metadata of its field, and all of it again with the coordinate reference system and
the provenance as JSON under the key ``scarp`` of the file's metadata. Units that have a geometry make the file
GeoParquet 1.1. A row group holds a fixed number of values, which bounds memory.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from insar.layers import row_slices
from susceptibility.errors import InputError, MissingInputError, OptionError
from susceptibility.publishing import write_text
from susceptibility.table import GEOMETRY, Column, Table, rows_at_once

if TYPE_CHECKING:
    import pyarrow as pa

METADATA_KEY = "scarp"
MISSING_KEY = "scarp:missing"
"""Keys of the file's metadata: what the table is, and how many values each column lacks."""

_FORMAT = 1


def write_table(table: Table, path: Path) -> dict[str, int]:
    """Write a table as Parquet or, by the suffix ``.csv``, as CSV; the same table gives the same bytes.

    A CSV table has no geometry; what its columns are lies beside it, ``t.csv.json`` for ``t.csv``. A file of this name
    is replaced when the new one is whole.

    Returns
    -------
    dict of str to int
        Number of unknown values, by column. It is in the file too.

    Raises
    ------
    OptionError
        The suffix is neither ``.parquet`` nor ``.csv``.
    InputError
        A column of an integer type has values that are no such integers.
    """
    suffix = known_suffix(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        missing = _write_csv(table, partial) if suffix == ".csv" else _write_parquet(table, partial)
        if suffix == ".csv":
            described = {**_description(table), "missing": missing}
            write_text(sidecar_of(path), json.dumps(described, indent=2, allow_nan=False) + "\n")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return missing


def read_table(path: Path, names: Sequence[str] | None = None) -> Table:
    """Read a table that `write_table` wrote.

    Parameters
    ----------
    path
        ``.parquet``, or ``.csv`` with its ``.csv.json``.
    names
        Columns to keep in memory; None for all of them, and the geometries.

    Returns
    -------
    Table
        Equal to the one written, but for integers with unknown values, which are float64 with NaN.

    Raises
    ------
    MissingInputError
        There is no such file.
    InputError
        It is damaged, or was not written by `write_table`.
    OptionError
        It has no column of one of the names, or another suffix.
    """
    suffix = known_suffix(path)
    if not path.is_file():
        raise MissingInputError(
            path,
            required="a table of `susceptibility table`",
            found="no such file",
            remedy="Check the path, or write it with `susceptibility table RECIPE -o t.parquet`",
        )
    return _read_csv(path, names) if suffix == ".csv" else _read_parquet(path, names)


def sidecar_of(path: Path) -> Path:
    """The file beside a CSV table that says what its columns are."""
    return path.with_name(f"{path.name}.json")


def known_suffix(path: Path) -> str:
    """The suffix of a table; raises `OptionError` for another."""
    suffix = path.suffix.lower()
    if suffix not in {".parquet", ".csv"}:
        raise OptionError(
            path, required="a file name that ends in .parquet or .csv", found=repr(suffix), remedy="Rename it"
        )
    return suffix


def _description(table: Table) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "units": table.kind,
        "crs": table.crs,
        "rows": table.rows,
        "columns": [column.as_dict() for column in table.columns],
        "provenance": dict(table.provenance),
    }


def _schema(table: Table, *, with_geometry: bool) -> pa.Schema:
    import pyarrow as pa

    fields = [
        pa.field(
            column.name,
            pa.from_numpy_dtype(np.dtype(column.dtype)),
            metadata={name.upper(): str(value) for name, value in column.as_dict().items() if name != "name"},
        )
        for column in table.columns
    ]
    metadata = {METADATA_KEY: json.dumps(_description(table), allow_nan=False)}
    if with_geometry:
        fields.append(pa.field(GEOMETRY, pa.binary(), metadata={"DESCRIPTION": "Outline of the unit, as WKB"}))
        metadata["geo"] = json.dumps(_geo_metadata(table.crs))
    return pa.schema(fields, metadata=metadata)


def _geo_metadata(crs: str) -> dict[str, Any]:
    import pyproj

    column = {"encoding": "WKB", "geometry_types": [], "crs": pyproj.CRS.from_user_input(crs).to_json_dict()}
    return {"version": "1.1.0", "primary_column": GEOMETRY, "columns": {GEOMETRY: column}}


def _batches(table: Table, schema: pa.Schema, missing: dict[str, int]) -> Iterator[pa.RecordBatch]:
    """Give the rows in groups; unknown values are added up in `missing`."""
    import pyarrow as pa

    for rows in row_slices(table.rows, rows_at_once(len(table.columns))):
        arrays = []
        for column in table.columns:
            array = _arrow_array(column, rows)
            missing[column.name] += array.null_count
            arrays.append(array)
        if GEOMETRY in schema.names and table.geometry is not None:
            import shapely

            arrays.append(pa.array(shapely.to_wkb(table.geometry(rows)), pa.binary()))
        yield pa.record_batch(arrays, schema=schema)


def _arrow_array(column: Column, rows: slice) -> pa.Array:
    import pyarrow as pa

    values = column.read(rows)
    if values.shape != (rows.stop - rows.start,):
        raise InputError(
            f"column {column.name!r}",
            required=f"{rows.stop - rows.start} values for rows {rows.start} to {rows.stop}",
            found=f"values of shape {values.shape}",
            remedy="Compute it on the units of the table",
        )
    dtype = np.dtype(column.dtype)
    unknown = ~np.isfinite(values) if values.dtype.kind == "f" else np.zeros(values.shape, np.bool_)
    with np.errstate(invalid="ignore"):
        stored = np.where(unknown, 0, values).astype(dtype)
    if dtype.kind in "iu" and not np.array_equal(stored[~unknown], values[~unknown]):
        raise InputError(
            f"column {column.name!r}",
            required=f"whole numbers that {dtype.name} holds",
            found="other numbers",
            remedy="Give the column another dtype",
        )
    return pa.array(stored, mask=unknown if unknown.any() else None)


def _write_parquet(table: Table, path: Path) -> dict[str, int]:
    import pyarrow.parquet as pq

    schema = _schema(table, with_geometry=table.geometry is not None)
    missing = dict.fromkeys(table.names, 0)
    # Few measured values repeat: a dictionary of them costs time and space, their bytes compress better side by side.
    measured = [column.name for column in table.columns if np.dtype(column.dtype).kind == "f"]
    classes = [column.name for column in table.columns if column.name not in measured and column.role != "unit"]
    with pq.ParquetWriter(
        path, schema, compression="zstd", use_dictionary=classes, use_byte_stream_split=measured
    ) as writer:
        for batch in _batches(table, schema, missing):
            writer.write_batch(batch, row_group_size=batch.num_rows)
        writer.add_key_value_metadata({MISSING_KEY: json.dumps(missing)})
    return missing


def _write_csv(table: Table, path: Path) -> dict[str, int]:
    import pyarrow.csv

    schema = _schema(table, with_geometry=False)
    missing = dict.fromkeys(table.names, 0)
    # The header by hand: releases of pyarrow differ in whether they put quotation marks around it.
    options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="none")
    with path.open("wb") as sink:
        sink.write((",".join(table.names) + "\n").encode())
        with pyarrow.csv.CSVWriter(sink, schema, write_options=options) as writer:
            for batch in _batches(table, schema, missing):
                writer.write_batch(batch)
    return missing


def _read_parquet(path: Path, names: Sequence[str] | None) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as source:
            content = (source.schema_arrow.metadata or {}).get(METADATA_KEY.encode())
            bare = _bare_table(path, content)
            kept = _kept(bare, names)
            columns = tuple(replace(column, values=_values(source.read([column.name]))) for column in kept)
            geometry = None
            if names is None and GEOMETRY in source.schema_arrow.names:
                geometry = _geometry_reader(source.read([GEOMETRY]).column(0).to_numpy())
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            path, required="a Parquet file", found=str(error), remedy="Write it again with `susceptibility table`"
        ) from error
    return replace(bare, columns=columns, geometry=geometry)


def _read_csv(path: Path, names: Sequence[str] | None) -> Table:
    import pyarrow as pa
    import pyarrow.csv

    sidecar = sidecar_of(path)
    bare = _bare_table(path, sidecar.read_bytes() if sidecar.is_file() else None)
    kept = _kept(bare, names)
    types = {column.name: pa.from_numpy_dtype(np.dtype(column.dtype)) for column in bare.columns}
    options = pyarrow.csv.ConvertOptions(column_types=types, include_columns=[column.name for column in kept])
    try:
        content = pyarrow.csv.read_csv(path, convert_options=options)
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            path,
            required=f"a CSV table with the columns that {sidecar} names",
            found=str(error),
            remedy="Write it again with `susceptibility table`",
        ) from error
    if content.num_rows != bare.rows:
        raise InputError(
            path,
            required=f"{bare.rows} rows, as {sidecar} says",
            found=f"{content.num_rows}",
            remedy="Write both again with `susceptibility table`",
        )
    columns = tuple(replace(column, values=_values(content.select([column.name]))) for column in kept)
    return replace(bare, columns=columns)


def _bare_table(path: Path, content: bytes | None) -> Table:
    """A table as its description has it, its columns without values."""
    try:
        if content is None:
            raise ValueError("no description of its columns")
        described = json.loads(content)
        if described["format"] != _FORMAT:
            raise ValueError(f"format {described['format']}")
        columns = tuple(
            Column(values=np.empty(0), **entry | {"classes": tuple(entry.get("classes", ()))})
            for entry in described["columns"]
        )
        return Table(
            described["units"], described["crs"], described["rows"], columns, provenance=described["provenance"]
        )
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            path,
            required=f"a table of `susceptibility table`, format {_FORMAT}",
            found=str(error),
            remedy="Write it with `susceptibility table`; a CSV table needs its .csv.json beside it",
        ) from error


def _kept(table: Table, names: Sequence[str] | None) -> tuple[Column, ...]:
    return table.columns if names is None else tuple(table.column(name) for name in names)


def _values(single: pa.Table) -> NDArray[Any]:
    """The only column of an Arrow table; NaN for null."""
    column = single.column(0)
    if column.null_count == 0:
        return np.asarray(column.to_numpy())
    is_float = str(column.type) in {"float", "double"}
    return np.asarray(column.to_numpy() if is_float else column.cast("float64").to_numpy())


def _geometry_reader(wkb: NDArray[np.object_]) -> Callable[[slice], NDArray[np.object_]]:
    def read(rows: slice) -> NDArray[np.object_]:
        import shapely

        return np.asarray(shapely.from_wkb(wkb[rows]), object)

    return read
