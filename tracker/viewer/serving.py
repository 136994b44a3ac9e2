"""Serves an application: a socket, the address with its token, and uvicorn until a stop is requested."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Protocol

import uvicorn
from starlette.applications import Starlette

from posetrail.errors import InputError
from tracker.viewer.security import TOKEN, new_token

LOCALHOST = "127.0.0.1"
_POLL_S = 0.1


class _Server(uvicorn.Server):
    """A server that leaves signals alone; its caller ends it."""

    def capture_signals(self) -> nullcontext[None]:  # type: ignore[override]
        return nullcontext()


class Served(Protocol):
    """What a server shows."""

    def app(self, token: str, hosts: Iterable[str] = ()) -> Starlette:
        """The application, for who knows the token."""

    def close(self) -> None:
        """Release what is open; called once, when a stop was requested."""


def serve(
    viewer: Served, *, host: str, port: int, on_address: Callable[[str], None], stopped: Callable[[], bool]
) -> None:
    """Serve until a stop is requested; arguments as of `view`.

    Raises:
        InputError: the port cannot be used.
    """
    with _listening(host, port) as listener:
        asyncio.run(_serve(viewer, listener, new_token(), host, on_address, stopped))


async def _serve(
    viewer: Served,
    listener: socket.socket,
    token: str,
    host: str,
    on_address: Callable[[str], None],
    stopped: Callable[[], bool],
) -> None:
    app = viewer.app(token, [host])
    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, lifespan="off", timeout_graceful_shutdown=2
    )
    server = _Server(config)

    async def watch() -> None:
        while not server.started:
            await asyncio.sleep(_POLL_S / 10)
        on_address(f"http://{_shown(host)}:{listener.getsockname()[1]}/?{TOKEN}={token}")
        while not stopped():
            await asyncio.sleep(_POLL_S)
        viewer.close()
        server.should_exit = True

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(watch())
        tasks.create_task(server.serve(sockets=[listener]))


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    if not 0 <= port < 65536:
        raise InputError(f"--port: expected 0 to 65535, got {port}")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise InputError(
            f"--host: expected an address of this computer, got {host!r} ({error}); see `ip addr`"
        ) from None
    # With the protocol given, asyncio switches Nagle's algorithm off, which delays answers by 40 ms.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
        except OSError as error:
            raise InputError(
                f"--port: expected a free port of {host}, got {port} ({error.strerror}); choose another"
            ) from None
        yield listener


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
