"""Server-sent events: the page learns of a new revision and of association at work without asking."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson

_HEARTBEAT_S = 15.0  # a comment so often shows whether the client is still there


class Events:
    """The state of a run as its pages show it; all methods belong to the event loop's thread."""

    def __init__(self, **state: Any) -> None:
        self.state = state
        self._subscribers: set[asyncio.Queue[bytes | None]] = set()

    @property
    def has_subscribers(self) -> bool:
        """Whether a page is connected."""
        return bool(self._subscribers)

    def publish(self, **changes: Any) -> None:
        """Change the state and send it to all pages."""
        self.state = {**self.state, **changes}
        for queue in self._subscribers:
            queue.put_nowait(self._message())

    def close(self) -> None:
        """End all streams."""
        for queue in self._subscribers:
            queue.put_nowait(None)

    async def stream(self) -> AsyncIterator[bytes]:
        """The state now, and again after every change."""
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._subscribers.add(queue)
        try:
            message: bytes | None = self._message()
            while message is not None:
                yield message
                try:
                    message = await asyncio.wait_for(queue.get(), _HEARTBEAT_S)
                except TimeoutError:
                    message = b":\n\n"
        finally:
            self._subscribers.discard(queue)

    def _message(self) -> bytes:
        return b"data: " + orjson.dumps(self.state) + b"\n\n"
