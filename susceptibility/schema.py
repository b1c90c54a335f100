"""What a feature is to a model: its name, its unit of measure, and whether it is a quantity or a class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Task(StrEnum):
    """What a model predicts: the probability of a class, or a value."""

    CLASSIFICATION = "classification"
    REGRESSION = "regression"


@dataclass(frozen=True, slots=True)
class FeatureSchema:
    """One column of the features that a model is fitted on.

    Attributes
    ----------
    name, unit, group, description, sign
        As in `susceptibility.features.Feature`.
    classes
        Empty for a quantity. Labels of a categorical feature, whose values are whole numbers from 1: 1 for the first
        label, and so on. Unknown is NaN for both.
    """

    name: str
    unit: str = ""
    group: str = ""
    description: str = ""
    sign: str | None = None
    classes: tuple[str, ...] = ()

    @property
    def is_class(self) -> bool:
        """Whether its values are numbers of classes."""
        return bool(self.classes)

    def as_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {**asdict(self), "classes": list(self.classes)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> FeatureSchema:
        """Read what `as_dict` gave."""
        return cls(**{**content, "classes": tuple(content["classes"])})
