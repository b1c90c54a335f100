"""Tables of a recipe that say where things are: study, factors, units, inventory, or a table that was given."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from susceptibility.errors import OptionError
from susceptibility.factors import FACTORS
from susceptibility.inventory import InventoryKind
from susceptibility.storage import Resampling

GROUPS = ("terrain", "distances", "rasters", "shaking", "categories", "ground_failure", "insar")
"""Groups of features, by where they come from; feature sets may name them."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")]

Target = Literal["presence", "areal_density", "number_density"]
"""Whether there is a landslide in a unit, the share of it that landslides cover, or their number per km2."""


class Section(BaseModel):
    """A table of the recipe."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class StudySection(Section):
    """``[study]``: its name, what is to be predicted, and the grid where the DEM's is not to be used."""

    name: str = "study"
    target: Target = "presence"
    crs: str | None = None
    resolution: float | None = Field(default=None, gt=0.0)


def unusable(required: str, found: str) -> PydanticCustomError:
    """What a validator raises; both parts go into the message."""
    return PydanticCustomError("unusable", "{required}", {"required": required, "found": found})


def _path_alone(value: Any) -> Any:
    return {"path": value} if isinstance(value, str) else value


class RasterSource(Section):
    """One entry of ``[factors.rasters]``: a path, or a table with the path and how to read it."""

    path: Path
    band: int = Field(default=1, ge=1)
    resampling: Resampling | None = None
    unit: str | None = None
    crs: str | None = None


class VectorSource(Section):
    """One entry of ``[factors.distances]``: a vector file, or a table with the file and how to read it."""

    path: Path
    layer: str | None = None
    crs: str | None = None


class CategorySource(Section):
    """One entry of ``[factors.categories]``: a raster of classes, or polygons whose `field` is the class."""

    path: Path
    field: str | None = None
    layer: str | None = None
    band: int = Field(default=1, ge=1)
    crs: str | None = None
    legend: dict[str, str] = Field(default_factory=dict)
    min_share: float = Field(default=0.01, ge=0.0, lt=1.0)
    unseen: Literal["zeros", "other"] = "zeros"

    @model_validator(mode="after")
    def _legend_has_numbers(self) -> CategorySource:
        for number in self.legend:
            if not number.lstrip("-").isdigit():
                raise unusable("whole numbers of classes as keys of 'legend'", repr(number))
        return self

    @property
    def labels(self) -> dict[int, str]:
        """Label of each number of a raster."""
        return {int(number): label for number, label in self.legend.items()}


class ShakingSource(Section):
    """``[factors.shaking]``: fields of a ShakeMap's ``grid.xml``, each a feature by its name in small letters."""

    path: Path
    fields: tuple[Name, ...] = ("PGV",)


class DrainageSection(Section):
    """``[factors.drainage]``: what streams are; see `susceptibility.factors.drainage.DrainageOptions`."""

    stream_area_m2: float = Field(default=1e6, gt=0.0)
    routing: Literal["d8", "multiple"] = "multiple"
    concavity: float = Field(default=0.45, gt=0.0, lt=2.0)
    radius_m: float = Field(default=2000.0, gt=0.0)


class WindowsSection(Section):
    """``[factors.windows]``: sides of the windows of relief, roughness and position, in metres."""

    relief_m: float = Field(default=500.0, gt=0.0)
    roughness_m: float = Field(default=150.0, gt=0.0)
    tpi_m: float = Field(default=500.0, gt=0.0)


class GroundFailureSource(Section):
    """``[factors.ground_failure]``: inputs of the USGS model, whose probability is the feature `usgs_probability`."""

    path: Path
    crs: str | None = None


class InsarSource(Section):
    """``[factors.insar]``: layers of a result folder of `insar`, as they are and as absolute values."""

    path: Path
    layers: tuple[Name, ...] = ()
    absolute: tuple[Name, ...] = ()

    @model_validator(mode="after")
    def _names_a_layer(self) -> InsarSource:
        if not self.layers and not self.absolute:
            raise unusable("at least one layer in 'layers' or 'absolute'", "none")
        return self


class FactorsSection(Section):
    """``[factors]``: where the features come from."""

    dem: Path | None = None
    terrain: tuple[str, ...] = ("elevation", "slope", "aspect_sin", "aspect_cos", "profile_curvature", "plan_curvature")
    drainage: DrainageSection = Field(default_factory=DrainageSection)
    windows: WindowsSection = Field(default_factory=WindowsSection)
    distances: dict[Name, Annotated[VectorSource, BeforeValidator(_path_alone)]] = Field(default_factory=dict)
    rasters: dict[Name, Annotated[RasterSource, BeforeValidator(_path_alone)]] = Field(default_factory=dict)
    shaking: Annotated[ShakingSource, BeforeValidator(_path_alone)] | None = None
    categories: dict[Name, Annotated[CategorySource, BeforeValidator(_path_alone)]] = Field(default_factory=dict)
    ground_failure: Annotated[GroundFailureSource, BeforeValidator(_path_alone)] | None = None
    insar: InsarSource | None = None

    @model_validator(mode="after")
    def _are_known_and_distinct(self) -> FactorsSection:
        for name in self.terrain:
            if name not in FACTORS:
                raise unusable(f"terrain factors among {', '.join(FACTORS)}", repr(name))
        names = [name for group in self.names.values() for name in group]
        for name in names:
            if names.count(name) > 1:
                raise unusable("one feature of each name", f"{name!r} twice")
            if name in GROUPS:
                raise unusable(f"feature names other than those of the groups {', '.join(GROUPS)}", repr(name))
        if not names:
            raise unusable("at least one factor", "none")
        return self

    @property
    def terrain_model(self) -> Path:
        """The DEM."""
        if self.dem is None:
            raise OptionError("[factors] dem", required="a terrain model", found="none", remedy="Name it")
        return self.dem

    @property
    def names(self) -> dict[str, tuple[str, ...]]:
        """Feature names of each group; of classes those of the factors, which become several columns."""
        insar = () if self.insar is None else (*self.insar.layers, *map(absolute_name, self.insar.absolute))
        return {
            "terrain": self.terrain,
            "distances": tuple(map(distance_name, self.distances)),
            "rasters": tuple(self.rasters),
            "shaking": () if self.shaking is None else tuple(name.lower() for name in self.shaking.fields),
            "categories": tuple(self.categories),
            "ground_failure": () if self.ground_failure is None else ("usgs_probability",),
            "insar": insar,
        }


class InventorySection(Section):
    """``[inventory]``: the mapped landslides."""

    path: Path | None = None
    layer: str | None = None
    kind: InventoryKind | None = None
    crs: str | None = None
    presence_field: str | None = None
    date_field: str | None = None
    first_day: date | None = None
    last_day: date | None = None
    landslide_classes: tuple[int, ...] | None = None
    absence_classes: tuple[int, ...] = ()
    mapped_area: Path | None = None
    hidden: Path | None = None

    @property
    def file(self) -> Path:
        """The inventory's file."""
        if self.path is None:
            raise OptionError(
                "[inventory] path",
                required="an inventory of landslides to learn from",
                found="none",
                remedy="Name a vector file, or a CSV table of points",
            )
        return self.path

    @property
    def period(self) -> tuple[date | None, date | None] | None:
        """First and last day of the landslides that count; None for all."""
        return None if self.first_day is None and self.last_day is None else (self.first_day, self.last_day)


class TableSection(Section):
    """``[table]``: a table that others have made, in place of factors, units and inventory.

    Columns of numbers that are none of those named here are features, unless `features` says which are.
    """

    path: Path
    x: str = "x"
    y: str = "y"
    crs: str
    area_m2: str | None = None
    landslide: str | None = None
    areal_density: str | None = None
    landslide_area_m2: str | None = None
    number: str | None = None
    event: str | None = None
    features: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()
    groups: dict[Name, tuple[str, ...]] = Field(default_factory=dict)
    units: dict[str, str] = Field(default_factory=dict)
    sigma: dict[str, str] = Field(default_factory=dict)

    @property
    def targets(self) -> dict[str, str]:
        """Columns that are no features because they are, or follow from, what is predicted; by their key."""
        keys = ("landslide", "areal_density", "landslide_area_m2", "number", "event")
        return {key: column for key in keys if (column := getattr(self, key)) is not None}


class TimelineStep(Section):
    """One of ``[[timeline]]``: what became known at a time, such as the day of an acquisition.

    Each step is a feature set of its own, with the features of all steps before it.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
    features: tuple[str, ...]


class MotionSection(Section):
    """``[units.motion]``: when a pixel of a layer of `insar` moves; see `susceptibility.motion.MotionOptions`."""

    sigmas: float = Field(default=2.0, ge=0.0)
    threshold: float = Field(default=0.0, ge=0.0)
    error_correlation: float = Field(default=1.0, ge=0.0, le=1.0)


class UnitsSection(Section):
    """``[units]``: what a row of the joined table stands for."""

    kind: Literal["cells", "aggregate", "slope", "polygons"] = "cells"
    size_m: float = Field(default=200.0, gt=0.0)
    path: Path | None = None
    layer: str | None = None
    crs: str | None = None
    channel_area_m2: float = Field(default=1_000_000.0, gt=0.0)
    least_area_m2: float = Field(default=100_000.0, gt=0.0)
    largest_variance: float = Field(default=0.2, gt=0.0, lt=1.0)
    statistics: tuple[str, ...] = ("mean", "sd")
    motion: MotionSection = Field(default_factory=MotionSection)

    @model_validator(mode="after")
    def _has_its_file(self) -> UnitsSection:
        if self.kind == "polygons" and self.path is None:
            raise unusable("'path' of the polygons", "none")
        if self.path is not None and self.kind in {"cells", "aggregate"}:
            raise unusable(f"no 'path' for units of kind '{self.kind}'", str(self.path))
        if not self.statistics:
            raise unusable("at least one of 'statistics'", "none")
        return self


def distance_name(source: str) -> str:
    """Name of the feature that is the distance to a vector file's features, such as ``river``."""
    return f"distance_to_{source}"


def absolute_name(layer: str) -> str:
    """Name of the feature that is the absolute value of a layer."""
    return f"{layer}_absolute"
