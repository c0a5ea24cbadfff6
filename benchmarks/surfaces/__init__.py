"""Surface scans of which the asymmetry is known, and what reads it."""
