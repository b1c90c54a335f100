"""Draw the sample inventory anew, from a known logistic model of the scene's slope, curvature and true rate."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from susceptibility.factors.terrain import terrain_factors
from susceptibility.simulate import draw_inventory, logistic_truth, write_inventory
from susceptibility.storage import align_raster, read_raster

TRUTH = Path(__file__).resolve().parent.parent / "snap" / "truth"
SEED = 7
EXPECTED_LANDSLIDES = 320
EFFECTS = {"slope": 1.0, "profile_curvature": -0.4, "velocity_absolute": 1.0}
"""Log-odds of a landslide for each standard deviation."""


def make_inventory(folder: Path, truth: Path = TRUTH) -> int:
    """Write ``inventory.gpkg`` and ``model.json``, what it was drawn from.

    Parameters
    ----------
    folder
        Where to write them.
    truth
        ``dem.tif`` and ``velocity.tif`` of the scene.

    Returns
    -------
    int
        Number of landslide cells.
    """
    elevation, grid = read_raster(truth / "dem.tif")
    features = terrain_factors(elevation, grid, ["slope", "profile_curvature"])
    features["velocity_absolute"] = np.abs(align_raster(truth / "velocity.tif", grid))
    model = logistic_truth(features, EFFECTS, EXPECTED_LANDSLIDES)
    cells = draw_inventory(model.probability, SEED)
    write_inventory(folder / "inventory.gpkg", cells, grid)
    description = model.as_dict() | {"seed": SEED, "landslide_cells": int(cells.size)}
    (folder / "model.json").write_text(json.dumps(description, indent=2) + "\n", "utf-8")
    return int(cells.size)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent, help="where to write it")
    print(f"{make_inventory(parser.parse_args().folder)} landslide cells")


if __name__ == "__main__":
    main()
