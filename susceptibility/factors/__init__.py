"""Factors of the terrain that landslides depend on; importing this is light, its modules are not."""

from __future__ import annotations

from susceptibility.factors.definitions import FACTORS

__all__ = ["FACTORS"]
