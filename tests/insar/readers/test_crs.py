"""Names of the systems that SNAP spells out."""

from __future__ import annotations

from pathlib import Path

import pyproj
import pytest

from insar.errors import InputError
from insar.readers.crs import name_crs

GEOGRAPHIC = (
    'GEOGCS["WGS84(DD)", DATUM["WGS84", SPHEROID["WGS84", 6378137.0, 298.257223563]], PRIMEM["Greenwich", 0.0], '
    'UNIT["degree", 0.017453292519943295], AXIS["Geodetic longitude", EAST], AXIS["Geodetic latitude", NORTH]]'
)


def utm(central_meridian: float, false_northing: float, *, scale: float = 0.9996) -> str:
    return (
        'PROJCS["UTM Zone / World Geodetic System 1984", GEOGCS["World Geodetic System 1984", '
        'DATUM["World Geodetic System 1984", SPHEROID["WGS 84", 6378137.0, 298.257223563, AUTHORITY["EPSG","7030"]], '
        'AUTHORITY["EPSG","6326"]], PRIMEM["Greenwich", 0.0, AUTHORITY["EPSG","8901"]], '
        'UNIT["degree", 0.017453292519943295], AXIS["Geodetic longitude", EAST], AXIS["Geodetic latitude", NORTH]], '
        'PROJECTION["Transverse_Mercator"], PARAMETER["central_meridian", '
        f'{central_meridian}], PARAMETER["latitude_of_origin", 0.0], PARAMETER["scale_factor", {scale}], '
        f'PARAMETER["false_easting", 500000.0], PARAMETER["false_northing", {false_northing}], '
        'UNIT["m", 1.0], AXIS["Easting", EAST], AXIS["Northing", NORTH]]'
    )


@pytest.mark.parametrize(
    ("wkt", "name"),
    [
        (GEOGRAPHIC, "EPSG:4326"),
        (utm(-99.0, 0.0), "EPSG:32614"),
        (utm(-69.0, 10_000_000.0), "EPSG:32719"),
        (pyproj.CRS.from_epsg(32632).to_wkt("WKT1_GDAL"), "EPSG:32632"),
        (pyproj.CRS.from_epsg(3035).to_wkt(), "EPSG:3035"),
    ],
)
def test_known_systems_are_named(wkt: str, name: str) -> None:
    assert name_crs(Path("x.dim"), wkt) == name


def test_other_systems_keep_their_text() -> None:
    wkt = utm(-99.0, 0.0, scale=1.0)
    assert pyproj.CRS.from_user_input(name_crs(Path("x.dim"), wkt)).equals(pyproj.CRS.from_wkt(wkt))


def test_nonsense_is_refused() -> None:
    with pytest.raises(InputError, match=r"x\.dim: required a coordinate reference system as WKT"):
        name_crs(Path("x.dim"), "no system")
