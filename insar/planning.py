"""What a run is going to do: the stack, its network and its reference point, before anything is written."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from insar.blocks import available_workers
from insar.config import Settings
from insar.graph import date_baselines
from insar.network import Network, select_network
from insar.readers import open_stack
from insar.reference import ReferencePoint, find_reference
from insar.stack import Stack
from insar.stack_union import join_stacks
from insar.survey import Survey, survey_stack
from insar.version import VERSION


@dataclass(frozen=True)
class Plan:
    """A run that is ready to start.

    Attributes
    ----------
    settings
        What was asked.
    full_stack
        The stack as it was found.
    network
        The decision on each of its interferograms.
    stack
        Reduced to the interferograms used.
    reference
        The reference point.
    survey
        Of `stack`, where one was needed.
    """

    settings: Settings
    full_stack: Stack
    network: Network
    stack: Stack
    reference: ReferencePoint
    survey: Survey | None = None

    @property
    def workers(self) -> int:
        """Threads."""
        return self.settings.workers or available_workers()

    @cached_property
    def perpendicular_baselines_m(self) -> NDArray[np.float64]:
        """(date,) relative to the first date, by least squares from those of the pairs; NaN where none is known."""
        known = date_baselines(self.stack.pairs, self.stack.perpendicular_baselines_m)
        baselines = np.array([known.get(day, np.nan) for day in self.stack.dates])
        relative: NDArray[np.float64] = baselines - baselines[0]
        return relative

    @property
    def _inputs(self) -> list[Path]:
        settings = self.settings
        optional = [settings.gacos, settings.era5]
        return [self.full_stack.path, *settings.more_stacks, *(path for path in optional if path is not None)]

    def fingerprint(self, output: Path, **more: Any) -> str:
        """Digest of all that the numbers of the result depend on: settings, input files and package version.

        The result folder may lie in the stack's; it is no input.
        """
        facts = {
            "settings": self.settings.scientific,
            "files": [fact for path in self._inputs for fact in _file_facts(path, output.resolve())],
            "version": VERSION,
            **more,
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


def plan_run(settings: Settings) -> Plan:
    """Open the stack, choose its network, find the reference point.

    Raises
    ------
    InsarError
        If anything about the input or the options is wrong.
    """
    full_stack = open_stacks(settings)
    survey = survey_stack(full_stack, settings.workers) if settings.min_coherence is not None else None
    network = choose_network(full_stack, settings, survey)
    stack = full_stack.select(network.kept)
    survey = None if survey is None else _reduced(survey, list(network.kept))
    if settings.reference_choice == "auto":
        survey = survey or survey_stack(stack, settings.workers)
    reference = find_reference(stack, settings.reference_choice, survey)
    if reference.unusable_pairs:
        used = [index for index in range(len(stack.pairs)) if index not in reference.unusable_pairs]
        network = network.without(
            [network.kept[index] for index in reference.unusable_pairs], "no data at the reference point"
        )
        stack = full_stack.select(network.kept)
        survey = None if survey is None else _reduced(survey, used)
    return Plan(settings, full_stack, network, stack, reference, survey)


def open_stacks(settings: Settings) -> Stack:
    """The stack of a run; several are joined.

    Raises
    ------
    InsarError
        If one cannot be opened, or they do not fit together.
    """
    first = open_stack(settings.stack, settings.processor)
    return join_stacks([first, *(open_stack(path, settings.processor) for path in settings.more_stacks)])


def choose_network(stack: Stack, settings: Settings, survey: Survey | None = None) -> Network:
    """Decide on every interferogram of a stack."""
    return select_network(
        stack.pairs,
        stack.perpendicular_baselines_m,
        settings.selection,
        mean_coherence=None if survey is None else survey.mean_coherence,
    )


def _reduced(survey: Survey, kept: list[int]) -> Survey:
    return Survey(
        survey.rows,
        survey.cols,
        None if survey.phase is None else survey.phase[kept],
        None if survey.coherence is None else survey.coherence[kept],
    )


def _file_facts(path: Path, output: Path) -> Iterator[tuple[str, int, int]]:
    """Name, size and time of every file of a stack."""
    if path.is_file():
        status = path.stat()
        yield path.name, status.st_size, status.st_mtime_ns
        return
    for folder, folders, files in os.walk(path):
        folders[:] = sorted(name for name in folders if (Path(folder) / name).resolve() != output)
        for name in sorted(files):
            status = (Path(folder) / name).stat()
            yield str((Path(folder) / name).relative_to(path)), status.st_size, status.st_mtime_ns
