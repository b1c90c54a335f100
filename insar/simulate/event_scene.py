"""A simulated event on the pixels of its images: what lies there, and the coherence that follows from it exactly."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from insar.simulate.event_frame import (
    EventFrame,
    ModelGrid,
    Places,
    map_extent,
    map_frame,
    map_frame_over,
    model_grid,
    radar_extent,
    radar_frame,
)
from insar.simulate.event_ground import EventGround, interpolated, simulate_ground
from insar.simulate.event_parameters import Cover, EventParameters, Polarisation
from insar.simulate.event_view import EventView
from insar.simulate.streams import Effect, random_stream
from insar.simulate.terrain import simulate_heights
from insar.simulate.view import slant_range_m

STRIP_ROWS = 64
"""Rows for which random numbers are drawn together: part of what a seed means, whatever is in memory at once."""

NO_LANDSLIDE, LANDSLIDE = 1, 2
SLID = len(Cover) + 1  # class of the scatterers that a landslide leaves, after those of the covers


class GroundFields(NamedTuple):
    """What lies under some rows of the images, (row, col) each.

    Attributes
    ----------
    rows
        Which ones.
    places
        On the model grid.
    height_m
        Of the terrain.
    incidence_deg
        From the vertical.
    cover
        Values of `Cover`.
    is_landslide
        Whether the ground slides at the event.
    brightness_db
        Of the texture and, in radar coordinates, the slope, on top of the mean of the cover.
    survival
        Factor on the coherence across the event, 0 to 1.
    """

    rows: slice
    places: Places
    height_m: NDArray[np.float32]
    incidence_deg: NDArray[np.float32]
    cover: NDArray[np.uint8]
    is_landslide: NDArray[np.bool_]
    brightness_db: NDArray[np.float32]
    survival: NDArray[np.float32]

    @property
    def new_kind(self) -> NDArray[np.uint8]:
        """Class of the scatterers that come at the event: `SLID` in landslides, the cover elsewhere."""
        return np.where(self.is_landslide, np.uint8(SLID), self.cover)


class ScattererTable(NamedTuple):
    """Coherence by class of scatterers: values of `Cover` and `SLID`; (class,) each, the first unused.

    Attributes
    ----------
    lasting, decaying
        Shares of the signal that never change, and that change with time.
    decay_days
        Time constant of the latter.
    """

    lasting: NDArray[np.float32]
    decaying: NDArray[np.float32]
    decay_days: NDArray[np.float32]

    @classmethod
    def of(cls, parameters: EventParameters) -> ScattererTable:
        """Covers of an event, and the bare ground that landslides leave."""
        covers = [parameters.cover(kind) for kind in Cover]
        left, bare = parameters.landslide_recovery, parameters.bare
        lasting = [cover.coherence_final for cover in covers] + [left * bare.coherence_final]
        initial = [cover.coherence_initial for cover in covers] + [left * bare.coherence_initial]
        decay = [cover.coherence_decay_days for cover in covers] + [bare.coherence_decay_days]
        first, second, third = (np.array([0.0, *part], np.float32) for part in (lasting, initial, [*decay]))
        third[0] = 1.0
        return cls(first, second - first, third)

    def coherence(self, kinds: NDArray[np.uint8], days: float) -> NDArray[np.float32]:
        """Coherence over so many days, of the shape of `kinds`."""
        by_class: NDArray[np.float32] = self.lasting + self.decaying * np.exp(np.float32(-abs(days)) / self.decay_days)
        return by_class[kinds]


@dataclass(frozen=True, slots=True)
class EventScene:
    """An event on the pixels of its images; whatever is asked for is made for some rows at a time.

    Attributes
    ----------
    parameters, view, model, ground
        What it was made from.
    frame
        Where its pixels lie.
    windows
        Rows and columns of the frame that hold each landslide; None for one outside.
    baselines_m
        (date,) perpendicular, relative to the first date, positive where the look angle is smaller.
    """

    parameters: EventParameters
    view: EventView
    model: ModelGrid
    ground: EventGround
    frame: EventFrame
    windows: tuple[tuple[slice, slice] | None, ...]
    baselines_m: NDArray[np.float64]

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, cols) of the images."""
        return self.frame.grid.shape

    @property
    def in_radar_coordinates(self) -> bool:
        """Whether rows and columns are lines and samples."""
        return self.frame.grid.crs is None

    @property
    def strips(self) -> tuple[slice, ...]:
        """Rows that are made together, from the first to the last."""
        rows = self.shape[0]
        return tuple(slice(start, min(start + STRIP_ROWS, rows)) for start in range(0, rows, STRIP_ROWS))

    def on_map(self) -> EventScene:
        """The same ground on a north-up map that covers it."""
        return self._on(map_frame_over(self.model, self.parameters.map_pixel_m))

    def fields(self, rows: slice) -> GroundFields:
        """What lies under some rows."""
        parameters, ground = self.parameters, self.ground
        places = self.frame.places(rows, slice(0, self.shape[1]))
        is_landslide = self._is_landslide(rows, places)
        incidence = self._incidence_deg(places)
        brightness = np.float32(parameters.texture_db) * interpolated(ground.texture, places)
        if self.in_radar_coordinates and parameters.slope_brightness > 0.0:
            slope_db = self.view.brightness_db(incidence, *self._slopes(places))
            brightness += np.float32(parameters.slope_brightness) * slope_db.astype(np.float32)
        survival = np.ones(places.rows.shape, np.float32)
        if parameters.event_coherence_loss > 0.0:
            survival -= np.float32(parameters.event_coherence_loss) * interpolated(ground.event_loss, places)
        survival[is_landslide] *= np.float32(parameters.landslide_coherence_left)
        return GroundFields(
            rows=rows,
            places=places,
            height_m=interpolated(ground.height_m, places),
            incidence_deg=incidence.astype(np.float32),
            cover=ground.cover(parameters, places),
            is_landslide=is_landslide,
            brightness_db=brightness,
            survival=survival,
        )

    def backscatter(self, fields: GroundFields, date_index: int, polarisation: Polarisation) -> NDArray[np.float32]:
        """Mean backscatter coefficient at a date without noise, (row, col), as a power ratio."""
        parameters = self.parameters
        covers = [parameters.cover(kind) for kind in Cover]
        by_class = np.array([0.0, *(c.vv_db if polarisation == "VV" else c.vh_db for c in covers)], np.float32)
        decibels = by_class[fields.cover] + fields.brightness_db
        if date_index >= parameters.acquisitions_before:
            is_vv = polarisation == "VV"
            change = parameters.landslide_vv_change_db if is_vv else parameters.landslide_vh_change_db
            decibels[fields.is_landslide] += np.float32(change)
        power: NDArray[np.float32] = np.float32(10.0) ** (decibels / np.float32(10.0))
        return power

    def local_incidence_deg(self, fields: GroundFields) -> NDArray[np.float32]:
        """Angle between the line of sight and the normal of the ground, (row, col)."""
        incidence = fields.incidence_deg.astype(np.float64)
        return self.view.local_incidence_deg(incidence, *self._slopes(fields.places)).astype(np.float32)

    def facing_slope_deg(self, fields: GroundFields) -> NDArray[np.float64]:
        """Slope toward the sensor, (row, col): positive where the ground rises with range."""
        return self.view.facing_deg(*self._slopes(fields.places))

    def weather_factor(self, fields: GroundFields, date_index: int) -> NDArray[np.float32] | None:
        """Factor on the coherence of every pair with a date, (row, col); None where it is 1."""
        loss = self.parameters.weather_coherence_loss
        if loss == 0.0:
            return None
        frame, step = self.frame, self.ground.weather_step
        nodes = Places(frame.model_rows / step, frame.model_cols / step)
        # The weather is smooth: the nodes of the lattice are close enough, and a hundred times fewer.
        at_nodes = 1.0 - loss * interpolated(self.ground.weather[date_index], nodes).astype(np.float64)
        return frame.interpolated(at_nodes, fields.rows, slice(0, self.shape[1])).astype(np.float32)

    def coherence(self, fields: GroundFields, first: int, second: int) -> NDArray[np.float32]:
        r"""True coherence of two dates by their indices, the earlier first, (row, col); exact.

        Notes
        -----
        With the coherence :math:`\gamma` of the cover and :math:`\gamma'` of what is there after the event over the
        same time, the survival `F`, the weather factors `v`, and the share `s` of the signal in the power,
        :math:`v_1 v_2 \sqrt{s_1 s_2}\, \Gamma` where :math:`\Gamma` is :math:`\gamma` before the event,
        :math:`F \gamma` across it, and :math:`F^2 \gamma + (1 - F^2) \gamma'` after it.
        """
        parameters = self.parameters
        table = ScattererTable.of(parameters)
        days = (parameters.dates[second] - parameters.dates[first]).days
        coherence = table.coherence(fields.cover, days)
        if first >= parameters.acquisitions_before:
            kept = fields.survival**2
            coherence = kept * coherence + (1.0 - kept) * table.coherence(fields.new_kind, days)
        elif second >= parameters.acquisitions_before:
            coherence = fields.survival * coherence
        noise = np.float32(10.0 ** (parameters.noise_floor_db / 10.0))
        for index in (first, second):
            signal = self.backscatter(fields, index, parameters.polarisation)
            coherence *= np.sqrt(signal / (signal + noise))
            factor = self.weather_factor(fields, index)
            if factor is not None:
                coherence *= factor
        return coherence

    def phase_rad(self, fields: GroundFields, date_index: int) -> NDArray[np.float64] | None:
        r"""Phase that deformation and topography give the image of a date, (row, col); None where there is none.

        Minus :math:`4 \pi / \lambda` times the range, so that the phase of an interferogram, the earlier image times
        the conjugate of the later one, is positive where the range grew.
        """
        parameters = self.parameters
        change = np.zeros(fields.places.rows.shape)
        if parameters.deformation_peak_m != 0.0 and date_index >= parameters.acquisitions_before:
            down, right = self.model.middle
            distance = self.model.pixel_m * np.hypot(fields.places.rows - down, fields.places.cols - right)
            change -= parameters.deformation_peak_m * np.exp(-0.5 * (distance / parameters.deformation_radius_m) ** 2)
        if self.baselines_m[date_index] != 0.0:
            incidence = fields.incidence_deg.astype(np.float64)
            height = fields.height_m - float(self.ground.height_m.mean(dtype=np.float64))
            change += self.baselines_m[date_index] * height / (slant_range_m(incidence) * np.sin(np.radians(incidence)))
        return -4.0 * np.pi / parameters.wavelength_m * change if change.any() else None

    def has_data(self, rows: slice, date_index: int) -> NDArray[np.bool_]:
        """Where the image of a date has data, (row, col)."""
        height, width = self.shape
        margin = self.parameters.empty_margin
        row, col = np.arange(rows.start, rows.stop)[:, None], np.arange(width)[None, :]
        valid = (row >= margin) & (row < height - margin) & (col >= margin) & (col < width - margin)
        for index, block_rows, block_cols in missing_blocks(self.parameters, self.shape):
            if index == date_index:
                in_rows = (row >= block_rows.start) & (row < block_rows.stop)
                valid &= ~(in_rows & (col >= block_cols.start) & (col < block_cols.stop))
        return valid

    def _slopes(self, places: Places) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Rise per metre toward the east and the north, (row, col) each."""
        ground = self.ground
        return (
            interpolated(ground.east_slope, places).astype(np.float64),
            interpolated(ground.north_slope, places).astype(np.float64),
        )

    def _incidence_deg(self, places: Places) -> NDArray[np.float64]:
        across = self.model.across_m(self.view, places)
        if self.in_radar_coordinates:
            return self.view.incidence_deg(across + 0.5 * radar_extent(self.parameters, self.view).right_m)
        # The near edge of a map is the corner that is nearest to the pass.
        extent = map_extent(self.parameters)
        reach = 0.5 * (abs(self.view.across.down) * extent.down_m + abs(self.view.across.right) * extent.right_m)
        return self.view.incidence_deg(across + reach)

    def _is_landslide(self, rows: slice, places: Places) -> NDArray[np.bool_]:
        inside = np.zeros(places.rows.shape, bool)
        for outline, window in zip(self.ground.landslides, self.windows, strict=True):
            if window is None or window[0].start >= rows.stop or window[0].stop <= rows.start:
                continue
            top, bottom = max(window[0].start, rows.start), min(window[0].stop, rows.stop)
            part = np.s_[top - rows.start : bottom - rows.start, window[1]]
            inside[part] |= outline.radius(places.rows[part], places.cols[part]) < 1.0
        return inside

    def _on(self, frame: EventFrame) -> EventScene:
        return replace(self, frame=frame, windows=tuple(frame.window_of(slide) for slide in self.ground.landslides))


def simulate_radar_event(parameters: EventParameters) -> EventScene:
    """Make an event that is seen in radar coordinates.

    Raises
    ------
    OptionError
        There is no room for as many landslides as asked for.
    """
    view = EventView.of(parameters)
    model = model_grid(parameters, radar_extent(parameters, view))
    heights = simulate_heights(model.terrain)
    return _scene(parameters, view, model, heights, radar_frame(parameters, model, view, heights))


def simulate_map_event(parameters: EventParameters) -> EventScene:
    """Make an event that is seen on a map; the same ground whatever the heading.

    Raises
    ------
    OptionError
        There is no room for as many landslides as asked for.
    """
    model = model_grid(parameters, map_extent(parameters))
    frame = map_frame(model, parameters.rows, parameters.cols, parameters.map_pixel_m)
    return _scene(parameters, EventView.of(parameters), model, simulate_heights(model.terrain), frame)


def missing_blocks(parameters: EventParameters, shape: tuple[int, int]) -> list[tuple[int, slice, slice]]:
    """Index of the date, rows and columns of each block of zeros."""
    rng = random_stream(parameters.seed, Effect.EVENT_GAPS)
    sizes = [max(1, math.ceil(parameters.missing_block_share * size)) for size in shape]
    blocks = []
    for _ in range(parameters.missing_blocks):
        index = int(rng.integers(parameters.acquisitions))
        row, col = (int(rng.integers(total - size + 1)) for total, size in zip(shape, sizes, strict=True))
        blocks.append((index, slice(row, row + sizes[0]), slice(col, col + sizes[1])))
    return blocks


def _scene(
    parameters: EventParameters,
    view: EventView,
    model: ModelGrid,
    heights: NDArray[np.float64],
    frame: EventFrame,
) -> EventScene:
    ground = simulate_ground(parameters, model, heights, frame)
    baselines = random_stream(parameters.seed, Effect.BASELINES).standard_normal(parameters.acquisitions)
    return EventScene(
        parameters=parameters,
        view=view,
        model=model,
        ground=ground,
        frame=frame,
        windows=tuple(frame.window_of(slide) for slide in ground.landslides),
        baselines_m=np.round(parameters.baseline_rms_m * (baselines - baselines[0]), 3),
    )
