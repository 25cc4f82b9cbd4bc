"""From a table as delivered to a layer frame: mapping, types, codes, units, CRS, joins, keys."""

from cityframe.conform.conforming import Conformed, conform
from cityframe.conform.intake_rules import INTAKE_RULES, IntakeRule

__all__ = ["INTAKE_RULES", "Conformed", "IntakeRule", "conform"]
