"""Readers and writers of DICOM objects, a module per family of objects."""
