"""A property that is computed once for each instance, however many threads ask for it."""

from collections.abc import Callable
from threading import RLock
from typing import Any, Generic, Self, TypeVar, overload

T = TypeVar("T")


class shared_property(Generic[T]):  # noqa: N801 (used like `functools.cached_property`)
    """A property whose value is kept by its instance.

    `functools.cached_property` holds no lock from Python 3.12 on, and one for all instances before:
    two rules would either each build the tree of a layer, or no two tiles theirs at once.
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self._compute = compute
        self._name = compute.__name__
        self.__doc__ = compute.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object | None, owner: type) -> Self | T:
        """Return the value; once kept, the instance's own dictionary answers before this does."""
        if instance is None:
            return self
        kept = instance.__dict__
        # setdefault is atomic
        with kept.setdefault(f"_lock_of_{self._name}", RLock()):
            if self._name not in kept:
                kept[self._name] = self._compute(instance)
            value: T = kept[self._name]
        return value
