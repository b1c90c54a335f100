"""The joined table: one row per mapping unit, with named columns that know their unit of measure, sign and meaning.

Columns are ``unit``, ``x``, ``y`` and ``area_m2``, then targets, then features; the feature of a unit that has many
cells is named after its statistic, ``slope_mean``. Unknown is NaN.

Values are asked for by slices of rows, of a bounded number of values, so that memory grows neither with the number of
rows nor with that of columns as long as the columns read from disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from insar.grid import Grid
from insar.layers import row_slices
from susceptibility.errors import InputError, OptionError

if TYPE_CHECKING:
    from susceptibility.features import Feature, FeatureStore

Role = Literal["unit", "target", "feature"]
"""What a column is for: to know the unit, to be predicted, to predict from."""

ColumnValues = NDArray[Any] | Callable[[slice], NDArray[Any]]
"""Values (row,) of a column, NaN where unknown, or a function that gives those of a slice of rows."""

GEOMETRY = "geometry"

_VALUES_AT_ONCE = 4_000_000
_FEWEST_ROWS = 4096  # smaller row groups make a file slow to read

STATISTICS: dict[str, str] = {
    "mean": "Mean",
    "sd": "Standard deviation",
    "min": "Smallest",
    "max": "Largest",
    "median": "Median",
    "range": "Largest minus smallest",
    "extreme": "Largest in magnitude, with its sign",
    "circular_mean": "Circular mean",
    "sigma": "Standard deviation of the mean",
    "dominant": "Class of the largest share",
    "share": "Share of the area",
    "moving_share": "Share of the valid pixels that move",
    "valid_share": "Share of the pixels that have data",
    "count": "Number of pixels that have data",
}
"""Statistics over the cells of a unit, by the ending of the column's name."""

_OWN_UNITS = {"share": "1", "moving_share": "1", "valid_share": "1", "count": "count"}
_SIGNED = {"mean", "min", "max", "median", "extreme", "circular_mean"}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Attributes
    ----------
    name, unit, description, sign
        As in `insar.layers.LayerDefinition`; `unit` is the unit of measure.
    values
        (row,); NaN where unknown. Infinite counts as unknown too.
    role
        See `Role`.
    dtype
        Of the file: a NumPy name such as float32, float64, uint8, int64.
    group
        Of features: where it comes from, such as ``terrain`` or ``insar``.
    statistic
        Of the cells of a unit, one of `STATISTICS`; None where a unit is one cell.
    is_angle
        A direction, of which neither mean nor correlation means anything.
    classes
        Labels of classes whose values are numbers from 1; empty where the numbers are all there is.
    """

    name: str
    unit: str
    description: str
    values: ColumnValues = field(repr=False, compare=False)
    role: Role = "feature"
    dtype: str = "float32"
    group: str | None = None
    statistic: str | None = None
    sign: str | None = None
    is_angle: bool = False
    classes: tuple[str, ...] = ()

    def read(self, rows: slice) -> NDArray[Any]:
        """Values of some rows, as they are."""
        return np.asarray(self.values(rows) if callable(self.values) else self.values[rows])

    def as_dict(self) -> dict[str, Any]:
        """All but the values; what is None or False is left out."""
        names = (
            "name", "unit", "description", "role", "dtype", "group", "statistic", "sign", "is_angle", "classes",
        )  # fmt: skip
        described = {name: getattr(self, name) for name in names}
        return {name: value for name, value in described.items() if value not in (None, False, ())}

    @property
    def is_quantity(self) -> bool:
        """Whether it is a number that can be averaged and correlated: neither a class nor a direction."""
        return self.unit not in {"class", "bit flags"} and not self.is_angle


@dataclass(frozen=True, slots=True)
class UnitRows:
    """The units that rows stand for.

    Attributes
    ----------
    kind
        ``cells``, ``aggregate``, ``slope`` or ``polygons``.
    crs
        Of `x`, `y` and the geometries: projected, in metres.
    count
        Number of units.
    number
        (row,) by which a unit is called.
    x, y
        (row,) metres, of the centroid.
    area_m2
        (row,).
    geometry
        Gives the shapely geometries of a slice of rows; None for a table without.
    """

    kind: str
    crs: str
    count: int
    number: ColumnValues
    x: ColumnValues
    y: ColumnValues
    area_m2: ColumnValues
    geometry: Callable[[slice], NDArray[np.object_]] | None = None

    def columns(self) -> tuple[Column, ...]:
        """The first columns of a table."""
        return (
            Column("unit", "", f"Number of the unit ({self.kind})", self.number, "unit", "int64"),
            Column("x", "m", "Easting of the unit's centroid", self.x, "unit", "float64"),
            Column("y", "m", "Northing of the unit's centroid", self.y, "unit", "float64"),
            Column("area_m2", "m2", "Area of the unit", self.area_m2, "unit", "float64"),
        )


@dataclass(frozen=True, slots=True)
class Table:
    """One row per unit; made by `build_table` or `read_table`.

    Attributes
    ----------
    kind, crs
        Of the units, see `UnitRows`.
    rows
        Number of them.
    columns
        In order.
    geometry
        As in `UnitRows`.
    provenance
        What it was made from and with, as JSON can hold it.
    """

    kind: str
    crs: str
    rows: int
    columns: tuple[Column, ...]
    geometry: Callable[[slice], NDArray[np.object_]] | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns but the geometry."""
        return tuple(column.name for column in self.columns)

    @property
    def features(self) -> tuple[Column, ...]:
        """Columns to predict from."""
        return tuple(column for column in self.columns if column.role == "feature")

    @property
    def targets(self) -> tuple[Column, ...]:
        """Columns to be predicted."""
        return tuple(column for column in self.columns if column.role == "target")

    def column(self, name: str) -> Column:
        """One column; raises `OptionError` naming those there are."""
        for column in self.columns:
            if column.name == name:
                return column
        raise OptionError(
            "column of the table",
            required=f"one of {', '.join(self.names)}",
            found=repr(name),
            remedy="Check the spelling",
        )

    def read(self, name: str, rows: slice | None = None) -> NDArray[Any]:
        """Values (row,) of a column, of all rows where none are given."""
        return self.column(name).read(slice(0, self.rows) if rows is None else rows)

    def blocks(self, names: Sequence[str]) -> Iterator[tuple[slice, NDArray[np.float64]]]:
        """Give slices of rows with their values (row, column) of some columns, of bounded size."""
        columns = [self.column(name) for name in names]
        for rows in row_slices(self.rows, rows_at_once(len(columns))):
            block = np.empty((rows.stop - rows.start, len(columns)))
            for index, column in enumerate(columns):
                block[:, index] = column.read(rows)
            block[~np.isfinite(block)] = np.nan
            yield rows, block


def rows_at_once(columns: int) -> int:
    """Rows of a block, or of a row group, of so many columns; depends on nothing else."""
    return max(_FEWEST_ROWS, _VALUES_AT_ONCE // max(columns, 1))


def build_table(units: UnitRows, columns: Sequence[Column], provenance: Mapping[str, Any] | None = None) -> Table:
    """Put a table together; nothing is read until it is written or asked for.

    Parameters
    ----------
    units
        The rows.
    columns
        Targets and features, in any order: targets come first.
    provenance
        Recipe, checksums of the inputs and whatever else explains the table, as JSON can hold it. The version of
        scarp is added.

    Raises
    ------
    OptionError
        No unit, no feature, or two columns of one name.
    InputError
        A column has another number of rows than there are units.
    """
    first = units.columns()
    targets = [column for column in columns if column.role == "target"]
    features = [column for column in columns if column.role == "feature"]
    everything = (*first, *targets, *features)
    if units.count < 1 or not features:
        raise OptionError(
            "table",
            required="at least one unit and one feature",
            found=f"{units.count} units, {len(features)} features",
            remedy="Check [units] and [factors] of the recipe",
        )
    names = [column.name for column in everything]
    twice = sorted({name for name in names if names.count(name) > 1} | ({GEOMETRY} & set(names)))
    if twice:
        raise OptionError(
            "columns of the table",
            required=f"each name once, and none that is {GEOMETRY!r}",
            found=", ".join(map(repr, twice)),
            remedy="Rename or leave out a factor",
        )
    for column in everything:
        if not callable(column.values) and column.values.shape != (units.count,):
            raise InputError(
                f"column {column.name!r}",
                required=f"one value for each of {units.count} units",
                found=f"values of shape {column.values.shape}",
                remedy="Compute it on the units of the table",
            )
    made_with = {**_version(), **(provenance or {})}
    return Table(units.kind, units.crs, units.count, everything, units.geometry, made_with)


def feature_column(feature: Feature, values: ColumnValues, statistic: str | None = None) -> Column:
    """Make a column of a feature, named ``<feature>_<statistic>`` where it is a statistic of a unit's cells.

    Raises `OptionError` for a statistic that is none of `STATISTICS`.
    """
    if statistic is None:
        return Column(
            feature.name, feature.unit, feature.description, values, group=feature.group, sign=feature.sign,
            is_angle=feature.name == "aspect", classes=feature.classes,
        )  # fmt: skip
    if statistic not in STATISTICS:
        raise OptionError(
            f"statistic of {feature.name!r}",
            required=f"one of {', '.join(STATISTICS)}",
            found=repr(statistic),
            remedy="Check the spelling",
        )
    return Column(
        f"{feature.name}_{statistic}",
        _OWN_UNITS.get(statistic, feature.unit),
        f"{STATISTICS[statistic]} in the unit of: {feature.description}",
        values,
        group=feature.group,
        statistic=statistic,
        sign=feature.sign if statistic in _SIGNED else None,
        is_angle=statistic == "circular_mean",
        classes=feature.classes if statistic == "dominant" else (),
    )


def cell_rows(grid: Grid, cells: NDArray[np.intp], *, with_geometry: bool = False) -> UnitRows:
    """Take cells of a grid as units; a cell is called by its flat index.

    Parameters
    ----------
    grid
        Projected, in metres, its rows along the map's x axis.
    cells
        (row,) flat indices.
    with_geometry
        Whether the table has the squares of the cells.
    """
    transform = grid.transform
    width, height = grid.resolution

    def x(rows: slice) -> NDArray[np.float64]:
        return np.asarray(transform.c + transform.a * (cells[rows] % grid.cols + 0.5))

    def y(rows: slice) -> NDArray[np.float64]:
        return np.asarray(transform.f + transform.e * (cells[rows] // grid.cols + 0.5))

    def area_m2(rows: slice) -> NDArray[np.float64]:
        return np.full(cells[rows].size, width * height)

    def squares(rows: slice) -> NDArray[np.object_]:
        import shapely

        east, north = x(rows), y(rows)
        half_width, half_height = width / 2.0, height / 2.0
        found = shapely.box(east - half_width, north - half_height, east + half_width, north + half_height)
        return np.asarray(found, object)

    return UnitRows(
        "cells", str(grid.crs), int(cells.size), cells, x, y, area_m2, squares if with_geometry else None
    )  # fmt: skip


def cell_columns(store: FeatureStore, cells: NDArray[np.intp]) -> tuple[Column, ...]:
    """Every feature of a store at some cells, by flat index; read from the store's files when asked for."""

    def reader(plane: NDArray[np.float32]) -> Callable[[slice], NDArray[np.float32]]:
        flat = plane.reshape(-1)
        return lambda rows: np.asarray(flat[cells[rows]])

    return tuple(feature_column(feature, reader(store.planes[feature.name])) for feature in store.features)


def _version() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return {"scarp": version("scarp")}
    except PackageNotFoundError:  # run from a checkout that is not installed
        return {}
