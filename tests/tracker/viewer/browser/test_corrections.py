"""Corrections by keys alone, each described before it is made; other windows; names as text."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.viewer import viewing

from . import runs
from .driver import Driver

HOSTILE = '<img src=x onerror="document.title=1">'


@pytest.fixture
def address(walking: Path, tmp_path: Path) -> Iterator[str]:
    """A run of three people, for one test alone."""
    with viewing(Path(shutil.copytree(walking, tmp_path / "run"))) as client:
        yield client.address


@pytest.fixture
def page(driver: Driver, address: str) -> Driver:
    driver.open(address)
    return driver


def ids(driver: Driver, position: int) -> list[int]:
    """The ids of the people of a frame, from left to right."""
    script = """async (position) => {
      const { getPoses } = await import(new URL("../../static/api.js", location.href).href);
      const [frame] = await getPoses(position, 1);
      const order = [...frame.ids.keys()].sort((a, b) => frame.boxes[4 * a] - frame.boxes[4 * b]);
      return order.map((row) => frame.ids[row]);
    }"""
    return [int(each) for each in driver.evaluate(script, position)]


def joint(driver: Driver, position: int, track: int, number: int) -> list[float]:
    script = """async ([position, track, number]) => {
      const { getPoses } = await import(new URL("../../static/api.js", location.href).href);
      const [frame] = await getPoses(position, 1);
      const at = 2 * (frame.ids.indexOf(track) * frame.joints + number);
      return [frame.keypoints[at], frame.keypoints[at + 1]].map((value) => Number.isNaN(value) ? null : value);
    }"""
    return list(driver.evaluate(script, [position, track, number]))


def go(driver: Driver, position: int) -> None:
    driver.press("g")
    driver.page.keyboard.insert_text(str(position))
    driver.press("Enter")
    driver.settle(position)


def described(driver: Driver, *words: str) -> str:
    """The text of the bar, once the server has described the change."""

    def text() -> str:
        is_ready = driver.evaluate("!confirm.hidden && !document.getElementById('confirm-do').disabled")
        return driver.text("#confirm-text") if is_ready and driver.page.is_visible("#confirm") else ""

    driver.until(lambda: all(word in text() for word in words) and text() != "", f"the bar says {words}: {text()}")
    return text()


def apply(driver: Driver, *words: str) -> None:
    """Wait for the description of a change, then make it."""
    described(driver, *words)
    before = revision(driver)
    driver.press("Enter")
    driver.until(lambda: revision(driver) > before, "the change is made")
    driver.until(lambda: not driver.page.is_visible("#confirm"), "the bar is gone")


def revision(driver: Driver) -> int:
    return int(driver.evaluate("document.documentElement.dataset.revision"))


def test_swap_and_undo_and_redo(page: Driver) -> None:
    go(page, 10)
    page.press("1", "x")
    assert "10" in described(page, "exchange")
    assert ids(page, 12) == [1, 2, 3]  # nothing is changed before it is confirmed
    apply(page)
    assert ids(page, 9) == [1, 2, 3]
    assert ids(page, 12) == [2, 1, 3]
    page.press("Control+z")
    apply(page, "ndone")
    assert ids(page, 12) == [1, 2, 3]
    page.press("Control+Shift+z")
    apply(page, "again")
    assert ids(page, 12) == [2, 1, 3]


def test_swap_in_one_frame_with_a_person_chosen_by_number(page: Driver) -> None:
    go(page, 10)
    page.press("1", "Shift+X")
    described(page, "only")
    page.press("3")
    apply(page, "3", "only")
    assert [ids(page, position) for position in (9, 10, 11)] == [[1, 2, 3], [3, 2, 1], [1, 2, 3]]


def test_split_and_join(page: Driver) -> None:
    go(page, 20)
    page.press("2", "s")
    apply(page, "2")
    new = ids(page, 25)[1]
    assert new != 2
    assert ids(page, 19)[1] == 2
    page.press("m")
    apply(page, "2")
    assert ids(page, 25)[1] == ids(page, 19)[1]


def test_remove_in_one_frame_and_from_a_frame_on(page: Driver) -> None:
    go(page, 5)
    page.press("1", "Shift+Delete")
    apply(page, "5")
    assert [len(ids(page, position)) for position in (4, 5, 6)] == [3, 2, 3]
    go(page, 30)
    page.press("2", "Delete")
    apply(page, "30")
    assert [len(ids(page, position)) for position in (29, 30, 50)] == [2, 1, 2]


def test_a_name_is_shown_as_text(page: Driver) -> None:
    page.press("2", "r")
    page.page.keyboard.insert_text(HOSTILE)
    apply(page)
    page.page.click("#tab-people")
    assert HOSTILE in page.text("#people")
    assert HOSTILE in page.text("#selected")
    page.page.click("#tab-log")
    assert HOSTILE in page.text("#log")
    assert page.page.locator("img").count() == 0
    assert page.page.title() != "1"


def test_move_a_joint_by_keys_and_by_the_pointer_and_hide_it(page: Driver) -> None:
    before = np.array(joint(page, 0, 1, 13))
    page.press("1", "j", *["Tab"] * 13, "ArrowRight", "ArrowRight", "Shift+ArrowDown")
    apply(page, "knee")
    assert np.allclose(joint(page, 0, 1, 13), before + np.array([2, 10]), atol=0.02)
    scale, left, top = (float(value) for value in page.evaluate("stage.dataset.matrix").split())
    box = page.page.locator("#stage").bounding_box()
    x, y = (before + np.array([2, 10])) * scale + [box["x"] + left, box["y"] + top]
    page.page.mouse.move(x, y)
    page.page.mouse.down()
    page.page.mouse.move(x + 5 * scale, y - 3 * scale, steps=4)
    page.page.mouse.up()
    apply(page, "knee")
    assert np.allclose(joint(page, 0, 1, 13), before + np.array([7, 7]), atol=0.3)
    page.press("v")
    apply(page, "hidden")
    assert joint(page, 0, 1, 13) == [None, None]


def test_exchange_left_and_right(page: Driver) -> None:
    go(page, 10)
    left, right = joint(page, 10, 1, 13), joint(page, 10, 1, 14)
    page.press("1", "l")
    described(page)
    page.page.select_option("#option-part", "legs")
    page.page.fill("#option-to", "12")
    described(page, "legs", "12")
    page.press("Enter")
    page.until(lambda: revision(page) == 1, "the change is made")
    assert (joint(page, 10, 1, 13), joint(page, 10, 1, 14)) == (right, left)
    assert joint(page, 10, 1, 5)[0] > joint(page, 10, 1, 6)[0]  # the shoulders stay


def test_add_a_person_who_was_missed(page: Driver) -> None:
    page.press("3")
    go(page, 30)
    assert ids(page, 30) == [1, 2]
    page.press("+")
    described(page)
    page.press("ArrowRight")
    apply(page)
    assert ids(page, 30) == [1, 2, 3]
    page.press("Escape", "Escape", "+")
    apply(page)
    assert len(ids(page, 30)) == 4  # a new person


def test_checked_up_to_here(page: Driver) -> None:
    go(page, 12)
    page.press("c")
    apply(page, "0", "12")
    go(page, 20)
    page.press("c")
    apply(page, "13", "20")


def test_escape_cancels_and_the_same_key_confirms(page: Driver) -> None:
    page.press("1", "x")
    described(page)
    page.press("Escape")
    assert not page.page.is_visible("#confirm")
    assert revision(page) == 0
    page.press("x")
    described(page)
    page.press("x")
    page.until(lambda: revision(page) == 1, "the change is made")


def test_a_change_that_is_refused_says_why_and_cannot_be_applied(page: Driver) -> None:
    page.expected = ("422",)
    page.press("1", "m", "2")
    page.until(lambda: "both in 60 frames" in page.text("#confirm-text"), "the reason is shown")
    assert page.page.is_disabled("#confirm-do")
    page.press("Enter")
    page.page.wait_for_timeout(200)
    assert revision(page) == 0
    page.press("Escape")
    assert not page.page.is_visible("#confirm")


def test_keys_write_in_text_fields(page: Driver) -> None:
    page.press("1", "r")
    described_field = page.page.locator("#option-name")
    page.page.keyboard.type("xsn")
    assert described_field.input_value() == "xsn"
    page.press("Escape")
    assert revision(page) == 0


@pytest.mark.parametrize("hears", [True, False])
def test_the_slower_of_two_windows_sees_the_others_change(
    page: Driver, browser: Any, address: str, hears: bool
) -> None:
    """Whether or not the server's event came before the change was confirmed."""
    with Driver.opened(browser) as other:
        if not hears:
            other.page.route("**/api/events", lambda route: route.abort())
            other.expected = ("ERR_FAILED",)
        other.open(address)
        go(other, 10)
        other.press("1", "x")
        described(other, "exchange")
        page.press("3", "r")
        page.page.keyboard.insert_text("Ada")
        apply(page, "Ada")
        if hears:
            other.until(lambda: "Ada" in other.text("#confirm"), "the other's change is shown")
        else:
            other.expected += ("409",)
            other.press("Enter")
            other.until(lambda: "Ada" in other.text("#confirm"), "the other's change is shown")
        assert "exchange" in described(other, "exchange")
        assert ids(page, 12) == [1, 2, 3]
        other.press("Enter")
        page.until(lambda: ids(page, 12) == [2, 1, 3], "both changes are made")
        page.until(lambda: revision(page) == 2, "the first window follows")
        other.check()


def test_a_planted_exchange_is_found_with_one_key_and_repaired_with_two(driver: Driver, tmp_path: Path) -> None:
    with viewing(runs.exchanging(tmp_path)) as client:
        driver.open(client.address)
        assert (ids(driver, 27), ids(driver, 33)) == ([1, 2], [2, 1])
        driver.press("n")
        driver.until(driver.is_playing, "the suspect plays")
        seen = set[int]()
        driver.until(lambda: seen.add(driver.frame) or (min(seen) < 15 and max(seen) > 33), "it plays again and again")
        driver.press("x")
        described(driver, "exchange")
        assert abs(driver.frame - 33) <= 5
        apply(driver)
        assert (ids(driver, 27), ids(driver, 33), ids(driver, 59)) == ([1, 2], [1, 2], [1, 2])
        driver.until(lambda: "0" in driver.text("#count-suspects"), "the suspect is repaired")
        driver.page.click("#associate")
        driver.until(lambda: revision(driver) > 1, "ids are assigned again")
        assert (ids(driver, 27), ids(driver, 33), ids(driver, 59)) == ([1, 2], [1, 2], [1, 2])
