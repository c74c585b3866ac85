"""Rendered sets, whose true translations and densities are known."""
