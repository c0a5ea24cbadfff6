"""DICOM network services, a module per service class, named as PS3.4 names it."""
