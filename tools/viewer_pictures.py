"""Makes the pictures of the viewer for the documentation: `uv run python -m tools.viewer_pictures CLIP RUN`.

RUN is copied, so its corrections stay as they are. Needs Chromium.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from playwright.sync_api import sync_playwright

from tests.viewer import viewing
from tools.docs_pictures import PICTURES

_SIZE = {"width": 1280, "height": 800}
_WIDTH = 900  # of the pictures
_WAIT_S = 120


def main(clip: Path, run: Path) -> int:
    """Write view_light.jpg, a suspect and a swap, and view_dark.jpg, a joint that is moved."""
    with _chromium() as browser, tempfile.TemporaryDirectory() as place:
        copy = Path(shutil.copytree(run, Path(place) / run.name))
        with viewing(copy, input=clip) as client:
            for scheme, prepare in (("light", _suspect), ("dark", _knee)):
                context = browser.new_context(viewport=_SIZE, color_scheme=scheme)
                page = context.new_page()
                page.goto(client.address)
                _until(page, "document.documentElement.dataset.ready === 'true'")
                _until(page, "[...document.querySelectorAll('video')].some((video) => video.readyState >= 2)")
                prepare(page)
                page.wait_for_timeout(1500)
                _save(page.screenshot(), PICTURES / f"view_{scheme}.jpg")
                context.close()
    return 0


def _save(png: bytes, path: Path) -> None:
    image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    height = round(image.shape[0] * _WIDTH / image.shape[1])
    small = cv2.resize(image, (_WIDTH, height), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(path), small, [cv2.IMWRITE_JPEG_QUALITY, 58])


def _suspect(page: Any) -> None:
    page.keyboard.press("n")
    page.wait_for_timeout(3000)
    page.keyboard.press("x")


def _knee(page: Any) -> None:
    page.keyboard.press("g")
    page.keyboard.insert_text("102")
    for key in ("Enter", "2", "z", "j", *["Tab"] * 13, *["ArrowRight"] * 8):
        page.keyboard.press(key)
        page.wait_for_timeout(150)


def _until(page: Any, script: str) -> None:
    end = time.monotonic() + _WAIT_S
    while not page.evaluate(script):
        if time.monotonic() > end:
            raise SystemExit(f"not within {_WAIT_S} s: {script}")
        page.wait_for_timeout(100)


@contextmanager
def _chromium() -> Iterator[Any]:
    with sync_playwright() as playwright:
        program = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=program, args=["--headless=new", "--no-sandbox"])
        yield browser
        browser.close()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
