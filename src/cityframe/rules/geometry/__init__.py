"""Geometry that several kinds ask for: vertices, segments, networks, borders, positions."""
