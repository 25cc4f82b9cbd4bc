import threading
from collections.abc import Iterator

import pytest

from cityframe.store.ahead import ahead


def test_items_come_in_their_order() -> None:
    with ahead(range(1000)) as items:
        assert list(items) == list(range(1000))


def test_what_the_thread_raises_is_raised_by_the_reader() -> None:
    def broken() -> Iterator[int]:
        yield 1
        message = "no more"
        raise ValueError(message)

    seen = []
    with pytest.raises(ValueError, match="no more"), ahead(broken()) as items:
        seen.extend(items)
    assert not [one for one in threading.enumerate() if one.name == "cityframe-ahead"]


def test_a_reader_that_stops_early_leaves_no_thread() -> None:
    with ahead(iter(int, 1)) as items:
        assert next(items) == 0
    assert not [one for one in threading.enumerate() if one.name == "cityframe-ahead"]
