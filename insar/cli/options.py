"""Command-line options; those of the configuration are made from its fields, so that each is defined once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

StackOrConfig = Annotated[
    Path, typer.Argument(metavar="STACK|CONFIG", help="Folder or file of a stack, or a configuration (.toml).")
]
OutputFolder = Annotated[Path, typer.Option("--output", "-o", help="Result folder.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a result that is there.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors alone.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say what is being done.")]

_TYPES: dict[str, Any] = {
    "more_stacks": list[Path],
    "reference_lonlat": tuple[float, float],
    "reference_rowcol": tuple[int, int],
    "bbox": tuple[float, float, float, float],
    "max_temporal_days": float,
    "max_perp_m": float,
    "connections": int,
    "reference_size": int,
    "solid_earth_tides": bool,
    "dem_error": bool,
    "false_alarm_rate": float,
    "incidence": float,
    "min_coherence": float,
    "looks": float,
    "recent_days": float,
    "resolution": float,
    "workers": int,
}
"""Types of the options; the others are text, which the configuration parses."""

_METAVARS = {"reference_lonlat": "LON LAT", "reference_rowcol": "ROW COL", "bbox": "W S E N"}


def takes_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command every setting as an option; it receives those that were given as `settings`."""
    from insar.config import Settings, field_group

    options = {
        name: Annotated[
            _TYPES.get(name, str) | None,
            typer.Option(
                _flag(name),
                help=f"{Settings.model_fields[name].description}.",
                metavar=_METAVARS.get(name),
                rich_help_panel=field_group(name),
            ),
        ]
        for name in Settings.model_fields
        if name != "stack"
    }
    return with_options(command, "settings", options)


def _flag(name: str) -> str:
    flag = name.replace("_", "-")
    return f"--{flag}/--no-{flag}" if _TYPES.get(name) is bool else f"--{flag}"


_AS_TEXT = (date, type(None))
"""Types of defaults whose options are text: dates, and what is not set."""


def takes_parameters(kind: type[DataclassInstance]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command every plain parameter of a simulator as an option; those given arrive as `parameters`."""
    options = {}
    for entry in fields(kind):
        plain = type(entry.default)
        if plain not in (bool, int, float, str, *_AS_TEXT):
            continue
        flag = f"--{entry.name.replace('_', '-')}"
        options[entry.name] = Annotated[
            (str if plain in _AS_TEXT else plain) | None,
            typer.Option(
                f"{flag}/--no-{flag[2:]}" if plain is bool else flag,
                help=f"By default {entry.default}.",
                rich_help_panel=f"The scene (explained in {kind.__module__}.{kind.__name__})",
            ),
        ]
    return lambda command: with_options(command, "parameters", options)


def with_options(command: Callable[..., None], group: str, options: dict[str, Any]) -> Callable[..., None]:
    """A command whose argument `group`, a dictionary, is filled from options of their own."""
    own = inspect.signature(command, eval_str=True).parameters

    def called(**given: Any) -> None:
        arguments = {name: given[name] for name in own if name != group}
        command(**arguments, **{group: {name: given[name] for name in options}})

    parameters = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for name, parameter in own.items() if name != group
    ] + [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in options.items()
    ]
    called.__name__ = command.__name__
    called.__doc__ = command.__doc__
    # typer reads the signature and the annotations, not the function.
    called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    called.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return called
