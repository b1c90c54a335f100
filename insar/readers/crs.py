"""Names for the coordinate reference systems that SAR processors spell out in their own words."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from insar.errors import InputError

if TYPE_CHECKING:
    import pyproj

WGS84 = "EPSG:4326"


def utm_crs(zone: int, *, north: bool) -> str:
    """UTM zone on WGS 84."""
    return f"EPSG:{(32600 if north else 32700) + zone}"


def name_crs(path: Path, wkt: str) -> str:
    """``EPSG:n`` of a WKT where it is recognisably one, else the WKT itself.

    SNAP writes WGS 84 and its UTM zones under names of its own, which PROJ does not identify by themselves.

    Raises
    ------
    InputError
        The text is no coordinate reference system; names `path`.
    """
    import pyproj

    try:
        return _name_crs(" ".join(wkt.split()))
    except pyproj.exceptions.CRSError as error:
        raise InputError(
            path,
            required="a coordinate reference system as WKT",
            found=f"{wkt.strip()[:60]!r}",
            remedy="Run Terrain Correction again with a standard map projection",
        ) from error


@lru_cache(maxsize=32)
def _name_crs(wkt: str) -> str:
    import pyproj

    crs = pyproj.CRS.from_wkt(wkt)
    epsg = crs.to_epsg()
    if epsg is not None:
        return f"EPSG:{epsg}"
    if _is_on_wgs84(crs):
        if crs.is_geographic:
            return WGS84
        zone = _utm_zone(crs)
        if zone is not None:
            return utm_crs(abs(zone), north=zone > 0)
    return wkt


def _is_on_wgs84(crs: pyproj.CRS) -> bool:
    ellipsoid, meridian, datum = crs.ellipsoid, crs.prime_meridian, crs.datum
    if ellipsoid is None or meridian is None or datum is None:
        return False
    name = datum.name.upper().replace(" ", "").replace("_", "").replace("-", "")
    return (
        ("WGS" in name or "WORLDGEODETICSYSTEM" in name)
        and "84" in name
        and math.isclose(ellipsoid.semi_major_metre, 6_378_137.0, abs_tol=1e-3)
        and math.isclose(ellipsoid.inverse_flattening, 298.257_223_563, abs_tol=1e-6)
        and meridian.longitude == 0.0
    )


def _utm_zone(crs: pyproj.CRS) -> int | None:
    """Zone of a UTM projection in metres, negative in the south; None for any other projection."""
    operation = crs.coordinate_operation
    if operation is None or operation.method_name != "Transverse Mercator":
        return None
    if any(abs(axis.unit_conversion_factor - 1.0) > 1e-9 for axis in crs.axis_info[:2]):
        return None
    values = {parameter.name: float(parameter.value or 0.0) for parameter in operation.params}
    northing = values.get("False northing")
    zone = (values.get("Longitude of natural origin", math.nan) + 183.0) / 6.0
    is_utm = (
        values.get("Latitude of natural origin") == 0.0
        and values.get("False easting") == 500_000.0
        and northing in (0.0, 10_000_000.0)
        and math.isclose(values.get("Scale factor at natural origin", 0.0), 0.9996)
        and zone in range(1, 61)
    )
    if not is_utm:
        return None
    return int(zone) if northing == 0.0 else -int(zone)
