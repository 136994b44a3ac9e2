"""A run's folder: what stands in it, that it is whole, and what is left when something goes wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow.csv
import pytest

from estimators.movenet import MoveNet
from eval_posetrack.formats.files import read_clip
from posetrail.errors import InputError
from posetrail.skeletons import COCO_17
from tests.batch_worlds import data_files
from tests.truth_networks import truth_networks
from tests.worlds import TruthDetector, TruthEstimator, Walker, World, line, write_images
from tracker.association.tracker import Tracker
from tracker.io.pose_log import is_complete, read_pose_log
from tracker.io.video import open_source
from tracker.io.writers import WRITERS
from tracker.runs.draw import draw_run
from tracker.runs.folder import run_clip
from tracker.runs.follow import follow_poses, follow_run
from tracker.runs.networks import Networks, open_networks
from tracker.runs.record import Outcome
from tracker.runs.track import track
from tracker.settings import AssociationSettings, InferenceSettings, NetworkSettings, Settings

WORLD = World(
    (Walker(line((20, 60), (120, 0)), missed=lambda f: 8 <= f < 12), Walker(line((500, 75), (-120, 0)))), num_frames=24
)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(WORLD, tmp_path_factory.mktemp("worlds") / "two walkers")


def run(images: Path, folder: Path, settings: Settings | None = None, **options: object) -> Outcome:
    return run_clip(open_source(images), folder, truth_networks(WORLD), settings or Settings(), **options)  # type: ignore[arg-type]


def test_a_run_writes_pose_log_tracks_and_run_json(images: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out" / "clip"
    outcome = run(images, folder)
    assert (outcome.status, outcome.frames, outcome.people) == ("complete", 24, 2)
    assert {path.name for path in folder.iterdir()} == {"poses.arrow", "tracks.json", "tracks.csv", "run.json"}
    assert is_complete(folder / "poses.arrow")

    told = json.loads((folder / "run.json").read_text())
    assert told["status"] == "complete"
    assert told["figures"]["frames"] == 24
    assert told["settings"]["inference"]["flow"] == "lk"
    assert told["input"]["fingerprint"] == open_source(images).fingerprint
    assert told["files"] == ["poses.arrow", "tracks.json", "tracks.csv", "run.json"]


def test_the_tracks_are_where_the_people_are(images: Path, tmp_path: Path) -> None:
    run(images, tmp_path / "clip")
    table = pyarrow.csv.read_csv(tmp_path / "clip" / "tracks.csv").to_pydict()
    assert set(table["track_id"]) == {1, 2}
    assert len(table["frame"]) == 24 * 2 * 17
    for frame, time_s, track_id, joint, x in zip(
        table["frame"], table["time_s"], table["track_id"], table["joint"], table["x"], strict=True
    ):
        if joint == "nose":
            assert x == pytest.approx(WORLD.walkers[track_id - 1].keypoints(time_s)[0, 0], abs=0.01), frame
    clip = read_clip(tmp_path / "clip" / "tracks.json")
    assert clip.num_frames == 24
    assert sorted(set(clip.track_ids.tolist())) == [1, 2]
    assert clip.image_names[3].endswith("000003.png")


def test_following_again_gives_what_tracking_with_those_settings_gives(images: Path, tmp_path: Path) -> None:
    other = AssociationSettings(similarity="iou", assignment="greedy", track_buffer_s=0.0, confirmation_evidence=0.0)
    run(images, tmp_path / "directly", Settings(association=other))
    run(images, tmp_path / "again")
    outcome = follow_run(tmp_path / "again", other)
    assert outcome.frames == 24
    assert data_files(tmp_path / "directly") == data_files(tmp_path / "again")
    assert json.loads((tmp_path / "again" / "run.json").read_text())["settings"]["association"]["similarity"] == "iou"


def test_online_files_agree_with_the_tracker_frame_by_frame(images: Path, tmp_path: Path) -> None:
    settings = AssociationSettings(offline=False)
    outcome = run(images, tmp_path / "clip", Settings(association=settings))
    assert outcome.interpolated == 0
    clip = read_clip(tmp_path / "clip" / "tracks.json")
    tracker = Tracker(settings, COCO_17)
    for t, frame in enumerate(read_pose_log(tmp_path / "clip" / "poses.arrow")[1]):
        people = tracker.update_frame(frame)
        assert clip.track_ids[clip.frames == t].tolist() == people.track_ids.tolist()


def test_offline_files_mark_interpolated_poses(images: Path, tmp_path: Path) -> None:
    without_flow = Settings(inference=InferenceSettings(propagate=False, flow="none"))
    blind = Networks(TruthDetector(WORLD), TruthEstimator(WORLD), None, (), "cpu")
    outcome = run_clip(open_source(images), tmp_path / "clip", blind, without_flow)
    assert (outcome.people, outcome.poses, outcome.interpolated) == (2, 48, 4)  # of one who is missed in four frames
    table = pyarrow.csv.read_csv(tmp_path / "clip" / "tracks.csv").to_pydict()
    interpolated = {frame for frame, is_filled in zip(table["frame"], table["interpolated"], strict=True) if is_filled}
    assert interpolated == {8, 9, 10, 11}
    assert json.loads((tmp_path / "clip" / "run.json").read_text())["figures"]["interpolated"] == 4
    assert read_clip(tmp_path / "clip" / "tracks.json").interpolated.sum() == 4


def test_following_into_another_folder_leaves_the_run_as_it_was(images: Path, tmp_path: Path) -> None:
    run(images, tmp_path / "run", formats=("csv", "mot"))
    before = data_files(tmp_path / "run")
    outcome = follow_run(tmp_path / "run", AssociationSettings(new_track_score=0.99), output=tmp_path / "new")
    assert outcome.people == 0
    assert data_files(tmp_path / "run") == before
    assert {path.name for path in (tmp_path / "new").iterdir()} == {
        "poses.arrow",
        "tracks.csv",
        "tracks.mot.txt",
        "run.json",
    }
    follow_run(tmp_path / "new", AssociationSettings())
    assert data_files(tmp_path / "new") == before


def test_the_same_again_is_the_same_to_the_byte(images: Path, tmp_path: Path) -> None:
    formats = ("posetrack18", "posetrack17", "csv", "parquet", "coco", "mot")
    run(images, tmp_path / "one", formats=formats)
    run(images, tmp_path / "two", formats=formats)
    assert len(data_files(tmp_path / "one")) == 7
    assert data_files(tmp_path / "one") == data_files(tmp_path / "two")


def test_results_of_an_earlier_run_do_not_stay_among_the_new(images: Path, tmp_path: Path) -> None:
    run(images, tmp_path / "clip", formats=("csv", "mot"), video=True)
    (tmp_path / "clip" / "notes.txt").write_text("mine")
    run(images, tmp_path / "clip", formats=("csv",), if_exists="replace")
    assert {path.name for path in (tmp_path / "clip").iterdir()} == {
        "poses.arrow",
        "tracks.csv",
        "run.json",
        "notes.txt",
    }


def test_a_video_is_drawn_during_the_run_or_after_it(images: Path, tmp_path: Path) -> None:
    run(images, tmp_path / "clip", video=True)
    frames = list(open_source(tmp_path / "clip" / "video.mp4").frames())
    assert [frame.time_s for frame in frames] == pytest.approx([i / 30 for i in range(24)], abs=1e-4)
    assert np.abs(frames[0].image.astype(int) - WORLD.frame(0).image).max() > 50  # somebody is drawn there
    later = draw_run(tmp_path / "clip", output=tmp_path / "later.mp4")
    for one, other in zip(frames, open_source(later).frames(), strict=True):
        assert np.array_equal(one.image, other.image)


def test_the_video_comes_after_the_tracks_and_can_be_stopped(images: Path, tmp_path: Path) -> None:
    drawn: list[int] = []
    folder = tmp_path / "clip"

    def on_drawn(people: int) -> None:
        assert (folder / "tracks.csv").exists()
        drawn.append(people)

    outcome = run(images, folder, video=True, on_drawn=on_drawn, stopped=lambda: len(drawn) == 9)
    assert (outcome.status, outcome.frames) == ("complete", 24)
    assert drawn == [2] * 9
    assert len(list(open_source(folder / "video.mp4").frames())) == 9
    (warning,) = outcome.warnings
    assert warning == f"video.mp4: stopped before the end of the clip; `posetrail draw {folder}` draws all of it"
    assert json.loads((folder / "run.json").read_text())["files"] == list(outcome.files)
    assert "video.mp4" in outcome.files


def test_a_stopped_run_is_not_drawn_and_names_the_command_to_draw_it(images: Path, tmp_path: Path) -> None:
    seen: list[int] = []
    outcome = run(images, tmp_path / "clip", video=True, on_frame=seen.append, stopped=lambda: len(seen) == 10)
    assert outcome.status == "interrupted"
    assert "stopped; 10 frames are kept" in outcome.reason
    assert outcome.warnings == (f"video.mp4: not drawn; `posetrail draw {tmp_path / 'clip'}` draws it",)
    assert "video.mp4" not in outcome.files
    assert len(list(open_source(draw_run(tmp_path / "clip")).frames())) == 10


def test_a_damaged_clip_is_drawn_as_far_as_it_goes(tmp_path: Path) -> None:
    images = write_images(WORLD, tmp_path / "images")
    (images / "000013.png").write_bytes(b"torn")
    run(images, tmp_path / "clip")
    frames = list(open_source(draw_run(tmp_path / "clip")).frames())
    assert len(frames) == 23


def test_drawing_on_another_clip_is_refused(images: Path, tmp_path: Path) -> None:
    run(images, tmp_path / "clip")
    other = write_images(replace(WORLD, num_frames=3, textures=[]), tmp_path / "other")
    with pytest.raises(InputError, match="not the clip that was tracked"):
        draw_run(tmp_path / "clip", input=other)
    assert not (tmp_path / "clip" / "video.mp4").exists()


def test_a_run_that_is_stopped_keeps_what_is_done(images: Path, tmp_path: Path) -> None:
    seen = []
    outcome = run(images, tmp_path / "clip", on_frame=seen.append, stopped=lambda: len(seen) == 10)
    assert (outcome.status, outcome.frames) == ("interrupted", 10)
    assert read_clip(tmp_path / "clip" / "tracks.json").num_frames == 10
    _, frames = read_pose_log(tmp_path / "clip" / "poses.arrow")
    assert [frame.index for frame in frames] == list(range(10))


def test_when_ids_outgrow_posetrack_the_other_files_are_written(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tracker.io.writers.posetrack.LARGEST_TRACK_ID", 1)
    outcome = run(images, tmp_path / "clip")
    assert outcome.status == "complete"
    assert outcome.files == ("poses.arrow", "tracks.csv", "run.json")
    assert "PoseTrack files end at track id 1" in outcome.warnings[0]
    assert not (tmp_path / "clip" / "tracks.json").exists()


def test_a_damaged_clip_gives_the_frames_it_has(tmp_path: Path) -> None:
    images = write_images(WORLD, tmp_path / "images")
    (images / "000013.png").write_bytes(b"torn")
    outcome = run(images, tmp_path / "clip")
    assert (outcome.status, outcome.frames, outcome.people) == ("damaged", 23, 2)
    assert "000013.png" in outcome.reason
    assert json.loads((tmp_path / "clip" / "run.json").read_text())["reason"] == outcome.reason


def test_a_fault_in_the_middle_leaves_no_half_files(images: Path, tmp_path: Path) -> None:
    def fail(_people: int) -> None:
        raise RuntimeError("out of the blue")

    with pytest.raises(RuntimeError, match="out of the blue"):
        run(images, tmp_path / "out" / "clip", on_frame=fail)
    assert [path.name for path in (tmp_path / "out" / "clip").iterdir()] == ["poses.arrow"]


def test_what_fails_after_seeing_leaves_the_log_and_no_half_files(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("out of the blue")

    monkeypatch.setattr("tracker.runs.results.associate_clip", fail)
    with pytest.raises(RuntimeError, match="out of the blue"):
        run(images, tmp_path / "clip", formats=tuple(WRITERS), video=True)
    assert [path.name for path in (tmp_path / "clip").iterdir()] == ["poses.arrow"]
    monkeypatch.undo()
    assert follow_poses(tmp_path / "clip", AssociationSettings()).people == 2


def test_what_cannot_begin_leaves_nothing_behind(images: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(InputError, match="cannot be created"):
        run(images, blocked / "clip")
    with pytest.raises(InputError, match="unknown file format"):
        run(images, tmp_path / "out" / "clip", formats=("cvs",))
    source = open_source(images, start_s=0.71, end_s=0.72)
    with pytest.raises(InputError, match="expected frames between"):
        run_clip(source, tmp_path / "out" / "clip", truth_networks(WORLD), Settings())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="folder of a finished run"):
        follow_run(tmp_path, AssociationSettings())
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(InputError, match="expected schema_version 1, got none"):
        follow_run(tmp_path, AssociationSettings())
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(InputError, match="not JSON"):
        follow_run(tmp_path, AssociationSettings())


@pytest.mark.parametrize(
    ("chosen", "margin"),
    [(NetworkSettings(), 0.2), (NetworkSettings(crop_mask_margin=0.4), 0.4), (NetworkSettings(crop_mask=False), None)],
    ids=["default", "given", "off"],
)
def test_the_crop_mask_can_be_set_and_switched_off(chosen: NetworkSettings, margin: float | None) -> None:
    with open_networks(Settings(networks=chosen)) as opened:
        assert isinstance(opened.estimator, MoveNet)
        assert opened.estimator.crop_mask_margin == margin
        assert opened.applied == {"crop_mask_margin": margin}


def test_run_json_holds_what_was_applied_not_what_was_left_open(images: Path, tmp_path: Path) -> None:
    def of_run(folder: Path) -> tuple[object, object]:
        content = json.loads((folder / "run.json").read_text())
        return content["settings"]["networks"]["crop_mask"], content["applied"]

    run(images, tmp_path / "clip")  # its estimator applies no mask
    assert of_run(tmp_path / "clip") == (None, {"crop_mask_margin": None, "smooth": "kalman"})
    follow_run(tmp_path / "clip", AssociationSettings(offline=False), output=tmp_path / "again")
    assert of_run(tmp_path / "again") == (None, {"crop_mask_margin": None, "smooth": "none"})


def test_a_mask_that_the_estimator_does_not_apply_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="crop_mask_margin: expected none without a crop mask, got"):
        NetworkSettings(crop_mask=False, crop_mask_margin=0.2)
    for estimator, said in (
        (
            SimpleNamespace(crop_mask_margin=None, skeleton=COCO_17),
            "give the margin around the box: --crop-mask-margin",
        ),
        (SimpleNamespace(skeleton=COCO_17), "leave --crop-mask out"),
    ):
        monkeypatch.setattr("tracker.runs.networks.create_estimator", lambda *_, made=estimator, **__: made)
        with (
            pytest.raises(
                InputError, match=f"expected an estimator that masks its crops by default, got movenet_thunder; {said}"
            ),
            open_networks(Settings(networks=NetworkSettings(crop_mask=True))),
        ):
            pass


def test_the_example_is_followed_by_the_real_networks(example_clip: Path) -> None:
    frames = list(track(example_clip, end_s=0.2))
    assert len(frames) == 12
    for frame in frames:
        assert frame.image is not None
        assert frame.image.shape == (1920, 1088, 3)
        assert {1, 2} <= set(frame.people.track_ids.tolist())
    biggest = frames[0].people.poses.boxes
    assert (biggest[:, 3] - biggest[:, 1]).max() > 700


@pytest.mark.parametrize("threads", [1, 3])
def test_the_number_of_threads_changes_nothing(example_clip: Path, threads: int) -> None:
    def numbers(threads: int) -> list[tuple[list[int], bytes]]:
        settings = Settings(networks=NetworkSettings(threads=threads), inference=InferenceSettings(detect_every=2))
        followed = track(example_clip, settings, end_s=0.1)
        return [(f.people.track_ids.tolist(), f.people.poses.keypoints.tobytes()) for f in followed]

    assert numbers(2) == numbers(threads)
