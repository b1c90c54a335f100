"""What InSAR sees of a simulated earthquake, and the displacement time series of the years after it.

Every layer follows from layers that are there already: the coherence across the earthquake falls where slides covered
the ground, and the time series has exactly the rate of the landscape's layer ``velocity``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from insar.constants import DAYS_PER_YEAR
from insar.layers import row_slices
from susceptibility.landscape import Landscape, correlated_noise
from susceptibility.landscape_shaking import EARTHQUAKE_DAY, Earthquake

RECENT_DAYS = 60.0
"""Length of the trailing window of the recent rate, as `insar` has it by default."""

CHANGE_DAYS = 90.0
"""Before the last date, when the patch begins to accelerate."""

EVENT_LAYERS = (
    "coherence_pre",
    "coherence_co",
    "coherence_post",
    "damage_proxy",
    "coherence_loss",
    "coherence_recovery",
    "coherence_change_sum",
    "coherence_change_max",
    "boxcar_sibling",
)
STEP_LAYER = f"step_{EARTHQUAKE_DAY:%Y%m%d}"
"""Line-of-sight displacement of the earthquake, as `insar` names it."""

_EVENT_CHILD, _SERIES_CHILD = 6, 7
_ROWS_AT_ONCE = 64
_EPOCHS, _REPEAT_DAYS, _LONG_GAPS = 48, 12, 13
_FIRST_EPOCH = EARTHQUAKE_DAY + timedelta(days=10)
_BOXCAR_CELLS, _SIBLING_CELLS = 3, 7
_COHERENCE_STD = 0.12  # of one estimate where there is none
_BARE_COHERENCE = 0.65
_SLIP_M, _LOCKING_KM = 0.5, 8.0
_STEP_STD_M = 0.004
_PATCH_CELLS = 6.0  # standard deviation of the accelerating patch


def event_layers(
    landscape: Landscape, covered: NDArray[np.bool_], coherence_loss: float, seed: int
) -> dict[str, NDArray[np.float32]]:
    """Coherence before, across and after the earthquake, and what is made of it: (row, col) by name of the layer.

    Parameters
    ----------
    landscape
        Its own ``coherence_pre`` is taken as it is; slides and errors of estimation are added to its ``coherence_co``.
    covered
        (row, col) where there are slides.
    coherence_loss
        Share of the coherence across the earthquake that a slide takes, 0 to 1; with 0 no layer tells of slides.
    seed
        That of the landscape.

    Notes
    -----
    Coherence g is estimated over windows of 3 x 3 cells, of which slides cover the share c: across the earthquake it is
    ``g (1 - coherence_loss c)``. Afterwards a slide is bare ground, more coherent than forest: g goes the share
    ``coherence_loss c / 2`` of the way to 0.65. Either estimate has an error of standard deviation
    ``0.12 (1 - g squared)``. The boxcar-sibling difference is taken against the mean of 7 x 7 cells.
    """
    from scipy.ndimage import uniform_filter

    rng = np.random.default_rng([seed, _EVENT_CHILD])
    shape = covered.shape
    slide = uniform_filter(covered.astype(np.float64), _BOXCAR_CELLS, mode="nearest")
    before = landscape.coherence_pre.astype(np.float64)
    bare = 0.5 * coherence_loss * slide * (_BARE_COHERENCE - landscape.mean_coherence)
    across, after = (
        np.clip(coherence + _COHERENCE_STD * (1.0 - coherence**2) * rng.normal(size=shape), 0.0, 1.0)
        for coherence in (landscape.coherence_co * (1.0 - coherence_loss * slide), landscape.mean_coherence + bare)
    )
    sibling = np.clip(uniform_filter(across, _SIBLING_CELLS, mode="nearest") + 0.02 * rng.normal(size=shape), 0.0, 1.0)
    loss, recovery = before - across, after - across
    made = (
        before,
        across,
        after,
        loss,
        loss,
        recovery,
        loss + recovery,
        np.maximum(loss, recovery),
        across - sibling,
    )
    return {name: layer.astype(np.float32) for name, layer in zip(EVENT_LAYERS, made, strict=True)}


def event_displacement(
    landscape: Landscape, earthquake: Earthquake, slide_mean: NDArray[np.float64], slope_motion_m: float, seed: int
) -> dict[str, NDArray[np.float32]]:
    """Line-of-sight displacement of the earthquake in metres and its standard deviation, by name of the layer.

    Parameters
    ----------
    landscape, earthquake
        The strike of the fault is that of the first fault of the landscape, its trace runs through the epicentre.
    slide_mean
        (row, col) mean number of slides that begin in each cell: where it is high, slopes moved without failing.
    slope_motion_m
        Motion of the slopes where `slide_mean` is largest; 0 leaves the fault's motion alone.
    seed
        That of the landscape.

    Notes
    -----
    A long fault that slips by s below the depth D moves the ground along it by ``u = s / pi arctan(x / D)`` at the
    distance x from its trace (Savage and Burford 1973), of which the line of sight sees a third.

    References
    ----------
    Savage, J. C., Burford, R. O. (1973). Geodetic determination of relative plate motion in central California.
    Journal of Geophysical Research 78, 832-845.
    """
    import shapely

    rng = np.random.default_rng([seed, _EVENT_CHILD, 1])
    grid = landscape.grid
    ends = shapely.get_coordinates(landscape.faults.geometries[0])[[0, -1]]
    along = (ends[1] - ends[0]) / np.hypot(*(ends[1] - ends[0]))
    row, col = np.mgrid[: grid.rows, : grid.cols]
    x, y = grid.map_coordinates(row + 0.5, col + 0.5)
    aside_km = ((x - earthquake.easting_m) * along[1] - (y - earthquake.northing_m) * along[0]) / 1000.0
    slip = _SLIP_M / np.pi * np.arctan(aside_km / _LOCKING_KM) / 3.0
    size = grid.rows
    facing = np.sign(correlated_noise(rng, size, roughness=4.0))
    moved = slope_motion_m * facing * slide_mean / max(float(slide_mean.max()), 1e-300)
    values = slip + moved + _STEP_STD_M * rng.normal(size=grid.shape)
    return {
        STEP_LAYER: values.astype(np.float32),
        f"{STEP_LAYER}_std": np.full(grid.shape, _STEP_STD_M, np.float32),
    }


@dataclass(frozen=True, slots=True)
class SeriesPlan:
    """A time series that is made block by block.

    Attributes
    ----------
    landscape
        Whose rate and standard deviation of the rate the series has.
    dates
        Of the images; every twelve days but for a few gaps.
    rate_change
        (row, col) m/yr, positive toward the satellite: by how much the rate changed `CHANGE_DAYS` before the last date.
    seed
        That of the landscape.
    """

    landscape: Landscape
    dates: tuple[date, ...]
    rate_change: NDArray[np.float32]
    seed: int

    @property
    def change_day(self) -> date:
        """Day on which the rate changed."""
        return self.dates[-1] - timedelta(days=CHANGE_DAYS)

    def blocks(self) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Displacement since the first date, (date, row, col) metres, positive toward the satellite, by full rows.

        Notes
        -----
        The series is ``v (t - t0) + r(t) - r(t0)``, with the landscape's rate v. The rest r is noise and, in the patch,
        the change of the rate, both without the part that a constant and a rate would explain: the rate by least
        squares is v. The noise is scaled so that the standard deviation of that rate is the landscape's
        ``velocity_std`` where nothing accelerates.
        """
        years = self.days / DAYS_PER_YEAR
        centred = years - years.mean()
        design = np.stack([np.ones_like(centred), centred], axis=1)
        explained = design @ np.linalg.pinv(design)
        hinge = np.maximum(years - years[-1] + CHANGE_DAYS / DAYS_PER_YEAR, 0.0)
        hinge -= explained @ hinge
        spread = 1.0 / float(np.sum(centred**2))
        freedom = len(years) - 2
        for rows in row_slices(self.landscape.grid.rows, _ROWS_AT_ONCE):
            rng = np.random.default_rng([self.seed, _SERIES_CHILD, rows.start])
            rate = self.landscape.velocity[rows].astype(np.float64)
            noise = rng.normal(size=(len(years), *rate.shape))
            noise -= np.tensordot(explained, noise, axes=1)
            wanted = self.landscape.velocity_std[rows].astype(np.float64) * np.sqrt(freedom / spread)
            noise *= wanted / np.sqrt(np.sum(noise**2, axis=0))
            rest = noise + hinge[:, None, None] * self.rate_change[rows]
            series = rate * (years - years[0])[:, None, None] + rest - rest[0]
            yield rows, series.astype(np.float32)

    @property
    def days(self) -> NDArray[np.int64]:
        """Days of each image since the first."""
        return np.array([(day - self.dates[0]).days for day in self.dates], np.int64)


def plan_series(landscape: Landscape, rate_change_m_per_year: float, seed: int) -> SeriesPlan:
    """Plan the series: its dates, and a patch where the ground moves fastest, whose rate grows before the end.

    Parameters
    ----------
    landscape
        From `susceptibility.landscape.make_landscape`.
    rate_change_m_per_year
        Growth of the rate in the middle of the patch, in the direction of its motion.
    seed
        That of the landscape.
    """
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng([seed, _SERIES_CHILD])
    gaps = np.full(_EPOCHS - 1, _REPEAT_DAYS)
    gaps[rng.choice(_EPOCHS - 10, _LONG_GAPS, replace=False)] *= 2  # none near the end, where the rate changes
    dates = tuple(_FIRST_EPOCH + timedelta(days=int(days)) for days in np.concatenate([[0], np.cumsum(gaps)]))
    motion = gaussian_filter(landscape.velocity.astype(np.float64), 3.0, mode="nearest")
    rows, cols = motion.shape
    margin = min(12, rows // 4)
    inner = np.abs(motion)[margin : rows - margin, margin : cols - margin]
    row, col = (int(place) + margin for place in np.unravel_index(int(inner.argmax()), inner.shape))
    down, right = np.mgrid[:rows, :cols]
    patch = np.exp(-0.5 * ((down - row) ** 2 + (right - col) ** 2) / _PATCH_CELLS**2)
    change = rate_change_m_per_year * np.sign(motion[row, col]) * np.where(patch > 0.1, patch, 0.0)
    return SeriesPlan(landscape, dates, change.astype(np.float32), seed)


@dataclass(frozen=True, slots=True)
class SeriesLayers:
    """Layers that follow from a series, (row, col) float32, as `insar` has them."""

    cumulative_displacement: NDArray[np.float32]
    velocity_std: NDArray[np.float32]
    velocity_recent: NDArray[np.float32]


def layers_of_series(plan: SeriesPlan) -> SeriesLayers:
    """Fit a series that is made block by block: displacement at its end, error of its rate, and its recent rate.

    The rate itself is the landscape's.
    """
    years = plan.days / DAYS_PER_YEAR
    centred = years - years.mean()
    design = np.stack([np.ones_like(centred), centred], axis=1)
    solve = np.linalg.pinv(design)
    spread = 1.0 / float(np.sum(centred**2))
    recent = plan.days[-1] - plan.days <= RECENT_DAYS
    window = years[recent] - years[recent].mean()
    shape = plan.landscape.grid.shape
    found = SeriesLayers(*(np.empty(shape, np.float32) for _ in range(3)))
    for rows, series in plan.blocks():
        values = series.astype(np.float64)
        left = values - np.tensordot(design, np.tensordot(solve, values, axes=1), axes=1)
        found.cumulative_displacement[rows] = series[-1] - series[0]
        found.velocity_std[rows] = np.sqrt(np.sum(left**2, axis=0) / (len(years) - 2) * spread)
        found.velocity_recent[rows] = np.tensordot(window, values[recent], axes=1) / np.sum(window**2)
    return found
