"""What a simulated scene is made of: every effect with its size, so that any can be switched off or scaled."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import date, timedelta
from typing import Any, Literal, get_args

from insar.constants import SENTINEL1_WAVELENGTH_M
from insar.errors import OptionError
from insar.stack import Pair

MapProjection = Literal["geographic", "utm"]

# (lowest, highest) of every number; both ends are allowed.
_LIMITS: dict[str, tuple[float, float]] = {
    "seed": (0, 2**63 - 1),
    "rows": (16, 20_000),
    "cols": (16, 20_000),
    "pixel_size_m": (1.0, 1_000.0),
    "center_lon_deg": (-180.0, 180.0),
    "center_lat_deg": (-80.0, 80.0),
    "foreshortening": (0.0, 1.0),
    "interval_days": (1, 1_000),
    "acquisitions": (2, 2_000),
    "connections": (1, 1_999),
    "wavelength_m": (0.01, 1.0),
    "incidence_near_deg": (5.0, 80.0),
    "incidence_far_deg": (5.0, 80.0),
    "heading_deg": (-180.0, 360.0),
    "range_looks": (1, 1_000),
    "azimuth_looks": (1, 1_000),
    "baseline_rms_m": (0.0, 10_000.0),
    "lowest_height_m": (-400.0, 8_000.0),
    "median_slope_deg": (0.5, 30.0),
    "land_cover_patch_m": (10.0, 1e6),
    "creeping_slopes": (0, 10_000),
    "creep_rate_away_m_per_year": (-2.0, 0.0),
    "creep_rate_toward_m_per_year": (0.0, 2.0),
    "slope_length_min_m": (10.0, 1e5),
    "slope_length_max_m": (10.0, 1e5),
    "accelerating_slopes": (0, 10_000),
    "acceleration_start_rate_m_per_year": (-2.0, -1e-6),
    "acceleration_end_rate_m_per_year": (-20.0, -1e-6),
    "acceleration_days": (1.0, 10_000.0),
    "seasonal_amplitude_m": (0.0, 1.0),
    "seasonal_peak_day_of_year": (0.0, 366.0),
    "seasonal_area_fraction": (0.0, 1.0),
    "step_m": (-10.0, 10.0),
    "turbulence_rms_m": (0.0, 1.0),
    "turbulence_length_m": (1.0, 1e6),
    "turbulence_exponent": (2.1, 6.0),
    "stratified_rms_m_per_km": (0.0, 1.0),
    "ramp_rms_m": (0.0, 10.0),
    "dem_error_rms_m": (0.0, 1_000.0),
    "dem_error_length_m": (1.0, 1e6),
    "coherence_initial_bare": (0.0, 1.0),
    "coherence_final_bare": (0.0, 1.0),
    "coherence_decay_bare_days": (0.1, 1e9),
    "coherence_initial_vegetated": (0.0, 1.0),
    "coherence_final_vegetated": (0.0, 1.0),
    "coherence_decay_vegetated_days": (0.1, 1e9),
    "critical_baseline_m": (1.0, math.inf),
    "layover_shadow_coherence": (0.0, 1.0),
    "phase_noise_scale": (0.0, 100.0),
    "missing_fraction": (0.0, 0.95),
    "missing_blobs_per_pair": (0.0, 100.0),
    "missing_blob_radius_m": (1.0, 1e6),
    "unwrapping_jumps": (0, 100_000),
    "jump_radius_m": (1.0, 1e6),
    "unwrapping_error_fraction": (0.0, 1.0),
    "unwrapping_error_patches": (1, 1_000),
    "component_coherence": (0.0, 1.0),
    "offset_cycles": (0, 100),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationParameters:
    """Size, place, acquisitions and effects of a simulated scene, checked when made.

    Rates and displacements are along the line of sight, positive toward the satellite. A scene is defined on a map
    grid in UTM; stacks in other coordinates cover the largest part of it that fits.

    Attributes
    ----------
    seed
        Same parameters and seed give the same scene, to the byte. Each effect has a random stream of its own.
    rows, cols, pixel_size_m, center_lon_deg, center_lat_deg
        Map grid of the scene.
    map_projection
        Coordinates of stacks on a map: ``geographic`` as terrain-corrected products mostly come, or ``utm``.
    regular_lookup
        Makes the look-up table of stacks in radar coordinates an exactly regular grid of longitude and latitude
        instead of one that is rotated by the heading and compressed by foreshortening.
    foreshortening
        Share of the slant-range displacement by height that shapes the radar grid: 0 none, 1 all of it. It is
        reduced where it would put two pixels of a line at one place.
    first_date, interval_days, acquisitions
        Acquisition dates.
    connections, annual_pairs
        Each date is paired with the next `connections` dates, and with the one a year later where asked.
    wavelength_m, incidence_near_deg, incidence_far_deg, heading_deg
        Sensor and view, right-looking; heading clockwise from north.
    range_looks, azimuth_looks
        Their product is the number of independent looks behind each pixel.
    baseline_rms_m
        Spread of the perpendicular baselines of the dates; the first date has 0.
    lowest_height_m, median_slope_deg
        Of the terrain.
    land_cover_patch_m
        Typical size of patches of one vegetation.
    creeping_slopes, creep_rate_away_m_per_year, creep_rate_toward_m_per_year
        Number of slopes in steady motion, and the fastest rates that their centres have along the line of sight.
    slope_length_min_m, slope_length_max_m
        Of moving slopes, along the direction of motion.
    accelerating_slopes, acceleration_start_rate_m_per_year, acceleration_end_rate_m_per_year, acceleration_days
        Slopes whose rate is steady and then grows exponentially during the last `acceleration_days`.
    seasonal_amplitude_m, seasonal_peak_day_of_year, seasonal_area_fraction
        Annual term on the low and flat part of the scene.
    step_m, step_date
        Sudden displacement of the centres of creeping slopes at a date, in the sense of their creep; a negative one is
        against it. None without a date.
    turbulence_rms_m, turbulence_length_m, turbulence_exponent
        Atmospheric delay along the line of sight at one date: root mean square, length at which correlation is lost,
        and the exponent with which its two-dimensional power spectrum falls off. Dates are independent.
    stratified_rms_m_per_km
        Spread of the delay that grows with height, per kilometre; dates are independent.
    ramp_rms_m
        Size of a plane across the map at each date, as errors of orbits make; dates are independent.
    dem_error_rms_m, dem_error_length_m
        Height in the stack minus true height, and its correlation length.
    coherence_initial_bare, coherence_final_bare, coherence_decay_bare_days
        Coherence of bare ground at no time, after a long time, and the time constant between them.
    coherence_initial_vegetated, coherence_final_vegetated, coherence_decay_vegetated_days
        The same under dense vegetation.
    critical_baseline_m
        Perpendicular baseline at which coherence is lost; infinite for none of it.
    layover_shadow_coherence
        Factor on coherence in layover and shadow.
    phase_noise_scale
        Factor on the phase noise that follows from coherence and looks; 0 also makes the coherence in the stack the
        true one instead of an estimate.
    missing_fraction
        Share of samples missing at random, mostly where coherence is low.
    missing_blobs_per_pair, missing_blob_radius_m
        Expected number of connected gaps in an interferogram, and their size.
    unwrapping_jumps, jump_radius_m
        Number of regions that are off by one cycle, each in one interferogram.
    unwrapping_error_fraction, unwrapping_error_patches
        Share of the interferograms that have unwrapping errors besides, each in so many regions of the same size that
        are off by one cycle, or, one in five, by two.
    component_coherence
        Coherence below which a pixel belongs to no connected component.
    offset_cycles
        Largest whole number of cycles that may be added to an interferogram as a whole.
    """

    seed: int = 0
    rows: int = 150
    cols: int = 150
    pixel_size_m: float = 80.0
    center_lon_deg: float = 103.6
    center_lat_deg: float = 31.2
    map_projection: MapProjection = "geographic"
    regular_lookup: bool = False
    foreshortening: float = 0.5

    first_date: date = date(2023, 1, 4)
    interval_days: int = 12
    acquisitions: int = 30
    connections: int = 3
    annual_pairs: bool = False

    wavelength_m: float = SENTINEL1_WAVELENGTH_M
    incidence_near_deg: float = 38.6
    incidence_far_deg: float = 39.4
    heading_deg: float = 348.0
    range_looks: int = 20
    azimuth_looks: int = 5
    baseline_rms_m: float = 50.0

    lowest_height_m: float = 600.0
    median_slope_deg: float = 18.0
    land_cover_patch_m: float = 1_500.0

    creeping_slopes: int = 6
    creep_rate_away_m_per_year: float = -0.06
    creep_rate_toward_m_per_year: float = 0.04
    slope_length_min_m: float = 500.0
    slope_length_max_m: float = 1_400.0
    accelerating_slopes: int = 1
    acceleration_start_rate_m_per_year: float = -0.005
    acceleration_end_rate_m_per_year: float = -0.08
    acceleration_days: float = 60.0
    seasonal_amplitude_m: float = 0.004
    seasonal_peak_day_of_year: float = 200.0
    seasonal_area_fraction: float = 0.02
    step_m: float = 0.0
    step_date: date | None = None

    turbulence_rms_m: float = 0.005
    turbulence_length_m: float = 250.0
    turbulence_exponent: float = 11.0 / 3.0
    stratified_rms_m_per_km: float = 0.0015
    ramp_rms_m: float = 0.0

    dem_error_rms_m: float = 3.0
    dem_error_length_m: float = 150.0

    coherence_initial_bare: float = 0.92
    coherence_final_bare: float = 0.60
    coherence_decay_bare_days: float = 250.0
    coherence_initial_vegetated: float = 0.75
    coherence_final_vegetated: float = 0.25
    coherence_decay_vegetated_days: float = 60.0
    critical_baseline_m: float = 5_000.0
    layover_shadow_coherence: float = 0.3
    phase_noise_scale: float = 1.0

    missing_fraction: float = 0.01
    missing_blobs_per_pair: float = 0.3
    missing_blob_radius_m: float = 400.0
    unwrapping_jumps: int = 2
    jump_radius_m: float = 400.0
    unwrapping_error_fraction: float = 0.0
    unwrapping_error_patches: int = 3
    component_coherence: float = 0.2
    offset_cycles: int = 0

    def __post_init__(self) -> None:
        check_values(self, _LIMITS)
        if self.map_projection not in get_args(MapProjection):
            raise unusable("map_projection", " or ".join(get_args(MapProjection)), repr(self.map_projection))
        if self.acceleration_end_rate_m_per_year > self.acceleration_start_rate_m_per_year:
            raise unusable(
                "acceleration_end_rate_m_per_year",
                f"a rate at least as fast as the first one, {self.acceleration_start_rate_m_per_year:g}",
                f"{self.acceleration_end_rate_m_per_year:g}",
            )
        for lower, upper in (
            ("incidence_near_deg", "incidence_far_deg"),
            ("slope_length_min_m", "slope_length_max_m"),
            ("coherence_final_bare", "coherence_initial_bare"),
            ("coherence_final_vegetated", "coherence_initial_vegetated"),
        ):
            if getattr(self, lower) > getattr(self, upper):
                raise unusable(lower, f"at most {upper} = {getattr(self, upper):g}", f"{getattr(self, lower):g}")
        self._check_dates()

    def _check_dates(self) -> None:
        if self.connections >= self.acquisitions:
            raise unusable("connections", f"fewer than the {self.acquisitions} acquisitions", str(self.connections))
        try:
            self.first_date + timedelta(days=self.interval_days * (self.acquisitions - 1))
        except OverflowError as error:
            raise unusable("acquisitions", "dates before the year 10000", str(self.acquisitions)) from error

    @property
    def looks(self) -> int:
        """Independent looks of a pixel."""
        return self.range_looks * self.azimuth_looks

    @property
    def orbit_direction(self) -> Literal["ascending", "descending"]:
        """Of the pass, from its heading."""
        return "ascending" if math.cos(math.radians(self.heading_deg)) > 0 else "descending"

    @property
    def dates(self) -> tuple[date, ...]:
        """Acquisition dates."""
        return tuple(self.first_date + timedelta(days=self.interval_days * n) for n in range(self.acquisitions))

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Interferograms, sorted by date."""
        dates = self.dates
        chosen = {
            Pair(earlier, later)
            for index, earlier in enumerate(dates)
            for later in dates[index + 1 : index + 1 + self.connections]
        }
        if self.annual_pairs:
            chosen.update(_annual_pairs(dates, self.interval_days))
        return tuple(sorted(chosen))

    def without_disturbances(self, **changes: Any) -> SimulationParameters:
        """The same scene and motion, seen without atmosphere, DEM error, noise, gaps or unwrapping errors.

        Parameters
        ----------
        changes
            Parameters to set besides, such as the one effect to be looked at.
        """
        clean: dict[str, Any] = {
            "turbulence_rms_m": 0.0,
            "stratified_rms_m_per_km": 0.0,
            "ramp_rms_m": 0.0,
            "dem_error_rms_m": 0.0,
            "phase_noise_scale": 0.0,
            "missing_fraction": 0.0,
            "missing_blobs_per_pair": 0.0,
            "unwrapping_jumps": 0,
            "unwrapping_error_fraction": 0.0,
            "offset_cycles": 0,
        }
        return replace(self, **(clean | changes))


def _annual_pairs(dates: tuple[date, ...], interval_days: int) -> list[Pair]:
    pairs = []
    for earlier in dates:
        later = min(dates, key=lambda day: abs((day - earlier).days - 365.25))
        if abs((later - earlier).days - 365.25) <= max(interval_days / 2, 1.0):
            pairs.append(Pair(earlier, later))
    return pairs


def check_values(parameters: Any, limits: Mapping[str, tuple[float, float]]) -> None:
    """Refuse fields of another type than they are annotated with, and numbers outside their limits.

    Parameters
    ----------
    parameters
        A dataclass with fields of ``int``, ``float``, ``bool`` and ``date``; others are not looked at.
    limits
        Lowest and highest value of its numbers by name, both allowed.

    Raises
    ------
    OptionError
        Names the first parameter that cannot be used.
    """
    for field in fields(parameters):
        _check_type(field.name, getattr(parameters, field.name), str(field.type))
    for name, (lowest, highest) in limits.items():
        value = getattr(parameters, name)
        if not lowest <= value <= highest:
            raise unusable(name, f"a number from {lowest:g} to {highest:g}", f"{value:g}")


def _check_type(name: str, value: object, annotation: str) -> None:
    kinds: dict[str, tuple[tuple[type, ...], str]] = {
        "int": ((int,), "a whole number"),
        "float": ((int, float), "a number"),
        "bool": ((bool,), "true or false"),
        "date": ((date,), "a date"),
        "date | None": ((date, type(None)), "a date"),
    }
    if annotation not in kinds:
        return
    types, words = kinds[annotation]
    # True is an int to Python, and NaN would only fail later, with a message about limits.
    is_disguised = (isinstance(value, bool) and bool not in types) or (isinstance(value, float) and math.isnan(value))
    if not isinstance(value, types) or is_disguised:
        raise unusable(name, words, repr(value))


def unusable(name: str, required: str, found: str) -> OptionError:
    """Error of a parameter that has a value which cannot be used."""
    return OptionError(f"simulation parameter {name}", required=required, found=found, remedy="Change it")
