"""The report of a run: a file that is complete in itself, with figures that are right and names that are text."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from posetrail.errors import InputError
from posetrail.poses import Poses, TrackedPoses
from tests.command_line import fails, succeeds
from tests.pose_frames import missed_in
from tests.truth_networks import truth_networks
from tests.worlds import Walker, World, line, write_images
from tracker.frames import TrackedFrame
from tracker.io.video import open_source
from tracker.runs.corrected import CorrectedRun
from tracker.runs.folder import run_clip
from tracker.runs.report import write_report
from tracker.runs.report_charts import TimeAxis, clock, joint_chart, timeline
from tracker.runs.report_figures import people_of, spans_of
from tracker.runs.report_stills import part_around
from tracker.settings import AssociationSettings, Settings
from tracker.tracked_clip import TrackedClip, tracked_clip

NAME = '<img src=x onerror=alert(1)> & "Ada"'
WORLD = World(
    (
        Walker(line((20, 60), (240, 0)), hidden=missed_in((20, 32))),
        Walker(line((500, 75), (-240, 0))),
        Walker(line((300, 180), (10, 10)), hidden=missed_in((0, 14), (40, 48))),
    ),
    num_frames=48,
)
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three people, one of whom has a name that is markup; some frames are checked."""
    folder = tmp_path_factory.mktemp("reports")
    images = write_images(WORLD, folder / "walkers")
    settings = Settings(association=AssociationSettings(max_link_gap_s=0.1, track_buffer_s=0.1))
    run_clip(open_source(images), folder / "run", truth_networks(WORLD), settings)
    with CorrectedRun(folder / "run", by="<b>Ben</b>") as opened:
        opened.apply({"op": "name", "pose": [5, 0], "name": NAME})
        opened.apply({"op": "checked", "from": 0, "to": 11})
    return folder / "run"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium; `apt-get install chromium` brings one")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--headless=new", "--no-sandbox"])
        yield browser
        browser.close()


def clip_of(seen: dict[int, list[int]], num_frames: int, fps: float = 10.0) -> TrackedClip:
    """A clip in which each track id has a pose in these frames."""
    frames = []
    for k in range(num_frames):
        ids = [track_id for track_id, positions in seen.items() if k in positions]
        keypoints = np.full((len(ids), 17, 2), 50.0)
        poses = Poses(
            keypoints, np.full((len(ids), 17), 0.64), np.full((len(ids), 4), 9), np.ones(len(ids)), np.zeros(len(ids))
        )
        frames.append(TrackedFrame(k, k / fps, f"{k}.jpg", TrackedPoses(poses, np.array(ids, np.int64))))
    return tracked_clip(frames, 17)


# Figures --------------------------------------------------------------------------------------------------------------


def test_time_in_view_and_re_entries_of_each_person() -> None:
    early, short_gap, long_gap = range(10), range(15, 20), range(35, 40)
    first, second = people_of(clip_of({1: [*early, *short_gap, *long_gap], 4: [39]}, 40))
    assert (first.track_id, second.track_id) == (1, 4)
    assert first.in_view_s == pytest.approx(2.0)
    assert first.spans == ((0, 9), (15, 19), (35, 39))
    assert first.re_entries == 1  # half a second is no re-entry, one and a half are
    assert (first.first_s, first.last_s) == pytest.approx((0.0, 3.9))
    assert first.mean_score == pytest.approx(0.8)
    assert (second.in_view_s, second.re_entries) == (pytest.approx(0.1), 0)


def test_spans_of_successive_frames() -> None:
    assert spans_of(np.array([], int)) == ()
    assert spans_of(np.array([4])) == ((4, 4),)
    assert spans_of(np.array([1, 2, 5, 6, 9])) == ((1, 2), (5, 6), (9, 9))


def test_ticks_are_round_and_few() -> None:
    for length in (0.3, 1.7, 9.0, 61.0, 600.0, 3600.0, 90000.0):
        ticks = TimeAxis(0.0, length).ticks()
        assert 2 <= len(ticks) <= 10 or length > 3600 * 9
        assert ticks[0] == 0
    assert [clock(each) for each in (0.5, 59.97, 61, 7325)] == ["0.50 s", "1:00", "1:01", "2:02:05"]


def test_charts_of_long_clips_stay_small_and_keep_the_extremes() -> None:
    times_s = np.arange(100_000) / 30
    heights = 200 + np.random.default_rng(0).uniform(-50, 50, 100_000)
    heights[70_000] = 900
    html = joint_chart("Wrists", TimeAxis(0, times_s[-1]), [("left wrist", [np.column_stack([times_s, heights])])], 1)
    assert len(html) < 40_000
    assert "L700 95" in html
    few = np.array([[0.0, 3.0], [500.0, 5.0], [1000.0, 4.0]])
    html = joint_chart("Wrists", TimeAxis(0, 1000), [("left wrist", [few])], 1)
    assert 'd="M0 5L500 95L1000 50"' in html


def test_bars_are_where_a_person_is_in_view() -> None:
    clip = clip_of({1: [*range(10), *range(20, 40)]}, 40)
    html = timeline(people_of(clip), clip.times_s, clip.times_s + 0.1, {}, ((0, 3),))
    (bars,) = re.findall(r'class="bar" d="([^"]*)"', html)
    assert re.findall(r"M([\d.]+) 25H([\d.]+)", bars) == [("0.0", "250.0"), ("500.0", "1000.0")]
    assert 'class="checked" d="M0.0 40H100.0' in html


def test_a_still_shows_the_people_in_question_and_is_inside_the_image() -> None:
    for boxes in ([[10, 10, 40, 90]], [[600, 300, 700, 420]], [[0, 0, 640, 360]], [[300, 100, 310, 120]]):
        x1, y1, x2, y2 = part_around(np.array(boxes, float), 640, 360)
        assert 0 <= x1 < x2 <= 640
        assert 0 <= y1 < y2 <= 360
        assert x1 <= boxes[0][0] + 5
    assert part_around(np.zeros((0, 4)), 640, 360) == (0, 0, 640, 360)


# The file -------------------------------------------------------------------------------------------------------------


def test_the_file_opens_without_any_request(run: Path, browser: Any) -> None:
    file = write_report(run)
    with browser.new_page() as page:
        requests, problems = [], []
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(file.as_uri())
        assert [url for url in requests if not url.startswith("data:")] == [file.as_uri()]
        assert problems == []
        images = page.eval_on_selector_all("img", "images => images.map(i => i.complete && i.naturalWidth)")
        assert len(images) >= 2
        assert all(width > 100 for width in images)


def test_names_are_text(run: Path, browser: Any) -> None:
    with browser.new_page() as page:
        page.goto(write_report(run).as_uri())
        assert NAME in page.inner_text("table")
        assert page.query_selector('img[src="x"]') is None
        assert "<b>Ben</b>" in page.inner_text("table.log")


@pytest.mark.parametrize("width", [1280, 640, 360])  # 1280 pixels, at 100 % and at 200 %, and a telephone
def test_nothing_is_cut_off_at_any_width(run: Path, browser: Any, width: int) -> None:
    with browser.new_page(viewport={"width": width, "height": 800}) as page:
        page.goto(write_report(run).as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        sizes = page.evaluate(
            "[...document.querySelectorAll('body *')].filter(e => [...e.childNodes].some(n => n.nodeType === 3"
            " && n.textContent.trim())).filter(e => !e.closest('svg'))"
            ".map(e => parseFloat(getComputedStyle(e).fontSize))"
        )
        assert min(sizes) >= 12.8
        assert page.eval_on_selector_all("svg text", "texts => texts.length") == 0  # writing in SVG would shrink


def test_light_and_dark(run: Path, browser: Any) -> None:
    file = write_report(run)
    grounds = []
    for scheme in ("light", "dark"):
        with browser.new_page(color_scheme=scheme) as page:
            page.goto(file.as_uri())
            grounds.append(page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))
    light, dark = (sum(map(int, re.findall(r"\d+", ground)[:3])) for ground in grounds)
    assert light > 700
    assert dark < 120


def test_without_scripts_and_small(run: Path, tmp_path: Path) -> None:
    text = write_report(run, tmp_path / "a.html").read_text()
    assert "<script" not in text
    assert "http" not in re.sub(r"http-equiv", "", text)
    assert len(text) < 2_000_000
    assert write_report(run, tmp_path / "b.html").read_text() == text


def test_without_the_clip_there_are_no_stills_and_one_line_says_so(run: Path, tmp_path: Path) -> None:
    images = run.parent / "walkers"
    images.rename(tmp_path / "moved")
    try:
        text = write_report(run, tmp_path / "a.html").read_text()
        assert "<img" not in text
        assert "There are no stills" in text
        assert "Timeline" in text
        assert "<img" in write_report(run, tmp_path / "b.html", input=tmp_path / "moved").read_text()
    finally:
        (tmp_path / "moved").rename(images)


def test_another_clip_is_refused(run: Path, tmp_path: Path) -> None:
    other = write_images(World((Walker(line((20, 60), (90, 0))),), num_frames=3), tmp_path / "other")
    with pytest.raises(InputError, match="is not the clip that was tracked"):
        write_report(run, tmp_path / "a.html", input=other)
    assert not (tmp_path / "a.html").exists()


def test_faces_are_blurred_on_request(run: Path, tmp_path: Path) -> None:
    plain = write_report(run, tmp_path / "a.html").read_text()
    blurred = write_report(run, tmp_path / "b.html", blur_faces=True).read_text()
    stills = [re.findall(r"data:image/jpeg;base64,[^\"]*", text) for text in (plain, blurred)]
    assert len(stills[0]) == len(stills[1]) >= 2
    assert all(a != b for a, b in zip(*stills, strict=True))


def test_suspects_that_are_fine_are_left_out(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    before = write_report(folder, tmp_path / "a.html").read_text()
    from tracker.runs.suspects import find_suspects

    with CorrectedRun(folder) as opened:
        for suspect in find_suspects(folder):
            opened.apply({"op": "fine", "suspect": suspect.suspect_id})
    after = write_report(folder, tmp_path / "b.html").read_text()
    assert 'class="places' in before
    assert "No place is marked as doubtful" in after


def test_a_run_without_people(tmp_path: Path) -> None:
    empty = World((Walker(line((20, 60), (0, 0)), hidden=lambda _: True),), num_frames=5)
    images = write_images(empty, tmp_path / "empty")
    run_clip(open_source(images), tmp_path / "run", truth_networks(empty), Settings())
    assert "No person was tracked" in write_report(tmp_path / "run").read_text()


def test_the_command(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.html"
    assert succeeds(capsys, "report", run, "-o", file, "--blur-faces") == f"{file}\n"
    assert file.read_text().startswith("<!doctype html>")
    assert "run.json" in fails(capsys, "report", tmp_path)
    assert "is a file of the run" in fails(capsys, "report", run, "-o", run / "run.json")
