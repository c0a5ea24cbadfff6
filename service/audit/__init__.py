"""The node's audit trail: what is recorded, where it is kept and where it goes."""
