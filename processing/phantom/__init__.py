"""A face whose asymmetry is known, to commission a node with."""
