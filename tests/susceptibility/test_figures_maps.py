"""Pictures of maps: the pixels that matter have the colours they should, and the same bytes come again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import shapely
from affine import Affine

from insar.grid import Grid
from susceptibility.backdrop import Backdrop
from susceptibility.class_bounds import classify, equal_bounds
from susceptibility.classes import ClassTable, tabulate_classes, tabulate_held_out
from susceptibility.errors import InputError
from susceptibility.figures_maps import (
    class_colors,
    draw_class_map,
    draw_class_table,
    draw_profiles,
    draw_spread_map,
    draw_value_map,
)
from susceptibility.profiles import crossings_m, profile_across, profile_along

GRID = Grid(90, 120, Affine(50.0, 0.0, 500_000.0, 0.0, -50.0, 4_000_000.0), "EPSG:32633")
BOUNDS = equal_bounds(5)
FAULT = shapely.LineString([(502_500.0, 3_995_000.0), (503_500.0, 4_000_500.0)])
WAY = shapely.LineString([(500_200.0, 3_998_000.0), (505_800.0, 3_997_500.0)])


@pytest.fixture(scope="module")
def backdrop() -> Backdrop:
    row, col = np.indices(GRID.shape)
    return Backdrop((200.0 * np.sin(row / 9.0) * np.cos(col / 13.0) + 2.0 * col).astype(np.float32), GRID)


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    row, col = np.indices(GRID.shape)
    plane = np.clip(np.exp(-((col - 60 - row / 9.0) ** 2) / 700.0) + 0.05 * np.sin(row / 4.0), 0, 1).astype(np.float32)
    plane[60:75, 10:25] = np.nan
    return plane


@pytest.fixture(scope="module")
def table(values: np.ndarray) -> ClassTable:
    rng = np.random.default_rng(0)
    slides = (rng.uniform(size=values.size) < 0.2 * np.nan_to_num(values.ravel()) ** 3).astype(float)
    return tabulate_classes(values.ravel(), 2500.0, slides, BOUNDS)


def pixels(path: Path) -> np.ndarray:
    from matplotlib.image import imread

    return np.asarray(imread(path)[..., :3])


def has_color(picture: np.ndarray, color: str, tolerance: float = 0.02) -> bool:
    from matplotlib.colors import to_rgb

    return bool((np.abs(picture - np.array(to_rgb(color))).max(axis=-1) < tolerance).any())


def test_pictures_of_a_map(values: np.ndarray, table: ClassTable, backdrop: Backdrop, tmp_path: Path) -> None:
    lines = np.array([FAULT, WAY], object)
    drawn: dict[str, Callable[[Path], None]] = {
        "value": lambda path: draw_value_map(
            path, values, backdrop, title="Random forest, static + InSAR", label="probability", lines=lines
        ),
        "spread": lambda path: draw_spread_map(path, values / 9, backdrop, title="Spread", label="standard deviation"),
        "class": lambda path: draw_class_map(path, classify(values, BOUNDS), table, backdrop, title="Classes"),
        "table": lambda path: draw_class_table(path, table, title="Shares"),
    }
    for name, draw in drawn.items():
        draw(tmp_path / f"{name}.png")
        draw(tmp_path / "again.png")
        assert (tmp_path / f"{name}.png").read_bytes() == (tmp_path / "again.png").read_bytes()
    assert not list(tmp_path.glob(".*"))
    legend = pixels(tmp_path / "class.png")
    assert all(has_color(legend, color) for color in class_colors(5))


def test_an_unknown_map_has_no_color_of_a_class(backdrop: Backdrop, values: np.ndarray, tmp_path: Path) -> None:
    nothing = np.full(GRID.shape, np.nan, np.float32)
    draw_spread_map(tmp_path / "a.png", nothing, backdrop, title="", label="")
    draw_value_map(tmp_path / "b.png", np.where(np.isnan(values), values, 1.0), backdrop, title="", label="")
    # Above the colour bar, which has all colours: how red the reddest pixel is.
    redness = [(pixels(tmp_path / f"{name}.png") @ [1.0, -0.5, -0.5])[100:-200].max() for name in "ab"]
    assert redness[0] < 0.1 < 0.3 < redness[1]


def test_classes_of_any_number_have_colors_of_their_own() -> None:
    for count in (2, 3, 5, 8):
        assert len(set(class_colors(count))) == count


def test_profiles_and_held_out_tables(values: np.ndarray, table: ClassTable, tmp_path: Path) -> None:
    points = shapely.points([(502_900.0, 3_997_700.0), (503_100.0, 3_997_800.0), (504_000.0, 3_997_600.0)])
    along = profile_along(WAY, values, GRID, half_width_m=400.0, step_m=200.0, landslides=points)
    other = profile_along(WAY, values * 0.7, GRID, half_width_m=400.0, step_m=200.0)
    crossing = crossings_m(WAY, np.array([FAULT], object))
    draw_profiles(
        tmp_path / "along.png", {"random forest": along, "logistic regression": other}, title="Across the fault",
        label="mean probability", marks_m={"fault": crossing.tolist()},
    )  # fmt: skip
    across = profile_across(np.array([FAULT], object), values, GRID, reach_m=2000.0, step_m=250.0, signed=True)
    draw_profiles(tmp_path / "across.png", {"map": across}, title="By distance from faults", label="p", highest=None)
    held_out = tabulate_held_out(table, np.linspace(0.0, 1.0, 30), np.ones(30, np.bool_), BOUNDS)
    draw_class_table(tmp_path / "held.png", table, title="Shares", held_out=held_out)
    assert has_color(pixels(tmp_path / "held.png"), "#1f6f8b")
    assert has_color(pixels(tmp_path / "along.png"), "#b9b2a3")
    assert not has_color(pixels(tmp_path / "across.png"), "#b9b2a3")


def test_a_map_of_another_grid_is_refused(values: np.ndarray, backdrop: Backdrop, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="90 rows x 120 columns"):
        draw_value_map(tmp_path / "a.png", values[1:], backdrop, title="", label="")
