"""Command-line options; those of the configuration are made from its fields, so that each is defined once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

StackOrConfig = Annotated[
    Path, typer.Argument(metavar="STACK|CONFIG", help="Folder or file of a stack, or a configuration (.toml).")
]
OutputFolder = Annotated[Path, typer.Option("--output", "-o", help="Result folder.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a result that is there.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors alone.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say what is being done.")]

_TYPES: dict[str, Any] = {
    "reference_lonlat": tuple[float, float],
    "reference_rowcol": tuple[int, int],
    "bbox": tuple[float, float, float, float],
    "max_temporal_days": float,
    "max_perp_m": float,
    "connections": int,
    "min_coherence": float,
    "looks": float,
    "resolution": float,
    "workers": int,
}
"""Types of the options; the others are text, which the configuration parses."""

_METAVARS = {"reference_lonlat": "LON LAT", "reference_rowcol": "ROW COL", "bbox": "W S E N"}


def takes_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command every setting as an option; it receives those that were given as `settings`."""
    from insar.config import Settings, field_group

    own = inspect.signature(command, eval_str=True).parameters
    names = [name for name in Settings.model_fields if name != "stack"]
    options = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[
                _TYPES.get(name, str) | None,
                typer.Option(
                    f"--{name.replace('_', '-')}",
                    help=f"{Settings.model_fields[name].description}.",
                    metavar=_METAVARS.get(name),
                    rich_help_panel=field_group(name),
                ),
            ],
        )
        for name in names
    ]

    def with_options(**given: Any) -> None:
        command(
            **{name: given[name] for name in own if name != "settings"}, settings={name: given[name] for name in names}
        )

    parameters = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for name, parameter in own.items() if name != "settings"
    ]
    with_options.__name__ = command.__name__
    with_options.__doc__ = command.__doc__
    # typer reads the signature and the annotations, not the function.
    with_options.__signature__ = inspect.Signature([*parameters, *options])  # type: ignore[attr-defined]
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in [*parameters, *options]}
    return with_options
