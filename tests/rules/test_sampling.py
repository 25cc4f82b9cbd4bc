import pytest
from hypothesis import given
from hypothesis import strategies as st

from cityframe.config.scoring import Sampling
from cityframe.errors import DeclarationError
from cityframe.rules.acceptance.sampling import draw_lots, sample_size

PLAN = Sampling(
    source="test",
    sizes=[{"up_to": 20, "sample": 3}, {"up_to": 40, "sample": 5}, {"up_to": 200, "sample": 15}],
)


@pytest.mark.parametrize(
    ("lot", "size"), [(1, 1), (2, 2), (3, 3), (20, 3), (21, 5), (40, 5), (41, 15), (200, 15)]
)
def test_size_of_a_sample_follows_the_table(lot, size):
    assert sample_size(lot, PLAN) == size


@given(st.integers(1, 900), st.text(max_size=5))
def test_lots_hold_each_unit_once_and_samples_are_from_their_lot(count, seed):
    units = [f"u{number}" for number in range(count)]
    lots = draw_lots(units, PLAN, seed)
    assert sorted(unit for lot in lots for unit in lot.units) == sorted(units)
    sizes = [len(lot.units) for lot in lots]
    assert max(sizes) <= 200
    assert max(sizes) - min(sizes) <= 1
    assert len(lots) == -(-count // 200)
    for lot in lots:
        assert set(lot.sample) <= set(lot.units)
        assert len(lot.sample) == sample_size(len(lot.units), PLAN)


def test_a_draw_can_be_repeated_and_another_seed_draws_others():
    units = [f"u{number}" for number in range(150)]
    (one,), (again,) = (draw_lots(order, PLAN, "7") for order in (units, units[::-1]))
    assert one == again
    (other,) = draw_lots(units, PLAN, "8")
    assert other.sample != one.sample


def test_every_unit_is_drawn_about_as_often():
    units = [f"u{number}" for number in range(20)]
    drawn = [unit for seed in range(600) for unit in draw_lots(units, PLAN, str(seed))[0].sample]
    counts = [drawn.count(unit) for unit in units]
    assert 60 <= min(counts) <= max(counts) <= 125  # 90 expected, standard deviation 8.7


def test_names_that_stand_twice_are_refused():
    with pytest.raises(DeclarationError, match="2 units, 1 different"):
        draw_lots(["a", "a"], PLAN, "1")
