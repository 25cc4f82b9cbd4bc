"""Scores, units and samples."""
