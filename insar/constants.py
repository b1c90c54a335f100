"""Physical constants and the conventions that numbers in this package follow."""

SPEED_OF_LIGHT_M_PER_S = 299_792_458.0

SENTINEL1_WAVELENGTH_M = 0.0554657646
"""Radar wavelength of Sentinel-1, for products that do not state their own."""

DAYS_PER_YEAR = 365.25
"""Length of the year in every rate this package writes."""
