"""The commands on trained bundles: a map of another area or date, and maps of all epochs of InSAR."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from susceptibility.bundle import INDEX, Bundle, read_bundle
from susceptibility.class_bounds import BoundsMethod, ClassBounds
from susceptibility.errors import InputError, OptionError
from susceptibility.feature_matching import match_dataset
from susceptibility.join import join_dataset
from susceptibility.motion import MotionOptions
from susceptibility.publishing import checksum
from susceptibility.recipe import Recipe, dump_recipe
from susceptibility.track_files import TrackedModel, write_track
from susceptibility.tracking import TrackOptions
from susceptibility.trained import Trained, find_bundle, trained_from
from susceptibility.transfer import TransferSummary, predict_dataset, predict_from_factors
from susceptibility.workers import Progress


def predict_elsewhere(
    result: Path,
    output: Path,
    *,
    factors: Path | None = None,
    recipe: Recipe | None = None,
    model: str | None = None,
    insar: Path | None = None,
    like: Path | None = None,
    overwrite: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> TransferSummary:
    """Apply a trained bundle to another area or date.

    Parameters
    ----------
    result
        Result folder of `susceptibility run`, or a bundle.
    output
        Map to write, see `susceptibility.transfer.predict_dataset`.
    factors
        Folder of rasters, one for each feature; or
    recipe
        a recipe that joins the same features there, on any units.
    model
        Name of the bundle; None for the best one under spatial validation.
    insar, like
        As in `predict_from_factors`; of a folder of rasters alone.
    overwrite, workers, progress
        As in `predict_dataset`.

    Raises
    ------
    OptionError
        Not one of `factors` and `recipe` is given.
    """
    if (factors is None) == (recipe is None):
        raise OptionError(
            "--factors or --recipe",
            required="one of them",
            found="neither" if factors is None else "both",
            remedy="Give a folder of rasters, or a recipe that joins the same features",
        )
    trained = _trained(result, model)
    if factors is not None:
        return predict_from_factors(
            trained, factors, output, insar=insar, like=like, overwrite=overwrite, workers=workers, progress=progress
        )
    if recipe is None or like is not None:
        raise OptionError(
            "--like",
            required="with --factors alone",
            found="with --recipe",
            remedy="The recipe names the grid: [study] crs and resolution",
        )
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.stem}-", dir=output.parent) as work:
        joined = join_dataset(recipe, Path(work), progress, with_inventory=False)
        data, unseen, warnings = match_dataset(joined.data, trained.schema)
        return predict_dataset(
            trained,
            data,
            output,
            unseen=unseen,
            warnings=(*joined.data.notes, *warnings),
            inputs=_inputs(recipe),
            overwrite=overwrite,
            workers=workers,
            progress=progress,
        )


def track_recipe(
    recipe: Recipe,
    result: Path | None,
    output: Path,
    *,
    model: str | None = None,
    options: TrackOptions | None = None,
    overwrite: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> list[str]:
    """Map susceptibility at every epoch of the InSAR result of a recipe, with models that were trained on it.

    Parameters
    ----------
    recipe
        With ``[factors.insar]``, whose result has a time series.
    result
        Result folder of `susceptibility run` with this recipe, or a bundle of it. None to run the recipe first, into
        a folder that is not kept.
    output
        Result folder, see `susceptibility.track_files.write_track`.
    model
        Name of the bundle; None for the best one with features of InSAR under spatial validation.
    options, overwrite, workers, progress
        As in `write_track`.

    Returns
    -------
    list of str
        What changed, in words, after the model where it was not named.

    Raises
    ------
    OptionError
        The recipe has no result of `insar`.
    """
    source = recipe.factors.insar
    if source is None:
        raise OptionError(
            "[factors.insar]",
            required="a result of insar with a time series",
            found="none in the recipe",
            remedy="Add it with the layers velocity and cumulative_displacement",
        )
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}-", dir=output.parent) as work:
        if result is None:
            from susceptibility.pipeline import run_study

            result = Path(work) / "run"
            run_study(recipe, result, workers=workers, progress=progress)
        folder, reason = find_bundle(result, model, group="insar")
        bundle = read_bundle(folder)
        trained = trained_from(bundle, folder.name)
        joined = join_dataset(recipe, Path(work) / "join", progress, with_inventory=False)
        data, _, _ = match_dataset(joined.data, trained.schema)
        names = tuple(feature.name for feature in trained.schema)
        tracked = TrackedModel(folder.name, trained.models, names, bounds_of(bundle, folder), trained.target)
        told = write_track(
            tracked,
            data,
            source.path,
            output,
            title=recipe.study.name,
            elevation=joined.elevation,
            options=options,
            motion=MotionOptions(**recipe.units.motion.model_dump()),
            provenance={
                "bundle": {"name": folder.name, "sha256": checksum(folder / INDEX)},
                "inputs": _inputs(recipe),
                "series": {"path": str(source.path), "sha256": checksum(source.path / "timeseries.h5")},
                "recipe": dump_recipe(recipe),
            },
            overwrite=overwrite,
            workers=workers,
            progress=progress,
        )
    return [f"Model: {reason}.", *told] if reason else told


def bounds_of(bundle: Bundle, subject: Path) -> ClassBounds:
    """Bounds of the classes of the run that a bundle is of.

    Raises
    ------
    InputError
        The bundle does not say them.
    """
    inner = bundle.context.get("classes")
    if not isinstance(inner, list) or not inner:
        raise InputError(
            subject,
            required="the bounds of the classes in the bundle's context",
            found="none",
            remedy="Train it again with `susceptibility run`",
        )
    bounds = tuple(float(bound) for bound in inner)
    # Of a density there may be more than 1; where its scale ends does not matter to classes.
    return ClassBounds(BoundsMethod.GIVEN, bounds, min(0.0, 2.0 * bounds[0]), max(1.0, 2.0 * bounds[-1]))


def _trained(result: Path, model: str | None) -> Trained:
    folder, reason = find_bundle(result, model)
    trained = trained_from(read_bundle(folder), folder.name)
    origin: Mapping[str, Any] = {**(trained.origin or {}), "sha256": checksum(folder / INDEX), "chosen": reason or None}
    return replace(trained, origin=origin)


def _inputs(recipe: Recipe) -> dict[str, Any]:
    return {
        key: {"path": str(path), "sha256": checksum(path)} for key, path in recipe.files().items() if path.is_file()
    }
