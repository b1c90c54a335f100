from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pytest

from insar.errors import OptionError
from insar.simulate.event_parameters import Cover, EventParameters, GroundCover
from insar.stack import Pair


def test_dates_and_pairs_lie_around_the_event() -> None:
    parameters = EventParameters(
        first_date=date(2020, 1, 1), interval_days=12, acquisitions_before=3, acquisitions_after=2
    )
    assert parameters.dates == (*(date(2020, 1, day) for day in (1, 13, 25)), date(2020, 2, 6), date(2020, 2, 18))
    assert parameters.event_date == date(2020, 1, 31)
    assert parameters.event_pairs == (
        Pair(date(2020, 1, 13), date(2020, 1, 25)),
        Pair(date(2020, 1, 25), date(2020, 2, 6)),
        Pair(date(2020, 2, 6), date(2020, 2, 18)),
    )


def test_single_images_make_no_pair_before_or_after() -> None:
    pairs = EventParameters(acquisitions_before=1, acquisitions_after=1).event_pairs
    assert pairs.pre is None
    assert pairs.post is None


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"rows": 8}, "rows"),
        ({"cols": 30_001}, "cols"),
        ({"rows": 20.5}, "rows"),
        ({"landslide_coherence_left": 1.1}, "landslide_coherence_left"),
        ({"event_coherence_loss": float("nan")}, "event_coherence_loss"),
        ({"polarisation": "HH"}, "polarisation"),
        ({"bare_share": 0.7, "grass_share": 0.4}, "grass_share"),
        ({"landslide_length_min_m": 700.0}, "landslide_length_min_m"),
        ({"interval_days": 1}, "interval_days"),
        ({"acquisitions_before": 0}, "acquisitions_before"),
        ({"first_date": date(9999, 12, 1)}, "acquisitions_after"),
        ({"first_date": "20200101"}, "first_date"),
    ],
)
def test_unusable_parameters_are_named(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(OptionError, match=f"simulation parameter {named}"):
        EventParameters(**changes)


def test_cover_decays_from_its_initial_to_its_final_coherence() -> None:
    cover = GroundCover(vv_db=-10.0, vh_db=-16.0, coherence_initial=0.8, coherence_final=0.2, coherence_decay_days=12.0)
    assert cover.coherence(0.0) == pytest.approx(0.8)
    assert cover.coherence(12.0) == pytest.approx(0.2 + 0.6 / np.e)
    assert cover.coherence(1e4) == pytest.approx(0.2)
    with pytest.raises(OptionError, match="coherence_final"):
        GroundCover(vv_db=0.0, vh_db=0.0, coherence_initial=0.2, coherence_final=0.3, coherence_decay_days=1.0)


def test_covers_of_c_band_over_twelve_days() -> None:
    parameters = EventParameters()
    coherence = {kind: parameters.cover(kind).coherence(12.0) for kind in Cover}
    assert coherence[Cover.BARE] == pytest.approx(0.88, abs=0.05)
    assert coherence[Cover.GRASS] == pytest.approx(0.52, abs=0.05)
    assert coherence[Cover.FOREST] == pytest.approx(0.31, abs=0.05)
    assert coherence[Cover.WATER] == 0.0
