"""The page of a live source: the newest frame with its tracks, drawn here and sent as JPEG on request."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, closing
from pathlib import Path

import cv2
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from tracker.io.drawing import Trails, draw_people
from tracker.io.live_address import LiveAddress
from tracker.io.live_source import LiveSource
from tracker.live_settings import LiveSettings
from tracker.runs.live import LiveFrame, live_frames, online_settings
from tracker.runs.live_folder import LiveRun, session_folder
from tracker.runs.networks import open_networks
from tracker.settings import Settings
from tracker.viewer.security import Guard
from tracker.viewer.serving import LOCALHOST, serve

STATIC = Path(__file__).parent / "static"
_QUALITY = 80  # of JPEG
_POLL_S, _WAIT_S = 0.02, 2.0


class LiveViewer:
    """Shows frames: `show` is called in the thread that tracks, the pages' requests are answered in another one."""

    def __init__(self) -> None:
        self._newest: tuple[int, bytes, str] = (-1, b"", "")
        self._trails = Trails()

    def app(self, token: str, hosts: Iterable[str] = ()) -> Starlette:
        """The application; only who knows the token may use it, see tracker/viewer/security.py."""
        routes = [
            Route("/", lambda _: FileResponse(STATIC / "live.html")),
            Route("/frame.jpg", self._frame),
            Mount("/static", StaticFiles(directory=STATIC)),
        ]
        return Starlette(routes=routes, middleware=[Middleware(Guard, token=token, hosts=hosts)])

    def show(self, frame: LiveFrame) -> None:
        """Make this frame the newest one."""
        self._trails.add(frame.frame.time_s, frame.people, frame.skeleton)
        image = draw_people(frame.frame.image, frame.people, frame.skeleton, trails=self._trails)
        _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        delay = "" if frame.delay_s is None else f", {frame.delay_s:.2f} s late"
        text = f"{len(frame.people)} people, {frame.frame.time_s:.1f} s{delay}, {frame.counts.dropped} frames dropped"
        self._newest = (frame.frame.index, data.tobytes(), text)

    def close(self) -> None:
        """Nothing is open."""

    async def _frame(self, request: Request) -> Response:
        """The newest frame after the one that the page has, as soon as there is one; 204 after two seconds."""
        after = request.query_params.get("after", "-1")
        seen = int(after) if after.removeprefix("-").isdigit() and len(after) < 16 else -1
        end_s = time.monotonic() + _WAIT_S
        while time.monotonic() < end_s:
            number, data, text = self._newest
            if number > seen:
                return Response(data, media_type="image/jpeg", headers={"X-Frame": str(number), "X-Text": text})
            await asyncio.sleep(_POLL_S)
        return Response(status_code=204)


def view_live(
    address: LiveAddress,
    settings: Settings,
    live_settings: LiveSettings = LiveSettings(),
    *,
    output: Path | None = None,
    host: str = LOCALHOST,
    port: int = 0,
    on_address: Callable[[str], None] = lambda _: None,
    on_event: Callable[[str], None] = lambda _: None,
    stopped: Callable[[], bool] = lambda: False,
) -> None:
    """Track a live source and serve a page that shows it, until the source ends or a stop is requested.

    Args:
        address: of the source.
        settings: all settings.
        live_settings: delay, stalls and reconnection.
        output: folder in which a run is written, with a recording; none if not given.
        host: address to listen at; another one than 127.0.0.1 lets other computers in.
        port: 0 for any free one.
        on_address: called with the address of the page, token included.
        on_event: called with a line for each event of the source.
        stopped: asked several times a second; true ends it.

    Raises:
        InputError: the source, a setting, the folder or the port cannot be used.
    """
    viewer, over = LiveViewer(), threading.Event()
    failure: list[BaseException] = []

    def track() -> None:
        try:
            with ExitStack() as stack:
                networks = stack.enter_context(open_networks(online_settings(settings)))
                source = stack.enter_context(LiveSource(address, live_settings))
                run = None
                if output is not None:
                    folder = session_folder(output, source)
                    run = stack.enter_context(LiveRun(folder, source, networks, settings, record=True))
                frames = live_frames(
                    source, networks, settings, on_event=lambda event: on_event(event.text), stopped=over.is_set
                )
                for frame in stack.enter_context(closing(frames)):
                    if run is not None:
                        run.add(frame)
                    viewer.show(frame)
        except BaseException as error:  # raised again below
            failure.append(error)
        finally:
            over.set()

    thread = threading.Thread(target=track, name="posetrail-view-live")
    thread.start()
    try:
        serve(viewer, host=host, port=port, on_address=on_address, stopped=lambda: stopped() or over.is_set())
    finally:
        over.set()
        thread.join()
    if failure:
        raise failure[0]
