"""Pure algorithms: they take and return frames and dataclasses, and touch nothing outside."""
