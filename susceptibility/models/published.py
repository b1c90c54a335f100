"""A published model as a baseline: it learns nothing from the training rows.

See `susceptibility.usgs` for the equations of Nowicki Jessee et al. (2018).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from susceptibility.errors import InputError
from susceptibility.models.definition import BOTH_TASKS, ModelDefinition, ModelOptions, Storage, Training
from susceptibility.schema import FeatureSchema, Task


class Usgs2018Options(ModelOptions):
    """Options of `USGS_2018`: the names of the features that are its quantities.

    Attributes
    ----------
    pgv
        Peak ground velocity, cm/s.
    slope
        Degrees.
    cti
        Compound topographic index.
    lithology_coefficient, landcover_coefficient
        From the tables of the paper.
    """

    pgv: str = Field(default="pgv", min_length=1)
    slope: str = Field(default="slope", min_length=1)
    cti: str = Field(default="twi", min_length=1)
    lithology_coefficient: str = Field(default="lithology_coefficient", min_length=1)
    landcover_coefficient: str = Field(default="landcover_coefficient", min_length=1)

    @model_validator(mode="after")
    def _names_five(self) -> Usgs2018Options:
        if len(set(self.names)) < len(self.names):
            raise ValueError("five different features are needed")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features, in the order of the arguments of `usgs_probability`."""
        return (self.pgv, self.slope, self.cti, self.lithology_coefficient, self.landcover_coefficient)


class Usgs2018:
    """The published equations on some of the columns.

    Parameters
    ----------
    places
        Column of each quantity, in the order of the arguments of `usgs_probability`.
    columns
        Number of columns.
    task
        Whether it gives the probability of a landslide, or the share of the ground that landslides cover.
    """

    def __init__(self, places: tuple[int, ...], columns: int, task: Task) -> None:
        self.places = places
        self.columns = columns
        self.task = task

    def predict(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Probability or share of each row of columns, (row,)."""
        from susceptibility.usgs import usgs_areal_coverage, usgs_probability

        pgv, slope, cti, lithology, landcover = (X[:, place].astype(np.float64) for place in self.places)
        probability = usgs_probability(pgv, slope, cti, lithology, landcover)
        return probability if self.task is Task.CLASSIFICATION else usgs_areal_coverage(probability, slope)

    def state(self) -> dict[str, Any]:
        """Return which columns it reads, as JSON can hold it."""
        return {"places": list(self.places), "columns": self.columns, "task": str(self.task)}

    @classmethod
    def from_state(cls, columns: tuple[FeatureSchema, ...], state: Mapping[str, Any]) -> Usgs2018:
        """Return what `state` told of; raises `ValueError`, `KeyError` or `TypeError` for something else."""
        places = tuple(int(place) for place in state["places"])
        if (
            state["columns"] != len(columns)
            or len(places) != 5
            or not all(0 <= place < len(columns) for place in places)
        ):
            raise ValueError("five columns of the schema")
        return cls(places, len(columns), Task(state["task"]))


_RANGES = {
    "pgv": (0.0, 1000.0, "peak ground velocities in cm/s"),
    "slope": (0.0, 90.0, "slopes in degrees"),
    "cti": (-10.0, 40.0, "compound topographic indices"),
    "lithology_coefficient": (-5.0, 5.0, "coefficients of lithology"),
    "landcover_coefficient": (-5.0, 5.0, "coefficients of land cover"),
}
"""What each quantity can be, by its option."""


def _fit(options: Usgs2018Options, training: Training) -> Usgs2018:
    """Find the columns, and refuse rows that cannot be what they should be: nothing else would show it."""
    from susceptibility.usgs import STEEPEST_WITHOUT_DEG

    names = [column.name for column in training.columns]
    places = tuple(names.index(name) for name in options.names)
    for (lowest, highest, meaning), place in zip(_RANGES.values(), places, strict=True):
        values = training.X[:, place]
        if values.min() < lowest or values.max() > highest:
            raise _unlike(names[place], f"{meaning}, from {lowest:g} to {highest:g}", values)
    slope = training.X[:, places[1]]
    if slope.max() <= STEEPEST_WITHOUT_DEG:
        needed = f"slopes in degrees, some of them above {STEEPEST_WITHOUT_DEG:g}: flatter ground has no landslides"
        raise _unlike(options.slope, needed, slope)
    return Usgs2018(places, len(names), training.task)


def _unlike(name: str, required: str, values: NDArray[np.float32]) -> InputError:
    return InputError(
        f"feature {name} of {USGS_2018.name}",
        required=required,
        found=f"{values.min():g} to {values.max():g} in the training rows",
        remedy="Check which file this is and its unit; the USGS gives its slope as rise over run",
    )


def _score(fitted: Usgs2018, X: NDArray[np.float32]) -> NDArray[np.float64]:
    return fitted.predict(X)


def _no_importance(fitted: Usgs2018) -> NDArray[np.float64]:
    return np.full(fitted.columns, np.nan)


def _required(options: Usgs2018Options) -> tuple[str, ...]:
    return options.names


def _units(options: Usgs2018Options) -> dict[str, frozenset[str]]:
    return {options.pgv: frozenset({"cm/s", "cm s-1"}), options.slope: frozenset({"deg", "degree", "degrees"})}


USGS_2018 = ModelDefinition(
    "usgs_2018",
    "USGS 2018 as published",
    Usgs2018Options,
    _fit,
    _score,
    _no_importance,
    "none",
    Storage.JSON,
    tasks=BOTH_TASKS,
    reads_raw=True,
    restore=Usgs2018.from_state,
    required_features=_required,
    required_units=_units,
    note=(
        "USGS 2018 as published learns nothing from the rows: its equation is fixed, so that its scores differ between "
        "folds and on training rows only as these rows do. It was fitted on landslides of 23 earthquakes; where this "
        "one is among them, its scores are no validation. Its probabilities are of as many landslides as other places."
    ),
)
