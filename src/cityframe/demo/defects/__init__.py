"""Defects that are put into a delivery, each named after the rule that must find it."""
