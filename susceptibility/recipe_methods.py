"""Tables of a recipe that say what is done: sampling, models, validation, explanation, maps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, create_model, model_validator

from susceptibility.models import MODELS
from susceptibility.partitions import RANDOM, SCHEMES, Direction
from susceptibility.recipe_data import Name, Section, unusable
from susceptibility.sampling import NegativeSource

SchemeName = Literal["random", "spatial-blocks", "kmeans", "buffered", "events", "north-south", "areas"]
Calibration = Literal["auto", "none", "sigmoid", "isotonic"]
Score = Literal["auc_roc", "auc_pr", "brier", "r2", "mse", "mae"]


class RingSection(Section):
    """``[sampling.ring]``: rows without landslides are drawn at this distance from those with."""

    inner_m: float = Field(ge=0.0)
    outer_m: float | None = Field(default=None, gt=0.0)


class SamplingSection(Section):
    """``[sampling]``: which rows without landslides are set against those with."""

    negatives: NegativeSource | None = None
    ratio: float = Field(default=1.0, gt=0.0)
    strata: str | None = None
    equal_strata: bool = True
    ring: RingSection | None = None
    by_event: bool = False
    landslide_above: float = Field(default=0.0, ge=0.0)
    most_landslides: int | None = Field(default=None, ge=1)
    weighted: bool = False
    seed: int = Field(default=42, ge=0)
    repeats: int = Field(default=5, ge=1)


class AreasSource(Section):
    """``[validation.areas]``: polygons, each of which is left out in turn."""

    path: Path
    layer: str | None = None
    crs: str | None = None


class ValidationSection(Section):
    """``[validation]``: how rows are split; random folds and spatial ones always stand side by side."""

    schemes: tuple[SchemeName, ...] = ("random", "spatial-blocks")
    folds: int = Field(default=5, ge=2)
    repeats: int = Field(default=1, ge=1)
    block_size_m: float | Literal["variogram"] | None = Field(default=None)
    buffer_m: float | None = Field(default=None, gt=0.0)
    direction: Direction = Direction.SOUTH
    share: float = Field(default=0.2, gt=0.0, lt=1.0)
    areas: AreasSource | None = None
    positive_above: float = Field(default=0.1, ge=0.0)

    @model_validator(mode="after")
    def _has_random_and_spatial(self) -> ValidationSection:
        if RANDOM not in self.schemes or not any(SCHEMES[name].is_spatial for name in self.schemes):
            raise unusable(f"'{RANDOM}' and a spatial scheme, to stand side by side", ", ".join(self.schemes) or "none")
        if len(set(self.schemes)) < len(self.schemes):
            raise unusable("each scheme once", ", ".join(self.schemes))
        if isinstance(self.block_size_m, float) and self.block_size_m <= 0.0:
            raise unusable("a positive 'block_size_m', or \"variogram\"", str(self.block_size_m))
        if "areas" in self.schemes and self.areas is None:
            raise unusable("'areas' with the path of polygons, for the scheme of that name", "none")
        return self


class ExplainSection(Section):
    """``[explain]``: what models rely on; permutations are of held-out spatial folds."""

    permutations: int = Field(default=5, ge=0)
    score: Score | None = None
    shap: bool = True
    shap_rows: int = Field(default=500, ge=1)
    dependence: bool = True
    ablation: bool = False


class MapSection(Section):
    """``[map]``: classes, uncertainty, where the model may be trusted, and profiles across lines."""

    classes: int = Field(default=5, ge=2, le=20)
    breaks: Literal["equal", "natural", "quantiles"] = "equal"
    perturbations: int = Field(default=0, ge=0)
    error_correlation: float = Field(default=0.0, ge=0.0, le=1.0)
    applicability: bool = True
    profile: Path | None = None
    profile_half_width_m: float = Field(default=1000.0, gt=0.0)
    profile_step_m: float = Field(default=100.0, gt=0.0)

    @model_validator(mode="after")
    def _knows_its_sigma(self) -> MapSection:
        if self.perturbations == 1:
            raise unusable("at least 2 'perturbations', or 0 for none", "1")
        return self


class NamedModels(Section):
    """``[models]``: which models, and how all of them are fitted."""

    names: tuple[Name, ...] | None = None
    impute: Literal["none", "median"] = "none"
    scale: Literal["auto", "none", "standard", "minmax"] = "auto"
    min_share: float = Field(default=0.01, ge=0.0, lt=1.0)
    unseen: Literal["zeros", "other"] = "zeros"
    inner_folds: int = Field(default=5, ge=2)
    calibration: dict[Name, Calibration] = Field(default_factory=dict)
    search_method: Literal["grid", "halving"] = "grid"
    search: dict[Name, dict[str, tuple[Any, ...]]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _are_registered(self) -> NamedModels:
        for name in (*(self.names or ()), *self.calibration, *self.search):
            if name not in MODELS:
                raise unusable(f"models among {', '.join(MODELS)}", repr(name))
        if self.names is not None and (not self.names or len(set(self.names)) < len(self.names)):
            raise unusable("at least one model, and each once", ", ".join(self.names) or "none")
        for name, lists in self.search.items():
            known = MODELS[name].options.model_fields
            for option in lists:
                if option not in known:
                    raise unusable(f"options of {name} in [models.search.{name}]: {', '.join(known)}", repr(option))
        return self


if TYPE_CHECKING:

    class ModelsSection(NamedModels):
        """With a table of hyperparameters for each model."""

else:
    # One table for each registered model, so that a new model needs no change here.
    _model_tables: dict[str, Any] = {
        name: (model.options, Field(default_factory=model.options)) for name, model in MODELS.items()
    }
    ModelsSection = create_model("ModelsSection", __base__=NamedModels, **_model_tables)
