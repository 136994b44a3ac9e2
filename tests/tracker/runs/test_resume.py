"""A run that broke off goes on where it was, and nothing in its files tells of it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from posetrail.errors import InputError
from tests.batch_worlds import data_files
from tests.worlds import PowerCut, TruthDetector, TruthEstimator, Walker, World, line, power_cut_after
from tracker.inference.propagation import create_flow
from tracker.io.pose_log import is_complete, places, read_pose_log
from tracker.io.video import open_source
from tracker.runs.folder import run_clip
from tracker.runs.networks import Networks
from tracker.runs.record import Outcome
from tracker.settings import AssociationSettings, InferenceSettings, NetworkSettings, Settings

WORLD = World(
    (
        Walker(line((20, 60), (150, 0)), missed=lambda f: 8 <= f < 12),
        Walker(line((200, 75), (-120, 0)), missed=lambda f: f % 5 == 3),
    ),
    num_frames=26,
    size=(320, 200),
)
# Everything that remembers: a queue of poses moved by flow, frames without detection, a camera compared with an anchor.
SETTINGS = Settings(inference=InferenceSettings(queue_frames=3, detect_every=2))


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The world, filmed by a camera that drifts so slowly that only several frames together show it."""
    folder = tmp_path_factory.mktemp("worlds") / "slow pan"
    folder.mkdir()
    for frame in WORLD.frames():
        shift = np.array([[1, 0, 0.11 * frame.index], [0, 1, 0.0]])
        image = cv2.warpAffine(frame.image, shift, WORLD.size, borderMode=cv2.BORDER_REPLICATE)
        image[0, 0] = frame.image[0, 0]
        cv2.imwrite(str(folder / f"{frame.index:06d}.png"), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    return folder


def networks(detector: TruthDetector | None = None) -> Networks:
    return Networks(detector or TruthDetector(WORLD), TruthEstimator(WORLD), create_flow("lk"), (), "cpu")


def run(images: Path, folder: Path, settings: Settings = SETTINGS, **options: object) -> Outcome:
    options = {"if_exists": "continue", **options}
    looking = options.pop("networks", None) or networks()
    return run_clip(open_source(images), folder, looking, settings, **options)  # type: ignore[arg-type]


def run_until(frames: int, images: Path, folder: Path) -> None:
    """A run that ends at once after so many new frames."""
    with pytest.raises(PowerCut):
        run(images, folder, on_frame=power_cut_after(frames))


@pytest.fixture(scope="module")
def undisturbed(images: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("undisturbed") / "clip"
    assert run(images, folder).frames == 26
    moved = [
        frame.index for frame in read_pose_log(folder / "poses.arrow")[1] if (frame.camera_motion != np.eye(2, 3)).any()
    ]
    assert 4 < len(moved) < 22  # the camera's memory matters: it is told in steps
    return data_files(folder)


@pytest.mark.parametrize("frames", range(1, 27, 3))
def test_a_run_that_broke_off_ends_with_the_same_bytes(
    images: Path, undisturbed: dict[str, bytes], tmp_path: Path, frames: int
) -> None:
    run_until(frames, images, tmp_path / "clip")
    assert not is_complete(tmp_path / "clip" / "poses.arrow")
    assert run(images, tmp_path / "clip").frames == 26
    assert data_files(tmp_path / "clip") == undisturbed


def test_a_run_may_break_off_again_and_again(images: Path, undisturbed: dict[str, bytes], tmp_path: Path) -> None:
    for _ in range(3):
        run_until(7, images, tmp_path / "one")
    for frames in (5, 10, 15, 20, 25):  # counted from the start, those recalled among them
        run_until(frames, images, tmp_path / "clip")
    assert run(images, tmp_path / "clip").status == "complete"
    assert data_files(tmp_path / "clip") == undisturbed


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.77, 0.999])
@pytest.mark.parametrize("tail", [b"", b"\0" * 5000, b"garbage" * 99])
def test_a_log_cut_anywhere_and_filled_with_rubbish_is_gone_on_with(
    images: Path, undisturbed: dict[str, bytes], tmp_path: Path, share: float, tail: bytes
) -> None:
    folder = tmp_path / "clip"
    folder.mkdir()
    log = undisturbed["poses.arrow"]
    (folder / "poses.arrow").write_bytes(log[: int(len(log) * share)] + tail)
    run(images, folder)
    assert data_files(folder) == undisturbed


def test_inferred_frames_are_not_inferred_again(images: Path, tmp_path: Path) -> None:
    run_until(19, images, tmp_path / "clip")
    detector = TruthDetector(WORLD)
    run(images, tmp_path / "clip", networks=networks(detector))
    assert detector.images_seen == 5  # every second of the frames from 16, the end of the last full batch, to 25


def test_a_finished_run_is_left_as_it_is(images: Path, tmp_path: Path) -> None:
    first = run(images, tmp_path / "clip")
    before = (tmp_path / "clip" / "run.json").read_bytes()
    again = run(images, tmp_path / "clip", networks=networks(detector := TruthDetector(WORLD)))
    assert detector.images_seen == 0
    assert replace(again, seconds=0) == replace(first, seconds=0)
    assert (tmp_path / "clip" / "run.json").read_bytes() == before


def test_a_file_that_is_missing_is_made_from_the_log(
    images: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    run(images, tmp_path / "clip")
    (tmp_path / "clip" / "tracks.csv").unlink()
    run(images, tmp_path / "clip", networks=networks(detector := TruthDetector(WORLD)))
    assert detector.images_seen == 0
    assert data_files(tmp_path / "clip") == undisturbed
    run(images, tmp_path / "clip", video=True)
    assert "video.mp4" in data_files(tmp_path / "clip")


def test_other_settings_are_refused_or_replace_the_run(images: Path, tmp_path: Path) -> None:
    folder = tmp_path / "clip"
    for disturb in (lambda: run(images, folder), lambda: run_until(9, images, folder)):
        shutil.rmtree(folder, ignore_errors=True)
        disturb()
        before = data_files(folder)
        with pytest.raises(InputError, match=r"detect_every was 2, now 1.*--redo"):
            run(images, folder, replace(SETTINGS, inference=replace(SETTINGS.inference, detect_every=1)))
        with pytest.raises(InputError, match=r"stride was 1, now 2"):
            run_clip(open_source(images, stride=2), folder, networks(), SETTINGS, if_exists="continue")
        with pytest.raises(InputError, match=r"crop_scale was None, now 1.5"):
            run(images, folder, replace(SETTINGS, networks=NetworkSettings(crop_scale=1.5)))
        assert data_files(folder) == before
    run(images, folder)
    with pytest.raises(InputError, match=r"track_buffer_s was 2.0, now 1.0"):
        run(images, folder, replace(SETTINGS, association=AssociationSettings(track_buffer_s=1.0)))
    run(images, folder, replace(SETTINGS, networks=NetworkSettings(threads=1)))  # changes the speed alone


def test_with_redo_other_settings_replace_what_is_there(images: Path, tmp_path: Path) -> None:
    other = replace(SETTINGS, association=AssociationSettings(offline=False))
    run(images, tmp_path / "clip")
    detector = TruthDetector(WORLD)
    run(images, tmp_path / "clip", other, networks=networks(detector), if_exists="adapt")
    assert detector.images_seen == 0  # following needs no pixels
    run(images, tmp_path / "anew", other)
    assert data_files(tmp_path / "clip") == data_files(tmp_path / "anew")

    blind = replace(other, inference=InferenceSettings(propagate=False))
    assert "replaced" in run(images, tmp_path / "clip", blind, if_exists="adapt").warnings[0]
    run(images, tmp_path / "blind", blind)
    assert data_files(tmp_path / "clip") == data_files(tmp_path / "blind")


def test_a_log_replaced_half_does_not_pass_for_the_old_run(images: Path, tmp_path: Path) -> None:
    run(images, tmp_path / "clip")

    blind = replace(SETTINGS, inference=InferenceSettings(propagate=False))
    with pytest.raises(PowerCut):
        run(images, tmp_path / "clip", blind, if_exists="adapt", on_frame=power_cut_after(1))
    with pytest.raises(InputError, match="other settings"):
        run(images, tmp_path / "clip")
    assert run(images, tmp_path / "clip", blind).frames == 26


def test_a_clip_with_new_content_is_done_anew_and_another_clip_is_refused(images: Path, tmp_path: Path) -> None:
    clip = tmp_path / "a" / "clip"
    shutil.copytree(images, clip)
    run(clip, tmp_path / "out")
    (clip / "000025.png").unlink()
    outcome = run(clip, tmp_path / "out")
    assert outcome.frames == 25
    assert "has changed" in outcome.warnings[0]
    with pytest.raises(InputError, match="holds the results of"):
        run(images, tmp_path / "out")
    clip.rename(tmp_path / "moved")
    assert run(tmp_path / "moved", tmp_path / "out").frames == 25  # the same content elsewhere is the same clip


def test_a_stopped_run_is_continued(images: Path, undisturbed: dict[str, bytes], tmp_path: Path) -> None:
    seen: list[int] = []
    run(images, tmp_path / "clip", on_frame=seen.append, stopped=lambda: len(seen) == 10)
    assert json.loads((tmp_path / "clip" / "run.json").read_text())["status"] == "interrupted"
    assert len(list(places(tmp_path / "clip" / "poses.arrow"))) == 10
    run(images, tmp_path / "clip")
    assert data_files(tmp_path / "clip") == undisturbed
