"""Find the names of a dictionary in a text, the longest first."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Generic, TypeVar

_HEAD = 2

ValueT = TypeVar("ValueT")


class NameIndex(Generic[ValueT]):
    """Names of two and more characters with what each stands for.

    A look-up takes the two characters at a place and tries the lengths of the names that begin
    with them, so its time does not depend on the number of names.

    Parameters
    ----------
    names : mapping of str to iterable
        What each name stands for; shorter names are left out.
    """

    def __init__(self, names: Mapping[str, Iterable[ValueT]]) -> None:
        self._meanings = {name: tuple(given) for name, given in names.items() if len(name) >= _HEAD}
        lengths: dict[str, set[int]] = {}
        for name in self._meanings:
            lengths.setdefault(name[:_HEAD], set()).add(len(name))
        self._lengths = {head: sorted(given, reverse=True) for head, given in lengths.items()}

    def __len__(self) -> int:
        return len(self._meanings)

    def at(self, text: str, start: int) -> Iterator[tuple[int, tuple[ValueT, ...]]]:
        """Yield the names that begin at a place of a text: where each ends and its meanings."""
        for length in self._lengths.get(text[start : start + _HEAD], ()):
            end = start + length
            if end <= len(text) and text[start:end] in self._meanings:
                yield end, self._meanings[text[start:end]]
