"""A simulated scene: known motion, seen through everything that disturbs it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from insar.errors import InputError
from insar.simulate.atmosphere import simulate_ramps, simulate_stratification, simulate_turbulence
from insar.simulate.decorrelation import draw_speckle, expected_coherence
from insar.simulate.defects import (
    UnwrappingJump,
    draw_gap_blobs,
    draw_jumps,
    draw_missing,
    draw_offset_cycles,
    label_components,
)
from insar.simulate.deformation import (
    ACCELERATING,
    CREEPING,
    STABLE,
    MovingSlope,
    TimeFunctions,
    simulate_deformation,
    time_functions,
)
from insar.simulate.fields import Outline, correlated_field
from insar.simulate.parameters import SimulationParameters
from insar.simulate.pixels import Pixels, geographic_pixels, radar_pixels, scene_pixels
from insar.simulate.streams import Effect, random_stream
from insar.simulate.terrain import simulate_heights, simulate_vegetation, slope_components
from insar.simulate.view import VISIBLE, simulate_view, slant_range_m
from insar.stack import Pair


class Interferogram(NamedTuple):
    """One simulated interferogram, (row, col) each.

    Attributes
    ----------
    phase_rad
        Unwrapped phase, positive where the range grew from the earlier to the later date; NaN where missing.
    coherence
        0 to 1 as a processor would estimate it; NaN in connected gaps, kept at single samples without phase.
    components
        Connected component of the unwrapped phase, 0 for none.
    """

    phase_rad: NDArray[np.float32]
    coherence: NDArray[np.float32]
    components: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class SceneFields:
    """What is known of every pixel, (row, col) each.

    Attributes
    ----------
    height_m, dem_error_m
        True height; height in the stack minus true height.
    velocity_m_per_year
        True line-of-sight rate at the first date without the seasonal term, positive toward the satellite.
    acceleration_share
        Rate of an accelerating slope relative to that of its centre.
    seasonal_amplitude_m
        Amplitude of the annual term.
    step_m
        Sudden displacement, positive toward the satellite.
    vegetation
        Density from 0 to 1.
    incidence_deg
        From the vertical.
    visibility
        0 visible, 1 shadow, 2 layover.
    """

    height_m: NDArray[np.float32]
    dem_error_m: NDArray[np.float32]
    velocity_m_per_year: NDArray[np.float32]
    acceleration_share: NDArray[np.float32]
    seasonal_amplitude_m: NDArray[np.float32]
    step_m: NDArray[np.float32]
    vegetation: NDArray[np.float32]
    incidence_deg: NDArray[np.float32]
    visibility: NDArray[np.uint8]

    @property
    def kind(self) -> NDArray[np.uint8]:
        """1 stable, 2 creeping, 3 accelerating; the rate is exactly 0 where stable."""
        moving = np.where(self.acceleration_share == 0.0, np.uint8(CREEPING), np.uint8(ACCELERATING))
        return np.where(self.velocity_m_per_year == 0.0, np.uint8(STABLE), moving)


@dataclass(frozen=True, slots=True)
class SimulatedScene:
    """A scene with its truth, on the pixels of one stack. Interferograms are made one at a time, on demand.

    The same scene on other pixels is had by `on_geographic_grid` and `on_radar_grid`: what happens on the ground and
    in the air is the same there, noise and missing samples are drawn per pixel of the stack.

    Attributes
    ----------
    parameters
        What it was made from.
    pixels
        Where its pixels lie.
    fields
        What is known of each.
    turbulence_m
        (date, row, col) turbulent delay along the line of sight, positive where the path is longer.
    stratification_m_per_km
        (date,) delay per kilometre of height above `mean_height_m`.
    ramps_m
        (date, 2) plane across the map: at its last row and its last column, as seen from the centre.
    mean_height_m
        Of the scene.
    perpendicular_baselines_m
        (date,) relative to the first date, positive where the look angle is smaller than at the first date.
    slopes
        Slopes that move.
    jumps
        Unwrapping errors.
    offset_cycles
        (pair,) cycles that an interferogram is off by as a whole.
    """

    parameters: SimulationParameters
    pixels: Pixels
    fields: SceneFields
    turbulence_m: NDArray[np.float32]
    stratification_m_per_km: NDArray[np.float64]
    ramps_m: NDArray[np.float64]
    mean_height_m: float
    perpendicular_baselines_m: NDArray[np.float64]
    slopes: tuple[MovingSlope, ...]
    jumps: tuple[UnwrappingJump, ...]
    offset_cycles: NDArray[np.int64]

    @property
    def dates(self) -> tuple[date, ...]:
        """Acquisition dates."""
        return self.parameters.dates

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Interferograms, sorted by date."""
        return self.parameters.pairs

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, cols)."""
        return self.pixels.grid.shape

    @property
    def heading_deg(self) -> float:
        """Of the platform, clockwise from north, 0 to 360."""
        return self.parameters.heading_deg % 360.0

    @property
    def azimuth_angle_deg(self) -> float:
        """Horizontal direction from the target to the satellite, clockwise from north, 0 to 360."""
        return (self.heading_deg - 90.0) % 360.0

    @property
    def stack_height_m(self) -> NDArray[np.float32]:
        """Height as the stack's geometry has it: the true height plus the DEM error."""
        return self.fields.height_m + self.fields.dem_error_m

    def displacement_m(self, date_index: int) -> NDArray[np.float32]:
        """True line-of-sight displacement at a date relative to the first, (row, col)."""
        return self._displacement(time_functions(self.parameters), 0, date_index)

    def displacements_m(self) -> NDArray[np.float32]:
        """True line-of-sight displacement at all dates, (date, row, col), relative to the first."""
        functions = time_functions(self.parameters)
        cube = np.empty((len(self.dates), *self.shape), np.float32)
        for index in range(len(self.dates)):
            cube[index] = self._displacement(functions, 0, index)
        return cube

    def linear_rate_m_per_year(self) -> NDArray[np.float32]:
        """Least-squares straight line through the true displacement at all dates, (row, col)."""
        return self._combined(*time_functions(self.parameters).linear_rates())

    def last_rate_m_per_year(self) -> NDArray[np.float32]:
        """True rate at the last date without the seasonal term, (row, col)."""
        gained = self.parameters.acceleration_end_rate_m_per_year - self.parameters.acceleration_start_rate_m_per_year
        return self._combined(1.0, gained, 0.0, 0.0)

    def expected_coherence(self, pair_index: int) -> NDArray[np.float32]:
        """True coherence of an interferogram, (row, col): what estimates scatter about."""
        pair = self.pairs[pair_index]
        coherence = expected_coherence(
            self.parameters,
            self.fields.vegetation,
            pair.temporal_baseline_days,
            self.pair_baseline_m(pair_index),
        )
        factor = np.float32(self.parameters.layover_shadow_coherence)
        return np.where(self.fields.visibility == VISIBLE, coherence, factor * coherence)

    def pair_baseline_m(self, pair_index: int) -> float:
        """Perpendicular baseline of an interferogram: later minus earlier date."""
        first, second = self._date_indices(pair_index)
        return float(self.perpendicular_baselines_m[second] - self.perpendicular_baselines_m[first])

    def range_change_m(self, pair_index: int) -> NDArray[np.float32]:
        r"""Growth of the path from the earlier to the later date without noise or unwrapping errors, (row, col).

        Notes
        -----
        Displacement away from the satellite, difference of delays and ramps, and the topographic residual
        :math:`B_\perp / (R \sin\theta) \, e` of the DEM error `e` (height in the stack minus true height).
        """
        first, second = self._date_indices(pair_index)
        change = -self._displacement(time_functions(self.parameters), first, second)
        change += self.turbulence_m[second] - self.turbulence_m[first]
        stratified = (self.stratification_m_per_km[second] - self.stratification_m_per_km[first]) / 1000.0
        if stratified != 0.0:
            change += np.float32(stratified) * (self.fields.height_m - np.float32(self.mean_height_m))
        if self.parameters.ramp_rms_m > 0.0:
            change += self._ramp(second) - self._ramp(first)
        if self.parameters.dem_error_rms_m > 0.0:
            change += np.float32(self.pair_baseline_m(pair_index)) * self._range_per_baseline()
        return change

    def interferogram(self, pair_index: int) -> Interferogram:
        """Interferogram of a pair; the same whenever and in whatever order it is asked for."""
        parameters = self.parameters
        phase = np.float32(4.0 * np.pi / parameters.wavelength_m) * self.range_change_m(pair_index)
        expected = self.expected_coherence(pair_index)
        coherence = expected
        if parameters.phase_noise_scale > 0.0:
            rng = random_stream(parameters.seed, Effect.NOISE, pair_index)
            noise, coherence = draw_speckle(rng, expected, parameters.looks)
            phase += np.float32(parameters.phase_noise_scale) * noise
        phase += np.float32(2.0 * np.pi * self.offset_cycles[pair_index])
        regions = []
        for jump, region in self._jumps_of(pair_index):
            regions.append(region)
            phase[region] += np.float32(2.0 * np.pi * jump.cycles)
        rng = random_stream(parameters.seed, Effect.GAPS, pair_index)
        in_gap = np.zeros(self.shape, bool)
        for outline in draw_gap_blobs(rng, parameters):
            in_gap |= self._inside(outline)
        missing = in_gap.copy()
        if parameters.missing_fraction > 0.0:
            missing |= draw_missing(rng, expected, parameters.missing_fraction)
        components = label_components(~missing & (expected >= parameters.component_coherence), regions)
        phase[missing] = np.nan
        return Interferogram(phase, np.where(in_gap, np.float32(np.nan), coherence), components)

    def wrong_cycles(self, pair_index: int) -> NDArray[np.int64]:
        """Cycles that unwrapping got wrong in an interferogram, (row, col), its offset as a whole left out."""
        cycles = np.zeros(self.shape, np.int64)
        for jump, region in self._jumps_of(pair_index):
            cycles[region] += jump.cycles
        return cycles

    def on_geographic_grid(self) -> SimulatedScene:
        """The scene on a north-up grid of longitude and latitude; only from the scene on its map grid."""
        self._require_map_grid()
        return self._sampled_on(geographic_pixels(self.pixels))

    def on_radar_grid(self) -> SimulatedScene:
        """The scene in radar coordinates; only from the scene on its map grid."""
        self._require_map_grid()
        heights = self.fields.height_m.astype(np.float64)
        return self._sampled_on(radar_pixels(self.pixels, self.parameters, heights))

    def _jumps_of(self, pair_index: int) -> list[tuple[UnwrappingJump, NDArray[np.bool_]]]:
        """Unwrapping errors of an interferogram with their regions, (row, col) each.

        Those of a share of the interferograms do not overlap others, so that a region is off as a whole.
        """
        found: list[tuple[UnwrappingJump, NDArray[np.bool_]]] = []
        for number, jump in enumerate(self.jumps):
            if jump.pair_index == pair_index:
                region = self._inside(jump.outline)
                if number >= self.parameters.unwrapping_jumps:
                    for _, earlier in found:
                        region = region & ~earlier
                found.append((jump, region))
        return found

    def _require_map_grid(self) -> None:
        if not self.pixels.is_map_grid:
            raise InputError(
                "simulated scene",
                required="the scene on its map grid",
                found="one that has been placed on other pixels",
                remedy="Take the scene that simulate_scene made",
            )

    def _sampled_on(self, pixels: Pixels) -> SimulatedScene:
        places = np.stack(np.broadcast_arrays(pixels.map_rows, pixels.map_cols))
        fields = self.fields
        sampled = SceneFields(
            height_m=_interpolated(fields.height_m, places),
            dem_error_m=_interpolated(fields.dem_error_m, places),
            velocity_m_per_year=_interpolated(fields.velocity_m_per_year, places),
            acceleration_share=_interpolated(fields.acceleration_share, places),
            seasonal_amplitude_m=_interpolated(fields.seasonal_amplitude_m, places),
            step_m=_interpolated(fields.step_m, places),
            vegetation=_interpolated(fields.vegetation, places),
            incidence_deg=_interpolated(fields.incidence_deg, places),
            visibility=_nearest(fields.visibility, places),
        )
        turbulence = np.zeros((len(self.dates), *pixels.grid.shape), np.float32)
        if self.parameters.turbulence_rms_m > 0.0:
            for index in range(len(self.dates)):
                turbulence[index] = _interpolated(self.turbulence_m[index], places)
        return replace(self, pixels=pixels, fields=sampled, turbulence_m=turbulence)

    def _date_indices(self, pair_index: int) -> tuple[int, int]:
        pair = self.pairs[pair_index]
        interval = self.parameters.interval_days
        first = (pair.reference - self.parameters.first_date).days // interval
        return first, first + pair.temporal_baseline_days // interval

    def _displacement(self, functions: TimeFunctions, first: int, second: int) -> NDArray[np.float32]:
        return self._combined(
            float(functions.years[second] - functions.years[first]),
            float(functions.excess_m[second] - functions.excess_m[first]),
            float(functions.season[second] - functions.season[first]),
            float(functions.step[second] - functions.step[first]),
        )

    def _combined(self, steady: float, excess: float, season: float, step: float) -> NDArray[np.float32]:
        fields = self.fields
        result = np.float32(steady) * fields.velocity_m_per_year
        result += np.float32(excess) * fields.acceleration_share
        result += np.float32(season) * fields.seasonal_amplitude_m
        if step != 0.0:
            result += np.float32(step) * fields.step_m
        return result

    def _ramp(self, date_index: int) -> NDArray[np.float32]:
        """Delay of the ramp of a date, (row, col) m."""
        halves = (self.parameters.rows - 1) / 2.0, (self.parameters.cols - 1) / 2.0
        down, across = self.ramps_m[date_index]
        plane = down * (self.pixels.map_rows / halves[0] - 1.0) + across * (self.pixels.map_cols / halves[1] - 1.0)
        return np.broadcast_to(plane, self.shape).astype(np.float32)

    def _range_per_baseline(self) -> NDArray[np.float32]:
        incidence = self.fields.incidence_deg.astype(np.float64)
        factor = 1.0 / (slant_range_m(incidence) * np.sin(np.radians(incidence)))
        return (factor * self.fields.dem_error_m).astype(np.float32)

    def _inside(self, outline: Outline) -> NDArray[np.bool_]:
        return outline.radius(self.pixels.map_rows, self.pixels.map_cols) < 1.0


def simulate_scene(parameters: SimulationParameters) -> SimulatedScene:
    """Make a scene on its map grid.

    Parameters
    ----------
    parameters
        What it is made of.

    Returns
    -------
    SimulatedScene
        In memory but for its interferograms, which are made when asked for.

    Raises
    ------
    OptionError
        There is no room for as many moving slopes as asked for.
    """
    pixels = scene_pixels(parameters)
    heights = simulate_heights(parameters)
    slope_deg = np.degrees(np.arctan(np.hypot(*slope_components(heights, parameters.pixel_size_m))))
    view = simulate_view(parameters, heights)
    deformation = simulate_deformation(parameters, heights, view)
    error_length = parameters.dem_error_length_m / parameters.pixel_size_m
    dem_error = parameters.dem_error_rms_m * correlated_field(
        random_stream(parameters.seed, Effect.DEM_ERROR), heights.shape, error_length, 3.0
    )
    baselines = random_stream(parameters.seed, Effect.BASELINES).standard_normal(parameters.acquisitions)
    # Baselines are written with three decimals, so they have no more here.
    baselines = np.round(parameters.baseline_rms_m * (baselines - baselines[0]), 3)
    return SimulatedScene(
        parameters=parameters,
        pixels=pixels,
        fields=SceneFields(
            height_m=heights.astype(np.float32),
            dem_error_m=dem_error.astype(np.float32),
            velocity_m_per_year=deformation.velocity_m_per_year.astype(np.float32),
            acceleration_share=deformation.acceleration_share.astype(np.float32),
            seasonal_amplitude_m=deformation.seasonal_amplitude_m.astype(np.float32),
            step_m=deformation.step_m.astype(np.float32),
            vegetation=simulate_vegetation(parameters, heights, slope_deg).astype(np.float32),
            incidence_deg=view.incidence_deg.astype(np.float32),
            visibility=view.visibility,
        ),
        turbulence_m=simulate_turbulence(parameters),
        stratification_m_per_km=simulate_stratification(parameters),
        ramps_m=simulate_ramps(parameters),
        mean_height_m=float(heights.mean()),
        perpendicular_baselines_m=baselines,
        slopes=deformation.slopes,
        jumps=draw_jumps(parameters),
        offset_cycles=draw_offset_cycles(parameters),
    )


def _interpolated(field: NDArray[np.float32], places: NDArray[np.float64]) -> NDArray[np.float32]:
    """Bilinear values at (map row, map col) places."""
    import scipy.ndimage

    values: NDArray[np.float32] = scipy.ndimage.map_coordinates(
        field, places, output=np.float32, order=1, mode="nearest"
    )
    return values


def _nearest(classes: NDArray[np.uint8], places: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Class of the map pixel nearest to (map row, map col) places."""
    rows, cols = np.rint(places).astype(np.intp)
    values: NDArray[np.uint8] = classes[rows.clip(0, classes.shape[0] - 1), cols.clip(0, classes.shape[1] - 1)]
    return values
