"""DICOMweb (PS3.18): what is said over HTTP, as server and as user agent."""
