"""Landmarks sought again on the picture itself, where detection only says where to begin."""
