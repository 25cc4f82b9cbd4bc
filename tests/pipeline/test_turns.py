import subprocess
import sys
from typing import Any

import pytest

from cityframe.errors import SourceUnreachableError
from cityframe.pipeline.cycle import open_cycle
from cityframe.pipeline.turns import turn_of

HOLD = """
import sys
from pathlib import Path
from cityframe.pipeline.city import open_city
from cityframe.pipeline.turns import turn_of
with turn_of(open_city(Path(sys.argv[1])), "monthly"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_step_is_refused_while_another_process_is_at_one(town: Any, grid: list[Any]) -> None:
    town.deliver_parcels(grid)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(town.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(SourceUnreachableError, match="monthly: another process is at work"):
            open_cycle(town.city, "monthly")
        with turn_of(town.city, "weekly"):
            pass
        other.communicate()
    assert open_cycle(town.city, "monthly") == "monthly-0001"


def test_a_process_may_hold_its_turn_twice(town: Any) -> None:
    with turn_of(town.city, "monthly"), turn_of(town.city, "monthly"):
        pass
    with turn_of(town.city, "monthly"):
        pass
