"""The viewer's routes. docs/reference/viewer.md describes their answers."""

from __future__ import annotations

import asyncio
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import orjson
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from posetrail.errors import InputError
from tracker.runs.corrected import OutOfDate
from tracker.runs.export import export_name, export_run
from tracker.viewer import pieces
from tracker.viewer.events import Events
from tracker.viewer.pieces import PieceMaker, Pieces
from tracker.viewer.poses import pose_window
from tracker.viewer.queue import queued_run, thumbnail
from tracker.viewer.run import ServedRun
from tracker.viewer.security import Guard
from tracker.viewer.stills import DEFAULT_LONG_SIDE, MissingImage

_log = logging.getLogger(__name__)

STATIC = Path(__file__).parent / "static"
_SUSPECT_PIECES = 30  # pieces of the preview that are made for suspects before they are looked at
_MOST_OPEN = 4  # runs that no page shows are closed beyond this number
_POLL_S = 0.2  # a request that waits looks for its client this often
_LONG_SIDES = range(16, 8193)  # pixels
_REVALIDATE = {"Cache-Control": "private, no-cache"}


class RunFolder:
    """A run that is opened when it is first asked for, and kept."""

    def __init__(self, folder: Path, name: str, input: Path | None = None) -> None:
        self.folder, self.name, self._input = folder, name, input
        self.changing = asyncio.Lock()  # held while the run is opened, corrected or associated
        self.still_lock = asyncio.Lock()
        self.events = Events(revision=0, stale=False, associating=None, error=None)
        self.association: asyncio.Task[None] | None = None
        self._run: ServedRun | None = None

    async def opened(self) -> ServedRun:
        """The run.

        Raises:
            InputError: it cannot be opened.
        """
        if self._run is not None:
            return self._run
        async with self.changing:
            if self._run is None:
                self._run = await run_in_threadpool(ServedRun, self.folder, self.name, self._input)
                self.publish(self._run)
            return self._run

    def publish(self, run: ServedRun, **changes: Any) -> None:
        """Send the revision to all pages of the run, with other changes."""
        self.events.publish(revision=run.now.revision, stale=run.now.stale, **changes)

    async def associate(self, run: ServedRun) -> None:
        """Assign ids again with the corrections, and tell all pages when it has ended."""
        async with self.changing:
            error = None
            try:
                await run_in_threadpool(run.associate)
            except InputError as refused:
                error = str(refused)
            except Exception as failed:  # a page that waits must learn of it
                _log.exception("%s: association failed", self.folder)
                error = f"internal error: {type(failed).__name__}: {failed}"
            self.publish(run, associating=None, error=error)

    @property
    def is_in_use(self) -> bool:
        """Whether a page shows the run, or it is being changed."""
        return self.events.has_subscribers or self.changing.locked() or self.still_lock.locked()

    def close(self) -> None:
        """Close what is open; the run is opened again when it is asked for."""
        self.events.close()
        if self._run is not None:
            self._run.close()
            self._run = None


class Viewer:
    """The runs that are served, and the thread that makes their preview."""

    def __init__(self, runs: Sequence[RunFolder]) -> None:
        self.runs = tuple(runs)
        self.maker = PieceMaker()
        self._thumbnail_lock = asyncio.Lock()
        self._suspect_pieces: WeakKeyDictionary[Pieces, list[int]] = WeakKeyDictionary()  # worst first
        self._recent: dict[RunFolder, None] = {}  # runs that are open, the one asked for last at the end

    def app(self, token: str, hosts: Iterable[str] = ()) -> Starlette:
        """The application; only who knows the token may use it, see tracker/viewer/security.py."""
        run_routes = [
            Route("/", self._page),
            Route("/api/run", self._about),
            Route("/api/overview", self._overview),
            Route("/api/poses", self._poses),
            Route("/api/suspects", self._suspects),
            Route("/api/log", self._log),
            Route("/api/events", self._events),
            Route("/api/effect", self._effect, methods=["POST"]),
            Route("/api/ops", self._correct, methods=["POST"]),
            Route("/api/associate", self._associate, methods=["POST"]),
            Route("/api/export/{to}", self._export),
            Route("/thumbnail.jpg", self._thumbnail),
            Route("/preview/{piece:int}.mp4", self._piece),
            Route("/still/{position:int}.jpg", self._still),
        ]
        routes = [
            Route("/", self._first_page),
            Route("/api/queue", self._queue),
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

    async def _queue(self, request: Request) -> Response:
        return await _json(
            lambda: {"runs": [queued_run(run.folder).as_json(index, run.name) for index, run in enumerate(self.runs)]}
        )

    # Data -------------------------------------------------------------------------------------------------------------

    async def _about(self, request: Request) -> Response:
        run = await self._run(request)
        return await _json(run.about)

    async def _overview(self, request: Request) -> Response:
        run = await self._run(request)
        return await _json(run.overview)

    async def _poses(self, request: Request) -> Response:
        run = await self._run(request)
        now = run.now
        clip = now.clip
        first, count = _integer(request, "first"), _integer(request, "count")
        if not 0 <= first < len(clip) or count < 1:
            raise HTTPException(404, f"first, count: expected frames of 0 to {len(clip) - 1}, got {first}, {count}")
        content = await run_in_threadpool(pose_window, clip, first, count, now.revision)
        return Response(content, media_type="application/octet-stream")

    async def _suspects(self, request: Request) -> Response:
        run = await self._run(request)
        found = await run_in_threadpool(run.suspects)
        places = [each["position"] // pieces.PIECE_FRAMES for each in found["suspects"] if each["state"] == "open"]
        self._suspect_pieces[run.pieces] = list(dict.fromkeys(places))[:_SUSPECT_PIECES]
        self._suggest(run.pieces)
        return await _json(lambda: found)

    async def _log(self, request: Request) -> Response:
        run = await self._run(request)
        return await _json(run.log)

    async def _events(self, request: Request) -> Response:
        await self._run(request)
        return StreamingResponse(self._folder(request).events.stream(), media_type="text/event-stream")

    async def _export(self, request: Request) -> Response:
        run = await self._run(request)
        to, ground_truth = request.path_params["to"], request.query_params.get("ground_truth", "0") == "1"
        place = Path(await run_in_threadpool(tempfile.mkdtemp, prefix="posetrail-"))
        remove = BackgroundTask(shutil.rmtree, place, ignore_errors=True)

        def export() -> Path:
            output = place / export_name(to, ground_truth=ground_truth)
            return export_run(run.folder, to, ground_truth=ground_truth, output=output)

        try:
            path = await run_in_threadpool(export)
        except BaseException as error:
            await remove()
            if isinstance(error, InputError):
                return _error(422, str(error))
            raise
        return FileResponse(path, filename=f"{run.folder.resolve().name}.{path.name}", background=remove)

    # Corrections ------------------------------------------------------------------------------------------------------

    async def _effect(self, request: Request) -> Response:
        return await self._with_correction(request, ServedRun.effect)

    async def _correct(self, request: Request) -> Response:
        folder, run = self._folder(request), await self._run(request)
        if run.read_only:
            return _error(422, f"{run.folder}: cannot be written; copy the run to correct it")
        answer = await self._with_correction(request, ServedRun.apply)
        folder.publish(run, error=None)
        return answer

    async def _with_correction(
        self, request: Request, method: Callable[[ServedRun, Mapping[str, Any], int | None], Mapping[str, Any]]
    ) -> Response:
        folder, (revision, operation) = self._folder(request), await _correction(request)
        run = await self._run(request)
        if folder.association is not None and not folder.association.done():
            return _error(409, "identities are being assigned again; wait for the end", revision=run.now.revision)
        async with folder.changing:
            try:
                return await _json(lambda: method(run, operation, revision))
            except OutOfDate as error:
                return _error(409, str(error), revision=run.now.revision)
            except InputError as error:
                return _error(422, str(error))

    async def _associate(self, request: Request) -> Response:
        folder, run = self._folder(request), await self._run(request)
        if run.read_only:
            return _error(422, f"{run.folder}: cannot be written; copy the run to correct it")
        if folder.association is None or folder.association.done():
            folder.publish(run, associating=0.0, error=None)
            folder.association = asyncio.create_task(folder.associate(run))
        return Response(status_code=202)

    # Pictures ---------------------------------------------------------------------------------------------------------

    async def _piece(self, request: Request) -> Response:
        run = await self._run(request)
        piece = int(request.path_params["piece"])
        if piece >= len(run.pieces):
            raise HTTPException(404, f"preview: expected 0 to {len(run.pieces) - 1}, got {piece}")
        path = run.pieces.find(piece) or await self._made(request, run.pieces, piece)
        self._suggest(run.pieces, [piece + 1])
        return FileResponse(path, media_type="video/mp4", headers=_REVALIDATE)

    async def _made(self, request: Request, preview: Pieces, piece: int) -> Path:
        """Where a piece is, once it is made."""
        pending = self.maker.request(preview, piece)
        try:
            result = asyncio.wrap_future(pending.result)
            while not result.done():
                await asyncio.wait({result}, timeout=_POLL_S)
                if not result.done() and await request.is_disconnected():
                    raise HTTPException(404, "the client has gone")
            return result.result()
        except OSError as error:
            raise HTTPException(404, f"the preview cannot be written ({error.strerror})") from None
        finally:
            self.maker.withdraw(pending)

    def _suggest(self, preview: Pieces, first: Sequence[int] = ()) -> None:
        """Make these pieces of a preview, then those of suspects, while no request waits."""
        self.maker.suggest(preview, [*first, *self._suspect_pieces.get(preview, ())])

    async def _thumbnail(self, request: Request) -> Response:
        folder = self._folder(request)
        async with self._thumbnail_lock:
            if await request.is_disconnected():
                raise HTTPException(404, "the client has gone")
            content = await run_in_threadpool(thumbnail, folder.folder)
        if content is None:
            raise HTTPException(404, "the clip of this run cannot be read")
        return Response(content, media_type="image/jpeg")

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
        folder = self._folder(request)
        run = await folder.opened()
        self._recent.pop(folder, None)
        self._recent[folder] = None
        excess = max(0, len(self._recent) - _MOST_OPEN)
        for other in [each for each in self._recent if each is not folder and not each.is_in_use][:excess]:
            other.close()
            del self._recent[other]
        return run


def _integer(request: Request, name: str, default: int | None = None) -> int:
    text = request.query_params.get(name, "" if default is None else str(default))
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise HTTPException(400, f"{name}: expected a number from 0 on, got {text[:40]!r}")
    return int(text)


async def _json(make: Callable[[], Any]) -> Response:
    content = await run_in_threadpool(lambda: orjson.dumps(make()))
    return Response(content, media_type="application/json")


async def _correction(request: Request) -> tuple[int, Mapping[str, Any]]:
    """The revision and the operation in the body of a request."""
    try:
        content = orjson.loads(await request.body())
    except orjson.JSONDecodeError as error:
        raise HTTPException(400, f"expected JSON ({error})") from None
    match content:
        case {"revision": int(revision), "op": {"op": str()} as operation}:
            return revision, operation
    raise HTTPException(400, 'expected {"revision": number, "op": {"op": name, ...}}')


def _error(status: int, text: str, **more: Any) -> Response:
    return Response(orjson.dumps({"error": text, **more}), status_code=status, media_type="application/json")


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _error(error.status_code, error.detail)


async def _unusable(_request: Request, error: Exception) -> Response:
    return _error(404, str(error))
