"""The register of findings: files a cycle, and what they come to together."""

from pathlib import Path

import pandas as pd
import pytest

from cityframe.errors import IntegrityError
from cityframe.store.finding_register import (
    EVENT_COLUMNS,
    FIXED,
    OPENED,
    FindingRegister,
    NotedCycle,
)


@pytest.fixture
def register(tmp_path: Path) -> FindingRegister:
    return FindingRegister(tmp_path / "findings")


def events(*given: tuple[str, str], looked_by: str = "") -> pd.DataFrame:
    """Return events, each of a finding's id and what happened."""
    rows = [
        {
            **dict.fromkeys(EVENT_COLUMNS, ""),
            "finding_id": finding,
            "event": event,
            "looked_by": looked_by,
            "delivery": f"by-{event}",
            "record": None,
        }
        for finding, event in given
    ]
    return pd.DataFrame(rows, columns=list(EVENT_COLUMNS))


def known(register: FindingRegister, *cycles: NotedCycle | str) -> dict[str, tuple[bool, str]]:
    noted = [NotedCycle(one) if isinstance(one, str) else one for one in cycles]
    frame = register.known(noted)
    columns = (frame[name] for name in ("finding_id", "is_open", "first_seen"))
    return {finding: (bool(state), first) for finding, state, first in zip(*columns, strict=True)}


def test_without_files_nothing_is_known(register: FindingRegister) -> None:
    assert known(register) == {}
    assert known(register, "m-0001") == {}
    assert list(register.cycles()) == []


def test_what_was_opened_is_open_until_it_is_fixed(register: FindingRegister) -> None:
    register.write("m-0001", events(("a", OPENED), ("b", OPENED)))
    register.write("m-0002", events(("c", OPENED), ("a", FIXED)))
    register.write("m-0003", events(("a", OPENED)))
    assert known(register, "m-0001") == {"a": (True, "m-0001"), "b": (True, "m-0001")}
    assert known(register, "m-0001", "m-0002") == {
        "a": (False, "m-0001"), "b": (True, "m-0001"), "c": (True, "m-0002"),
    }  # fmt: skip
    assert known(register, "m-0001", "m-0002", "m-0003")["a"] == (True, "m-0001")


def test_the_order_of_the_cycles_counts_and_not_that_of_the_names(
    register: FindingRegister,
) -> None:
    register.write("a", events(("x", FIXED)))
    register.write("b", events(("x", OPENED)))
    assert known(register, "b", "a") == {"x": (False, "b")}
    assert known(register, "a", "b") == {"x": (True, "b")}


def test_the_last_event_of_a_cycle_counts(register: FindingRegister) -> None:
    register.write("m-0001", events(("a", OPENED), ("a", FIXED)))
    assert known(register, "m-0001") == {"a": (False, "m-0001")}


def test_writing_a_cycle_again_replaces_what_it_said(register: FindingRegister) -> None:
    register.write("m-0001", events(("a", OPENED)))
    first = (register._folder / "m-0001.parquet").read_bytes()
    register.write("m-0001", events(("b", OPENED)))
    assert known(register, "m-0001") == {"b": (True, "m-0001")}
    register.write("m-0001", events(("a", OPENED)))
    assert (register._folder / "m-0001.parquet").read_bytes() == first
    assert list(register.cycles()) == ["m-0001"]


def test_a_returned_candidate_opens_and_does_not_fix(register: FindingRegister) -> None:
    register.write("m-0001", events(("a", OPENED)))
    register.write("m-0002", events(("b", OPENED), ("a", FIXED)))
    returned = NotedCycle("m-0002", is_returned=True)
    assert known(register, "m-0001", returned) == {
        "a": (True, "m-0001"), "b": (True, "m-0002"),
    }  # fmt: skip


def test_what_a_returned_cycles_deliveries_fixed_is_fixed(register: FindingRegister) -> None:
    register.write("m-0001", events(("a", OPENED), looked_by="cadastre"))
    register.write("m-0002", events(("a", FIXED), looked_by="cadastre"))
    returned = NotedCycle("m-0002", is_returned=True)
    assert known(register, "m-0001", returned) == {"a": (False, "m-0001")}


def test_two_sources_with_the_same_finding_are_two(register: FindingRegister) -> None:
    both = [events(("a", OPENED), looked_by=name) for name in ("survey", "registry")]
    register.write("m-0001", pd.concat(both))
    register.write("m-0002", events(("a", FIXED), looked_by="survey"))
    frame = register.known([NotedCycle("m-0001"), NotedCycle("m-0002")])
    assert dict(zip(frame["looked_by"], frame["is_open"], strict=True)) == {
        "registry": True,
        "survey": False,
    }


def test_a_damaged_file_is_told_as_such(register: FindingRegister) -> None:
    register.write("m-0001", events(("a", OPENED)))
    (register._folder / "m-0001.parquet").write_bytes(b"PAR1")
    with pytest.raises(IntegrityError, match=r"m-0001\.parquet.*can't be read"):
        known(register, "m-0001")
