"""Picture, number and skeleton belong to the same frame: after jumps, steps and pauses, and across seams."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.viewer import viewing

from . import runs
from .driver import Driver

SIZE = (256, 128)
FRAMES = 60
SKELETON = "a"  # any pixel drawn
BOX_LEFT, BOX_WIDTH = 10, 30  # of the person in frame 0, who goes a pixel to the right with every frame


def agree(driver: Driver, position: int, number: int | None = None) -> None:
    """All three show a frame, by its number in the video."""
    number = position if number is None else number
    driver.settle(position)
    matrix = driver.evaluate("document.getElementById('stage').dataset.matrix")
    scale, left, _ = (float(value) for value in matrix.split())
    _, _, x1, x2 = driver.centre("overlay", SKELETON)
    middle = ((x1 + x2) / 2 - left) / scale
    shown = (driver.number(SIZE), driver.field, round(middle - BOX_LEFT - BOX_WIDTH / 2))
    assert shown == (number, number, number)


@pytest.fixture(scope="module")
def numbered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a run whose frames show their numbers, in preview pieces of 16 frames."""
    with (
        pytest.MonkeyPatch.context() as patch,
        viewing(runs.numbered(tmp_path_factory.mktemp("numbered"), patch)) as client,
    ):
        yield client.address


@pytest.fixture
def page(driver: Driver, numbered: str) -> Driver:
    driver.open(numbered)
    driver.press("t", "i")  # no trails, no labels
    driver.until(driver.preview_is_ready, "the preview is loaded")
    return driver


def test_jumps_show_the_frame_asked_for(page: Driver) -> None:
    for position in np.random.default_rng(0).integers(0, FRAMES, 40).tolist():
        page.page.fill("#frame", str(position))
        page.press("Enter")
        agree(page, position)


def test_steps_forth_and_back_across_seams(page: Driver) -> None:
    for position in range(1, FRAMES):
        page.press("ArrowRight")
        agree(page, position)
    for position in range(FRAMES - 2, FRAMES - 2 - 2 * runs.PIECE_FRAMES, -1):
        page.press("ArrowLeft")
        agree(page, position)


def test_many_steps_at_once_end_where_they_should(page: Driver) -> None:
    page.press(*["f"] * 25)
    agree(page, 25)
    page.press(*["Shift+D"] * 2, ".", ".")
    agree(page, 7)


@pytest.mark.parametrize("speed", ["0.25", "1", "4"])
def test_pauses_while_playing(page: Driver, speed: str) -> None:
    page.page.select_option("#speed", speed)
    page.evaluate("document.getElementById('stage').focus()")
    for wait_ms in (150, 260, 370):
        before = page.frame
        page.press("Space")
        page.until(lambda before=before: page.frame != before, "it plays")
        page.page.wait_for_timeout(wait_ms)
        if page.is_playing():
            page.press("Space")
        page.until(lambda: not page.is_playing(), "it pauses")
        page.page.wait_for_timeout(250)  # the exact still replaces the preview
        agree(page, page.frame)


def test_playing_goes_through_every_piece_to_the_end(page: Driver) -> None:
    seen = page.evaluate(
        """() => new Promise((resolve) => {
          const stage = document.getElementById("stage"), play = document.getElementById("play");
          const seen = [];
          const see = () => seen.push(Number(stage.dataset.frame));
          const end = () => play.getAttribute("aria-pressed") === "false" && setTimeout(() => resolve(seen), 200);
          new MutationObserver(see).observe(stage, {attributeFilter: ["data-frame"]});
          new MutationObserver(end).observe(play, {attributeFilter: ["aria-pressed"]});
          play.click();
          setTimeout(() => resolve(seen), 25000);
        })"""
    )
    assert seen[-1] == FRAMES - 1
    assert seen == sorted(seen)
    agree(page, FRAMES - 1)


def test_numbers_are_those_of_the_video_where_a_run_has_a_start_and_a_stride(driver: Driver, tmp_path: Path) -> None:
    with viewing(runs.strided(tmp_path)) as client:
        driver.open(client.address)
        driver.press("t", "i")
        driver.until(driver.preview_is_ready, "the preview is loaded")
        for position in (0, 9, 3, 15, 4):
            driver.page.fill("#frame", str(12 + 3 * position))
            driver.press("Enter")
            agree(driver, position, 12 + 3 * position)
        driver.press("ArrowRight", "ArrowRight")
        agree(driver, 6, 30)
