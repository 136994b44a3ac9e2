"""The page of a live source shows the newest frame to who has the token."""

from __future__ import annotations

import threading
from pathlib import Path
from queue import Queue
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest
import requests

from tests.tracker.live.servers import mjpeg_server, sends
from tests.tracker.live.sights import images, opened
from tracker.io.live_address import live_address
from tracker.settings import Settings
from tracker.viewer import live
from tracker.viewer.live import view_live


def test_the_page_shows_new_frames_and_a_run_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "open_networks", opened)
    addresses, over = Queue[str](), threading.Event()
    with mjpeg_server(sends(images())) as server:
        options = {"output": tmp_path, "on_address": addresses.put, "stopped": over.is_set}
        arguments = (live_address(server.url("user:secret@")), Settings())
        thread = threading.Thread(target=view_live, args=arguments, kwargs=options)
        thread.start()
        try:
            page = addresses.get(timeout=30)
            base = "http://" + urlsplit(page).netloc
            assert requests.get(f"{base}/frame.jpg", timeout=10).status_code == 403
            with requests.Session() as session:
                assert "live.js" in session.get(page, timeout=10).text
                first = session.get(f"{base}/frame.jpg", timeout=10)
                number = int(first.headers["X-Frame"])
                second = session.get(f"{base}/frame.jpg?after={number}", timeout=10)
        finally:
            over.set()
            thread.join()
    assert int(second.headers["X-Frame"]) > number
    image = cv2.imdecode(np.frombuffer(second.content, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert image.shape == (96, 128, 3)
    (run,) = tmp_path.iterdir()
    assert (run / "run.json").is_file()
