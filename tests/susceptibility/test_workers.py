"""Tasks side by side: in order, told of, ended by the first error."""

from __future__ import annotations

from functools import partial

import pytest

from susceptibility.workers import available_cores, run_in_processes, run_in_threads


def double(number: int) -> int:
    return 2 * number


def fail() -> int:
    raise RuntimeError("task 3")


@pytest.mark.parametrize("run", [run_in_threads, run_in_processes])
@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_tasks(run, workers) -> None:
    told: list[int] = []
    results = run([partial(pow, number, 2) for number in range(20)], workers=workers, progress=told.append)
    assert results == [number**2 for number in range(20)]
    assert told == list(range(1, 21))
    assert run([], workers=workers) == []


@pytest.mark.parametrize("run", [run_in_threads, run_in_processes])
def test_an_error_ends_all(run) -> None:
    with pytest.raises(RuntimeError, match="task 3"):
        run([partial(double, 1), fail, partial(double, 2)], workers=1)


def test_there_is_a_core() -> None:
    assert available_cores() >= 1
