"""The catalogue: what was received, what was made of it, and where the bytes live."""
