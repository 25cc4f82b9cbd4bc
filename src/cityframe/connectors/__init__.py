"""The outside world: pull bytes from sources, read landed bytes into tables.

Two halves that do not know each other. A pull copies bytes into a folder and parses nothing; a
read turns landed bytes into `cityframe.core.source_table.SourceTable` and asks nobody.
"""

from cityframe.connectors.pulling import Connector, Pulled, connector, pull
from cityframe.connectors.reading import read_file, read_tables

__all__ = ["Connector", "Pulled", "connector", "pull", "read_file", "read_tables"]
