"""Drives a page of the viewer and reads what it shows, from the pixels of its canvases."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

WAIT_S = 30.0

_NUMBER = """() => {
  const stage = document.getElementById("stage"), canvas = document.getElementById("picture");
  const ratio = canvas.width / stage.getBoundingClientRect().width;
  const [scale, left, top] = stage.dataset.matrix.split(" ").map(Number);
  const context = canvas.getContext("2d");
  const [width, height] = SIZE;
  let number = 0;
  for (let bit = 0; bit < 8; bit++) {
    const x = (((bit % 4) + 0.5) / 4) * width, y = ((bit >> 2) + 0.5) / 2 * height;
    const data = context.getImageData((x * scale + left) * ratio - 3, (y * scale + top) * ratio - 3, 6, 6).data;
    let sum = 0;
    for (let k = 0; k < data.length; k += 4) sum += data[k] + data[k + 1] + data[k + 2];
    if (sum / (data.length / 4 * 3) > 128) number |= 1 << bit;
  }
  return number;
}"""

# The centre, in CSS pixels of the stage, of the pixels of a canvas that fit a test on (red, green, blue, alpha).
_CENTRE = """(near) => {
  const stage = document.getElementById("stage"), canvas = document.getElementById("CANVAS");
  const ratio = canvas.width / stage.getBoundingClientRect().width;
  const {data, width} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let x = 0, y = 0, sum = 0, x1 = Infinity, x2 = -Infinity;
  for (let k = 0; k < data.length; k += 4) {
    const weight = ((r, g, b, a) => WEIGHT)(data[k], data[k + 1], data[k + 2], data[k + 3]);
    if (weight <= 0) continue;
    const column = (k / 4) % width, row = Math.floor(k / 4 / width);
    if (near && Math.hypot(column / ratio - near[0], row / ratio - near[1]) > near[2]) continue;
    x += weight * (column + 0.5); y += weight * (row + 0.5); sum += weight;
    x1 = Math.min(x1, column); x2 = Math.max(x2, column + 1);
  }
  return sum ? [x / sum / ratio, y / sum / ratio, x1 / ratio, x2 / ratio] : null;
}"""


@dataclass
class Driver:
    """A tab of the browser."""

    page: Any
    problems: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    expected: tuple[str, ...] = ()  # parts of problems that the test causes

    @classmethod
    @contextmanager
    def opened(cls, browser: Any, **options: Any) -> Iterator[Driver]:
        """A tab in a context of its own."""
        context = browser.new_context(viewport={"width": 1200, "height": 800}, **options)
        driver = cls(context.new_page())
        driver.watch()
        try:
            yield driver
        finally:
            context.close()

    def watch(self) -> None:
        """Collect errors, reports of the content security policy, and requests to other hosts."""
        page = self.page
        page.on("console", lambda each: each.type == "error" and self.problems.append(each.text))
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("request", lambda each: urlsplit(each.url).hostname != "127.0.0.1" and self.elsewhere.append(each.url))

    def check(self) -> None:
        """Nothing went wrong, and nothing outside was asked."""
        unexpected = [each for each in self.problems if not any(part in each for part in self.expected)]
        assert not unexpected
        assert not self.elsewhere

    def open(self, address: str) -> None:
        """Open a run by the address that the viewer printed."""
        self.page.goto(address)
        self.until(lambda: self.evaluate("document.documentElement.dataset.ready === 'true'"), "the page is ready")

    def evaluate(self, script: str, argument: Any = None) -> Any:
        """The value of an expression in the page."""
        return self.page.evaluate(script, argument)

    def until(self, holds: Any, what: str, wait_s: float = WAIT_S) -> None:
        """Wait until something holds."""
        end = time.monotonic() + wait_s
        while not holds():
            assert time.monotonic() < end, f"not within {wait_s} s: {what}"
            self.page.wait_for_timeout(10)

    def press(self, *keys: str) -> None:
        """Press keys one after the other."""
        for key in keys:
            self.page.keyboard.press(key)

    # What is shown ----------------------------------------------------------------------------------------------------

    @property
    def frame(self) -> int:
        """The position of the frame in the picture."""
        return int(self.evaluate("document.getElementById('stage').dataset.frame"))

    @property
    def field(self) -> int:
        """The number in the text field."""
        return int(self.page.input_value("#frame"))

    def text(self, selector: str) -> str:
        """The text of an element."""
        return str(self.page.inner_text(selector))

    def is_at(self, position: int) -> bool:
        """Whether a frame is in the picture."""
        return self.frame == position

    def settle(self, position: int) -> None:
        """Wait until a frame is in the picture."""
        self.until(lambda: self.is_at(position), f"frame {position} is shown")

    def number(self, size: tuple[int, int]) -> int:
        """The number painted in the picture of `tests.media.numbered_image`."""
        return int(self.evaluate(_NUMBER.replace("SIZE", f"[{size[0]}, {size[1]}]")))

    def centre(self, canvas: str, weight: str, near: tuple[float, float, float] | None = None) -> list[float]:
        """x, y, left and right of the pixels of a canvas, weighted by an expression of r, g, b and a.

        `near` is x, y and radius of a circle outside of which nothing counts.
        """
        found = self.evaluate(_CENTRE.replace("CANVAS", canvas).replace("WEIGHT", weight), near)
        assert found, f"no such pixels on the {canvas}"
        return [float(value) for value in found]

    def preview_is_ready(self) -> bool:
        """Whether the preview of the frame in the picture has been loaded."""
        return bool(self.evaluate("[...document.querySelectorAll('video')].some(video => video.readyState >= 2)"))

    def is_playing(self) -> bool:
        """Whether the page plays."""
        return self.page.get_attribute("#play", "aria-pressed") == "true"
