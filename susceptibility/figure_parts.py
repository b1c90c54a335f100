"""What every picture is drawn with: a figure that needs no display, and a file that is whole or not there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DOTS_PER_INCH = 130


def panels(rows: int, columns: int, width: float, height: float | Sequence[float]) -> tuple[Figure, list[list[Axes]]]:
    """Make a figure of panels by row and column, each of a width and a height, or one for each row, in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    heights = [height] * rows if isinstance(height, float | int) else list(height)
    figure = Figure(
        figsize=(columns * width, sum(heights)),
        dpi=_DOTS_PER_INCH,
        layout=ConstrainedLayoutEngine(h_pad=0.09, w_pad=0.06),
    )
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False, height_ratios=heights)
    for each in axes.ravel():
        each.spines[["top", "right"]].set_visible(False)
    return figure, [list(row) for row in axes]


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, the same bytes each time."""
    partial = path.with_name(f".{path.name}.partial")
    figure.savefig(partial, format="png", bbox_inches="tight", metadata={"Software": None})
    partial.replace(path)
