"""Sizes on the pixels of an image: estimation windows and looks."""

from __future__ import annotations

from typing import NamedTuple

from insar.errors import OptionError


class Window(NamedTuple):
    """Size of an estimation window, both odd, so that the pixel it is for lies in its middle."""

    rows: int
    cols: int

    def check(self, option: str = "--window") -> Window:
        """The window itself; raises `OptionError` where a size is not odd and positive."""
        if any(size < 1 or size % 2 == 0 for size in self):
            raise OptionError(
                option,
                required="two odd numbers of pixels, rows and columns",
                found=f"{self.rows} {self.cols}",
                remedy="Give for instance 5 5",
            )
        return self

    @property
    def reach(self) -> tuple[int, int]:
        """Rows and columns that the window reaches beyond its middle."""
        return self.rows // 2, self.cols // 2


class Looks(NamedTuple):
    """Pixels of full resolution, down and across, that are taken together into one."""

    rows: int
    cols: int

    def check(self, option: str = "--looks") -> Looks:
        """The looks themselves; raises `OptionError` where one is not positive."""
        if min(self) < 1:
            raise OptionError(
                option,
                required="two positive numbers of looks, rows (azimuth) and columns (range)",
                found=f"{self.rows} {self.cols}",
                remedy="Give for instance 3 9, or 1 1 for full resolution",
            )
        return self


ONE_LOOK = Looks(1, 1)
DEFAULT_WINDOW = Window(5, 5)
SIBLING_WINDOW = Window(31, 31)
"""Wider than most landslides: where the window lies within one, its siblings have lost their coherence with it."""

DEFAULT_REJECTION_RATE = 0.05
"""Share of the pixels of a uniform field that are not taken for siblings of one another."""
