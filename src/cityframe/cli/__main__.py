"""Run the command line as ``python -m cityframe.cli``."""

import sys

from cityframe.cli import main

if __name__ == "__main__":
    sys.exit(main())
