"""Prefetching in a thread: the same items, the same errors, and no thread that stays."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tracker.inference.prefetch import prefetch


def test_the_same_items_in_the_same_order() -> None:
    assert list(prefetch(range(100), 3)) == list(range(100))
    assert list(prefetch([], 1)) == []


def test_an_error_is_raised_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("broken at 3")

    got = []
    with pytest.raises(ValueError, match="broken at 3"):
        for item in prefetch(items(), 5):
            got += [item]
    assert got == [1, 2]


def test_closing_early_closes_the_source_and_ends_the_thread() -> None:
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            yield from range(1000)
        finally:
            closed.set()

    before = threading.active_count()
    made = prefetch(items(), 2)
    assert next(made) == 0
    made.close()
    assert closed.is_set()
    assert threading.active_count() == before


def test_at_most_depth_items_are_produced_ahead() -> None:
    produced = []

    def items() -> Iterator[int]:
        for i in range(100):
            produced.append(i)
            yield i

    for item in prefetch(items(), 3):
        assert len(produced) <= item + 1 + 3 + 2  # requested, queued, and one in each thread


def test_a_depth_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="depth"):
        next(prefetch([], 0))
