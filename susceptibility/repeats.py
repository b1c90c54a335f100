"""What an inventory holds more than once: geometries that are repeated, polygons that share ground."""

from __future__ import annotations

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from insar.grid import Grid

_SAME_PLACE_DIGITS = 3  # coordinates in metres: places that are the same to the millimetre are one place


def count_overlapping(polygons: NDArray[np.object_]) -> int:
    """Number of polygons that overlap another one by more than their borders."""
    import shapely

    first, second = shapely.STRtree(polygons).query(polygons, predicate="intersects")
    apart = first < second
    first, second = first[apart], second[apart]
    shares = shapely.area(shapely.intersection(polygons[first], polygons[second])) > 0.0
    return int(np.unique(np.concatenate([first[shares], second[shares]])).size)


def are_repeated(shapes: NDArray[np.object_], is_landslide: NDArray[np.bool_], crs: str) -> NDArray[np.bool_]:
    """Which shapes came before with the same meaning: (shape,); to the millimetre, however their corners are listed."""
    import shapely

    geographic = Grid(1, 1, Affine.identity(), crs).is_geographic
    digits = _SAME_PLACE_DIGITS + (5 if geographic else 0)  # a degree is some 10**5 metres
    rounded = shapely.transform(shapes, lambda xy: np.round(xy, digits) + 0.0)  # no -0.0 beside 0.0
    keys = shapely.to_wkb(shapely.normalize(rounded))
    seen: set[tuple[bytes, bool]] = set()
    repeated = np.zeros(len(shapes), np.bool_)
    for index, key in enumerate(zip(keys, is_landslide.tolist(), strict=True)):
        repeated[index] = key in seen
        seen.add(key)
    return repeated
