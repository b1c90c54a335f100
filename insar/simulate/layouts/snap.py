"""SNAP: terrain-corrected BEAM-DIMAP products on a map grid."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from insar.simulate.layouts.base import Progress
from insar.simulate.layouts.dimap import Band, snap_date, write_product
from insar.simulate.scene import SimulatedScene


@dataclass(frozen=True, slots=True)
class Snap:
    """One folder per interferogram, and the heights beside them.

    Attributes
    ----------
    common_product
        Phase and coherence in one product instead of one each.
    """

    common_product: bool = False

    @property
    def name(self) -> str:
        """``snap``, or ``snap-common`` with common products."""
        return "snap-common" if self.common_product else "snap"

    def place(self, scene: SimulatedScene) -> SimulatedScene:
        """A scene on the map grid that its parameters ask for."""
        return scene.on_geographic_grid() if scene.parameters.map_projection == "geographic" else scene

    def write(self, stack: SimulatedScene, folder: Path, progress: Progress) -> None:
        """Write ``interferograms`` and ``dem_tc``."""
        geometry = [
            Band("elevation", "meters", stack.stack_height_m),
            Band("incidenceAngleFromEllipsoid", "deg", stack.fields.incidence_deg),
        ]
        write_product(folder / "dem_tc.dim", geometry, stack, stack.dates[0], stack.dates[1])
        for index, pair in enumerate(stack.pairs):
            interferogram = stack.interferogram(index)
            dates = f"{snap_date(pair.reference)}_{snap_date(pair.secondary)}"
            unwrapped = Band(f"Unw_Phase_ifg_{dates}_VV", "abs_phase", interferogram.phase_rad)
            coherence = Band(f"coh_IW1_VV_{dates}", "coherence", interferogram.coherence)
            target = folder / "interferograms" / pair.name
            target.mkdir(parents=True)
            products = (
                {"ifg": [unwrapped, coherence]} if self.common_product else {"unw": [unwrapped], "coh": [coherence]}
            )
            for kind, bands in products.items():
                path = target / f"{pair.name}_{kind}_tc.dim"
                write_product(path, bands, stack, pair.reference, pair.secondary)
            progress(index + 1, len(stack.pairs))
