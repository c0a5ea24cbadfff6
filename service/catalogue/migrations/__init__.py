"""The schema of the catalogue, step by step (Alembic)."""
