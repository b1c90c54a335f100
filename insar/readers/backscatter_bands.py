"""Which bands of a product are backscatter, which the mask of layover and shadow, and which are of no use here."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from insar.backscatter import Scale
from insar.readers.backscatter_names import NamedFacts, polarisation_in, quantity_in, scale_in
from insar.readers.backscatter_products import Product, StoredBand

_UNCALIBRATED = re.compile(r"^(intensity|amplitude|i|q|phase|beta0?|coh\w*|elevation)(_|$)", re.IGNORECASE)
_NO_POLARISATION = "bands without a polarisation"
_UNIT_SCALES = {
    "db": Scale.DECIBEL,
    "decibel": Scale.DECIBEL,
    "intensity_db": Scale.DECIBEL,
    "intensity": Scale.POWER,
    "power": Scale.POWER,
    "amplitude": Scale.AMPLITUDE,
}


class BandKind(StrEnum):
    """What a band is taken for."""

    BACKSCATTER = "backscatter"
    MASK = "mask"
    INCIDENCE = "incidence"


@dataclass(frozen=True, slots=True)
class ChosenBand:
    """A band that is used; `polarisation`, `scale` and `quantity` are what its name, unit and file state."""

    kind: BandKind
    product: Product
    stored: StoredBand
    named: NamedFacts
    polarisation: str | None = None
    scale: Scale | None = None
    quantity: str | None = None

    @property
    def name(self) -> str:
        """File, and band where it has several."""
        path = self.product.path
        return f"{path}:{self.stored.name}" if len(self.product.bands) > 1 else str(path)


def choose_bands(product: Product, named: NamedFacts) -> tuple[list[ChosenBand], Counter[str]]:
    """Bands to use of a product, one for each polarisation, and how many were left out for which reason.

    Of several of one polarisation Gamma0 comes before Sigma0, and what is linear before dB.
    """
    left_out: Counter[str] = Counter()
    if named.hyp3_part is not None:
        return [ChosenBand(BandKind.MASK, product, product.bands[0], named)], left_out
    chosen: list[ChosenBand] = []
    for stored in product.bands:
        kind = _kind_by_name(stored.name)
        if kind is not None:
            chosen.append(ChosenBand(kind, product, stored, named))
            continue
        band, reason = _backscatter(product, stored, named)
        if band is None:
            left_out[f"left out, {reason}"] += 1
        else:
            chosen.append(band)
    if any(band.kind is BandKind.BACKSCATTER for band in chosen):
        left_out.pop(f"left out, {_NO_POLARISATION}", None)  # elevation and angles are expected beside it
    return _one_of_each(chosen, left_out), left_out


def _kind_by_name(name: str) -> BandKind | None:
    plain = name.lower()
    if plain.startswith("layover_shadow"):
        return BandKind.MASK
    return BandKind.INCIDENCE if plain.startswith("incidenceanglefromellipsoid") else None


def _backscatter(product: Product, stored: StoredBand, named: NamedFacts) -> tuple[ChosenBand | None, str]:
    is_alone = len(product.bands) == 1
    polarisation = polarisation_in(stored.name) or (named.polarisation if is_alone else None)
    if polarisation is None:
        return None, "no VV, VH, HH or HV in the name of the file" if is_alone else _NO_POLARISATION
    if _UNCALIBRATED.match(stored.name):
        return None, "bands that are not calibrated backscatter (Sigma0 or Gamma0)"
    own = scale_in(stored.name)
    by_unit = _UNIT_SCALES.get(stored.unit)
    if own is Scale.POWER and by_unit is Scale.DECIBEL:
        own = by_unit
    return (
        ChosenBand(
            BandKind.BACKSCATTER,
            product,
            stored,
            named,
            polarisation,
            own or by_unit or named.scale,
            quantity_in(stored.name) or named.quantity,
        ),
        "",
    )


def _one_of_each(chosen: list[ChosenBand], left_out: Counter[str]) -> list[ChosenBand]:
    ranked = sorted(chosen, key=lambda band: (band.quantity != "gamma0", band.scale is Scale.DECIBEL))
    kept: dict[tuple[BandKind, str | None], ChosenBand] = {}
    for band in ranked:
        if kept.setdefault((band.kind, band.polarisation), band) is not band:
            left_out["left out, a second band of its polarisation in one product"] += 1
    return list(kept.values())
