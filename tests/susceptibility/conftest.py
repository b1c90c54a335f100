"""A small simulated study, a quick recipe for it, and the command line as a function."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import shapely
import tomlkit
from affine import Affine

from insar.grid import Grid
from susceptibility.cli import main
from susceptibility.simulate import SimulationOptions, simulate_study


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def susceptibility(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Run the command in this process."""

    def run(*arguments: str | Path) -> Ended:
        monkeypatch.setattr(sys, "argv", ["susceptibility", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return Ended(int(ended.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of 72 x 72 cells whose inventory depends on slope, curvature and rate alone; not to be changed."""
    folder = tmp_path_factory.mktemp("simulated") / "study"
    options = SimulationOptions(size=72, landslides=160, seed=3, river_effect=0.0, fault_effect=0.0, rock_effect=0.0)
    simulate_study(folder, options)
    return folder


@pytest.fixture
def quick_recipe(simulated: Path) -> dict[str, Any]:
    """Content of a recipe for the simulated study that runs in seconds."""
    return {
        "study": {"name": "quick"},
        "factors": {
            "dem": str(simulated / "dem.tif"),
            "terrain": ["slope", "profile_curvature"],
            "insar": {"path": str(simulated / "insar"), "absolute": ["velocity"]},
        },
        "inventory": {"path": str(simulated / "inventory.gpkg")},
        "sampling": {"repeats": 2},
        "models": {"names": ["logistic_regression", "xgboost"], "xgboost": {"trees": 15, "depth": 2}},
        "validation": {"folds": 3},
        "explain": {"permutations": 1},
    }


@pytest.fixture
def write_recipe(tmp_path: Path) -> Callable[[dict[str, Any]], Path]:
    """Write a recipe's content to a file."""

    def write(content: dict[str, Any]) -> Path:
        path = tmp_path / "recipe.toml"
        path.write_text(tomlkit.dumps(content), encoding="utf-8")
        return path

    return write


@pytest.fixture
def grid() -> Grid:
    """Ten by twelve cells of 100 m in UTM, its upper left corner at 500 km east, 4000 km north."""
    return Grid(10, 12, Affine(100.0, 0.0, 500_000.0, 0.0, -100.0, 4_000_000.0), "EPSG:32633")


@pytest.fixture
def write_shapes(tmp_path: Path) -> Callable[..., Path]:
    """Write geometries to a GeoPackage."""
    import pyogrio.raw

    def write(shapes: list[Any], crs: str | None = "EPSG:32633", name: str = "inventory.gpkg", **fields: Any) -> Path:
        path = tmp_path / name
        types = {shape.geom_type for shape in shapes if shape is not None}
        pyogrio.raw.write(
            path,
            shapely.to_wkb(np.array(shapes, object)),
            [np.array(values) for values in fields.values()],
            list(fields),
            geometry_type=types.pop() if len(types) == 1 else "Unknown",
            crs=crs,
            driver="GPKG" if name.endswith("gpkg") else "GeoJSON",
            **({"layer": "slides"} if name.endswith("gpkg") else {}),
        )
        return path

    return write
