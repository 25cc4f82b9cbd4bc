from typing import Any

import pytest

from cityframe.errors import SourceUnreachableError
from cityframe.pipeline.cycle import open_cycle, take_in
from cityframe.pipeline.turns import turn_of


def test_a_step_is_refused_while_another_process_is_at_one(town: Any, grid: list[Any]) -> None:
    town.deliver_parcels(grid)
    with turn_of(town.city, "monthly"):
        with pytest.raises(SourceUnreachableError, match="try again when that step has ended"):
            open_cycle(town.city, "monthly")
        with pytest.raises(SourceUnreachableError, match="series monthly"):
            take_in(town.city, "monthly-0001", "cadastre")
        with turn_of(town.city, "weekly"):
            pass
    assert open_cycle(town.city, "monthly") == "monthly-0001"
    take_in(town.city, "monthly-0001", "cadastre")
