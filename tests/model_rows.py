"""Rows that models are tried on, whose answer is known."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from susceptibility.models import MODELS, SusceptibilityModel
from susceptibility.schema import FeatureSchema

SCHEMA = (
    *(FeatureSchema(name) for name in ("pgv", "slope", "twi", "lithology_coefficient", "landcover_coefficient")),
    FeatureSchema("rock", classes=("granite", "marl", "slate")),
)

QUICK = {
    "random_forest": {"trees": 12},
    "xgboost": {"trees": 25, "learning_rate": 0.2},
    "lightgbm": {"trees": 25, "learning_rate": 0.2},
}
"""Options that keep tests short."""


def true_probability(X: np.ndarray) -> np.ndarray:
    """Slope decides, and marl is weak."""
    return 1.0 / (1.0 + np.exp(-(0.15 * (X[:, 1] - 25.0) + 1.5 * (X[:, 5] == 2))))


def draw_rows(rows: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features of `SCHEMA`, and whether there is a landslide."""
    rng = np.random.default_rng(seed)
    X = np.column_stack(
        [
            np.exp(rng.normal(3.0, 0.5, rows)),
            rng.uniform(0.0, 50.0, rows),
            rng.uniform(0.0, 15.0, rows),
            rng.normal(-0.5, 0.3, rows),
            rng.normal(-0.5, 0.3, rows),
            rng.integers(1, 4, rows),
        ]
    ).astype(np.float32)
    return X, (rng.uniform(size=rows) < true_probability(X)).astype(np.uint8)


def builder_of(model: str, features: int, **options: Any) -> Callable[[int], SusceptibilityModel]:
    """Make unfitted models of so many quantities from seeds"""
    definition = MODELS[model]
    schema = tuple(FeatureSchema(f"x{number}") for number in range(features))
    return partial(_model, model, definition.options(**options), schema)


def _model(name: str, options: Any, schema: tuple[FeatureSchema, ...], seed: int) -> SusceptibilityModel:
    return SusceptibilityModel(MODELS[name], options, schema, seed=seed)


def scattered(cells: int = 400, seed: int = 0, extent_m: float = 10_000.0) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates and targets; landslides are more frequent in the east."""
    rng = np.random.default_rng(seed)
    coordinates_m = rng.uniform(0.0, extent_m, (cells, 2)) + np.array([300_000.0, 4_000_000.0])
    chance = 0.2 + 0.5 * (coordinates_m[:, 0] - 300_000.0) / extent_m
    return coordinates_m, (rng.uniform(size=cells) < chance).astype(np.uint8)
