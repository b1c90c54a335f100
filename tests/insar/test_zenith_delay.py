"""Delay of columns of air: closed forms, and fine integration of a realistic profile in plain NumPy."""

import numpy as np
import pytest
from weather_files import DRY, LEVELS_HPA, VAPOUR, Atmosphere

from insar.zenith_delay import (
    K1_K_PER_PA,
    gravity,
    height_of_geopotential,
    saturation_pressure,
    specific_humidity,
    zenith_delay,
)

LAT = np.array([45.0])
K2_WET = 70.4e-2 - 77.6e-2 * DRY / VAPOUR


def test_gravity_and_heights_are_those_of_the_tables():
    np.testing.assert_allclose(gravity(np.array([0.0, 45.0, 90.0])), [9.780327, 9.806199, 9.832186], atol=1e-6)
    # Smithsonian Meteorological Tables (List 1958), table 51: at latitude 45, 10 000 gpm are 10 016 m.
    height = height_of_geopotential(np.array([9.80665 * 10_000.0]), LAT)
    assert height[0] == pytest.approx(10_016.3, abs=0.5)


def test_saturation_is_that_of_water_and_of_ice():
    pressure = saturation_pressure(np.array([293.15, 273.16, 233.15]))
    np.testing.assert_allclose(pressure, [2339.0, 611.21, 12.84], rtol=5e-3)  # Goff-Gratch
    # Between, it is mixed, and rises with temperature all the way.
    assert (np.diff(saturation_pressure(np.linspace(230.0, 300.0, 500))) > 0).all()


def test_relative_humidity_becomes_specific_humidity():
    temperature, pressure, humidity = np.array([285.0]), np.array([80_000.0]), 0.006
    vapour = pressure * humidity / (DRY / VAPOUR + (1 - DRY / VAPOUR) * humidity)
    relative = 100.0 * vapour / saturation_pressure(temperature)
    np.testing.assert_allclose(specific_humidity(relative, temperature, pressure), humidity, rtol=1e-12)


def test_dry_isothermal_air_has_the_delay_of_its_weight():
    """`1e-6 k1 Rd ps / gm`; Saastamoinen's 2.2768 mm / hPa, to the gravity at the centre of mass."""
    temperature, surface = 255.0, 101_325.0
    pressure = LEVELS_HPA * 100.0
    geopotential = (DRY * temperature * np.log(surface / pressure))[:, None]
    constant = np.full_like(geopotential, temperature)
    heights = np.array([0.0, 500.0, 1000.0, 3000.0])
    delay = zenith_delay(pressure, geopotential, constant, 0.0 * constant, LAT, heights)[:, 0]
    assert delay[0] / 1013.25 == pytest.approx(2.2768e-3, rel=2e-4)
    scale = DRY * temperature / 9.8062
    at_height = surface * np.exp(-9.8062 * heights * (1.0 - heights / 6.3675e6) / (DRY * temperature))
    expected = 1e-6 * K1_K_PER_PA * DRY * at_height / gravity(LAT, heights + scale)
    np.testing.assert_allclose(delay, expected, rtol=3e-5)


def test_moist_isothermal_air_of_one_humidity_has_a_closed_form():
    temperature, surface, humidity = 280.0, 100_000.0, 0.006
    virtual = temperature * (1 + (VAPOUR / DRY - 1) * humidity)
    pressure = LEVELS_HPA * 100.0
    geopotential = (DRY * virtual * np.log(surface / pressure))[:, None]
    constant = np.full_like(geopotential, temperature)
    pair = [
        zenith_delay(pressure, geopotential, constant, np.full_like(constant, q), LAT, np.array([0.0]))[0, 0]
        for q in (humidity, 0.0)
    ]
    share = humidity / (DRY / VAPOUR + (1 - DRY / VAPOUR) * humidity)
    weight = DRY * virtual * surface / gravity(LAT, DRY * virtual / 9.8)[0]  # integral of pressure over height
    expected = 1e-6 * (K2_WET / temperature + 3.739e3 / temperature**2) * share * weight
    # The hydrostatic part is the weight, whatever the air is made of.
    assert pair[0] - pair[1] == pytest.approx(expected, rel=2e-3)


def test_a_layer_of_constant_vapour_adds_its_refractivity_times_its_thickness():
    temperature, surface, vapour = 288.0, 101_325.0, 1000.0
    pressure = np.arange(10_000.0, 101_301.0, 500.0)
    geopotential = (DRY * temperature * np.log(surface / pressure))[:, None]
    constant = np.full_like(geopotential, temperature)
    moist = geopotential < 9.8 * 2000.0
    humidity = np.where(moist, DRY / VAPOUR * vapour / (pressure[:, None] - (1 - DRY / VAPOUR) * vapour), 0.0)
    heights = np.array([200.0, 1500.0])
    wet = [
        zenith_delay(pressure, geopotential, constant, q, LAT, heights)[:, 0]
        for q in (humidity, np.zeros_like(humidity))
    ]
    gained = np.diff(wet[0])[0] - np.diff(wet[1])[0]
    refractivity = K2_WET * vapour / temperature + 3.739e3 * vapour / temperature**2
    assert gained == pytest.approx(-1e-6 * refractivity * 1300.0, rel=1e-3)


@pytest.mark.parametrize("lat", [0.0, 45.0, 78.0])
@pytest.mark.parametrize("pressure_pa", [99_000.0, 103_500.0])
def test_a_realistic_profile_agrees_with_fine_integration(lat, pressure_pa):
    """37 levels against steps of 5 m: within 0.5 mm of 2.4 m from the lowest level to 5 km, within 2 mm below it."""
    air = Atmosphere(pressure_pa=pressure_pa, lat=lat)
    heights = np.arange(-100.0, 5001.0, 37.0)
    columns = [values[:, None] for values in air.on_levels(LEVELS_HPA)]
    delay = zenith_delay(LEVELS_HPA * 100.0, *columns, np.array([lat]), heights)[:, 0]
    error = delay - air.delay(heights)
    lowest = height_of_geopotential(columns[0][-1], np.array([lat]))[0]
    assert np.abs(error[heights >= lowest]).max() < 0.0005
    # Humidity rises further down in this profile, and is taken as constant below 1000 hPa.
    assert np.abs(error).max() < 0.002
    assert 2.2 < air.delay(0.0) < 2.6


def test_the_ground_may_be_far_below_the_lowest_level():
    air = Atmosphere(humidity=0.0)
    columns = [values[:, None] for values in air.on_levels(LEVELS_HPA)]
    delay = zenith_delay(LEVELS_HPA * 100.0, *columns, LAT, np.array([-430.0, 0.0]))[:, 0]
    np.testing.assert_allclose(delay, air.delay(np.array([-430.0, 0.0])), atol=1e-4)


def test_the_order_of_levels_does_not_matter_and_levels_above_300_hpa_hardly():
    air = Atmosphere()
    heights = np.linspace(0.0, 3000.0, 7)
    columns = [values[:, None] for values in air.on_levels(LEVELS_HPA)]
    whole = zenith_delay(LEVELS_HPA * 100.0, *columns, LAT, heights)
    shuffled = np.random.default_rng(0).permutation(len(LEVELS_HPA))
    turned = zenith_delay(LEVELS_HPA[shuffled] * 100.0, *(values[shuffled] for values in columns), LAT, heights)
    np.testing.assert_array_equal(turned, whole)
    lower = LEVELS_HPA >= 300.0
    short = zenith_delay(LEVELS_HPA[lower] * 100.0, *(values[lower] for values in columns), LAT, heights)
    assert np.abs(short - whole).max() < 0.003
    assert np.ptp(short - whole) < 1e-6  # a constant


def test_unknown_values_leave_their_column_unknown_and_heights_above_all_levels_too():
    columns = [np.repeat(values[:, None], 3, axis=1) for values in Atmosphere().on_levels(LEVELS_HPA)]
    columns[1][20, 0] = np.nan
    columns[0][:, 2] = np.nan
    delay = zenith_delay(LEVELS_HPA * 100.0, *columns, np.full(3, 45.0), np.array([0.0, 90_000.0]))
    assert np.isnan(delay[0, [0, 2]]).all()
    assert np.isfinite(delay[0, 1])
    assert np.isnan(delay[1]).all()
