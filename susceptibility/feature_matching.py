"""Features of a joined dataset, as a model that was trained elsewhere asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from susceptibility.dataset import Dataset, Rows, RowValues
from susceptibility.errors import InputError, MissingInputError
from susceptibility.factor_rasters import FactorRaster, check_meaning
from susceptibility.schema import FeatureSchema


def match_dataset(
    data: Dataset, schema: Sequence[FeatureSchema]
) -> tuple[Dataset, dict[str, dict[str, int]], tuple[str, ...]]:
    """Take those features of a joined dataset that a model asks for, their classes numbered as the model knows them.

    Parameters
    ----------
    data
        Of a recipe.
    schema
        Of the model.

    Returns
    -------
    data
        A class that the model does not know has the number after the last that it knows.
    unseen
        Rows of each of those, by feature and label.
    warnings
        What could not be made sure of.

    Raises
    ------
    MissingInputError
        A feature is not there.
    InputError
        A feature is in another unit or has another sense of sign, or is a class in one and a quantity in the other.
    """
    missing = [feature.name for feature in schema if feature.name not in data.names]
    if missing:
        raise MissingInputError(
            "features of the recipe",
            required="every feature of the model: " + ", ".join(feature.name for feature in schema),
            found="no " + ", ".join(missing),
            remedy="Add them to the recipe under these names, on the kind of units that the model was trained on, or "
            "name a model without them by --model",
        )
    columns: dict[str, RowValues] = {}
    unseen: dict[str, dict[str, int]] = {}
    warnings: list[str] = []
    for wanted in schema:
        own = data.feature(wanted.name)
        if own.is_class != wanted.is_class:
            raise InputError(
                f"feature {wanted.name!r}",
                required="classes" if wanted.is_class else "a quantity, as in training",
                found="classes" if own.is_class else "a quantity",
                remedy="Name it under the table of [factors] that it had in training",
            )
        given = FactorRaster(wanted, Path(f"{wanted.name} of the recipe"), unit=own.unit or None, sign=own.sign)
        warnings += check_meaning(given)
        columns[wanted.name] = data.columns[wanted.name]
        if wanted.is_class and own.classes != wanted.classes:
            columns[wanted.name] = _renumbered(data.columns[wanted.name], own, wanted)
            strange = _strange_classes(data, own, wanted)
            if strange:
                unseen[wanted.name] = strange
    matched = replace(
        data,
        schema=tuple(schema),
        columns=columns,
        sigma={},
        members={
            factor: kept for factor, own in data.members.items() if (kept := tuple(n for n in own if n in columns))
        },
    )
    return matched, unseen, tuple(warnings)


def _renumbered(values: RowValues, own: FeatureSchema, wanted: FeatureSchema) -> RowValues:
    number = {label: position for position, label in enumerate(wanted.classes, start=1)}
    strange = len(wanted.classes) + 1
    of_code = np.array([np.nan, *(number.get(label, strange) for label in own.classes)], np.float32)

    def read(rows: Rows) -> NDArray[np.float32]:
        codes = np.asarray(values(rows), np.float64)
        return of_code[np.where(np.isfinite(codes), codes, 0.0).astype(np.intp)]

    return read


def _strange_classes(data: Dataset, own: FeatureSchema, wanted: FeatureSchema) -> dict[str, int]:
    counts = np.zeros(len(own.classes) + 1, np.int64)
    for rows in data.blocks():
        codes = np.asarray(data.columns[own.name](rows), np.float64)
        counts += np.bincount(codes[np.isfinite(codes)].astype(np.intp), minlength=counts.size)
    return {
        label: int(count)
        for label, count in zip(own.classes, counts[1:], strict=True)
        if count and label not in wanted.classes
    }
