"""The DICOM conformance statement (PS3.2), written from what the code itself answers."""
