"""Run a generator in its own thread, a few items ahead: how the stages of the pipeline overlap."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from typing import TypeVar

Item = TypeVar("Item")

_POLL_S = 0.1  # how soon a full stage notices that nobody wants its items any more


def ahead(items: Iterable[Item], depth: int) -> Generator[Item]:
    """The same items in the same order, made up to `depth` items before they are asked for.

    What `items` raises is raised here, after the items before it. When this generator is closed, early or not,
    `items` is closed in its thread and the thread has ended.
    """
    if depth < 1:
        raise ValueError(f"ahead: wanted a depth of 1 or more, got {depth}")
    made: queue.Queue[tuple[str, Item | BaseException | None]] = queue.Queue(depth)
    stop = threading.Event()

    def put(kind: str, value: Item | BaseException | None) -> bool:
        while not stop.is_set():
            try:
                made.put((kind, value), timeout=_POLL_S)
            except queue.Full:
                continue
            return True
        return False

    def make() -> None:
        iterator = iter(items)
        try:
            for item in iterator:
                if not put("item", item):
                    return
            put("end", None)
        except BaseException as error:  # the consumer's thread is where it belongs
            put("error", error)
        finally:
            if isinstance(iterator, Generator):
                iterator.close()

    thread = threading.Thread(target=make, name="posetrail-ahead", daemon=True)
    thread.start()
    try:
        while True:
            kind, value = made.get()
            if kind == "end":
                return
            if kind == "error":
                raise value  # type: ignore[misc]
            yield value  # type: ignore[misc]
    finally:
        stop.set()
        thread.join()
