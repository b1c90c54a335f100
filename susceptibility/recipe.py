"""The recipe: what a study is made from, as a TOML file.

A key that is not known is refused with the keys that are, and paths are relative to the recipe's own folder.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from susceptibility.errors import InputError, MissingInputError, OptionError
from susceptibility.models import MODELS, ModelOptions
from susceptibility.recipe_data import (
    GROUPS,
    CategorySource,
    FactorsSection,
    InventorySection,
    Name,
    Section,
    StudySection,
    TableSection,
    TimelineStep,
    UnitsSection,
    absolute_name,
    distance_name,
    unusable,
)
from susceptibility.recipe_methods import (
    ExplainSection,
    MapSection,
    ModelsSection,
    SamplingSection,
    ValidationSection,
)
from susceptibility.schema import Task

__all__ = [
    "GROUPS", "CategorySource", "Recipe", "TableSection", "absolute_name", "distance_name", "dump_recipe",
    "parse_recipe", "read_recipe",
]  # fmt: skip

if TYPE_CHECKING:
    from susceptibility.dataset import Dataset

STATIC = "static"
STATIC_INSAR = "static_insar"

USUAL_MODELS = ("logistic_regression", "random_forest", "xgboost")
"""Fitted where a recipe names none."""


class Recipe(Section):
    """A study, read and checked."""

    study: StudySection = Field(default_factory=StudySection)
    table: TableSection | None = None
    factors: FactorsSection = Field(default_factory=FactorsSection)
    inventory: InventorySection = Field(default_factory=InventorySection)
    units: UnitsSection = Field(default_factory=UnitsSection)
    sampling: SamplingSection = Field(default_factory=SamplingSection)
    models: ModelsSection = Field(default_factory=ModelsSection)
    validation: ValidationSection = Field(default_factory=ValidationSection)
    explain: ExplainSection = Field(default_factory=ExplainSection)
    map: MapSection = Field(default_factory=MapSection)
    feature_sets: dict[Name, tuple[str, ...]] = Field(default_factory=dict)
    timeline: tuple[TimelineStep, ...] = ()

    @model_validator(mode="after")
    def _says_where_the_data_are(self) -> Recipe:
        if self.table is not None:
            if self.factors.dem is not None or self.inventory.path is not None or self.units.kind != "cells":
                raise unusable("[table] alone", "[table] beside [factors], [inventory] or [units]")
            return self
        if self.factors.dem is None:
            raise unusable("[factors] dem, or a [table]", "neither")
        return self

    @model_validator(mode="after")
    def _feature_sets_are_known(self) -> Recipe:
        for title, members in self._all_sets().items():
            for member in members:
                self._check_member(title, member)
            if not members:
                raise unusable(f"at least one feature in [feature_sets] '{title}'", "none")
        return self

    def _check_member(self, title: str, member: str) -> None:
        """Refuse what cannot be a feature; columns of units and of given tables show only when these are read."""
        if self.table is not None or member in GROUPS:
            return
        known = self.factors.names
        names = [name for group in known.values() for name in group]
        has_statistics = self.units.kind != "cells" and any(member.startswith(f"{name}_") for name in names)
        if member not in names and not has_statistics:
            raise unusable(
                f"[feature_sets] '{title}' made of groups ({', '.join(GROUPS)}) or features ({', '.join(names)})",
                repr(member),
            )
        if member in GROUPS and not known[member]:
            raise unusable(f"at least one feature in [feature_sets] '{title}'", "none")

    def _all_sets(self) -> dict[str, tuple[str, ...]]:
        """Members of each feature set, those of the timeline growing step by step."""
        sets = dict(self.feature_sets)
        grown: tuple[str, ...] = ()
        for step in self.timeline:
            grown = (*grown, *step.features)
            sets[step.name] = grown
        return sets

    @property
    def task(self) -> Task:
        """Whether a probability or a density is asked for."""
        return Task.CLASSIFICATION if self.study.target == "presence" else Task.REGRESSION

    @property
    def model_names(self) -> tuple[str, ...]:
        """Models to fit: those asked for, or of the usual ones those that can predict the target."""
        if self.models.names is not None:
            return self.models.names
        return tuple(name for name in USUAL_MODELS if self.task in MODELS[name].tasks)

    def model_options(self, name: str) -> ModelOptions:
        """Hyperparameters of a model."""
        options: ModelOptions = getattr(self.models, name)
        return options

    def resolved_sets(self, data: Dataset) -> dict[str, tuple[str, ...]]:
        """Columns of each feature set; where the recipe names none, static against static with InSAR.

        Raises `OptionError` for a set that has no column in the data.
        """
        named = self._all_sets()
        sets = {title: data.expand(members) for title, members in named.items()} if named else _default_sets(data)
        for title, columns in sets.items():
            if not columns:
                raise OptionError(
                    f"[feature_sets] {title}",
                    required="at least one feature",
                    found=f"none of {', '.join(named.get(title, ()))}",
                    remedy="Name groups or features that the study has",
                )
        return sets

    def files(self) -> dict[str, Path]:
        """Files and folders the recipe reads, by the key that names them."""
        named: dict[str, Path] = {}
        for group in ("distances", "rasters", "categories"):
            sources = getattr(self.factors, group)
            named |= {f"factors.{group}.{name}": source.path for name, source in sources.items()}
        shaking, insar = self.factors.shaking, self.factors.insar
        ground_failure = self.factors.ground_failure
        optional = {
            "table.path": None if self.table is None else self.table.path,
            "factors.dem": self.factors.dem,
            "inventory.path": self.inventory.path,
            "factors.ground_failure": None if ground_failure is None else ground_failure.path,
            "factors.shaking": None if shaking is None else shaking.path,
            "factors.insar.path": None if insar is None else insar.path,
            "inventory.mapped_area": self.inventory.mapped_area,
            "inventory.hidden": self.inventory.hidden,
            "units.path": self.units.path,
            "validation.areas": None if self.validation.areas is None else self.validation.areas.path,
            "map.profile": self.map.profile,
        }
        return named | {key: path for key, path in optional.items() if path is not None}


def _default_sets(data: Dataset) -> dict[str, tuple[str, ...]]:
    static = tuple(feature.name for feature in data.schema if feature.group != "insar")
    if len(static) == len(data.schema):
        return {STATIC: static}
    return {STATIC: static, STATIC_INSAR: data.names} if static else {"insar": data.names}


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
    moved: dict[str, Any] = {"dem": None if factors.dem is None else _inside(folder, factors.dem)}
    for group in ("distances", "rasters", "categories"):
        moved[group] = {name: _moved(source, folder) for name, source in getattr(factors, group).items()}
    for name in ("shaking", "ground_failure", "insar"):
        source = getattr(factors, name)
        moved[name] = source and _moved(source, folder)
    return recipe.model_copy(
        update={
            "factors": factors.model_copy(update=moved),
            "validation": recipe.validation.model_copy(
                update={"areas": recipe.validation.areas and _moved(recipe.validation.areas, folder)}
            ),
            "map": _moved(recipe.map, folder, "profile"),
            "inventory": _moved(recipe.inventory, folder, "path", "mapped_area", "hidden"),
            "units": _moved(recipe.units, folder),
            "table": recipe.table and _moved(recipe.table, folder),
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
