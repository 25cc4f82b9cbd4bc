"""cityframe keeps a city's spatial framework current."""

__version__ = "0.1.0"
