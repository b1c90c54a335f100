"""What a simulated event is made of: images before and after it, ground covers, landslides, and the weather."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import IntEnum
from typing import Any, Literal, NamedTuple, get_args

from insar.constants import SENTINEL1_WAVELENGTH_M
from insar.simulate.parameters import check_values, unusable
from insar.stack import Pair

Polarisation = Literal["VV", "VH"]

_COVER_LIMITS: dict[str, tuple[float, float]] = {
    "vv_db": (-40.0, 20.0),
    "vh_db": (-50.0, 20.0),
    "coherence_initial": (0.0, 1.0),
    "coherence_final": (0.0, 1.0),
    "coherence_decay_days": (0.1, 1e9),
}

# (lowest, highest) of every number; both ends are allowed.
_LIMITS: dict[str, tuple[float, float]] = {
    "seed": (0, 2**63 - 1),
    "rows": (16, 30_000),
    "cols": (16, 30_000),
    "azimuth_pixel_m": (0.1, 1_000.0),
    "range_pixel_m": (0.1, 1_000.0),
    "map_pixel_m": (0.1, 1_000.0),
    "center_lon_deg": (-180.0, 180.0),
    "center_lat_deg": (-80.0, 80.0),
    "wavelength_m": (0.01, 1.0),
    "incidence_near_deg": (15.0, 60.0),
    "heading_deg": (-180.0, 360.0),
    "foreshortening": (0.0, 1.0),
    "interval_days": (2, 1_000),
    "acquisitions_before": (1, 500),
    "acquisitions_after": (1, 500),
    "lowest_height_m": (-400.0, 8_000.0),
    "median_slope_deg": (0.5, 30.0),
    "cover_patch_m": (10.0, 1e6),
    "bare_share": (0.0, 1.0),
    "grass_share": (0.0, 1.0),
    "water_share": (0.0, 1.0),
    "texture_db": (0.0, 10.0),
    "slope_brightness": (0.0, 1.0),
    "noise_floor_db": (-200.0, 20.0),
    "landslides": (0, 10_000),
    "landslide_length_min_m": (1.0, 1e5),
    "landslide_length_max_m": (1.0, 1e5),
    "landslide_coherence_left": (0.0, 1.0),
    "landslide_recovery": (0.0, 1.0),
    "landslide_vv_change_db": (-30.0, 30.0),
    "landslide_vh_change_db": (-30.0, 30.0),
    "event_coherence_loss": (0.0, 1.0),
    "event_loss_length_m": (0.0, 1e6),
    "weather_coherence_loss": (0.0, 1.0),
    "weather_length_m": (1.0, 1e6),
    "deformation_peak_m": (-20.0, 20.0),
    "deformation_radius_m": (1.0, 1e6),
    "baseline_rms_m": (0.0, 10_000.0),
    "backscatter_looks": (0.5, 10_000.0),
    "empty_margin": (0, 10_000),
    "missing_blocks": (0, 10_000),
    "missing_block_share": (0.01, 1.0),
}


class Cover(IntEnum):
    """Classes of the ground's cover; 0 is left for no data."""

    BARE = 1
    GRASS = 2
    FOREST = 3
    WATER = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundCover:
    r"""How one cover looks in C band, checked when made.

    Attributes
    ----------
    vv_db, vh_db
        Mean backscatter coefficient in decibels.
    coherence_initial, coherence_final, coherence_decay_days
        Coherence of two images without noise that are `t` days apart is
        :math:`c_\infty + (c_0 - c_\infty) e^{-t/\tau}`: :math:`c_0` after no time, :math:`c_\infty` after a long time,
        and the time constant between them.
    """

    vv_db: float
    vh_db: float
    coherence_initial: float
    coherence_final: float
    coherence_decay_days: float

    def __post_init__(self) -> None:
        check_values(self, _COVER_LIMITS)
        if self.coherence_final > self.coherence_initial:
            raise unusable(
                "coherence_final",
                f"at most coherence_initial = {self.coherence_initial:g}",
                f"{self.coherence_final:g}",
            )

    def coherence(self, days: float) -> float:
        """Coherence of two images that are so many days apart, without noise."""
        decaying = self.coherence_initial - self.coherence_final
        return self.coherence_final + decaying * math.exp(-abs(days) / self.coherence_decay_days)


class EventPairs(NamedTuple):
    """The three pairs that an event is mostly judged by; those with one date fewer than needed are None."""

    pre: Pair | None
    co: Pair
    post: Pair | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventParameters:
    """Size, place, images, ground and event of a simulated scene, checked when made.

    Attributes
    ----------
    seed
        Same parameters and seed give the same images, to the byte. Each effect has a random stream of its own.
    rows, cols
        Of the images: lines and samples in radar coordinates, or rows and columns of a map.
    azimuth_pixel_m, range_pixel_m
        Pixel of images in radar coordinates: along the pass on the ground, and in slant range.
    map_pixel_m
        Pixel of images on a map, and of the truth on a map.
    center_lon_deg, center_lat_deg
        Middle of the scene.
    wavelength_m, incidence_near_deg, heading_deg
        Sensor and view, right-looking; incidence at the first sample, heading clockwise from north.
    foreshortening
        Share of the slant-range displacement by height that shapes the radar grid: 0 none, 1 all of it. It is
        reduced where it would put two pixels of a line at one place.
    first_date, interval_days, acquisitions_before, acquisitions_after
        Acquisition dates. The event falls in the middle between the last image before it and the first one after it.
    polarisation
        Of the complex images.
    lowest_height_m, median_slope_deg
        Of the terrain.
    cover_patch_m
        Typical size of patches of one cover.
    bare_share, grass_share, water_share
        Shares of the ground; the rest is forest. Water takes the lowest ground, whatever else would be there.
    bare, grass, forest, water
        How the covers look. Means of Sentinel-1 at 35 to 40 degrees of incidence; the coherence of forest over 12 days
        is about 0.3, that of grass and crops 0.5, that of rock, scree and buildings 0.85.
    texture_db
        Spread of the mean backscatter within a cover, in patches a quarter as large as those of the cover; constant in
        time.
    slope_brightness
        Share of the brightening of slopes that face the sensor, 0 none, 1 all of it, in the complex images;
        terrain-corrected backscatter has none.
    noise_floor_db
        Thermal noise as a backscatter coefficient (Sentinel-1: about -24).
    landslides, landslide_length_min_m, landslide_length_max_m
        Number and length of the landslides: on slopes, longer than wide, downslope.
    landslide_coherence_left
        Factor on the coherence across the event in a landslide; 0 is total loss.
    landslide_recovery
        Share of the coherence of bare ground that a landslide has between images after the event.
    landslide_vv_change_db, landslide_vh_change_db
        Change of the backscatter in a landslide. Where trees are gone, VH falls by some decibels and VV by less.
    event_coherence_loss, event_loss_length_m
        Coherence lost everywhere between before and after the event, and only there, as by rain or snow that has moved
        the scatterers: a factor on coherence between 1 and 1 minus the loss, in patches of that size; of length 0, the
        whole loss in the whole scene.
    weather_coherence_loss, weather_length_m
        Wet vegetation and wind at each single date: a factor on the coherence of every pair with that date, between 1
        and 1 minus the loss, in patches of that size.
    deformation_peak_m, deformation_radius_m
        Displacement toward the satellite at the event: a bell in the middle of the scene with that standard deviation.
    baseline_rms_m
        Spread of the perpendicular baselines of the dates, the first of which has 0; the fringes of the topography are
        left in the images.
    backscatter_looks
        Equivalent number of looks of terrain-corrected backscatter, whose speckle is independent at all dates.
    empty_margin
        Pixels around the images that hold zeros, as merged bursts do not reach the edge.
    missing_blocks, missing_block_share
        Number of blocks of zeros, each in one image, and the share of the lines and samples that one takes.
    """

    seed: int = 0
    rows: int = 480
    cols: int = 1_500
    azimuth_pixel_m: float = 13.9
    range_pixel_m: float = 2.329562
    map_pixel_m: float = 20.0
    center_lon_deg: float = 142.0
    center_lat_deg: float = 42.7
    wavelength_m: float = SENTINEL1_WAVELENGTH_M
    incidence_near_deg: float = 36.0
    heading_deg: float = 348.0
    foreshortening: float = 0.5

    first_date: date = date(2018, 6, 14)
    interval_days: int = 12
    acquisitions_before: int = 8
    acquisitions_after: int = 3
    polarisation: Polarisation = "VV"

    lowest_height_m: float = 50.0
    median_slope_deg: float = 16.0
    cover_patch_m: float = 1_500.0
    bare_share: float = 0.15
    grass_share: float = 0.4
    water_share: float = 0.03
    bare: GroundCover = GroundCover(
        vv_db=-9.5, vh_db=-17.0, coherence_initial=0.92, coherence_final=0.5, coherence_decay_days=120.0
    )
    grass: GroundCover = GroundCover(
        vv_db=-11.5, vh_db=-18.5, coherence_initial=0.75, coherence_final=0.15, coherence_decay_days=25.0
    )
    forest: GroundCover = GroundCover(
        vv_db=-8.0, vh_db=-13.5, coherence_initial=0.6, coherence_final=0.08, coherence_decay_days=15.0
    )
    water: GroundCover = GroundCover(
        vv_db=-19.0, vh_db=-27.0, coherence_initial=0.0, coherence_final=0.0, coherence_decay_days=1.0
    )
    texture_db: float = 0.7
    slope_brightness: float = 0.7
    noise_floor_db: float = -24.0

    landslides: int = 40
    landslide_length_min_m: float = 150.0
    landslide_length_max_m: float = 600.0
    landslide_coherence_left: float = 0.1
    landslide_recovery: float = 0.8
    landslide_vv_change_db: float = -1.5
    landslide_vh_change_db: float = -3.5

    event_coherence_loss: float = 0.0
    event_loss_length_m: float = 3_000.0
    weather_coherence_loss: float = 0.1
    weather_length_m: float = 5_000.0

    deformation_peak_m: float = 0.0
    deformation_radius_m: float = 5_000.0
    baseline_rms_m: float = 0.0

    backscatter_looks: float = 4.4
    empty_margin: int = 0
    missing_blocks: int = 0
    missing_block_share: float = 0.2

    def __post_init__(self) -> None:
        check_values(self, _LIMITS)
        if self.polarisation not in get_args(Polarisation):
            raise unusable("polarisation", " or ".join(get_args(Polarisation)), repr(self.polarisation))
        if self.bare_share + self.grass_share > 1.0:
            raise unusable(
                "grass_share", f"at most 1 together with bare_share = {self.bare_share:g}", f"{self.grass_share:g}"
            )
        if self.landslide_length_min_m > self.landslide_length_max_m:
            raise unusable(
                "landslide_length_min_m",
                f"at most landslide_length_max_m = {self.landslide_length_max_m:g}",
                f"{self.landslide_length_min_m:g}",
            )
        try:
            self.first_date + timedelta(days=self.interval_days * self.acquisitions)
        except OverflowError as error:
            raise unusable("acquisitions_after", "dates before the year 10000", str(self.acquisitions_after)) from error

    @property
    def acquisitions(self) -> int:
        """Number of images."""
        return self.acquisitions_before + self.acquisitions_after

    @property
    def dates(self) -> tuple[date, ...]:
        """Acquisition dates."""
        return tuple(self.first_date + timedelta(days=self.interval_days * n) for n in range(self.acquisitions))

    @property
    def event_date(self) -> date:
        """Day of the event, which no image was taken on."""
        return self.dates[self.acquisitions_before - 1] + timedelta(days=self.interval_days // 2)

    @property
    def event_pairs(self) -> EventPairs:
        """The last pair before the event, the one across it, and the first after it: neighbours in time."""
        dates, before = self.dates, self.acquisitions_before
        return EventPairs(
            Pair(dates[before - 2], dates[before - 1]) if before > 1 else None,
            Pair(dates[before - 1], dates[before]),
            Pair(dates[before], dates[before + 1]) if self.acquisitions_after > 1 else None,
        )

    @property
    def orbit_direction(self) -> Literal["ascending", "descending"]:
        """Of the pass, from its heading."""
        return "ascending" if math.cos(math.radians(self.heading_deg)) > 0 else "descending"

    def cover(self, kind: Cover) -> GroundCover:
        """How a class of cover looks."""
        covers = {Cover.BARE: self.bare, Cover.GRASS: self.grass, Cover.FOREST: self.forest, Cover.WATER: self.water}
        return covers[kind]

    def without_disturbances(self, **changes: Any) -> EventParameters:
        """The same ground and landslides without noise, texture, weather, fringes or gaps.

        Parameters
        ----------
        changes
            Parameters to set besides, such as the one effect to be looked at.
        """
        clean: dict[str, Any] = {
            "texture_db": 0.0,
            "slope_brightness": 0.0,
            "noise_floor_db": -200.0,
            "event_coherence_loss": 0.0,
            "weather_coherence_loss": 0.0,
            "deformation_peak_m": 0.0,
            "baseline_rms_m": 0.0,
            "empty_margin": 0,
            "missing_blocks": 0,
        }
        return replace(self, **(clean | changes))
