import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cityframe.store.state_spans import state_spans
from cityframe.store.timeline import FOREVER

MOMENT = st.integers(0, 6)
ROW = st.tuples(st.integers(1, 6), st.none() | st.integers(1, 3), MOMENT, st.none() | MOMENT)


@given(st.lists(ROW, max_size=6), st.lists(MOMENT, max_size=6))
def test_spans_hold_exactly_the_releases_whose_state_has_the_row(
    rows: list[tuple[int, int | None, int, int | None]], times: list[int]
) -> None:
    release_from = [row[0] for row in rows]
    release_to = [FOREVER if row[1] is None else row[0] + row[1] for row in rows]
    valid_to = [FOREVER if row[3] is None else row[3] for row in rows]
    columns = (release_from, release_to, [row[2] for row in rows], valid_to, times)
    spans = state_spans(*(np.array(column, dtype=np.int64) for column in columns))
    expected = {
        (place, number)
        for place, row in enumerate(rows)
        for number, at in enumerate(times, 1)
        if row[0] <= number < release_to[place] and row[2] <= at < valid_to[place]
    }
    found = [
        (row, number)
        for row, enter, leave in zip(spans.row, spans.enter, spans.leave, strict=True)
        for number in range(enter, leave)
    ]
    assert len(found) == len(set(found))
    assert set(found) == expected
    # a span ends where the next release does not have the row
    assert not {(row, leave) for row, leave in zip(spans.row, spans.leave, strict=True)} & expected
