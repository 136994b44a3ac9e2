"""Where joints are drawn: over the same place of the picture, at any zoom and size."""

from __future__ import annotations

import math

import pytest

from .driver import Driver

DISC = "r > 60 ? r - 60 : 0"
RING = "r > 200 && g > 200 && b > 200 ? a : 0"  # white, with a dot in its middle


@pytest.fixture
def page(driver: Driver, marked: str) -> Driver:
    """The left knee is chosen to be moved, and all else of the drawing hidden."""
    driver.page.emulate_media(color_scheme="dark")  # the ground beside the picture is dark, too
    driver.open(marked)
    driver.press("t", "i", "1", "j", "h")
    driver.press(*["Tab"] * 13)
    return driver


def gap(page: Driver) -> float:
    """CSS pixels between the disc in the picture and the ring of the knee."""
    disc = page.centre("picture", DISC)
    dot = page.centre("overlay", RING, (disc[0], disc[1], 12))
    return math.dist(disc[:2], dot[:2])


def test_a_joint_stands_on_its_place_in_the_picture(page: Driver) -> None:
    page.page.wait_for_timeout(300)  # the exact still
    assert gap(page) < 1


def test_a_joint_stays_on_its_place_at_any_zoom_and_size(page: Driver) -> None:
    box = page.page.locator("#stage").bounding_box()
    disc = page.centre("picture", DISC)
    page.page.mouse.move(box["x"] + disc[0] + 9, box["y"] + disc[1] - 5)
    for wheel in (-200, -300, -400, 250):
        page.page.mouse.wheel(0, wheel)
        page.page.wait_for_timeout(60)
        assert gap(page) < 1
    page.page.set_viewport_size({"width": 901, "height": 643})
    page.page.wait_for_timeout(150)
    assert gap(page) < 1
    page.press("Escape")  # leaves the joints; the selection stays
    page.press("z", "j", *["Tab"] * 13)
    page.page.wait_for_timeout(150)
    assert gap(page) < 1


def test_text_is_readable_at_twice_its_size(browser: object, marked: str) -> None:
    """A window of 1280 x 800 at 200 % has 640 x 400 CSS pixels: nothing is cut off or needs scrolling sideways."""
    with Driver.opened(browser, device_scale_factor=2) as driver:
        driver.page.set_viewport_size({"width": 640, "height": 400})
        driver.open(marked)
        assert driver.evaluate("document.documentElement.scrollWidth") <= 640
        for tab in ("#tab-suspects", "#tab-people", "#tab-log"):
            driver.page.click(tab)
            cut = driver.evaluate(
                """() => [...document.querySelectorAll("button, h1, p, label, span, strong, a")]
                  .filter((each) => each.checkVisibility() && each.scrollWidth > each.clientWidth + 1
                    && getComputedStyle(each).overflowX !== "visible" && !each.classList.contains("spoken"))
                  .map((each) => each.textContent.trim())"""
            )
            assert not cut
        driver.check()
