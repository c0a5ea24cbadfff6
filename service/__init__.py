"""The application: what runs, and in which order."""
