"""cityframe keeps a city's spatial framework current."""

import os

# where lxml happens to be installed, openpyxl writes other bytes and raises other errors
os.environ.setdefault("OPENPYXL_LXML", "False")

__version__ = "0.1.0"
