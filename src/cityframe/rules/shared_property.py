"""A property that is computed once for each instance, however many threads ask for it."""

from collections.abc import Callable
from threading import RLock
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class shared_property(Generic[T]):  # noqa: N801 (used like `functools.cached_property`)
    """A property whose value is kept by its instance.

    `functools.cached_property` has held no lock since Python 3.12 and one for all instances before:
    either each of two rules would build the tree of a layer, or no two layers theirs at once.
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self._compute = compute
        self._name = compute.__name__
        self.__doc__ = compute.__doc__

    def __get__(self, instance: object, owner: type) -> T:
        # once there, the value in __dict__ is found before this is called
        kept = instance.__dict__
        with kept.setdefault(f"_lock_of_{self._name}", RLock()):
            if self._name not in kept:
                kept[self._name] = self._compute(instance)
            value: T = kept[self._name]
        return value
