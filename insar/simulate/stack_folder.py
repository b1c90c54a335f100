"""From parameters to a folder that a processor might have left, with the truth beside it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from insar.errors import OptionError
from insar.simulate.layouts import LAYOUTS, Layout, Progress
from insar.simulate.parameters import SimulationParameters
from insar.simulate.scene import SimulatedScene, simulate_scene
from insar.simulate.truth import write_truth


def simulate_stack(
    parameters: SimulationParameters, folder: Path, layout: str | Layout, *, progress: Progress | None = None
) -> Path:
    """Simulate a scene and write it; see `write_layout`.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    OptionError
        The layout is unknown, the folder holds something, or the scene has no room for its moving slopes.
    """
    chosen = _layout_of(layout)
    _require_free(folder)
    return write_layout(simulate_scene(parameters), folder, chosen, progress=progress)


def write_layout(
    scene: SimulatedScene, folder: Path, layout: str | Layout, *, progress: Progress | None = None
) -> Path:
    """Write a scene as a processor would have left it, and its truth in the folder ``truth``.

    Parameters
    ----------
    scene
        On its map grid, as `simulate_scene` makes it.
    folder
        To be made; it gets its name when all of it is written.
    layout
        One of `LAYOUTS` by name, or another.
    progress
        Called after each interferogram.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    OptionError
        The layout is unknown, or the folder holds something.
    """
    chosen = _layout_of(layout)
    with new_folder(folder) as partial:
        stack = chosen.place(scene)
        chosen.write(stack, partial, progress or say_nothing)
        write_truth(scene, stack, partial / "truth")
    return folder


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Folder of another name to write into, which gets its own name when all is written.

    Raises
    ------
    OptionError
        The folder holds something.
    """
    _require_free(folder)
    target = folder.resolve()
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        partial.replace(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _layout_of(layout: str | Layout) -> Layout:
    if not isinstance(layout, str):
        return layout
    if layout not in LAYOUTS:
        raise OptionError(
            "--layout", required=f"one of {', '.join(LAYOUTS)}", found=layout, remedy="Choose one of them"
        )
    return LAYOUTS[layout]


def _require_free(folder: Path) -> None:
    if folder.is_dir():
        content = next(folder.iterdir(), None)
        if content is None:
            return
        found = f"a folder that holds {content.name}"
    elif folder.exists():
        found = "a file"
    else:
        return
    raise OptionError(
        folder, required="a folder that is empty or does not exist", found=found, remedy="Give another folder"
    )


def say_nothing(done: int, total: int) -> None:
    """Progress that nobody watches."""
