"""Photographs of which the asymmetry is known: warped, rendered and disturbed ones."""
