"""Endurance of live tracking: memory, delay and drops over a long time, with a server that fails again and again.

    uv run python -m benchmarks.live --minutes 60

An HTTP server in a process of its own plays the example clip as MJPEG at `--fps`. Once a minute, in turns, it closes
the connection, stalls for longer than the client waits, sends garbage, or changes its resolution. The client is
`live_frames` with the built-in networks and a run folder. Prints one line a minute, and at the end the growth of memory
from the third minute on, percentiles of the delay from arrival to result, and what was dropped.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path

import av
import cv2
import numpy as np

CLIP = Path(__file__).parent.parent / "examples" / "pose2sim_cam01.mp4"
STALL_S = 3.0
FAULTS = ("closes", "stalls", "garbage", "resolution")


def pictures(width: int) -> Iterator[bytes]:
    """The example clip as JPEG of this width, again and again."""
    kept = []
    with av.open(str(CLIP)) as clip:
        for picture in itertools.islice(clip.decode(video=0), 0, 120, 2):
            image = picture.to_ndarray(format="bgr24")
            size = width, round(width * picture.height / picture.width)
            kept.append(cv2.imencode(".jpg", cv2.resize(image, size, interpolation=cv2.INTER_AREA))[1].tobytes())
    yield from itertools.cycle(kept)


def serve(pipe: Connection, fps: float, width: int, fault_s: float) -> None:
    """Serve the clip and its faults until the process is ended."""
    streams = {side: pictures(side) for side in (width, width * 3 // 2)}
    faults = itertools.cycle(FAULTS)
    started = time.monotonic()
    state = {"width": width, "next": started + fault_s}

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
            self.end_headers()
            while True:
                if time.monotonic() >= state["next"]:
                    state["next"] += fault_s
                    fault = next(faults)
                    if fault == "closes":
                        return
                    if fault == "stalls":
                        time.sleep(2 * STALL_S)
                    elif fault == "garbage":
                        self.wfile.write(os.urandom(100_000))
                    else:
                        state["width"] = next(side for side in streams if side != state["width"])
                data = next(streams[int(state["width"])])
                head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                try:
                    self.wfile.write(head.encode() + data + b"\r\n")
                except OSError:
                    return
                time.sleep(1 / fps)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        server.daemon_threads = True
        pipe.send(server.server_address[1])
        server.serve_forever()


def memory_mb() -> float:
    """Resident memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--fps", type=float, default=15.0)
    parser.add_argument("--width", type=int, default=480)
    parser.add_argument("--fault-s", type=float, default=60.0, help="seconds between faults of the server")
    options = parser.parse_args()

    from tracker.io.live_address import live_address
    from tracker.io.live_source import LiveSource
    from tracker.live_settings import LiveSettings
    from tracker.runs.live import live_frames, online_settings
    from tracker.runs.live_folder import LiveRun
    from tracker.runs.networks import open_networks
    from tracker.settings import Settings

    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    arguments = (theirs, options.fps, options.width, options.fault_s)
    server = context.Process(target=serve, args=arguments, daemon=True)
    server.start()
    address = live_address(f"http://127.0.0.1:{ours.recv()}/video.mjpg")
    settings = online_settings(Settings())
    delays: list[float] = []
    memory: list[tuple[float, float]] = []
    events: list[str] = []
    end_s = time.monotonic() + 60 * options.minutes
    live_settings = LiveSettings(stall_s=STALL_S, longest_retry_s=4.0)
    with (
        tempfile.TemporaryDirectory() as folder,
        open_networks(settings) as networks,
        LiveSource(address, live_settings) as source,
        LiveRun(Path(folder) / "run", source, networks, settings) as run,
        closing(
            live_frames(
                source,
                networks,
                settings,
                on_event=lambda event: events.append(event.kind),
                stopped=lambda: time.monotonic() > end_s,
            )
        ) as frames,
    ):
        minute = 0
        for frame in frames:
            run.add(frame)
            delays.append(frame.delay_s or 0.0)
            memory.append((source.now_s, memory_mb()))
            if source.now_s >= 60 * (minute + 1):
                minute += 1
                counts = frame.counts
                print(
                    f"{minute} min: {len(delays)} frames, {counts.dropped} of {counts.arrived} dropped, "
                    f"{counts.connections} connections, {memory[-1][1]:.0f} MB, "
                    f"delay {1000 * np.median(delays[-300:]):.0f} ms, people {len(frame.people)}",
                    flush=True,
                )
    server.terminate()
    times, sizes = np.array(memory).T
    settled = times > min(120.0, times[-1] / 3)
    slope = np.polyfit(times[settled] / 3600, sizes[settled], 1)[0]
    p50, p95, p99, most = (1000 * np.percentile(delays, q) for q in (50, 95, 99, 100))
    print(f"frames {len(delays)}, {source.counts}")
    print({kind: events.count(kind) for kind in dict.fromkeys(events)})
    print(
        f"memory {sizes[settled][0]:.0f} MB -> {sizes[-1]:.0f} MB, at most {sizes.max():.0f}; slope {slope:+.1f} MB/h"
    )
    print(f"delay median {p50:.0f} ms, p95 {p95:.0f}, p99 {p99:.0f}, largest {most:.0f}")


if __name__ == "__main__":
    main()
