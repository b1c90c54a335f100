"""Make the sample stacks anew: one simulated scene in three layouts, with the truth beside each."""

from __future__ import annotations

import argparse
import shutil
from datetime import date
from pathlib import Path

from insar.simulate import SimulationParameters, simulate_scene, write_layout

FOLDERS = {"isce_tops": "isce-tops", "isce_stripmap": "isce-stripmap", "snap": "snap"}

PARAMETERS = SimulationParameters(
    seed=40,  # spreads the moving slopes over the scene, so that spatial validation finds some in every part
    rows=96,
    cols=96,
    pixel_size_m=75.0,
    first_date=date(2024, 1, 5),
    interval_days=12,
    acquisitions=21,
    connections=2,
    median_slope_deg=21.0,
    land_cover_patch_m=1_200.0,
    creeping_slopes=11,
    slope_length_min_m=450.0,
    slope_length_max_m=900.0,
    acceleration_end_rate_m_per_year=-0.25,
    turbulence_rms_m=0.003,
    turbulence_length_m=200.0,
    offset_cycles=2,
)


def make_samples(folder: Path) -> list[Path]:
    """Write every sample stack into a folder, in place of one that is there.

    Parameters
    ----------
    folder
        Where the stacks' folders lie.

    Returns
    -------
    list of Path
        The folders of the stacks.
    """
    scene = simulate_scene(PARAMETERS)
    made = []
    for name, layout in FOLDERS.items():
        target, fresh = folder / name, folder / f".{name}.new"
        shutil.rmtree(fresh, ignore_errors=True)
        write_layout(scene, fresh, layout)
        shutil.rmtree(target, ignore_errors=True)
        made.append(fresh.replace(target))
    return made


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent, help="where to write them")
    for path in make_samples(parser.parse_args().folder):
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        print(f"{path}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
