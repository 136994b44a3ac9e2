"""A viewer that serves runs in a thread of the test, and a session of a client that has opened its address."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tracker.viewer.server import view

WAIT_S = 60.0


@dataclass
class Client:
    """Somebody who has opened the address that the viewer printed."""

    address: str  # with its token
    session: requests.Session

    @property
    def root(self) -> str:
        """The address without path and token: http://127.0.0.1:PORT."""
        return self.address.partition("/?")[0]

    def get(self, path: str, **options: Any) -> requests.Response:
        """The answer to a GET of a path below the only run: `api/run`."""
        return self.session.get(f"{self.root}/runs/0/{path}", timeout=WAIT_S, **options)

    def post(self, path: str, content: Any, **headers: str) -> requests.Response:
        """The answer to a POST of JSON, as the page sends it."""
        headers = {"Origin": self.root, **headers}
        return self.session.post(f"{self.root}/runs/0/{path}", json=content, headers=headers, timeout=WAIT_S)


@contextmanager
def viewing(runs: Path, **options: Any) -> Iterator[Client]:
    """Serve a run, or a folder of runs, until the block is left."""
    addresses: list[str] = []
    opened, stop, errors = threading.Event(), threading.Event(), list[BaseException]()

    def serve() -> None:
        try:
            view(
                runs,
                **options,
                on_address=lambda address: (addresses.append(address), opened.set())[1],
                stopped=stop.is_set,
            )
        except BaseException as error:
            errors.append(error)
        finally:
            opened.set()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        assert opened.wait(WAIT_S)
        if errors:
            raise errors[0]
        with requests.Session() as session:
            assert session.get(addresses[0], allow_redirects=False, timeout=WAIT_S).status_code == 303
            yield Client(addresses[0], session)
    finally:
        stop.set()
        thread.join()
