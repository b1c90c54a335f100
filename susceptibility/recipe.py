"""The recipe: what a study is made from, as a TOML file.

A key that is not known is refused with the keys that are, and paths are relative to the recipe's own folder.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from susceptibility.errors import InputError, MissingInputError, OptionError
from susceptibility.factors import FACTORS
from susceptibility.inventory import InventoryKind
from susceptibility.models import MODELS, ModelOptions
from susceptibility.sampling import NegativeSource
from susceptibility.storage import Resampling
from susceptibility.validation import RANDOM, SCHEMES

GROUPS = ("terrain", "distances", "rasters", "shaking", "categories", "insar")
"""Groups of features, by where they come from; feature sets may name them."""

STATIC = "static"
STATIC_INSAR = "static_insar"

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")]


class Section(BaseModel):
    """A table of the recipe."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class StudySection(Section):
    """``[study]``: its name, and the grid where the DEM's is not to be used."""

    name: str = "study"
    crs: str | None = None
    resolution: float | None = Field(default=None, gt=0.0)


def _unusable(required: str, found: str) -> PydanticCustomError:
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
                raise _unusable("whole numbers of classes as keys of 'legend'", repr(number))
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


class InsarSource(Section):
    """``[factors.insar]``: layers of a result folder of `insar`, as they are and as absolute values."""

    path: Path
    layers: tuple[Name, ...] = ()
    absolute: tuple[Name, ...] = ()

    @model_validator(mode="after")
    def _names_a_layer(self) -> InsarSource:
        if not self.layers and not self.absolute:
            raise _unusable("at least one layer in 'layers' or 'absolute'", "none")
        return self


class FactorsSection(Section):
    """``[factors]``: where the features come from."""

    dem: Path
    terrain: tuple[str, ...] = ("elevation", "slope", "aspect_sin", "aspect_cos", "profile_curvature", "plan_curvature")
    drainage: DrainageSection = Field(default_factory=DrainageSection)
    windows: WindowsSection = Field(default_factory=WindowsSection)
    distances: dict[Name, Annotated[VectorSource, BeforeValidator(_path_alone)]] = Field(default_factory=dict)
    rasters: dict[Name, Annotated[RasterSource, BeforeValidator(_path_alone)]] = Field(default_factory=dict)
    shaking: Annotated[ShakingSource, BeforeValidator(_path_alone)] | None = None
    categories: dict[Name, Annotated[CategorySource, BeforeValidator(_path_alone)]] = Field(default_factory=dict)
    insar: InsarSource | None = None

    @model_validator(mode="after")
    def _are_known_and_distinct(self) -> FactorsSection:
        for name in self.terrain:
            if name not in FACTORS:
                raise _unusable(f"terrain factors among {', '.join(FACTORS)}", repr(name))
        names = [name for group in self.names.values() for name in group]
        for name in names:
            if names.count(name) > 1:
                raise _unusable("one feature of each name", f"{name!r} twice")
            if name in GROUPS:
                raise _unusable(f"feature names other than those of the groups {', '.join(GROUPS)}", repr(name))
        if not names:
            raise _unusable("at least one factor", "none")
        return self

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
            "insar": insar,
        }


class InventorySection(Section):
    """``[inventory]``: the mapped landslides."""

    path: Path
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
    def period(self) -> tuple[date | None, date | None] | None:
        """First and last day of the landslides that count; None for all."""
        return None if self.first_day is None and self.last_day is None else (self.first_day, self.last_day)


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
            raise _unusable("'path' of the polygons", "none")
        if self.path is not None and self.kind in {"cells", "aggregate"}:
            raise _unusable(f"no 'path' for units of kind '{self.kind}'", str(self.path))
        if not self.statistics:
            raise _unusable("at least one of 'statistics'", "none")
        return self


class SamplingSection(Section):
    """``[sampling]``: which cells without landslides are set against those with."""

    negatives: NegativeSource | None = None
    ratio: float = Field(default=1.0, gt=0.0)
    seed: int = Field(default=42, ge=0)
    repeats: int = Field(default=5, ge=1)


class ValidationSection(Section):
    """``[validation]``: how cells are split; random folds and spatial ones always stand side by side."""

    schemes: tuple[Literal["random", "spatial-blocks", "kmeans"], ...] = ("random", "spatial-blocks")
    folds: int = Field(default=5, ge=2)
    block_size_m: float | None = Field(default=None, gt=0.0)
    repeats: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _has_random_and_spatial(self) -> ValidationSection:
        if RANDOM not in self.schemes or not any(SCHEMES[name].is_spatial for name in self.schemes):
            raise _unusable(
                f"'{RANDOM}' and a spatial scheme, to stand side by side", ", ".join(self.schemes) or "none"
            )
        if len(set(self.schemes)) < len(self.schemes):
            raise _unusable("each scheme once", ", ".join(self.schemes))
        return self


class ExplainSection(Section):
    """``[explain]``: permutation importance on held-out spatial folds."""

    permutations: int = Field(default=5, ge=0)


class MapSection(Section):
    """``[map]``: classes of equal steps of probability."""

    classes: int = Field(default=5, ge=2, le=20)


class _NamedModels(Section):
    names: tuple[Name, ...] = tuple(MODELS)

    @model_validator(mode="after")
    def _are_registered(self) -> _NamedModels:
        for name in self.names:
            if name not in MODELS:
                raise _unusable(f"models among {', '.join(MODELS)}", repr(name))
        if not self.names or len(set(self.names)) < len(self.names):
            raise _unusable("at least one model, and each once", ", ".join(self.names) or "none")
        return self


# One table of hyperparameters for each registered model, so that a new model needs no change here.
_model_tables: dict[str, Any] = {
    name: (model.options, Field(default_factory=model.options)) for name, model in MODELS.items()
}
ModelsSection = create_model("ModelsSection", __base__=_NamedModels, **_model_tables)


class Recipe(Section):
    """A study, read and checked."""

    study: StudySection = Field(default_factory=StudySection)
    factors: FactorsSection
    inventory: InventorySection
    units: UnitsSection = Field(default_factory=UnitsSection)
    sampling: SamplingSection = Field(default_factory=SamplingSection)
    models: ModelsSection = Field(default_factory=ModelsSection)  # type: ignore[valid-type]  # made at run time
    validation: ValidationSection = Field(default_factory=ValidationSection)
    explain: ExplainSection = Field(default_factory=ExplainSection)
    map: MapSection = Field(default_factory=MapSection)
    feature_sets: dict[Name, tuple[str, ...]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _feature_sets_are_known(self) -> Recipe:
        known = self.factors.names
        names = [name for group in known.values() for name in group]
        for title, members in self.feature_sets.items():
            for member in members:
                if member not in names and member not in GROUPS:
                    raise _unusable(
                        f"[feature_sets] '{title}' made of groups ({', '.join(GROUPS)}) or features "
                        f"({', '.join(names)})",
                        repr(member),
                    )
            if not expand_set(members, known):
                raise _unusable(f"at least one feature in [feature_sets] '{title}'", "none")
        return self

    @property
    def model_names(self) -> tuple[str, ...]:
        """Models to fit."""
        names: tuple[str, ...] = self.models.names  # type: ignore[attr-defined]  # made at run time
        return names

    def model_options(self, name: str) -> ModelOptions:
        """Hyperparameters of a model."""
        options: ModelOptions = getattr(self.models, name)
        return options

    def resolved_sets(self, columns: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        """Feature names of each feature set; where the recipe names none, static against static with InSAR.

        `columns` are those that each factor of classes has become, see `susceptibility.features.FeatureStore`.
        """
        sets = self._named_sets()
        return {
            title: tuple(column for name in members for column in columns.get(name, (name,)))
            for title, members in sets.items()
        }

    def _named_sets(self) -> dict[str, tuple[str, ...]]:
        known = self.factors.names
        if self.feature_sets:
            return {title: expand_set(members, known) for title, members in self.feature_sets.items()}
        static = tuple(name for group, names in known.items() if group != "insar" for name in names)
        with_insar = (*static, *known["insar"])
        if not known["insar"]:
            return {STATIC: static}
        return {STATIC: static, STATIC_INSAR: with_insar} if static else {"insar": with_insar}

    def files(self) -> dict[str, Path]:
        """Files and folders the recipe reads, by the key that names them."""
        named = {"factors.dem": self.factors.dem, "inventory.path": self.inventory.path}
        for group in ("distances", "rasters", "categories"):
            sources = getattr(self.factors, group)
            named |= {f"factors.{group}.{name}": source.path for name, source in sources.items()}
        shaking, insar = self.factors.shaking, self.factors.insar
        optional = {
            "factors.shaking": None if shaking is None else shaking.path,
            "factors.insar.path": None if insar is None else insar.path,
            "inventory.mapped_area": self.inventory.mapped_area,
            "inventory.hidden": self.inventory.hidden,
            "units.path": self.units.path,
        }
        return named | {key: path for key, path in optional.items() if path is not None}


def distance_name(source: str) -> str:
    """Name of the feature that is the distance to a vector file's features, such as ``river``."""
    return f"distance_to_{source}"


def absolute_name(layer: str) -> str:
    """Name of the feature that is the absolute value of a layer."""
    return f"{layer}_absolute"


def expand_set(members: tuple[str, ...], groups: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Feature names of a set that names features or groups, each once, in the order of the groups."""
    chosen = {name for member in members for name in groups.get(member, (member,))}
    return tuple(name for group in groups.values() for name in group if name in chosen)


def read_recipe(path: Path, *, insar: Path | None = None) -> Recipe:
    """Read a recipe; its paths become absolute, and every file it names is there.

    Parameters
    ----------
    path
        TOML file.
    insar
        Result folder of `insar` to use instead of the one named under ``[factors.insar]``.

    Raises
    ------
    MissingInputError
        The recipe, or a file that it names, is not there.
    InputError
        It is no TOML.
    OptionError
        A key is not known, is missing, or has a value that cannot be used.
    """
    if not path.is_file():
        raise MissingInputError(
            path,
            required="a recipe (TOML file)",
            found="no such file",
            remedy="Check the path, or start from one of `susceptibility recipes list`",
        )
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(path, required="a TOML file", found=str(error), remedy="Correct the line named") from error
    if insar is not None:
        _override_insar(path, content, insar.absolute())
    recipe = parse_recipe(content, path)
    recipe = _with_absolute_paths(recipe, path.absolute().parent)
    _check_files(recipe, path)
    return recipe


def parse_recipe(content: dict[str, Any], subject: str | Path = "recipe") -> Recipe:
    """Check the content of a recipe, its paths left as they are; raises `OptionError` naming the key at fault."""
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        raise _refusal(first, subject, others=error.error_count() - 1) from error


def dump_recipe(recipe: Recipe) -> str:
    """TOML of a recipe with every default written out."""
    import tomlkit

    return tomlkit.dumps(recipe.model_dump(mode="json", exclude_none=True))


def _override_insar(path: Path, content: dict[str, Any], folder: Path) -> None:
    factors = content.get("factors")
    table = factors.get("insar") if isinstance(factors, dict) else None
    if not isinstance(table, dict):
        raise OptionError(
            "--insar",
            required="a recipe with a [factors.insar] table, whose folder it replaces",
            found=f"no such table in {path}",
            remedy="Add [factors.insar] with the layers to use",
        )
    table["path"] = str(folder)


def _with_absolute_paths(recipe: Recipe, folder: Path) -> Recipe:
    factors = recipe.factors
    moved: dict[str, Any] = {"dem": _inside(folder, factors.dem)}
    for group in ("distances", "rasters", "categories"):
        moved[group] = {name: _moved(source, folder) for name, source in getattr(factors, group).items()}
    for name in ("shaking", "insar"):
        source = getattr(factors, name)
        moved[name] = source and _moved(source, folder)
    return recipe.model_copy(
        update={
            "factors": factors.model_copy(update=moved),
            "inventory": _moved(recipe.inventory, folder, "path", "mapped_area", "hidden"),
            "units": _moved(recipe.units, folder),
        }
    )


def _moved(section: Any, folder: Path, *keys: str) -> Any:
    """A section whose paths, of keys that have one, are absolute."""
    paths = {key: getattr(section, key) for key in keys or ("path",)}
    return section.model_copy(update={key: _inside(folder, path) for key, path in paths.items() if path is not None})


def _inside(folder: Path, path: Path) -> Path:
    # normalised by hand: resolving would replace links by what they point to
    import os.path

    return Path(os.path.normpath(folder / path.expanduser()))


def _check_files(recipe: Recipe, path: Path) -> None:
    for key, named in recipe.files().items():
        if not named.exists():
            raise MissingInputError(
                named,
                required=f"the file or folder that '{key}' of {path} names",
                found="nothing there",
                remedy="Correct the path; it is relative to the recipe's folder",
            )


def _refusal(error: ErrorDetails, subject: str | Path, *, others: int) -> OptionError:
    place = ".".join(str(part) for part in error["loc"] if not str(part).startswith("function-"))
    key = f"{subject}: key '{place}'" if place else str(subject)
    also = f" (and {others} more)" if others else ""
    if error["type"] == "extra_forbidden":
        known = ", ".join(_known_keys(error["loc"][:-1]))
        return OptionError(
            key,
            required=f"one of the known keys: {known}",
            found="an unknown key" + also,
            remedy="Correct or remove it",
        )
    if error["type"] == "missing":
        return OptionError(key, required="this key", found="nothing" + also, remedy="Add it to the recipe")
    found = error["ctx"]["found"] if error["type"] == "unusable" else repr(error["input"])
    required = error["msg"].removeprefix("Input should be ")
    return OptionError(key, required=required, found=found + also, remedy="Correct it in the recipe")


def _known_keys(place: tuple[int | str, ...]) -> list[str]:
    section: type[BaseModel] = Recipe
    for part in place:
        field = section.model_fields.get(str(part))
        if field is not None:  # else an entry of a table whose keys are the user's own
            section = _section_of(field.annotation) or section
    return list(section.model_fields)


def _section_of(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in get_args(annotation):
        found = _section_of(argument)
        if found is not None:
            return found
    return None
