"""Small-baseline InSAR time series: from a folder of interferograms to deformation layers.

>>> import insar
>>> stack = insar.open_stack("merged/")  # doctest: +SKIP
>>> series = insar.invert(stack, weights="coherence", reference="auto")  # doctest: +SKIP
>>> rate = insar.fit_velocity(series)  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from insar.version import VERSION

if TYPE_CHECKING:
    from insar.coherence import estimate_coherence
    from insar.damage import damage_proxy
    from insar.errors import InputError, InsarError, MissingInputError, OptionError
    from insar.grid import Grid, LonLat, RowCol
    from insar.inversion import invert, invert_network
    from insar.network import NetworkSelection, select_network
    from insar.phase import phase_to_los
    from insar.readers import open_stack
    from insar.series import Rate, TimeSeries
    from insar.stack import Pair, Stack
    from insar.velocity import fit_velocity
    from insar.weights import phase_variance

__version__ = VERSION

_HOMES = {
    "Grid": "grid",
    "InputError": "errors",
    "InsarError": "errors",
    "LonLat": "grid",
    "MissingInputError": "errors",
    "NetworkSelection": "network",
    "OptionError": "errors",
    "Pair": "stack",
    "Rate": "series",
    "RowCol": "grid",
    "Stack": "stack",
    "TimeSeries": "series",
    "damage_proxy": "damage",
    "estimate_coherence": "coherence",
    "fit_velocity": "velocity",
    "invert": "inversion",
    "invert_network": "inversion",
    "open_stack": "readers",
    "phase_to_los": "phase",
    "phase_variance": "weights",
    "select_network": "network",
}

__all__ = [
    "Grid",
    "InputError",
    "InsarError",
    "LonLat",
    "MissingInputError",
    "NetworkSelection",
    "OptionError",
    "Pair",
    "Rate",
    "RowCol",
    "Stack",
    "TimeSeries",
    "__version__",
    "damage_proxy",
    "estimate_coherence",
    "fit_velocity",
    "invert",
    "invert_network",
    "open_stack",
    "phase_to_los",
    "phase_variance",
    "select_network",
]


def __getattr__(name: str) -> Any:
    # Modules are imported when first used: importing insar takes no time, whatever its parts cost.
    if name not in _HOMES:
        raise AttributeError(f"module 'insar' has no attribute {name!r}")
    return getattr(importlib.import_module(f"insar.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
