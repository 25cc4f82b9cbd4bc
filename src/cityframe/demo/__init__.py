"""A generated city with deliveries of which everything is known: changes and defects by name."""

from cityframe.demo.city import CityManifest, generate_city
from cityframe.demo.truth import Truth, TruthTable, compare, read_truth

__all__ = ["CityManifest", "Truth", "TruthTable", "compare", "generate_city", "read_truth"]
