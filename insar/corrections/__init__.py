"""Corrections of a displacement series for what is no motion of the ground: each a step that can be switched."""
