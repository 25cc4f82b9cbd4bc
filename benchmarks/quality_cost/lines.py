"""One figure of the cost table."""

from dataclasses import dataclass

from store_cost.measure import Cost


@dataclass(frozen=True)
class Line:
    """One figure.

    Attributes
    ----------
    value, unit
        What the limit judges; ``x`` is a ratio of CPU seconds to the baseline's.
    limit : float or None
        None for a figure that stands for comparison only.
    """

    row: str
    what: str
    cost: Cost | None = None
    value: float | None = None
    unit: str = ""
    limit: float | None = None
    found: int | None = None

    @property
    def is_over(self) -> bool:
        """Whether the figure is above its limit."""
        return self.limit is not None and self.value is not None and self.value > self.limit

    def text(self) -> str:
        """Return the figure as one line of the table."""
        cost = " " * 31
        if self.cost is not None:
            cost = (
                f"{self.cost.wall_s:8.3f} s {self.cost.cpu_s:8.3f} CPU s "
                f"{self.cost.peak_gib:5.2f} GiB"
            )
        value = "" if self.value is None else f"{self.value:8.3f} {self.unit}"
        limit = "" if self.limit is None else f" <= {self.limit}{' OVER' if self.is_over else ''}"
        found = "" if self.found is None else f"  {self.found:,} findings"
        return f"{self.row:12s}{self.what:52s}{cost} {value}{limit}{found}".rstrip()
