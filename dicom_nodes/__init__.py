"""Everything DICOM, and nothing else."""
