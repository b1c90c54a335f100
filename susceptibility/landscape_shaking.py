"""An earthquake beneath a simulated landscape: how strongly the ground shakes, and the ShakeMap that says so.

Notes
-----
Joyner and Boore (1981), at the distance d in km, on rock:

    log10 PGA = -1.02 + 0.249 M - log10 r - 0.00255 r,  r2 = d2 + 7.3 km squared,  in g
    log10 PGV = -0.67 + 0.489 M - log10 r - 0.00256 r,  r2 = d2 + 4.0 km squared,  in cm/s

and the intensity of Wald et al. (1999), ``MMI = 3.47 log10 PGV + 2.35`` from V on.

References
----------
Joyner, W. B., Boore, D. M. (1981). Peak horizontal acceleration and velocity from strong-motion records. Bulletin of
the Seismological Society of America 71, 2011-2038.

Wald, D. J., Quitoriano, V., Heaton, T. H., Kanamori, H. (1999). Relationships between peak ground acceleration, peak
ground velocity, and modified Mercalli intensity in California. Earthquake Spectra 15, 557-564.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.grid import Grid

EARTHQUAKE_DAY = date(2022, 1, 15)
"""Day of the simulated earthquake, before the first image of the time series."""

SPACING_DEG = 0.005
"""Between the nodes of the ShakeMap."""

_SHAKING_CHILD = 4
_MAGNITUDE, _DEPTH_KM = 6.6, 8.0
_MARGIN_NODES = 3
_LEAST_PGV_CM_S = 0.5


@dataclass(frozen=True, slots=True)
class Earthquake:
    """Where it was and how large.

    Attributes
    ----------
    easting_m, northing_m
        Of the epicentre, in the CRS of the landscape.
    magnitude
        Of the moment.
    depth_km
        Of the hypocentre; told in the ShakeMap, no part of the law.
    """

    easting_m: float
    northing_m: float
    magnitude: float = _MAGNITUDE
    depth_km: float = _DEPTH_KM

    def shaking(
        self, easting_m: NDArray[np.float64], northing_m: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Peak ground acceleration in %g and velocity in cm/s at some places, by the law of this module."""
        distance_km = np.hypot(easting_m - self.easting_m, northing_m - self.northing_m) / 1000.0
        near, far = np.hypot(distance_km, 7.3), np.hypot(distance_km, 4.0)
        pga = 10.0 ** (-1.02 + 0.249 * self.magnitude - np.log10(near) - 0.00255 * near)
        pgv = 10.0 ** (-0.67 + 0.489 * self.magnitude - np.log10(far) - 0.00256 * far)
        return 100.0 * pga, pgv


def place_earthquake(grid: Grid, seed: int) -> Earthquake:
    """Place an epicentre a little outside a corner of the landscape, so that the shaking fades across it."""
    rng = np.random.default_rng([seed, _SHAKING_CHILD])
    west, south, east, north = grid.bounds
    reach = 0.1 * max(east - west, north - south)
    corner_x, corner_y = (int(side) for side in rng.integers(0, 2, 2))
    x = (west - reach, east + reach)[corner_x] + rng.uniform(-0.5, 0.5) * reach
    y = (south - reach, north + reach)[corner_y] + rng.uniform(-0.5, 0.5) * reach
    return Earthquake(round(x, 1), round(y, 1))


def shaking_on(earthquake: Earthquake, grid: Grid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Peak ground acceleration (%g) and velocity (cm/s), each (row, col), at the centres of the pixels of a grid."""
    row, col = np.mgrid[: grid.rows, : grid.cols]
    return earthquake.shaking(*grid.map_coordinates(row + 0.5, col + 0.5))


def shakemap_xml(earthquake: Earthquake, grid: Grid) -> str:
    """``grid.xml`` of a ShakeMap over the area of a grid and a little more, nodes every `SPACING_DEG`."""
    west, south, east, north = grid.bounds
    x, y = np.array([west, east, west, east]), np.array([south, south, north, north])
    lon, lat = reprojected(x, y, str(grid.crs), "EPSG:4326")
    first_lon, last_lon = (_nodes(lon.min(), -1), _nodes(lon.max(), 1))
    first_lat, last_lat = (_nodes(lat.min(), -1), _nodes(lat.max(), 1))
    lons, lats = np.arange(first_lon, last_lon + 1), np.arange(last_lat, first_lat - 1, -1)
    node_lon, node_lat = (places.ravel() * SPACING_DEG for places in np.meshgrid(lons, lats))
    pga, pgv = earthquake.shaking(*reprojected(node_lon, node_lat, "EPSG:4326", str(grid.crs)))
    mmi = np.maximum(3.47 * np.log10(np.maximum(pgv, _LEAST_PGV_CM_S)) + 2.35, 1.0)
    x0, y0 = np.array([earthquake.easting_m]), np.array([earthquake.northing_m])
    epicentre = reprojected(x0, y0, str(grid.crs), "EPSG:4326")
    table = np.stack([node_lon, node_lat, mmi, pga, pgv], axis=1).tolist()
    rows = ["{:.4f} {:.4f} {:.2f} {:.4f} {:.4f}".format(*node) for node in table]
    head = _HEAD.format(
        day=f"{EARTHQUAKE_DAY:%Y-%m-%d}",
        magnitude=earthquake.magnitude,
        depth=earthquake.depth_km,
        lon=float(epicentre[0][0]),
        lat=float(epicentre[1][0]),
        lon_min=first_lon * SPACING_DEG,
        lon_max=last_lon * SPACING_DEG,
        lat_min=first_lat * SPACING_DEG,
        lat_max=last_lat * SPACING_DEG,
        spacing=SPACING_DEG,
        nlon=lons.size,
        nlat=lats.size,
    )
    return head + "\n".join(rows) + "\n</grid_data>\n</shakemap_grid>\n"


def reprojected(x: NDArray[np.floating], y: NDArray[np.floating], own_crs: str, crs: str) -> Any:
    """Coordinates of places in another system, x or longitude first."""
    import pyproj

    return pyproj.Transformer.from_crs(own_crs, crs, always_xy=True).transform(x, y)


def _nodes(degrees: float, direction: int) -> int:
    """Node beyond a place in a direction, with a margin, as a number of spacings."""
    return direction * math.ceil(direction * degrees / SPACING_DEG) + direction * _MARGIN_NODES


_HEAD = """\
<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<shakemap_grid xmlns="http://earthquake.usgs.gov/eqcenter/shakemap" event_id="simulated" shakemap_id="simulated" \
shakemap_version="1" code_version="1.0" process_timestamp="{day}T06:00:00Z" shakemap_originator="scarp" \
map_status="RELEASED" shakemap_event_type="SCENARIO">
<event event_id="simulated" magnitude="{magnitude:.1f}" depth="{depth:.1f}" lat="{lat:.4f}" lon="{lon:.4f}" \
event_timestamp="{day}T05:00:00UTC" event_network="scarp" event_description="Simulated earthquake" />
<grid_specification lon_min="{lon_min:.4f}" lat_min="{lat_min:.4f}" lon_max="{lon_max:.4f}" lat_max="{lat_max:.4f}" \
nominal_lon_spacing="{spacing:.4f}" nominal_lat_spacing="{spacing:.4f}" nlon="{nlon}" nlat="{nlat}" />
<grid_field index="1" name="LON" units="dd" />
<grid_field index="2" name="LAT" units="dd" />
<grid_field index="3" name="MMI" units="intensity" />
<grid_field index="4" name="PGA" units="pctg" />
<grid_field index="5" name="PGV" units="cms" />
<grid_data>
"""
