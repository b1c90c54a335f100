"""What each factor is: name, unit, meaning and sign, as written into the tags of its raster."""

from __future__ import annotations

from insar.layers import LayerDefinition

CONVEX_POSITIVE = "convex positive"

FACTORS: dict[str, LayerDefinition] = {
    factor.name: factor
    for factor in (
        LayerDefinition("elevation", "m", "Height of the terrain"),
        LayerDefinition("slope", "deg", "Angle of the terrain from the horizontal"),
        LayerDefinition(
            "aspect", "deg", "Direction of steepest descent, clockwise from grid north, 0 to 360; no data where flat"
        ),
        LayerDefinition("aspect_sin", "1", "Sine of the aspect: 1 faces east, -1 west; 0 where flat"),
        LayerDefinition("aspect_cos", "1", "Cosine of the aspect: 1 faces north, -1 south; 0 where flat"),
        LayerDefinition(
            "profile_curvature", "1/m", "Curvature of the terrain's section along the steepest descent", CONVEX_POSITIVE
        ),
        LayerDefinition("plan_curvature", "1/m", "Curvature of the contour line", CONVEX_POSITIVE),
    )
}
"""Factors that this package computes from a terrain model, by name."""
