"""How long each part of some work takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager


class Stopwatch:
    """Seconds by the name of a step; a step that is done several times adds up.

    Parameters
    ----------
    announce
        Told of each step as it begins and as it ends.
    """

    def __init__(self, announce: Callable[[str], None] | None = None) -> None:
        self.seconds: dict[str, float] = {}
        self._announce = announce

    @property
    def rounded(self) -> dict[str, float]:
        """Seconds to the millisecond."""
        return {name: round(taken, 3) for name, taken in self.seconds.items()}

    @property
    def slowest(self) -> str | None:
        """Step that took longest; None without any."""
        return max(self.seconds, key=self.seconds.__getitem__, default=None)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time what is done inside."""
        begun = time.perf_counter()
        if self._announce is not None:
            self._announce(f"{name} ...")
        yield
        self.add({name: time.perf_counter() - begun})
        if self._announce is not None:
            self._announce(f"{name}: {self.seconds[name]:.1f} s")

    def add(self, seconds: Mapping[str, float]) -> None:
        """Add times that were taken elsewhere."""
        for name, taken in seconds.items():
            self.seconds[name] = self.seconds.get(name, 0.0) + taken
