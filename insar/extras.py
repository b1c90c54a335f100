"""Packages that only some steps need and that are installed with an extra."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from insar.errors import OptionError


def import_extra(module: str, extra: str, purpose: str) -> Any:
    """A module of an optional package.

    Parameters
    ----------
    module
        Name to import.
    extra
        Of this distribution, that installs it.
    purpose
        What needs it, for the message.

    Raises
    ------
    OptionError
        If it is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        raise OptionError(
            purpose,
            required=f"the Python package {module}",
            found="an installation without it",
            remedy=f"pip install 'scarp[{extra}]'",
        ) from error
