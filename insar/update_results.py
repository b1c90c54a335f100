"""New interferograms for a finished result."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from insar.blocks import Progress, no_progress
from insar.config import Settings, load_settings
from insar.errors import InputError, MissingInputError
from insar.pipeline import run_chain
from insar.planning import open_stacks
from insar.readers import open_stack
from insar.stack import Stack
from insar.writers.manifest import read_manifest

logger = logging.getLogger(__name__)


def update_result(
    output: Path,
    new_stack: Path,
    *,
    processor: str = "auto",
    machine: dict[str, Any] | None = None,
    progress: Progress = no_progress,
) -> tuple[Path, list[str]]:
    """Add interferograms to a finished result, which afterwards equals a run on all of them.

    Settings, reference point and grid are those of the result. All interferograms are inverted anew: a new one changes
    the solution at every date it is connected to, and what an exact update would have to keep of each pixel (factors of
    its network) is as large as the interferograms themselves. The old result stays until the new one is whole.

    Parameters
    ----------
    output
        Result folder that `insar run` or `insar invert` has finished.
    new_stack
        Stack with the new interferograms: the grown folder of the result, or a folder of the new ones alone.
    processor
        Layout of `new_stack`.
    machine
        Settings of the machine (workers, memory_limit, cluster) that differ from the result's.
    progress
        Called as the work goes on.

    Returns
    -------
    The folder, and the names of the interferograms that were added; none where there was nothing new.

    Raises
    ------
    InsarError
        If the folder is no result, or the stacks do not fit together.
    """
    manifest = read_manifest(output)
    configuration = output / "insar.toml"
    if not configuration.exists():
        raise MissingInputError(
            configuration,
            required="the configuration that the result was made with",
            found="no such file",
            remedy="Only results of `insar run` and `insar invert` can be updated",
        )
    old_settings = load_settings(configuration, machine or {})
    added = open_stack(new_stack, processor)
    known = _known_pairs(manifest)
    fresh = [pair.name for pair in added.pairs if pair.name not in known]
    if not fresh:
        return output, []
    settings = _grown_settings(old_settings, manifest, added, new_stack, processor, known)
    products = sorted(manifest.get("products") or {})
    history = [*(manifest["summary"].get("updates") or []), {"when": manifest.get("finished"), "added": fresh}]
    run_chain(
        settings,
        output,
        with_rate=_has_rate(manifest),
        overwrite=True,
        progress=progress,
        more_summary={"updates": history},
    )
    for product in products:
        logger.warning("The layers of %s belonged to the old result and are gone: make them again.", product)
    return output, fresh


def _grown_settings(
    settings: Settings, manifest: dict[str, Any], added: Stack, new_stack: Path, processor: str, known: set[str]
) -> Settings:
    changes: dict[str, Any] = {}
    if known <= {pair.name for pair in added.pairs}:
        stack = added
        changes |= {"stack": new_stack.resolve(), "processor": processor, "more_stacks": ()}
    else:
        changes["more_stacks"] = (*settings.more_stacks, new_stack.resolve())
        stack = open_stacks(settings.model_copy(update=changes))
    return Settings.model_validate(
        settings.model_copy(update={**changes, **_same_reference(settings, manifest, stack)}).model_dump()
    )


def _same_reference(settings: Settings, manifest: dict[str, Any], stack: Stack) -> dict[str, Any]:
    """The reference point that the result has, whoever chose it."""
    _require_same_scene(manifest, stack)
    if settings.reference_lonlat is not None:
        return {}
    told = manifest["summary"]["reference"]
    pixel = {"reference_rowcol": (told["stack_row"], told["stack_col"]), "reference_lonlat": None}
    if stack.in_radar_coordinates or told["lon"] is None:
        return pixel
    # Maps may have grown or shrunk with what is common to all interferograms.
    return {"reference_rowcol": None, "reference_lonlat": (told["lon"], told["lat"])}


def _require_same_scene(manifest: dict[str, Any], stack: Stack) -> None:
    inputs = manifest["inputs"]
    same_kind = stack.in_radar_coordinates == inputs["in_radar_coordinates"]
    # Maps may have grown or shrunk with what is common to all interferograms.
    same_size = not stack.in_radar_coordinates or stack.shape == (inputs["rows"], inputs["cols"])
    same_wave = abs(stack.wavelength_m / inputs["wavelength_m"] - 1.0) < 1e-3
    if not (same_kind and same_size and same_wave):
        raise InputError(
            stack.path,
            required=f"interferograms on the grid of {inputs['path']}: {inputs['rows']} x {inputs['cols']} pixels, "
            f"wavelength {inputs['wavelength_m']} m",
            found=f"{stack.shape[0]} x {stack.shape[1]} pixels, wavelength {stack.wavelength_m} m",
            remedy="Give interferograms of the same scene, processed alike",
        )


def _known_pairs(manifest: dict[str, Any]) -> set[str]:
    """Interferograms of the old stack, those that its network left out included."""
    return {str(pair["name"]) for pair in manifest["summary"]["network"]["pairs"]}


def _has_rate(manifest: dict[str, Any]) -> bool:
    return any(layer["name"] == "velocity" for layer in manifest["layers"])
