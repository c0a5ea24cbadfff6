"""What is timed and validated, run by hand and in CI so that it cannot rot."""
