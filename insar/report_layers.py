"""Maps of the layers of a result, as figures beside its report."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from insar.figures import DIVERGING, FIGURES, HALF_WIDTH_IN, RED_IS_POSITIVE, save_figure
from insar.maps import MapStyle, draw_map, shade_relief
from insar.preview import ExamplePoint
from insar.result import ResultFolder


def draw_layer(
    result: ResultFolder,
    name: str,
    values: NDArray[np.floating],
    style: MapStyle,
    points: Sequence[ExamplePoint] = (),
    *,
    width_in: float = HALF_WIDTH_IN,
) -> str:
    """Draw values of a layer, (row, col) of its preview, and give the file of the figure relative to the result."""
    # Relief beneath a one-sided scale would be read as its values: only signed maps, white at zero, show it.
    height = result.preview("height") if style.colours in (DIVERGING, RED_IS_POSITIVE) else None
    relief = None if height is None else shade_relief(height.values, result.grid)
    figure = draw_map(
        values,
        result.grid,
        style,
        relief=relief,
        points=[point.pixel for point in points],
        reference=result.reference,
        width_in=width_in,
    )
    save_figure(figure, result.folder / FIGURES / f"{name}.png")
    return f"{FIGURES}/{name}.png"
