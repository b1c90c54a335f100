"""What every reader of a processor's products offers."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from insar.stack import Stack


class Reader(Protocol):
    """Opens the stacks of one processor. A module of this package named after the processor holds one as ``READER``."""

    @property
    def expects(self) -> str:
        """What a folder of this processor holds, for the message shown where nothing is recognised."""
        ...

    def recognises(self, path: Path) -> bool:
        """Whether an existing file or folder looks like this processor's, judged by names alone and few of them."""
        ...

    def open(self, path: Path) -> Stack:
        """Open an existing file or folder: headers and file sizes are read, pixels are not.

        Raises
        ------
        InputError
            Something found is not what the format requires.
        MissingInputError
            A file that the stack cannot do without is absent.
        """
        ...
