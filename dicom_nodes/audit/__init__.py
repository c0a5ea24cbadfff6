"""The audit trail's messages and their transport (PS3.15, sections A.5 to A.7)."""
