"""What each factor is: name, unit, meaning and sign, as written into the tags of its raster."""

from __future__ import annotations

from insar.layers import LayerDefinition

CONVEX_POSITIVE = "convex positive"

TERRAIN_FACTORS: dict[str, LayerDefinition] = {
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
"""Shape of the terrain at a cell, from 3 x 3 elevations."""

RELIEF_FACTORS: dict[str, LayerDefinition] = {
    factor.name: factor
    for factor in (
        LayerDefinition("curvature", "1/m", "General curvature of the surface: minus its Laplacian", "convex positive"),
        LayerDefinition("relief", "m", "Highest minus lowest elevation in a window"),
        LayerDefinition("roughness", "m", "Standard deviation in a window of elevation minus its mean there"),
        LayerDefinition("tpi", "m", "Elevation minus its mean in a window", "positive on ridges"),
        LayerDefinition(
            "aspect_class",
            "class",
            "Direction of steepest descent: 1 flat, 2 N, 3 NE, 4 E, 5 SE, 6 S, 7 SW, 8 W, 9 NW",
            dtype="uint8",
            nodata=0,
        ),
    )
}
"""Relief around a cell."""

DRAINAGE_FACTORS: dict[str, LayerDefinition] = {
    factor.name: factor
    for factor in (
        LayerDefinition("flow_accumulation", "m2", "Area that drains through the cell, its own included"),
        LayerDefinition(
            "catchment_cut",
            "class",
            "1 where the catchment touches the rim of the terrain model and may go on beyond, else 0",
            dtype="uint8",
            nodata=255,
        ),
        LayerDefinition("twi", "1", "Topographic wetness index: ln(a / tan slope), a the drained area per width, m"),
        LayerDefinition("log_spi", "1", "Stream power index: ln(a tan slope), a the drained area per width, m"),
        LayerDefinition("ksn", "m^(2 theta)", "Normalised steepness of the channel that the cell drains to"),
        LayerDefinition(
            "ksn_density", "m^(2 theta)", "Mean normalised steepness of the channels around, weighted by their length"
        ),
        LayerDefinition("drainage_density", "1/m", "Length of streams per area around the cell"),
        LayerDefinition("distance_to_river", "m", "Distance to the nearest cell of a stream"),
    )
}
"""Drainage of the whole terrain."""

FACTORS: dict[str, LayerDefinition] = {**TERRAIN_FACTORS, **RELIEF_FACTORS, **DRAINAGE_FACTORS}
"""Factors that this package computes from a terrain model, by name."""
