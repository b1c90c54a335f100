"""What goes wrong because of the input, as opposed to a defect of this package.

Every message has the same four parts, so that a user never has to guess: the file or option it is about, what was
required of it, what arrived instead, and what to do.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TypeVar


class InsarError(Exception):
    """The input or the options are wrong; the command line ends with exit code 2.

    Parameters
    ----------
    subject
        File, folder or option that the message is about.
    required
        What was required of it.
    found
        What arrived instead.
    remedy
        What the user can do, as a sentence without its final full stop.
    """

    def __init__(self, subject: str | Path, *, required: str, found: str, remedy: str) -> None:
        super().__init__(f"{subject}: required {required}; found {found}. {remedy}.")
        self.subject = str(subject)
        self.required = required
        self.found = found
        self.remedy = remedy

    def __reduce__(self) -> tuple[Callable[..., InsarError], tuple[type[InsarError], str, str, str, str]]:
        # Errors come back from worker processes, and arguments given by keyword are not pickled by default.
        return _rebuilt, (type(self), self.subject, self.required, self.found, self.remedy)


def _rebuilt(kind: type[InsarError], subject: str, required: str, found: str, remedy: str) -> InsarError:
    return kind(subject, required=required, found=found, remedy=remedy)


class InputError(InsarError, ValueError):
    """The content of a file is not what its format or its neighbours require."""


class MissingInputError(InsarError, FileNotFoundError):
    """A file or a folder that is needed is not there."""

    def __str__(self) -> str:  # FileNotFoundError would print an errno tuple
        return str(self.args[0])


class OptionError(InsarError, ValueError):
    """An option, a configuration key or an argument has a value that cannot be used."""


Choice = TypeVar("Choice", bound=StrEnum)


def parse_choice(kind: type[Choice], value: str, subject: str) -> Choice:
    """A member of an enumeration by its value; raises `OptionError` that lists them."""
    try:
        return kind(value)
    except ValueError:
        raise OptionError(
            subject, required="one of " + ", ".join(kind), found=repr(value), remedy="Choose one of them"
        ) from None
