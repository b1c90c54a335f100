"""All that models see: features, targets and places of the mapping units of a study, one row for each.

Values are asked for by slices or by numbers of rows and read from where they lie, so that memory grows neither with the
number of rows nor with that of features as long as these are in files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.grid import Grid
from insar.layers import row_slices
from susceptibility.errors import OptionError
from susceptibility.inventory import LANDSLIDE
from susceptibility.schema import FeatureSchema
from susceptibility.units import Units

Rows = slice | NDArray[np.intp]
RowValues = Callable[[Rows], NDArray[Any]]
"""Values (row,) of some rows, NaN where unknown."""

ROWS_AT_ONCE = 65_536

OBSERVATION_STATISTICS = frozenset({"sigma", "count", "valid_share"})
"""Statistics of InSAR layers that tell how well a unit is observed, not how it moves; they are no features."""


@dataclass(frozen=True, slots=True)
class Targets:
    """What is known of landslides in each unit.

    Attributes
    ----------
    labels : (row,) uint8
        `LANDSLIDE`, `ABSENCE` or `UNLABELLED` of `susceptibility.inventory`.
    areal_density : (row,) float64 or None
        Area that landslides cover over observed area, 0 to 1, NaN where nothing was observed; None where the inventory
        has no areas.
    number_density : (row,) float64 or None
        Landslides per km2 of observed area.
    events : (row,) object or None
        Label of the event that each unit belongs to.
    """

    labels: NDArray[np.uint8]
    areal_density: NDArray[np.float64] | None = None
    number_density: NDArray[np.float64] | None = None
    events: NDArray[np.object_] | None = None


@dataclass(frozen=True, slots=True)
class Dataset:
    """Features and targets of mapping units.

    Attributes
    ----------
    kind
        Of the units: ``cells``, ``aggregate``, ``slope``, ``polygons``, or ``table`` for rows that were given.
    crs
        Of places and geometries: projected, in metres.
    count
        Number of units.
    schema
        Features, in the order of columns.
    columns
        Values of each feature, by its name.
    sigma
        Standard deviation of those features that have one, by the feature's name.
    members
        Names of the columns that each factor has become.
    targets
        Of each unit.
    area_m2 : (row,)
        Area; all equal for cells.
    number : (row,)
        By which a unit is called: for cells the flat index on the grid.
    places
        Gives eastings and northings (row, 2) of centroids, m.
    units
        On the study grid; None for rows that were given.
    geometry
        Gives shapely geometries (row,); None where there are none.
    is_absolute
        Names of features that are absolute values.
    notes
        What a reader must know of the data.
    """

    kind: str
    crs: str
    count: int
    schema: tuple[FeatureSchema, ...]
    columns: Mapping[str, RowValues]
    sigma: Mapping[str, RowValues]
    members: Mapping[str, tuple[str, ...]]
    targets: Targets
    area_m2: RowValues
    number: RowValues
    places: Callable[[Rows], NDArray[np.float64]]
    units: Units | None = None
    geometry: Callable[[Rows], NDArray[np.object_]] | None = None
    is_absolute: frozenset[str] = field(default_factory=frozenset)
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features."""
        return tuple(feature.name for feature in self.schema)

    @property
    def grid(self) -> Grid | None:
        """The study grid; None for rows that were given."""
        return None if self.units is None else self.units.grid

    def feature(self, name: str) -> FeatureSchema:
        """One feature; raises `OptionError` naming those there are."""
        for feature in self.schema:
            if feature.name == name:
                return feature
        raise OptionError(
            "feature", required=f"one of {', '.join(self.names)}", found=repr(name), remedy="Check the spelling"
        )

    def features(self, names: Sequence[str]) -> tuple[FeatureSchema, ...]:
        """Some of the features, in the order of `names`."""
        return tuple(self.feature(name) for name in names)

    def matrix(self, rows: Rows, names: Sequence[str]) -> NDArray[np.float32]:
        """Values (row, feature) of some rows; infinite counts as unknown."""
        size = len(range(*rows.indices(self.count))) if isinstance(rows, slice) else rows.size
        block = np.empty((size, len(names)), np.float32)
        for index, name in enumerate(names):
            block[:, index] = self.columns[name](rows)
        block[~np.isfinite(block)] = np.nan
        return block

    def errors(self, rows: Rows, names: Sequence[str]) -> NDArray[np.float32]:
        """Standard deviations (row, feature); 0 for features without, NaN where a feature's own is unknown."""
        size = len(range(*rows.indices(self.count))) if isinstance(rows, slice) else rows.size
        block = np.zeros((size, len(names)), np.float32)
        for index, name in enumerate(names):
            if name in self.sigma:
                block[:, index] = self.sigma[name](rows)
        return block

    def blocks(self) -> Iterator[slice]:
        """Slices of rows of bounded size."""
        return iter(row_slices(self.count, ROWS_AT_ONCE))

    def known(self, names: Sequence[str]) -> NDArray[np.bool_]:
        """(row,) True where every one of the features is known."""
        complete = np.ones(self.count, np.bool_)
        for rows in self.blocks():
            for name in names:
                complete[rows] &= np.isfinite(self.columns[name](rows))
        return complete

    def paint(self, values: NDArray[Any], fill: Any = np.nan) -> Callable[[slice], NDArray[Any]]:
        """Give a function of full rows of the study grid to (row, col) of the `values` (row,) of its units."""
        if self.units is None:
            raise OptionError(
                "map", required="units on a grid", found="a table that was given", remedy="Map its rows as points"
            )
        labels = self.units.labels
        # Cells are numbered in order, others in any: both are looked up, with one more value for what is in no unit.
        looked_up = np.concatenate([np.array([fill], values.dtype), values])
        return lambda rows: looked_up[labels[rows]]

    def expand(self, members: Sequence[str]) -> tuple[str, ...]:
        """Columns of a feature set that names groups, factors or columns: each once, in the order of the schema.

        Raises `OptionError` for a name that is none of them.
        """
        chosen: set[str] = set()
        groups = {feature.group for feature in self.schema}
        for member in members:
            if member in self.members:
                chosen.update(self.members[member])
            elif member in groups:
                chosen.update(feature.name for feature in self.schema if feature.group == member)
            elif member in self.names:
                chosen.add(member)
            else:
                raise OptionError(
                    "[feature_sets]",
                    required=f"groups ({', '.join(sorted(groups))}), factors ({', '.join(self.members)}) or "
                    f"columns ({', '.join(self.names)})",
                    found=repr(member),
                    remedy="Check the spelling",
                )
        return tuple(name for name in self.names if name in chosen)

    @property
    def landslide_rows(self) -> NDArray[np.intp]:
        """Rows with a landslide."""
        return np.flatnonzero(self.targets.labels == LANDSLIDE)


def row_values(values: NDArray[Any]) -> RowValues:
    """Values that are in memory, as `Dataset` asks for them."""

    def read(rows: Rows) -> NDArray[Any]:
        return np.asarray(values[rows])

    return read
