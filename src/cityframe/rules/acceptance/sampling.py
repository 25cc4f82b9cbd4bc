"""Sampling inspection: lots, the size of a sample, and a draw that anybody can repeat."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from cityframe.config.scoring import Sampling
from cityframe.errors import DeclarationError


@dataclass(frozen=True, slots=True)
class Lot:
    """One lot of a batch and the units drawn from it, both sorted by name."""

    number: int
    units: tuple[str, ...]
    sample: tuple[str, ...]


def draw_lots(units: Sequence[str], plan: Sampling, seed: str) -> tuple[Lot, ...]:
    """Divide a batch into lots and draw a simple random sample from each.

    Parameters
    ----------
    units : sequence of str
        Names of all units, unique; their order does not matter.
    plan : Sampling
        Sizes of samples. A batch above the largest lot is divided into the fewest lots that are
        small enough, as equal in size as can be.
    seed : str
        Recorded with the result. Units are ordered by the SHA-256 of seed and name; the lots and
        samples are taken from that order, so that any tool can repeat the draw.

    Returns
    -------
    tuple of Lot

    Raises
    ------
    DeclarationError
        If a name stands twice, or there is no unit.
    """
    if not units or len(set(units)) < len(units):
        raise DeclarationError(
            found=f"{len(units)} units, {len(set(units))} different",
            expected="at least one unit, each with a name of its own",
            remedy="choose the unit of the scoring scheme so that names are unique",
        )
    largest = plan.sizes[-1].up_to
    count = -(-len(units) // largest)
    shuffled = sorted(units, key=lambda name: _rank(seed, name))
    lots = []
    for number in range(count):
        # every n-th of a random order is a random lot; sizes differ by one at most
        lot = shuffled[number::count]
        sample = lot[: sample_size(len(lot), plan)]
        lots.append(Lot(number + 1, tuple(sorted(lot)), tuple(sorted(sample))))
    return tuple(lots)


def sample_size(lot: int, plan: Sampling) -> int:
    """Return how many units are drawn from a lot; all of them, if it is smaller than that."""
    size = next(size.sample for size in plan.sizes if lot <= size.up_to)
    return min(size, lot)


def _rank(seed: str, name: str) -> bytes:
    return hashlib.sha256(f"{seed}\x1f{name}".encode()).digest()
