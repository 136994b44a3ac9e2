"""The page as a whole: its help, runs without a clip or without the right to write, and what it asks for."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.viewer import viewing
from tools.docs_keys import read_keys

from .driver import Driver

# All keys of a keyboard by the names that the table gives them; those of the browser itself are left out.
LETTERS = [chr(code) for code in range(ord("A"), ord("Z") + 1)]
NAMED = ["Left", "Right", "Up", "Down", "Home", "End", "PageUp", "PageDown", "Space", "Del", "Backspace", "Enter"]
SIGNS = [*"0123456789", ",", ".", "[", "]", "+", "-", "?", "/", ";", "Esc"]
PLAIN = [*LETTERS, *NAMED, *SIGNS]
SHIFTED = [f"Shift+{key}" for key in (*LETTERS, *NAMED)]
CODES = {"Left": "ArrowLeft", "Right": "ArrowRight", "Up": "ArrowUp", "Down": "ArrowDown", "Space": " "}
CODES |= {"Del": "Delete", "Esc": "Escape"}

_PREVENTED = """([key, shift, ctrl]) => {
  const stage = document.getElementById("stage");
  stage.focus();
  const event = new KeyboardEvent("keydown", {key, shiftKey: shift, ctrlKey: ctrl, bubbles: true, cancelable: true});
  stage.dispatchEvent(event);
  const dialog = document.getElementById("help");
  if (dialog.open) dialog.close();
  return event.defaultPrevented;
}"""


def is_bound(driver: Driver, name: str) -> bool:
    """Whether the page takes a key."""
    *modifiers, key = name.split("+") if name != "+" else ["+"]
    shift = "Shift" in modifiers
    key = key.lower() if len(key) == 1 and not shift else CODES.get(key, key)
    return bool(driver.evaluate(_PREVENTED, [key, shift, "Ctrl" in modifiers]))


def test_the_help_lists_exactly_the_keys_that_are_bound(driver: Driver, marked: str) -> None:
    nothing = {"text": "nothing", "first": 0, "last": 0, "poses": 0, "tracks": [], "revision": 0}
    for path in ("effect", "ops"):  # the keys are pressed, and shall change nothing
        driver.page.route(f"**/api/{path}", lambda route: route.fulfill(json=nothing))
    driver.open(marked)
    driver.press("?")
    listed = set(driver.page.locator("#help-keys kbd").all_inner_texts())
    driver.press("Escape")
    assert listed == {name for key in read_keys() for name in key["keys"]}
    everywhere = {name for key in read_keys() for name in key["keys"] if not key.get("mode")}
    tab = {"Tab", "Shift+Tab"}
    tried = {*PLAIN, *SHIFTED, *everywhere} - tab
    assert not [name for name in sorted(tried - everywhere) if is_bound(driver, name)]
    assert all(is_bound(driver, name) for name in sorted(everywhere - tab))
    driver.open(marked)
    driver.press("1", "j")  # joints are moved now
    assert all(is_bound(driver, name) for key in read_keys() if key.get("mode") for name in key["keys"])


def test_tab_goes_through_the_people_and_then_out_of_the_picture(driver: Driver, marked: str) -> None:
    driver.open(marked)
    driver.press("Tab")
    assert driver.text("#selected").startswith("Person 1")
    driver.press("Tab")
    assert driver.text("#selected") == "No person selected"
    assert driver.evaluate("document.activeElement.id !== 'stage'")


def test_without_its_clip_a_run_can_be_seen_and_corrected(driver: Driver, walking: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(walking, tmp_path / "run"))
    with viewing(run, input=tmp_path / "gone.mp4") as client:
        driver.open(client.address)
        assert "gone.mp4" in driver.text("#mode")
        assert "\n" not in driver.text("#mode")
        driver.press("ArrowRight", "ArrowRight")
        driver.settle(2)
        driver.press("1", "x")
        driver.until(lambda: "exchange" in driver.text("#confirm-text"), "the change is described")
        driver.press("Enter")
        driver.until(lambda: driver.evaluate("document.documentElement.dataset.revision === '1'"), "it is made")
        driver.press("Space")
        driver.until(lambda: driver.frame > 5, "it plays")
        ground, skeleton = driver.evaluate(
            """["picture", "overlay"].map((id) => {
              const canvas = document.getElementById(id);
              return [...canvas.getContext("2d").getImageData(canvas.width >> 1, canvas.height >> 1, 1, 1).data];
            })"""
        )
        assert max(ground[:3]) - min(ground[:3]) < 12  # grey
        assert len(skeleton) == 4


def test_a_run_that_cannot_be_written_is_shown_only(driver: Driver, marked: str) -> None:
    def read_only(route: Any) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "read_only": True})

    driver.page.route("**/api/run", read_only)
    driver.open(marked)
    assert "Read only" in driver.text("#mode")
    assert not driver.page.locator("[data-edits]:visible").count()
    driver.press("1", "x")
    driver.until(lambda: "reading only" in driver.text("#toast"), "it says so")
    assert not driver.page.is_visible("#confirm")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(driver: Driver, marked: str, scheme: str) -> None:
    """Contrast of at least 4.5 : 1 (WCAG AA) of all text that is not disabled."""
    driver.page.emulate_media(color_scheme=scheme)
    driver.open(marked)
    driver.press("1", "r")
    low = driver.evaluate(
        """() => {
          const channel = (value) => (value /= 255) <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
          const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
          const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
          const ground = (each) => {
            for (; each; each = each.parentElement) {
              const colour = rgb(getComputedStyle(each).backgroundColor);
              if (colour.length === 3 || colour[3] > 0.5) return colour;
            }
          };
          const found = [];
          for (const each of document.querySelectorAll("body *")) {
            const hasText = [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
            if (!hasText || !each.checkVisibility() || each.matches(":disabled, :disabled *, option")) continue;
            const [a, b] = [light(rgb(getComputedStyle(each).color)), light(ground(each))].sort((x, y) => y - x);
            if ((a + 0.05) / (b + 0.05) < 4.5) found.push([each.textContent, (a + 0.05) / (b + 0.05)]);
          }
          return found;
        }"""
    )
    assert not low


def test_every_control_has_a_name(driver: Driver, marked: str) -> None:
    driver.open(marked)
    nameless = driver.evaluate(
        """[...document.querySelectorAll("button, input, select, [role]")]
          .filter((each) => !(each.ariaLabel || each.getAttribute("aria-labelledby") || each.labels?.length
            || each.textContent.trim() || ["status", "img"].includes(each.role)))
          .map((each) => each.outerHTML)"""
    )
    assert not nameless


def test_a_folder_of_runs_is_a_list_that_leads_to_each(driver: Driver, walking: Path, tmp_path: Path) -> None:
    for name in ("first", "<b>second</b>".replace("/", "_")):
        shutil.copytree(walking, tmp_path / "runs" / name)
    with viewing(tmp_path / "runs") as client:
        driver.page.goto(client.address)
        driver.until(lambda: driver.page.locator(".card").count() == 2, "both runs are listed")
        assert "<b>second" in driver.text("#queue")
        assert "60 frames" in driver.text("#queue")
        driver.page.click("text=first")
        driver.until(lambda: driver.evaluate("document.documentElement.dataset.ready === 'true'"), "the run is open")
        assert driver.text("#run-name") == "first"
        driver.page.click(".brand")
        driver.until(lambda: driver.page.locator(".card").count() == 2, "the list is back")
