"""Orders by HL7 v2 (ORM^O01, OMI^O23) over MLLP, as scheduled steps beside those of worklists."""
