"""Prefetching: a generator runs in a thread of its own, a few items ahead, so that stages of a pipeline overlap."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from typing import TypeVar

Item = TypeVar("Item")

_POLL_S = 0.1  # a thread that waits for a free place in its queue checks for the end this often


def in_turn(items: Iterable[Item], depth: int) -> Generator[Item]:
    """The same items, each produced when it is asked for: `prefetch` without a thread, for sources that do not wait."""
    yield from items


def prefetch(items: Iterable[Item], depth: int) -> Generator[Item]:
    """The same items in the same order, produced in a thread up to `depth` items ahead.

    An exception of `items` is raised after the items before it. When this generator is closed, `items` is closed in its
    thread and the thread ends.

    Raises:
        ValueError: `depth` is below 1.
    """
    if depth < 1:
        raise ValueError(f"depth: expected 1 or more, got {depth}")
    produced: queue.Queue[tuple[str, Item | BaseException | None]] = queue.Queue(depth)
    stop = threading.Event()

    def put(kind: str, value: Item | BaseException | None) -> bool:
        while not stop.is_set():
            try:
                produced.put((kind, value), timeout=_POLL_S)
            except queue.Full:
                continue
            return True
        return False

    def produce() -> None:
        iterator = iter(items)
        try:
            for item in iterator:
                if not put("item", item):
                    return
            put("end", None)
        except BaseException as error:  # raised again in the consumer's thread
            put("error", error)
        finally:
            if isinstance(iterator, Generator):
                iterator.close()

    thread = threading.Thread(target=produce, name="posetrail-prefetch", daemon=True)
    thread.start()
    try:
        while True:
            kind, value = produced.get()
            if kind == "end":
                return
            if kind == "error":
                raise value  # type: ignore[misc]
            yield value  # type: ignore[misc]
    finally:
        stop.set()
        thread.join()
