"""Work ahead: let one thread make what another one writes."""

import queue
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")
_DEPTH = 2


@contextmanager
def ahead(items: Iterable[T]) -> Iterator[Iterator[T]]:
    """Give the items in their order while a thread already makes the next ones.

    Digests are made by Python, files are written by GDAL and Arrow, which let go of the
    interpreter: on two cores each hides the other. At most a few items wait. What the thread
    raises is raised where the items are read; when the block ends, the thread has ended.
    """
    waiting: queue.Queue[tuple[T] | BaseException | None] = queue.Queue(maxsize=_DEPTH)
    is_over = threading.Event()

    def put(item: tuple[T] | BaseException | None) -> None:
        while not is_over.is_set():
            try:
                waiting.put(item, timeout=0.1)
            except queue.Full:
                continue
            return

    def work() -> None:
        try:
            for item in items:
                put((item,))
                if is_over.is_set():
                    return
        except BaseException as error:  # noqa: BLE001  raised again by the reader
            put(error)
        else:
            put(None)

    def read() -> Iterator[T]:
        while (item := waiting.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item[0]

    thread = threading.Thread(target=work, name="cityframe-ahead", daemon=True)
    thread.start()
    try:
        yield read()
    finally:
        is_over.set()
        thread.join()
