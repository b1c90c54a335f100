"""What moves, how fast, and how far it has come at each date: known rates for others to recover."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from insar.constants import DAYS_PER_YEAR
from insar.errors import OptionError
from insar.simulate.fields import Outline, smooth, smoothstep
from insar.simulate.parameters import SimulationParameters
from insar.simulate.streams import Effect, random_stream
from insar.simulate.terrain import slope_components
from insar.simulate.view import EastNorthUp, View

STABLE, CREEPING, ACCELERATING = 1, 2, 3

LANDFORM_M = 120.0  # over which the slope under a landslide is averaged to find where it goes
STEEP_QUANTILES = (0.8, 0.5)  # of the scene's slopes: landslides lie above the first, then above the second
EDGE_SHARE = 0.35  # of the radius, over which the rate rises from 0 to that of the centre
LEAST_TAPER = 1e-3  # below it the ground counts as stable and does not move at all
EDGE_MARGIN = 0.15  # of the scene's size, kept free: stacks in radar coordinates do not reach the corners
LEAST_SENSITIVITY = {-1: 0.4, 1: 0.15}  # away, toward: slopes that face the satellite are seen at a narrow angle

Kind = Literal["creeping", "accelerating"]


@dataclass(frozen=True, slots=True)
class MovingSlope:
    """A part of a hillside that slides as one body in the direction of its steepest descent.

    Attributes
    ----------
    kind
        Steady or accelerating.
    outline
        Where it lies.
    motion
        Direction of motion, downward.
    sensitivity
        Displacement toward the satellite per metre of motion, at the centre.
    rate_m_per_year
        Along the line of sight at the centre, at the first date, positive toward the satellite.
    """

    kind: Kind
    outline: Outline
    motion: EastNorthUp
    sensitivity: float
    rate_m_per_year: float


@dataclass(frozen=True, slots=True)
class Deformation:
    """Fields that, times a function of time, make the displacement; all (row, col).

    Attributes
    ----------
    velocity_m_per_year
        Line-of-sight rate at the first date without the seasonal term, positive toward the satellite.
    acceleration_share
        Rate of accelerating slopes relative to that of their centres; 0 elsewhere.
    seasonal_amplitude_m
        Of the annual term.
    step_m
        Sudden displacement along the line of sight, positive toward the satellite; 0 off creeping slopes.
    slopes
        The slopes that move.
    """

    velocity_m_per_year: NDArray[np.float64]
    acceleration_share: NDArray[np.float64]
    seasonal_amplitude_m: NDArray[np.float64]
    step_m: NDArray[np.float64]
    slopes: tuple[MovingSlope, ...]


@dataclass(frozen=True, slots=True)
class TimeFunctions:
    """How the parts of the displacement grow; each (date,), 0 at the first date.

    Attributes
    ----------
    years
        Since the first date.
    excess_m
        Displacement of the centre of an accelerating slope beyond its first, steady rate.
    season
        Annual term of amplitude 1.
    step
        Step of height 1.
    """

    years: NDArray[np.float64]
    excess_m: NDArray[np.float64]
    season: NDArray[np.float64]
    step: NDArray[np.float64]

    def linear_rates(self) -> tuple[float, float, float, float]:
        """Slopes per year of the straight lines that fit the four functions best (least squares)."""
        centered = self.years - self.years.mean()
        weights = centered / (centered**2).sum()
        steady, excess, season, step = (
            float(weights @ function) for function in (self.years, self.excess_m, self.season, self.step)
        )
        return steady, excess, season, step


def time_functions(parameters: SimulationParameters) -> TimeFunctions:
    r"""Growth of steady, accelerating and seasonal displacement at the dates of a scene.

    Notes
    -----
    During the last `T` = ``acceleration_days`` the rate grows as :math:`v_0 r^x` with `x` from 0 to 1 and
    :math:`r = v_1 / v_0`; what comes on top of :math:`v_0 t` is :math:`v_0 T ((r^x - 1) / \ln r - x)`.
    """
    dates = parameters.dates
    days = np.array([(day - dates[0]).days for day in dates], dtype=np.float64)
    duration = min(parameters.acceleration_days, days[-1])
    progress = np.clip((days - (days[-1] - duration)) / duration, 0.0, 1.0)
    start, end = parameters.acceleration_start_rate_m_per_year, parameters.acceleration_end_rate_m_per_year
    growth = math.log(end / start)
    gained = np.expm1(growth * progress) / growth - progress if growth > 0.0 else np.zeros_like(days)
    first_day_of_year = dates[0].timetuple().tm_yday
    angle = 2.0 * np.pi * (first_day_of_year + days - parameters.seasonal_peak_day_of_year) / DAYS_PER_YEAR
    season = np.cos(angle)
    onset = parameters.step_date
    step = np.array([0.0 if onset is None else float(day >= onset) for day in dates])
    return TimeFunctions(
        days / DAYS_PER_YEAR, start * duration / DAYS_PER_YEAR * gained, season - season[0], step - step[0]
    )


def simulate_deformation(parameters: SimulationParameters, heights: NDArray[np.float64], view: View) -> Deformation:
    """Place moving slopes and seasonal ground in a landscape.

    Raises
    ------
    OptionError
        There is no room for as many slopes as asked for.
    """
    slopes = _place_slopes(parameters, heights, view)
    rows = np.arange(parameters.rows, dtype=np.float64)[:, None]
    cols = np.arange(parameters.cols, dtype=np.float64)[None, :]
    velocity = np.zeros(heights.shape)
    share = np.zeros(heights.shape)
    step = np.zeros(heights.shape)
    for slope in slopes:
        taper = smoothstep((1.0 - slope.outline.radius(rows, cols)) / EDGE_SHARE)
        taper[taper < LEAST_TAPER] = 0.0
        relative = taper * view.sensitivity(slope.motion, view.incidence_deg) / slope.sensitivity
        velocity += relative * slope.rate_m_per_year
        if slope.kind == "accelerating":
            share += relative
        elif parameters.step_date is not None:
            step += relative * math.copysign(parameters.step_m, parameters.step_m * slope.rate_m_per_year)
    return Deformation(velocity, share, _seasonal_amplitude(parameters, heights), step, slopes)


def _place_slopes(
    parameters: SimulationParameters, heights: NDArray[np.float64], view: View
) -> tuple[MovingSlope, ...]:
    rng = random_stream(parameters.seed, Effect.SLOPES)
    landform = smooth(heights, max(LANDFORM_M / parameters.pixel_size_m, 0.7))
    east, north = slope_components(landform, parameters.pixel_size_m)
    steepness = np.hypot(east, north)
    steepest, least = np.quantile(steepness, STEEP_QUANTILES)
    order = rng.permutation(np.flatnonzero(steepness.ravel() >= least))
    order = order[np.argsort(steepness.ravel()[order] < steepest, kind="stable")]
    shape_seed = int(rng.integers(2**63))
    placed: list[MovingSlope] = []
    # Room for one accelerating slope is kept even where none is asked for, so that the others stay where they are.
    kinds: list[tuple[Kind, int]] = [("accelerating", n) for n in range(max(parameters.accelerating_slopes, 1))]
    kinds += [("creeping", n) for n in range(parameters.creeping_slopes)]
    for kind, number in kinds:
        shaping = np.random.default_rng(np.random.SeedSequence(shape_seed, spawn_key=(kind == "creeping", number)))
        # Two slopes of three move away from the satellite, as those do that are seen well.
        sense = 1 if kind == "creeping" and number % 3 == 2 else -1
        length = shaping.uniform(parameters.slope_length_min_m, parameters.slope_length_max_m)
        half_length = 0.5 * length / parameters.pixel_size_m
        half_width = half_length * shaping.uniform(0.45, 0.75)
        for pixel in order.tolist():
            row, col = divmod(pixel, parameters.cols)
            motion = _downslope(float(east[row, col]), float(north[row, col]))
            sensitivity = float(view.sensitivity(motion, view.incidence_deg[row : row + 1, col : col + 1])[0, 0])
            is_seen = sense * sensitivity >= LEAST_SENSITIVITY[sense] and view.visibility[row, col] == 0
            if is_seen and _has_room(row, col, half_length, placed, heights.shape):
                azimuth = math.degrees(math.atan2(motion.east, motion.north)) % 360.0
                outline = Outline.draw(shaping, row, col, half_length, half_width, azimuth)
                rate = _center_rate(parameters, kind, number, sense, shaping)
                placed.append(MovingSlope(kind, outline, motion, sensitivity, rate))
                break
        else:
            raise OptionError(
                "simulation parameters creeping_slopes, accelerating_slopes",
                required=f"room for {len(kinds)} moving slopes of {parameters.slope_length_min_m:g} to "
                f"{parameters.slope_length_max_m:g} m",
                found=f"room for {len(placed)} in {parameters.rows} x {parameters.cols} pixels of "
                f"{parameters.pixel_size_m:g} m",
                remedy="Ask for fewer or shorter slopes, or for a larger scene",
            )
    first_creeping = max(parameters.accelerating_slopes, 1)
    return tuple(placed[: parameters.accelerating_slopes] + placed[first_creeping:])


def _downslope(rise_east: float, rise_north: float) -> EastNorthUp:
    gradient = math.hypot(rise_east, rise_north)
    horizontal = 1.0 / math.sqrt(1.0 + gradient**2)
    return EastNorthUp(-rise_east / gradient * horizontal, -rise_north / gradient * horizontal, -gradient * horizontal)


def _has_room(row: int, col: int, half_length: float, placed: list[MovingSlope], shape: tuple[int, ...]) -> bool:
    margins = [max(half_length, EDGE_MARGIN * size) for size in shape]
    if not all(
        margin <= place <= size - 1 - margin for place, margin, size in zip((row, col), margins, shape, strict=True)
    ):
        return False
    return all(
        math.hypot(row - other.outline.row, col - other.outline.col) > 1.4 * (half_length + other.outline.half_length)
        for other in placed
    )


def _center_rate(
    parameters: SimulationParameters, kind: Kind, number: int, sense: int, rng: np.random.Generator
) -> float:
    if kind == "accelerating":
        return parameters.acceleration_start_rate_m_per_year
    fastest = parameters.creep_rate_toward_m_per_year if sense > 0 else parameters.creep_rate_away_m_per_year
    slower = rng.uniform(0.35, 1.0)
    return float(fastest * (1.0 if number in {0, 2} else slower))  # the first of either sense reaches the limit


def _seasonal_amplitude(parameters: SimulationParameters, heights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Low and gentle ground, where water tables rise and fall; exactly 0 elsewhere."""
    landform = smooth(heights, max(2.0 * LANDFORM_M / parameters.pixel_size_m, 1.0))
    gradient = np.hypot(*slope_components(landform, parameters.pixel_size_m))
    height = (landform - landform.min()) / max(float(np.ptp(landform)), 1e-9)
    unlikely = height + 0.5 * gradient / max(float(np.quantile(gradient, 0.95)), 1e-9)
    border = float(np.quantile(unlikely, parameters.seasonal_area_fraction))
    width = max(0.5 * (border - float(unlikely.min())), 1e-9)
    return parameters.seasonal_amplitude_m * smoothstep((border - unlikely) / width)
