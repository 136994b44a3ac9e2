"""The viewer's routes. docs/reference/viewer.md describes their answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from posetrail.errors import InputError
from tracker.viewer.pieces import PieceMaker, Pieces
from tracker.viewer.poses import pose_window
from tracker.viewer.run import ServedRun
from tracker.viewer.security import Guard
from tracker.viewer.stills import DEFAULT_LONG_SIDE, MissingImage

STATIC = Path(__file__).parent / "static"
_POLL_S = 0.2  # a request that waits looks for its client this often
_LONG_SIDES = range(16, 8193)  # pixels
_REVALIDATE = {"Cache-Control": "private, no-cache"}


class RunFolder:
    """A run that is opened when it is first asked for, and kept."""

    def __init__(self, folder: Path, name: str, input: Path | None = None) -> None:
        self.folder, self.name, self._input = folder, name, input
        self._lock = asyncio.Lock()
        self.still_lock = asyncio.Lock()
        self._run: ServedRun | None = None

    async def opened(self) -> ServedRun:
        """The run.

        Raises:
            InputError: it cannot be opened.
        """
        async with self._lock:
            if self._run is None:
                self._run = await run_in_threadpool(ServedRun, self.folder, self.name, self._input)
            return self._run

    def close(self) -> None:
        """Close what is open."""
        if self._run is not None:
            self._run.close()


class Viewer:
    """The runs that are served, and the thread that makes their preview."""

    def __init__(self, runs: Sequence[RunFolder]) -> None:
        self.runs = tuple(runs)
        self.maker = PieceMaker()

    def app(self, token: str, hosts: Iterable[str] = ()) -> Starlette:
        """The application; only who knows the token may use it, see tracker/viewer/security.py."""
        run_routes = [
            Route("/", self._page),
            Route("/api/run", self._about),
            Route("/api/overview", self._overview),
            Route("/api/poses", self._poses),
            Route("/preview/{piece:int}.mp4", self._piece),
            Route("/still/{position:int}.jpg", self._still),
        ]
        routes = [
            Route("/", self._first_page),
            Mount("/static", StaticFiles(directory=STATIC, check_dir=False)),
            Mount("/runs/{index:int}", routes=run_routes),
        ]
        return Starlette(
            routes=routes,
            middleware=[Middleware(Guard, token=token, hosts=tuple(hosts))],
            exception_handlers={HTTPException: _refused, InputError: _unusable},
        )

    def close(self) -> None:
        """End the work in other threads and close all files."""
        self.maker.close()
        for run in self.runs:
            run.close()

    # Pages ------------------------------------------------------------------------------------------------------------

    async def _first_page(self, request: Request) -> Response:
        if len(self.runs) == 1:
            return RedirectResponse("/runs/0/", status_code=302)
        return FileResponse(STATIC / "queue.html", headers=_REVALIDATE)

    async def _page(self, request: Request) -> Response:
        self._folder(request)
        return FileResponse(STATIC / "index.html", headers=_REVALIDATE)

    # Data -------------------------------------------------------------------------------------------------------------

    async def _about(self, request: Request) -> Response:
        run = await self._run(request)
        return await _json(run.about)

    async def _overview(self, request: Request) -> Response:
        run = await self._run(request)
        return await _json(run.overview)

    async def _poses(self, request: Request) -> Response:
        run = await self._run(request)
        clip = run.now.clip
        first, count = _integer(request, "first"), _integer(request, "count")
        if not 0 <= first < len(clip) or count < 1:
            raise HTTPException(404, f"first, count: expected frames of 0 to {len(clip) - 1}, got {first}, {count}")
        content = await run_in_threadpool(pose_window, clip, first, count)
        return Response(content, media_type="application/octet-stream")

    # Pictures ---------------------------------------------------------------------------------------------------------

    async def _piece(self, request: Request) -> Response:
        run = await self._run(request)
        piece = int(request.path_params["piece"])
        if piece >= len(run.pieces):
            raise HTTPException(404, f"preview: expected 0 to {len(run.pieces) - 1}, got {piece}")
        path = run.pieces.path(piece)
        if not path.is_file():
            await self._made(request, run.pieces, piece)
        if piece + 1 < len(run.pieces):
            self.maker.suggest(run.pieces, [piece + 1])
        return FileResponse(path, media_type="video/mp4", headers=_REVALIDATE)

    async def _made(self, request: Request, pieces: Pieces, piece: int) -> None:
        """Wait until a piece is made, or its client has gone."""
        pending = self.maker.request(pieces, piece)
        try:
            result = asyncio.wrap_future(pending.result)
            while not result.done():
                await asyncio.wait({result}, timeout=_POLL_S)
                if not result.done() and await request.is_disconnected():
                    raise HTTPException(404, "the client has gone")
            result.result()
        except OSError as error:
            raise HTTPException(404, f"the preview cannot be written ({error.strerror})") from None
        finally:
            self.maker.withdraw(pending)

    async def _still(self, request: Request) -> Response:
        folder, run = self._folder(request), await self._run(request)
        position, long_side = int(request.path_params["position"]), _integer(request, "long", DEFAULT_LONG_SIDE)
        if position >= len(run.now.clip):
            raise HTTPException(404, f"still: expected a frame of 0 to {len(run.now.clip) - 1}, got {position}")
        if long_side not in _LONG_SIDES:
            raise HTTPException(400, f"long: expected {_LONG_SIDES[0]} to {_LONG_SIDES[-1]}, got {long_side}")
        stills = await run_in_threadpool(run.stills)
        async with folder.still_lock:  # one after the other; who has gone meanwhile needs no still
            if await request.is_disconnected():
                raise HTTPException(404, "the client has gone")
            try:
                content = await run_in_threadpool(stills.jpeg, position, long_side)
            except MissingImage as error:
                raise HTTPException(404, str(error)) from None
        return Response(content, media_type="image/jpeg")

    # Runs -------------------------------------------------------------------------------------------------------------

    def _folder(self, request: Request) -> RunFolder:
        index = int(request.path_params["index"])
        if index >= len(self.runs):
            raise HTTPException(404, f"runs: expected 0 to {len(self.runs) - 1}, got {index}")
        return self.runs[index]

    async def _run(self, request: Request) -> ServedRun:
        return await self._folder(request).opened()


def _integer(request: Request, name: str, default: int | None = None) -> int:
    text = request.query_params.get(name, "" if default is None else str(default))
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise HTTPException(400, f"{name}: expected a number from 0 on, got {text[:40]!r}")
    return int(text)


async def _json(make: Callable[[], Any]) -> Response:
    content = await run_in_threadpool(lambda: orjson.dumps(make()))
    return Response(content, media_type="application/json")


def _error(status: int, text: str) -> Response:
    return Response(orjson.dumps({"error": text}), status_code=status, media_type="application/json")


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _error(error.status_code, error.detail)


async def _unusable(_request: Request, error: Exception) -> Response:
    return _error(404, str(error))
