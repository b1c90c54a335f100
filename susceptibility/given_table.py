"""A table that others have made, one row for each mapping unit, as a `Dataset`.

One that `susceptibility table` or a run has written says what its columns are, so that none of them has to be named but
the target: other targets and what tells how well a unit is observed are no features, and classes are classes.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from insar.grid import Grid, same_crs
from susceptibility.categories import sorted_labels
from susceptibility.dataset import OBSERVATION_STATISTICS, Dataset, RowValues, Targets, row_values
from susceptibility.density import SQUARE_METRES_PER_KM2
from susceptibility.errors import InputError, MissingInputError, OptionError
from susceptibility.events import label_of
from susceptibility.inventory import ABSENCE, LANDSLIDE, UNLABELLED
from susceptibility.inventory_files import FALSE_WORDS, TRUE_WORDS
from susceptibility.projection import known_crs, utm_crs
from susceptibility.schema import FeatureSchema
from susceptibility.table_files import METADATA_KEY, sidecar_of

if TYPE_CHECKING:
    import pyarrow as pa

    from susceptibility.recipe import TableSection

logger = logging.getLogger(__name__)

SUFFIXES = (".csv", ".csv.gz", ".parquet")
_DEGREES = 360.0
_POLE_DEG = 90.0
_POINT_DEG = 1e-6  # side of the cell that stands for a place

SUSPICIOUS_AUC = 0.99
"""A feature that by itself orders units with and without landslides so well is likely made of the landslides.

Not 1: one slip of the pen among thousands of units must not hide a count. In the table of Wenchuan a single unit has
a landslide counted and none mapped; what best tells its landslides otherwise has 0.73.
"""

Described = Mapping[str, Mapping[str, Any]]
"""What a table of our own says of each of its columns, by name; nothing of a table that others have made."""


def read_given_table(source: TableSection) -> Dataset:
    """Read the table that ``[table]`` of a recipe names.

    Parameters
    ----------
    source
        What its columns are.

    Returns
    -------
    Dataset
        Of kind ``table``, all in memory. Areal density above 1, which cannot be, is clipped and told of in `notes`.

    Raises
    ------
    MissingInputError, InputError
        There is no such file, it cannot be read, or values are not what their column should hold.
    OptionError
        It lacks a column that is named, or has none left to predict from.
    """
    table = _read(source.path)
    described = _description(source, table)
    places, crs = _places(source, table)
    count = table.num_rows
    schema, columns = _features(source, table, described)
    area_name = source.area_m2 or ("area_m2" if "area_m2" in described else None)
    area = np.full(count, np.nan)
    if area_name is not None:
        area = _numbers(source, table, area_name)
        has_area = np.isfinite(area) & (area > 0.0)
        if not has_area.all():
            raise InputError(
                f"{source.path}, column {area_name!r}",
                required="an area above 0 in every row",
                found=f"{int((~has_area).sum())} rows without",
                remedy="Leave these rows out, or the key 'area_m2'",
            )
    targets, notes = _targets(source, table, area, is_area_known=area_name is not None)
    if area_name is None:
        notes = (*notes, "The table names no areas: each unit counts as 1 km2 where shares of the area are stated.")
    number = np.arange(1, count + 1, dtype=np.int64)
    if described.get("unit", {}).get("role") == "unit":
        number = _numbers(source, table, "unit").astype(np.int64)
    return Dataset(
        kind="table",
        crs=crs,
        count=count,
        schema=schema,
        columns={name: row_values(values) for name, values in columns.items()},
        sigma=_sigma(source, table, described, columns),
        members={feature.name: (feature.name,) for feature in schema},
        targets=targets,
        area_m2=row_values(area),
        number=row_values(number),
        places=places.__getitem__,
        geometry=lambda rows: _points(places[rows]),
        is_absolute=frozenset(name for name in columns if _is_absolute(name, described)),
        notes=(*notes, *_separating(schema, columns, targets)),
    )


def _points(places: NDArray[np.float64]) -> NDArray[np.object_]:
    import shapely

    return np.asarray(shapely.points(places), object)


def _read(path: Path) -> pa.Table:
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    if not path.is_file():
        raise MissingInputError(path, required="a table", found="no such file", remedy="Check [table] path")
    if not path.name.lower().endswith(SUFFIXES):
        raise OptionError(
            path, required=f"a table that ends in {', '.join(SUFFIXES)}", found=path.name, remedy="Convert it"
        )
    try:
        if path.name.lower().endswith(".parquet"):
            # By its file: pandas' own columns of row numbers are left where they are.
            table = pyarrow.parquet.ParquetFile(path).read()
        else:
            # "NA" and its like are words that programs write for what is not known.
            options = pyarrow.csv.ConvertOptions(strings_can_be_null=True)
            table = pyarrow.csv.read_csv(path, convert_options=options)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(
            path,
            required="a table with a header and one row for each unit",
            found=str(error),
            remedy="Open it and mend the line named",
        ) from error
    twice = sorted({name for name in table.column_names if table.column_names.count(name) > 1})
    if twice or table.num_rows == 0:
        raise InputError(
            path,
            required="columns of different names, and at least one row",
            found=f"{', '.join(map(repr, twice))} twice" if twice else "no row",
            remedy="Correct the table",
        )
    return table


def _description(source: TableSection, table: pa.Table) -> Described:
    """What a table that this package has written says of its columns; empty for another."""
    content = (table.schema.metadata or {}).get(METADATA_KEY.encode())
    sidecar = sidecar_of(source.path)
    if content is None and sidecar.is_file():
        content = sidecar.read_bytes()
    if content is None:
        return {}
    try:
        whole = json.loads(content)
        described = {column["name"]: column for column in whole["columns"] if column["name"] in table.column_names}
        crs = whole["crs"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            source.path,
            required="a description of its columns, as `susceptibility table` writes it",
            found=f"a broken one: {error}",
            remedy="Write the table again",
        ) from error
    if not same_crs(crs, known_crs(source.crs)):
        raise OptionError(
            "[table] crs", required=f"{crs}, as {source.path} says", found=source.crs, remedy="Correct the key"
        )
    return described


def _sigma(
    source: TableSection, table: pa.Table, described: Described, columns: Mapping[str, Any]
) -> dict[str, RowValues]:
    """Standard deviation of each feature that has one, by the feature's name."""
    named = {
        f"{name.removesuffix('_sigma')}_mean": name
        for name, column in described.items()
        if column.get("statistic") == "sigma" and f"{name.removesuffix('_sigma')}_mean" in columns
    } | source.sigma
    for feature in named:
        if feature not in columns:
            raise _no_column(source, feature, "sigma", columns)
    found = {}
    for feature, name in named.items():
        values = _numbers(source, table, name)
        _refuse_negative(source, name, values)
        found[feature] = row_values(values)
    return found


def _is_absolute(name: str, described: Described) -> bool:
    """Whether a column of our own holds absolute values of a layer, by the name that it was given for that."""
    column = described.get(name, {})
    return column.get("group") == "insar" and name.removesuffix(f"_{column.get('statistic')}").endswith("_absolute")


def _places(source: TableSection, table: pa.Table) -> tuple[NDArray[np.float64], str]:
    """Eastings and northings (row, 2) in metres, and their coordinate reference system."""
    crs = known_crs(source.crs)
    places = np.stack([_numbers(source, table, source.x), _numbers(source, table, source.y)], axis=1)
    if not np.isfinite(places).all():
        raise InputError(
            source.path,
            required=f"numbers in every row of {source.x!r} and {source.y!r}",
            found=f"{int((~np.isfinite(places)).any(axis=1).sum())} rows without",
            remedy="Leave these rows out",
        )
    middle = places.mean(axis=0)
    here = Grid(1, 1, Affine(_POINT_DEG, 0.0, middle[0], 0.0, -_POINT_DEG, middle[1]), crs)
    if here.is_metric:
        return places, crs
    longest, highest = np.abs(places).max(axis=0)
    if not here.is_geographic or longest > _DEGREES or highest > _POLE_DEG:
        raise InputError(
            source.path,
            required="coordinates in degrees, or in a projected system in metres that is not Web Mercator",
            found=f"{crs}, with places around {middle[0]:g}, {middle[1]:g}",
            remedy="Correct [table] crs, x and y (longitude and latitude), or project the table",
        )
    import pyproj

    metric = utm_crs(here)
    x, y = pyproj.Transformer.from_crs(crs, metric, always_xy=True).transform(*places.T)
    return np.stack([x, y], axis=1), metric


def _features(
    source: TableSection, table: pa.Table, described: Described
) -> tuple[tuple[FeatureSchema, ...], dict[str, NDArray[np.float32]]]:
    used = {source.x, source.y, *source.targets.values(), *source.sigma.values(), *source.leave_out}
    used |= {source.area_m2} if source.area_m2 is not None else set()
    answers = {name for name, column in described.items() if column.get("role") == "target"}
    used |= answers | {name for name, column in described.items() if column.get("role") == "unit"}
    used |= {name for name, column in described.items() if column.get("statistic") in OBSERVATION_STATISTICS}
    names = source.features or [name for name in table.column_names if name not in used and _is_numeric(table, name)]
    names = [*dict.fromkeys([*names, *source.classes])]
    if not names:
        raise OptionError(
            f"[table] features of {source.path}",
            required="at least one column of numbers or classes to predict from",
            found="none besides places and targets",
            remedy="Name them",
        )
    leaking = sorted(set(names) & (answers | set(source.targets.values())))
    if leaking:
        raise OptionError(
            "[table] features",
            required="columns other than those to be predicted",
            found=", ".join(leaking),
            remedy="Take them out: a model that is given the answer learns nothing else",
        )
    group_of = {name: group for group, members in source.groups.items() for name in members}
    for name in (*source.leave_out, *group_of, *source.units):
        if name not in table.column_names:
            raise _no_column(source, name, "leave_out, groups or units", table.column_names)
    schema, columns = [], {}
    for name in names:
        said: Mapping[str, Any] = described.get(name, {})
        classes: tuple[str, ...] = ()
        if name in source.classes or said.get("unit") == "class":
            columns[name], classes = _codes(source, table, name, said.get("classes", ()))
        else:
            columns[name] = _numbers(source, table, name).astype(np.float32)
        unit = "class" if classes else source.units.get(name, said.get("unit", ""))
        group = group_of.get(name, said.get("group", "table"))
        description = said.get("description", f"{name} of {source.path.name}")
        schema.append(FeatureSchema(name, unit, group, description, said.get("sign"), classes))
    return tuple(schema), columns


def _separating(
    schema: tuple[FeatureSchema, ...], columns: Mapping[str, NDArray[np.float32]], targets: Targets
) -> tuple[str, ...]:
    """Tell of quantities that part landslides from others as no cause of them does, but a count of them."""
    from sklearn.metrics import roc_auc_score

    is_told = np.isin(targets.labels, (LANDSLIDE, ABSENCE))
    names = []
    for feature in schema:
        values = columns[feature.name]
        known = is_told & np.isfinite(values)
        is_landslide = targets.labels[known] == LANDSLIDE
        if feature.is_class or is_landslide.all() or not is_landslide.any():
            continue
        auc = float(roc_auc_score(is_landslide, values[known]))
        if max(auc, 1.0 - auc) >= SUSPICIOUS_AUC:
            names.append(feature.name)
    if not names:
        return ()
    return (
        "These features part units with landslides from all others, wholly or nearly without a miss: "
        f"{', '.join(names)}. If they were counted or measured from the landslides themselves, the scores mean "
        "nothing: name them in [table] leave_out.",
    )


def _codes(
    source: TableSection, table: pa.Table, name: str, meaning: Sequence[str] = ()
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Numbers of classes and their labels; `meaning` has those that the file itself gives to 1, 2, ..."""
    values = _column(source, table, name, "classes").to_pylist()
    labels = [label_of(value) for value in values]
    if meaning:
        named = {str(number): label for number, label in enumerate(meaning, start=1)}
        strange = sorted({label for label in labels if label and label not in named})
        if strange:
            raise InputError(
                source.path,
                required=f"class numbers from 1 to {len(meaning)} in column {name!r}, which the file gives labels to",
                found=", ".join(strange[:5]),
                remedy="Write the table again with `susceptibility table`",
            )
        labels = [named.get(label, "") for label in labels]
    known = sorted_labels({label for label in labels if label})
    code = {label: float(number) for number, label in enumerate(known, start=1)}
    return np.array([code[label] if label else np.nan for label in labels], np.float32), tuple(known)


def _targets(
    source: TableSection, table: pa.Table, area: NDArray[np.float64], *, is_area_known: bool
) -> tuple[Targets, tuple[str, ...]]:
    notes = []
    for key in ("landslide_area_m2", "number"):
        if getattr(source, key) is not None and not is_area_known:
            raise OptionError(
                f"[table] {key}",
                required="'area_m2' beside it, the area of each unit",
                found="none",
                remedy="Name the column of areas",
            )
    for key in ("areal_density", "landslide_area_m2", "number"):
        if getattr(source, key) is not None:
            _refuse_negative(source, getattr(source, key), _numbers(source, table, getattr(source, key)))
    density = number = None
    if source.areal_density is not None:
        density = _numbers(source, table, source.areal_density)
    elif source.landslide_area_m2 is not None:
        covered = _numbers(source, table, source.landslide_area_m2)
        density = np.divide(covered, area, out=np.full(area.size, np.nan), where=area > 0.0)
    if density is not None:
        above = density > 1.0
        if above.any():
            notes.append(
                f"{int(above.sum())} of {density.size} units have an areal density above 1, up to "
                f"{np.nanmax(density):.3g}: landslides were counted that reach beyond their unit, or twice. They are "
                "taken as 1."
            )
        density = np.minimum(density, 1.0)
    if source.number is not None:
        slides = _numbers(source, table, source.number)
        number = np.divide(slides * SQUARE_METRES_PER_KM2, area, out=np.full(area.size, np.nan), where=area > 0.0)
    labels = np.full(table.num_rows, UNLABELLED, np.uint8)
    if source.landslide is not None:
        present, known = _truth(source, table, source.landslide)
    else:
        found = density if density is not None else number
        if found is None:
            raise OptionError(
                "[table]",
                required="'landslide', 'areal_density', 'landslide_area_m2' or 'number', to be predicted",
                found="none of them",
                remedy="Name the column",
            )
        present, known = found > 0.0, np.isfinite(found)
    # Every row of such a table was looked at: what is no landslide is known to be none.
    labels[known] = ABSENCE
    labels[known & present] = LANDSLIDE
    events = None
    if source.event is not None:
        named = _column(source, table, source.event, "event").to_pylist()
        events = np.array([None if value is None else str(value) for value in named], object)
    return Targets(labels, density, number, events), tuple(notes)


def _truth(source: TableSection, table: pa.Table, name: str) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether there is a landslide in each row, and whether that is known."""
    column = _column(source, table, name, "landslide")
    if _is_numeric(table, name):
        values = _numbers(source, table, name)
        if not np.isin(values[np.isfinite(values)], (0.0, 1.0)).all():
            raise InputError(
                f"{source.path}, column {name!r}",
                required="1 for a landslide and 0 for none",
                found="other numbers",
                remedy="Name it as 'number' or 'areal_density' if that is what it is",
            )
        return values == 1.0, np.isfinite(values)
    words = [None if value is None else str(value).strip().lower() for value in column.to_pylist()]
    strange = sorted({word for word in words if word is not None} - TRUE_WORDS - FALSE_WORDS)
    if strange:
        raise InputError(
            f"{source.path}, column {name!r}",
            required="true or false (also 1/0, yes/no)",
            found=repr(strange[0]),
            remedy="Correct the column",
        )
    return np.array([word in TRUE_WORDS for word in words]), np.array([word is not None for word in words])


def _refuse_negative(source: TableSection, name: str, values: NDArray[np.float64]) -> None:
    wrong = (values < 0.0) | np.isinf(values)
    if wrong.any():
        raise InputError(
            f"{source.path}, column {name!r}",
            required="numbers from 0 on",
            found=f"{int(wrong.sum())} below 0 or infinite, such as {values[wrong][0]:g}",
            remedy="Write what is not known as an empty field",
        )


def _numbers(source: TableSection, table: pa.Table, name: str) -> NDArray[np.float64]:
    column = _column(source, table, name, "")
    if not _is_numeric(table, name):
        raise InputError(
            f"{source.path}, column {name!r}",
            required="numbers",
            found=f"{column.type}",
            remedy="Correct the column, or name it under [table] classes",
        )
    return np.asarray(column.cast("float64").to_numpy(), np.float64)


def _column(source: TableSection, table: pa.Table, name: str, key: str) -> pa.ChunkedArray:
    if name not in table.column_names:
        raise _no_column(source, name, key, table.column_names)
    return table.column(name)


def _no_column(source: TableSection, name: str, key: str, known: Any) -> OptionError:
    return OptionError(
        f"[table] {key}".rstrip(),
        required=f"a column of {source.path}: {', '.join(known)}",
        found=repr(name),
        remedy="Check the spelling",
    )


def _is_numeric(table: pa.Table, name: str) -> bool:
    from pyarrow import types

    kind = table.schema.field(name).type
    return bool(types.is_floating(kind) or types.is_integer(kind))
