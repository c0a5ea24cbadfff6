"""Orthanc and hemiface as containers; `make test-container` builds them and runs these tests."""
