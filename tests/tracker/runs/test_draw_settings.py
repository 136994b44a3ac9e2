"""Settings of drawn videos: people, a part, blurred faces, frame numbers, GIF; and what run.json says of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

import posetrail as pt
from posetrail.errors import InputError
from tests.truth_networks import truth_networks
from tests.worlds import Walker, World, line, write_images
from tracker.draw_settings import DrawSettings
from tracker.io.video import open_source
from tracker.runs.corrected import CorrectedRun
from tracker.runs.draw import draw_run
from tracker.runs.folder import run_clip
from tracker.settings import Settings

FRAMES = 24
WORLD = World(
    (Walker(line((20, 40), (120, 0)), size=(120, 300)), Walker(line((500, 75), (-120, 0)))), num_frames=FRAMES
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("worlds")
    images = write_images(WORLD, folder / "images")
    run_clip(open_source(images), folder / "run", truth_networks(WORLD), Settings())
    return folder / "run"


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "run")


def drawn(path: Path) -> list[np.ndarray]:
    return [frame.image.astype(int) for frame in open_source(path).frames()]


def differs(image: np.ndarray, walker: int, index: int) -> bool:
    """Whether something is drawn on the hips of a walker."""
    x, y = WORLD.walkers[walker].keypoints(index / 30)[[11, 12]].mean(axis=0)
    part = np.s_[round(y) - 2 : round(y) + 3, round(x) - 2 : round(x) + 3]
    return bool(np.abs(image[part] - WORLD.frame(index).image.astype(int)[part]).mean() > 40)


def detail(image: np.ndarray) -> np.ndarray:
    return image - cv2.GaussianBlur(image.astype(np.float32), (0, 0), 1.5)


def shows_face(image: np.ndarray, walker: int, index: int) -> bool:
    """Whether the details of a face can be seen."""
    joints = WORLD.walkers[walker].keypoints(index / 30)[:5]
    (x1, y1), (x2, y2) = joints.min(axis=0).astype(int) - 2, joints.max(axis=0).astype(int) + 3
    face = np.s_[max(y1, 0) : y2, max(x1, 0) : x2]
    details = [detail(each)[face].ravel() for each in (image, WORLD.frame(index).image)]
    return bool(np.corrcoef(*details)[0, 1] > 0.5)


def warnings(run: Path) -> list[dict[str, object]]:
    return json.loads((run / "run.json").read_text())["warnings"]


def test_only_the_chosen_people_are_drawn(run: Path, tmp_path: Path) -> None:
    people: list[int] = []
    images = drawn(draw_run(run, output=tmp_path / "v.mp4", settings=DrawSettings(persons="2"), on_frame=people.append))
    assert people == [1] * FRAMES
    assert [(differs(image, 0, k), differs(image, 1, k)) for k, image in enumerate(images)] == [(False, True)] * FRAMES


def test_people_are_chosen_by_name_and_labelled_with_it(run: Path, tmp_path: Path) -> None:
    with CorrectedRun(run, by="test") as opened:
        row = opened.clip.people(3).track_ids.tolist().index(1)
        opened.apply({"op": "name", "pose": [3, row], "name": "Jürgen"})
    by_name = drawn(draw_run(run, output=tmp_path / "name.mp4", settings=DrawSettings(persons="jürgen")))
    assert differs(by_name[5], 0, 5)
    assert not differs(by_name[5], 1, 5)
    with pytest.raises(InputError, match=r"persons: expected ids or names .*, got 'Anna'; it has 1, Jürgen, 2"):
        draw_run(run, settings=DrawSettings(persons="1,Anna"))


def test_a_part_of_the_clip_is_drawn(run: Path, tmp_path: Path) -> None:
    video = draw_run(run, output=tmp_path / "v.mp4", start_s=0.2, end_s=0.5)
    images = drawn(video)
    assert len(images) == 9  # frames 6 to 14
    assert all(differs(image, 0, 6 + k) for k, image in enumerate(images))
    assert next(iter(open_source(video).frames())).time_s == 0
    for bad, words in (({"start_s": 9.0}, "from 9 s to its end, got none"), ({"end_s": -1.0}, "end: expected")):
        with pytest.raises(InputError, match=words):
            draw_run(run, output=tmp_path / "w.mp4", **bad)
    assert not (tmp_path / "w.mp4").exists()


@pytest.mark.parametrize("jobs", [1, 2])
def test_no_frame_shows_a_face(run: Path, tmp_path: Path, jobs: int) -> None:
    settings = DrawSettings(blur_faces=True, persons="2", trails=False)  # no limbs on the face of the other person
    images = drawn(draw_run(run, output=tmp_path / "v.mp4", settings=settings, jobs=jobs))
    shown = drawn(draw_run(run, output=tmp_path / "w.mp4", settings=DrawSettings(persons="2", trails=False)))
    assert [shows_face(image, 0, k) for k, image in enumerate(shown)] == [True] * FRAMES
    assert [shows_face(image, 0, k) for k, image in enumerate(images)] == [False] * FRAMES


def test_a_removed_person_stays_blurred(run: Path, tmp_path: Path) -> None:
    with CorrectedRun(run, by="test") as opened:
        row = opened.clip.people(3).track_ids.tolist().index(1)
        opened.apply({"op": "remove", "pose": [3, row], "scope": "track"})
    images = drawn(draw_run(run, output=tmp_path / "v.mp4", settings=DrawSettings(blur_faces=True)))
    assert not any(shows_face(image, 0, k) for k, image in enumerate(images))
    assert shows_face(drawn(draw_run(run, output=tmp_path / "w.mp4"))[3], 0, 3)


def test_the_frame_number_stands_in_the_lower_left_corner(run: Path, tmp_path: Path) -> None:
    plain = drawn(draw_run(run, output=tmp_path / "plain.mp4"))
    numbered = drawn(draw_run(run, output=tmp_path / "v.mp4", settings=DrawSettings(frame_numbers=True)))
    height, width, _ = plain[0].shape
    for before, after in zip(plain[:3], numbered[:3], strict=True):
        changed = np.abs(after - before).max(axis=2) > 80
        rows, columns = np.nonzero(changed)
        assert changed.sum() > 100
        assert rows.min() > 0.8 * height
        assert columns.max() < 0.5 * width


def test_a_gif_has_at_most_15_frames_a_second_and_640_pixels(run: Path, tmp_path: Path) -> None:
    whole = draw_run(run, output=tmp_path / "v.gif")
    small = draw_run(run, output=tmp_path / "small.gif", settings=DrawSettings(gif_fps=5, gif_width=100))
    sizes = []
    for path in (whole, small):
        with av.open(str(path)) as container:
            pictures = list(container.decode(video=0))
        sizes.append((len(pictures), pictures[0].width, [round(picture.time or 0, 2) for picture in pictures[:3]]))
    width = WORLD.frame(0).image.shape[1]
    assert sizes == [(12, min(width, 640), [0.0, 0.07, 0.13]), (4, 100, [0.0, 0.2, 0.4])]
    first = drawn(whole)[0]
    assert differs(first, 0, 0)
    assert not list(tmp_path.glob(".*.gif*"))


def test_run_json_says_how_the_video_of_the_run_was_drawn(run: Path) -> None:
    draw_run(run, settings=DrawSettings(boxes=True, trails=False, line_width=3, colour="side"))
    (warning,) = warnings(run)
    assert warning["text"] == "drawn with --colour side --boxes --no-trails --line-width 3.0"
    assert not warning["incomplete"]
    draw_run(run, settings=DrawSettings(persons="2"), start_s=0.2, end_s=0.5)
    (warning,) = warnings(run)
    assert warning["text"] == f"shows only persons 2 from 0.2 s up to 0.5 s; `posetrail draw {run}` draws all"
    assert warning["incomplete"]
    draw_run(run)
    assert warnings(run) == []


def test_drawing_elsewhere_leaves_the_record_as_it_is(run: Path, tmp_path: Path) -> None:
    before = (run / "run.json").read_bytes()
    draw_run(run, output=tmp_path / "v.mp4", settings=DrawSettings(persons="1", boxes=True))
    assert (run / "run.json").read_bytes() == before


def test_settings_that_cannot_be_used_are_refused() -> None:
    for bad in ({"colour": "red"}, {"line_width": 0}, {"gif_width": 1}, {"boxes": "yes"}):
        with pytest.raises(InputError, match=next(iter(bad))):
            pt.DrawSettings(**bad)  # type: ignore[arg-type]
