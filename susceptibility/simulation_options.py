"""What to simulate: size, numbers of landslides, and how strongly each cause acts."""

from __future__ import annotations

from dataclasses import dataclass, replace

from susceptibility.errors import OptionError
from susceptibility.landscape import ROCKS

ROCK_FEATURES = tuple(f"lithology_{rock.name}" for rock in ROCKS[1:])
"""Names of the features of each rock but the strongest, which the others are compared with."""


@dataclass(frozen=True, slots=True)
class SimulationOptions:
    """What to simulate.

    There are three inventories. The main one is drawn cell by cell from a logistic model that knows the rate of motion;
    the rainfall inventory from one that knows rain and soil moisture; the earthquake's landslides are polygons of many
    sizes whose sources follow slope, rock and shaking.

    Attributes
    ----------
    seed
        The same seed gives the same study.
    size
        Rows and columns of a simulated terrain, with cells of 30 m.
    landslides
        Expected number of landslide cells of the main inventory.
    slope_effect, curvature_effect, velocity_effect
        Log-odds of a landslide for each standard deviation of slope, profile curvature and absolute rate. That of slope
        holds for all inventories of a simulated landscape.
    river_effect, road_effect, fault_effect
        The same of the distance to the nearest river, road and fault; of a simulated landscape, for the main and, but
        for roads, the rainfall inventory.
    rock_effect
        Log-odds of a landslide in the weakest rock against the strongest; those between lie between. Of a simulated
        landscape, for all inventories.
    damage_effect
        The same as the first of the damage proxy, for the main inventory; of a simulated landscape.
    rainfall_share
        Expected share of cells with a landslide of the rainfall inventory.
    precipitation_effect, soil_moisture_effect
        Log-odds of these landslides for each standard deviation of precipitation and soil moisture.
    slides_per_km2
        Expected number of the earthquake's landslides.
    shaking_effect
        Logarithm of the expected number of these for each standard deviation of ln(peak ground velocity).
    coherence_loss
        Share of the coherence across the earthquake that its landslides take, 0 to 1.
    moisture_coherence
        Coherence of the season lost for each standard deviation of soil moisture.
    slope_motion_m
        Line-of-sight motion of slopes in the earthquake where landslides are likeliest.
    rate_change_m_per_year
        Growth of the rate of motion in one patch in the last months of the time series.
    """

    seed: int = 1
    size: int = 200
    landslides: int = 400
    slope_effect: float = 1.2
    curvature_effect: float = -0.5
    velocity_effect: float = 0.7
    river_effect: float = -0.4
    road_effect: float = 0.0
    fault_effect: float = -0.3
    rock_effect: float = 0.8
    damage_effect: float = 0.0
    rainfall_share: float = 0.015
    precipitation_effect: float = 0.5
    soil_moisture_effect: float = 0.9
    slides_per_km2: float = 15.0
    shaking_effect: float = 1.4
    coherence_loss: float = 0.9
    moisture_coherence: float = 0.1
    slope_motion_m: float = 0.05
    rate_change_m_per_year: float = 0.25

    def __post_init__(self) -> None:
        for name, least, most in (
            ("rainfall_share", 0.0, 0.5),
            ("coherence_loss", 0.0, 1.0),
            ("slides_per_km2", 0.0, 200.0),
            ("moisture_coherence", 0.0, 0.5),
        ):
            value = getattr(self, name)
            if not least <= value <= most:
                raise OptionError(name, required=f"{least:g} to {most:g}", found=f"{value:g}", remedy="Correct it")

    @property
    def effects(self) -> dict[str, float]:
        """Coefficient of each feature of the main inventory that real terrain and a real rate have."""
        return {
            "slope": self.slope_effect,
            "profile_curvature": self.curvature_effect,
            "velocity_absolute": self.velocity_effect,
        }

    @property
    def landscape_effects(self) -> dict[str, float]:
        """Coefficients of its features that only a simulated landscape has; none where they are all 0."""
        effects = {
            "distance_to_river": self.river_effect,
            "distance_to_road": self.road_effect,
            "distance_to_fault": self.fault_effect,
            "damage_proxy": self.damage_effect,
        } | self.rock_effects
        return _acting(effects)

    @property
    def rainfall_effects(self) -> dict[str, float]:
        """Coefficients of the rainfall inventory; of those that are 0 none but slope."""
        effects = {
            "distance_to_river": self.river_effect,
            "distance_to_fault": self.fault_effect,
            "precipitation": self.precipitation_effect,
            "soil_moisture": self.soil_moisture_effect,
        } | self.rock_effects
        return {"slope": self.slope_effect} | _acting(effects)

    @property
    def rock_effects(self) -> dict[str, float]:
        """Log-odds of each rock but the strongest, in equal steps."""
        steps = len(ROCKS) - 1
        return {name: self.rock_effect * (step + 1) / steps for step, name in enumerate(ROCK_FEATURES)}

    def without_insar(self) -> SimulationOptions:
        """Return the same study in which no layer of InSAR tells more of landslides than the other factors do."""
        return replace(
            self, velocity_effect=0.0, damage_effect=0.0, coherence_loss=0.0, moisture_coherence=0.0, slope_motion_m=0.0
        )


def _acting(effects: dict[str, float]) -> dict[str, float]:
    return {name: effect for name, effect in effects.items() if effect != 0.0}
