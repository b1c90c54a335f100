"""ERA5 files in both generations of names: what is in them comes out on the nodes asked for."""

import numpy as np
import pytest
from weather_files import LEVELS_HPA, Atmosphere, utc, write_era5

from insar.errors import InputError, MissingInputError, OptionError
from insar.readers.era5 import find_weather

netcdf = pytest.importorskip("netCDF4", reason="the extra 'weather' is not installed")

HOURS = [utc("2020-01-01T05:00"), utc("2020-01-01T06:00")]
LAT, LON = np.array([46.0, 45.75, 45.5]), np.array([7.0, 7.25, 7.5, 7.75])


def weather(hour, lat, lon):
    """Warmer to the south, moister to the east, and both an hour later."""
    return Atmosphere(
        temperature_k=285.0 + (46.0 - lat) + hour.hour, humidity=0.005 + 0.001 * (lon % 360.0 - 7.0), lat=lat
    )


@pytest.mark.parametrize("new_names", [True, False])
@pytest.mark.parametrize("packed", [True, False])
def test_values_of_both_namings_come_out_on_the_nodes(tmp_path, new_names, packed):
    path = write_era5(tmp_path / "era5.nc", weather, HOURS, LAT, LON, new_names=new_names, packed=packed)
    (file,) = find_weather(tmp_path)
    assert file.path == path
    assert file.hours == tuple(HOURS)
    np.testing.assert_allclose(file.pressure_pa, LEVELS_HPA * 100.0)
    assert file.step_deg == (0.25, 0.25)
    hour = file.read(HOURS[1], LAT[::-1], LON[1:3])
    assert not hour.humidity_is_relative
    for row, lat in enumerate(LAT[::-1]):
        for col, lon in enumerate(LON[1:3]):
            expected = weather(HOURS[1], lat, lon).on_levels(LEVELS_HPA)
            for values, wanted, rounding in zip(
                (hour.geopotential, hour.temperature_k, hour.humidity), expected, (8.0, 0.003, 1e-6), strict=True
            ):
                np.testing.assert_allclose(values[:, row, col], wanted, atol=rounding if packed else rounding / 10)


def test_nodes_that_the_file_does_not_have_are_unknown(tmp_path):
    write_era5(tmp_path / "era5.nc", weather, HOURS[:1], LAT, LON)
    (file,) = find_weather(tmp_path)
    lat, lon = np.array([45.5, 45.25]), np.array([6.75, 7.0])
    np.testing.assert_array_equal(file.places(lat, lon), [[False, True], [False, False]])
    known = np.isfinite(file.read(HOURS[0], lat, lon).temperature_k)
    np.testing.assert_array_equal(known.all(axis=0), [[False, True], [False, False]])
    np.testing.assert_array_equal(known.any(axis=0), known.all(axis=0))


@pytest.mark.parametrize("stored", [[359.5, 359.75, 0.0, 0.25], [-0.5, -0.25, 0.0, 0.25], [0.0, 0.25, 359.5, 359.75]])
def test_longitudes_count_by_whole_turns(tmp_path, stored):
    def by_turn(_hour, _lat, lon):
        return Atmosphere(temperature_k=280.0 + (lon + 180.0) % 360.0 - 180.0)

    write_era5(tmp_path / "era5.nc", by_turn, HOURS[:1], LAT, np.array(stored))
    (file,) = find_weather(tmp_path)
    assert file.step_deg == (0.25, 0.25)
    for nodes in (np.array([-0.5, -0.25, 0.0, 0.25]), np.array([359.5, 359.75, 360.0, 360.25])):
        lowest = file.read(HOURS[0], LAT[:1], nodes).temperature_k[-1, 0]
        np.testing.assert_allclose(np.diff(lowest), 0.25, atol=1e-3)


def test_relative_humidity_is_said_to_be_relative(tmp_path):
    write_era5(tmp_path / "era5.nc", weather, HOURS[:1], LAT, LON, relative=lambda q, t, p: 0.0 * q + 55.0)
    hour = find_weather(tmp_path)[0].read(HOURS[0], LAT, LON)
    assert hour.humidity_is_relative
    np.testing.assert_allclose(hour.humidity, 55.0)


def test_era5_and_its_preliminary_release_are_put_together(tmp_path):
    write_era5(tmp_path / "era5.nc", weather, HOURS, LAT, LON, new_names=False, versions=True)
    (file,) = find_weather(tmp_path)
    for hour in HOURS:
        lowest = file.read(hour, LAT, LON).temperature_k
        np.testing.assert_allclose(lowest[:, 0, 0], weather(hour, LAT[0], LON[0]).on_levels(LEVELS_HPA)[1], atol=1e-3)


def test_pressures_in_pascal_and_other_files_beside(tmp_path):
    write_era5(tmp_path / "b.nc", weather, HOURS[:1], LAT, LON)
    with netcdf.Dataset(tmp_path / "b.nc", "a") as sink:
        sink["pressure_level"].units = "Pa"
        sink["pressure_level"][:] = LEVELS_HPA * 100.0
    (tmp_path / "below").mkdir()
    write_era5(tmp_path / "below" / "a.nc", weather, HOURS[1:], LAT, LON)
    with netcdf.Dataset(tmp_path / "surface.nc", "w") as sink:
        sink.createDimension("valid_time", 1)
        sink.createVariable("t2m", "f4", ("valid_time",))[:] = 280.0
    files = find_weather(tmp_path)
    assert [file.path.name for file in files] == ["b.nc", "a.nc"]
    np.testing.assert_allclose(files[0].pressure_pa, LEVELS_HPA * 100.0)


def test_one_file_may_be_given_itself(tmp_path):
    path = write_era5(tmp_path / "era5.nc", weather, HOURS[:1], LAT, LON)
    assert find_weather(path)[0].hours == (HOURS[0],)


def test_what_cannot_be_used_is_said(tmp_path):
    with pytest.raises(MissingInputError, match="no such folder"):
        find_weather(tmp_path / "absent")
    with pytest.raises(MissingInputError, match=r"no file named \*.nc"):
        find_weather(tmp_path)
    (tmp_path / "ERA5.grib").touch()
    with pytest.raises(MissingInputError, match=r"GRIB files.*grib_to_netcdf"):
        find_weather(tmp_path)
    write_era5(tmp_path / "surface.nc", weather, HOURS[:1], LAT, LON)
    with netcdf.Dataset(tmp_path / "surface.nc", "a") as sink:
        sink.renameVariable("z", "something")
    with pytest.raises(MissingInputError, match="1 NetCDF files, none of which"):
        find_weather(tmp_path)
    (tmp_path / "broken.nc").write_bytes(b"PK\x03\x04 an archive")
    with pytest.raises(InputError, match=r"broken.nc.*ZIP archive"):
        find_weather(tmp_path)


def test_odd_units_and_single_places_are_refused(tmp_path):
    path = write_era5(tmp_path / "era5.nc", weather, HOURS[:1], LAT, LON)
    with netcdf.Dataset(path, "a") as sink:
        sink["pressure_level"].units = "m"
    with pytest.raises(InputError, match="levels in m"):
        find_weather(path)
    with netcdf.Dataset(path, "a") as sink:
        sink["pressure_level"].units = "hPa"
        sink["valid_time"].units = "ticks"
    with pytest.raises(InputError, match="the unit 'ticks'"):
        find_weather(path)
    with pytest.raises(InputError, match="at least two latitudes"):
        find_weather(write_era5(tmp_path / "point.nc", weather, HOURS[:1], LAT[:1], LON[:1]))


def test_without_the_extra_the_message_says_how_to_install_it(tmp_path, monkeypatch):
    path = write_era5(tmp_path / "era5.nc", weather, HOURS[:1], LAT, LON)

    def absent(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr("insar.extras.import_module", absent)
    with pytest.raises(OptionError, match=r"netCDF4.*pip install 'scarp\[weather\]'"):
        find_weather(path)
