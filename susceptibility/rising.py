"""Places where susceptibility rose: connected patches of cells, or mapping units, with what moved them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from susceptibility.dataset import Dataset
from susceptibility.errors import InputError
from susceptibility.geopackage import write_geopackage

LAYER = "rising"
"""Of the GeoPackage."""


@dataclass(frozen=True, slots=True)
class RisingPlace:
    """One place that rose.

    Attributes
    ----------
    number
        From 1, the one with the largest `rise_area_m2` first.
    x, y
        Centre of mass of the rise, m in the study's system.
    lon, lat
        The same in degrees, WGS 84.
    rows
        Mapping units in it.
    area_m2
        Of them.
    before, after
        Mean prediction at the first and the last epoch, weighted by area.
    largest_rise
        Of a single mapping unit.
    rise_area_m2
        Sum over its units of rise times area: what it is ranked by, so that neither one noisy cell nor a wide faint
        change comes first.
    driver
        Layer that moved the larger part of its area.
    """

    number: int
    x: float
    y: float
    lon: float
    lat: float
    rows: int
    area_m2: float
    before: float
    after: float
    largest_rise: float
    rise_area_m2: float
    driver: str


@dataclass(frozen=True, slots=True)
class Rising:
    """Places that rose, with the rows of each.

    Attributes
    ----------
    places
        The first ones in order.
    members
        Rows of each.
    count
        Number of all places, those beyond the first ones too.
    """

    places: tuple[RisingPlace, ...]
    members: tuple[NDArray[np.intp], ...]
    count: int


def find_rising(
    data: Dataset,
    before: NDArray[np.float32],
    after: NDArray[np.float32],
    driver: NDArray[np.integer],
    layers: Sequence[str],
    *,
    threshold: float,
    most: int,
) -> Rising:
    """Find the places where a prediction rose.

    Parameters
    ----------
    data
        Of the mapping units.
    before, after
        (row,) predictions at the first and the last epoch, NaN where unknown.
    driver
        (row,) number of the layer that moved each most, -1 where unknown.
    layers
        Their names.
    threshold
        Rise that counts. Cells that touch, at a corner too, are one place; larger units are one each.
    most
        Places to list.
    """
    rise = after.astype(np.float64) - before
    risen = np.flatnonzero(rise >= threshold)
    patch = _patches(data, risen)
    count = int(patch.max(initial=0))
    area = np.asarray(data.area_m2(risen), np.float64)
    area = np.where(np.isfinite(area), area, 1.0)
    weight = rise[risen] * area
    ranked = np.bincount(patch, weight, minlength=count + 1)[1:]
    order = np.argsort(-ranked, kind="stable")[:most]
    places, members = [], []
    by_patch = np.argsort(patch, kind="stable")
    starts = np.searchsorted(patch[by_patch], np.arange(1, count + 2))
    for number, index in enumerate(order.tolist(), start=1):
        inside = by_patch[starts[index] : starts[index + 1]]
        rows = risen[inside]
        places.append(_place(data, number, rows, before, after, rise, area[inside], driver, layers))
        members.append(rows)
    return Rising(tuple(places), tuple(members), count)


def write_rising(path: Path, rising: Rising, data: Dataset) -> None:
    """Write the places as a GeoPackage, with their outlines; the same places give the same bytes."""
    import shapely

    geometry = _geometry(data)
    shapes = np.empty(len(rising.places), object)
    for index, rows in enumerate(rising.members):
        shapes[index] = shapely.union_all(geometry(rows))
    records = [asdict(place) for place in rising.places]
    names = list(RisingPlace.__dataclass_fields__)
    kinds = {"number": np.int32, "rows": np.int64, "driver": object}
    fields = [np.array([record[name] for record in records], kinds.get(name, np.float64)) for name in names]
    write_geopackage(path, LAYER, shapes, dict(zip(names, fields, strict=True)), kind="MultiPolygon", crs=data.crs)


def _geometry(data: Dataset) -> Callable[[Any], NDArray[np.object_]]:
    if data.geometry is None:
        raise InputError(
            "places that rose", required="mapping units with outlines", found="none", remedy="Map units on a grid"
        )
    return data.geometry


def _patches(data: Dataset, risen: NDArray[np.intp]) -> NDArray[np.intp]:
    """Number from 1 of the place that each risen row belongs to."""
    if data.kind != "cells" or data.grid is None:
        return np.arange(1, risen.size + 1)
    from scipy.ndimage import label

    is_risen = np.zeros(data.grid.shape, np.bool_)
    cells = np.asarray(data.number(risen))
    is_risen.reshape(-1)[cells] = True
    number, _ = label(is_risen, structure=np.ones((3, 3), np.int8))
    return np.asarray(number.reshape(-1)[cells], np.intp)


def _place(
    data: Dataset,
    number: int,
    rows: NDArray[np.intp],
    before: NDArray[np.float32],
    after: NDArray[np.float32],
    rise: NDArray[np.float64],
    area: NDArray[np.float64],
    driver: NDArray[np.integer],
    layers: Sequence[str],
) -> RisingPlace:
    import pyproj

    weight = rise[rows] * area
    x, y = np.average(data.places(rows), axis=0, weights=weight)
    lon, lat = pyproj.Transformer.from_crs(data.crs, "EPSG:4326", always_xy=True).transform(x, y)
    moved = driver[rows]
    by_layer = np.bincount(moved[moved >= 0], area[moved >= 0], minlength=len(layers))
    return RisingPlace(
        number=number,
        x=float(x),
        y=float(y),
        lon=float(lon),
        lat=float(lat),
        rows=int(rows.size),
        area_m2=float(area.sum()),
        before=float(np.average(before[rows].astype(np.float64), weights=area)),
        after=float(np.average(after[rows].astype(np.float64), weights=area)),
        largest_rise=float(rise[rows].max()),
        rise_area_m2=float(weight.sum()),
        driver=layers[int(by_layer.argmax())] if by_layer.any() else "unknown",
    )
