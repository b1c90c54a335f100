"""The work that makes layers of backscatter block by block."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from insar.backscatter import mean_amplitude, median_backscatter
from insar.backscatter_chain import BackscatterPlan, EventChange
from insar.backscatter_stack import TerrainMask
from insar.backscatter_view import FlatClasses, classes_of_masks
from insar.layer_run import LayerBlock
from insar.slope import Visibility
from insar.terrain_mask import Terrain

HISTOGRAM_LIMITS_DB = (-15.0, 15.0)
HISTOGRAM_BINS = 120


@dataclass(frozen=True)
class VisibilityLayer:
    """Layover and shadow of one pass: classes computed before, or the masks that products bring."""

    suffix: str
    classes: FlatClasses | None = None
    masks: tuple[TerrainMask, ...] = field(default=(), repr=False)

    @property
    def name(self) -> str:
        """Name of its layer."""
        return f"visibility{self.suffix}"

    def read(self, rows: slice, cols: slice) -> NDArray[np.uint8]:
        """Some full rows of classes of `insar.slope.Visibility`."""
        if self.classes is not None:
            return self.classes.read_rows(rows)
        return classes_of_masks(self.masks, rows, cols)


@dataclass(frozen=True)
class BackscatterWork:
    """Makes all layers of some rows; the `insar.layer_run.LayerWork` of backscatter.

    Attributes
    ----------
    plan
        What is made of which images.
    visibilities
        Layover and shadow, one for each pass where it is known.
    terrain
        Heights, where a DEM is given.
    cols
        Columns of the grid.
    min_images
        Fewest valid images of a median or mean.
    rows_per_chunk
        Rows that storage keeps together.
    """

    plan: BackscatterPlan
    visibilities: tuple[VisibilityLayer, ...]
    terrain: Terrain | None
    cols: int
    min_images: int
    rows_per_chunk: int

    @cached_property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers."""
        changes = [change.name(what) for change in self.plan.changes for what in ("post", "difference")]
        counts = [f"images_{window}{suffix}" for suffix in self._suffixes for window in ("pre", "post")]
        means = [season.name for season in self.plan.seasons]
        heights = [] if self.terrain is None else ["height"]
        return (*changes, *counts, *means, *(each.name for each in self.visibilities), *heights)

    @cached_property
    def _suffixes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(change.suffix for change in self.plan.changes))

    @property
    def bytes_per_row(self) -> int:
        """Bytes of a row: the images of the longest window twice over, and all that is computed."""
        series = [each for change in self.plan.changes for each in (change.pre, change.post)]
        series += [season.series for season in self.plan.seasons]
        longest = max(len(each.days) for each in series)
        return self.cols * (4 * (longest + 4) + 4 * len(self.layers) + 8 * 8) + self._terrain_bytes

    @property
    def _terrain_bytes(self) -> int:
        return 0 if self.terrain is None else 4 * self.terrain.shape[1]

    def __call__(self, rows: slice) -> LayerBlock:
        """The layers of some rows, and sums: histograms of differences, pixels in each class of visibility."""
        cols = slice(0, self.cols)
        layers: dict[str, NDArray[np.generic]] = {}
        sums: dict[str, NDArray[np.generic]] = {}
        for change in self.plan.changes:
            self._change(change, rows, cols, layers, sums)
        for season in self.plan.seasons:
            images = season.series.read(rows, cols)
            mean = mean_amplitude(images, season.series.scale, min_images=self.min_images)
            layers[season.name] = mean.astype(np.float32)
        for each in self.visibilities:
            classes = each.read(rows, cols)
            layers[each.name] = classes
            sums[f"{each.name}_pixels"] = np.bincount(classes.ravel(), minlength=len(Visibility)).astype(np.int64)
        if self.terrain is not None:
            margin = self.terrain.margin
            layers["height"] = self.terrain.window(rows)[margin:-margin, margin:-margin]
        return LayerBlock(layers, sums)

    def _change(
        self,
        change: EventChange,
        rows: slice,
        cols: slice,
        layers: dict[str, NDArray[np.generic]],
        sums: dict[str, NDArray[np.generic]],
    ) -> None:
        pre, post = (
            median_backscatter(series.read(rows, cols), series.scale, min_images=self.min_images)
            for series in (change.pre, change.post)
        )
        difference = post.decibels - pre.decibels
        layers[change.name("post")] = post.decibels.astype(np.float32)
        layers[change.name("difference")] = difference.astype(np.float32)
        for window, median in (("pre", pre), ("post", post)):
            name = f"images_{window}{change.suffix}"
            counts = median.images.astype(np.uint16)
            # One layer for all polarisations: of the one with the fewest images.
            layers[name] = np.minimum(counts, layers[name]) if name in layers else counts
        known = difference[np.isfinite(difference)]
        low, high = HISTOGRAM_LIMITS_DB
        inside = np.clip(known, low, np.nextafter(high, low))
        counted, _ = np.histogram(inside, HISTOGRAM_BINS, HISTOGRAM_LIMITS_DB)
        sums[f"{change.name('difference')}_histogram"] = counted.astype(np.int64)
