"""Landslide susceptibility: InSAR layers and static factors to validated, explained maps."""
