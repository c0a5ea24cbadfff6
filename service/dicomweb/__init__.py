"""DICOMweb (PS3.18) out of, and into, the catalogue."""
