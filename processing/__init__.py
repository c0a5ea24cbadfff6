"""Everything measured; no DICOM, no database, no network."""
