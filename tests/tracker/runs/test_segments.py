"""A clip seen in segments, by several workers, is followed as one, and nobody's files tell who saw what."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posetrail.errors import InputError
from posetrail.poses import Poses
from posetrail.skeletons import COCO_17
from tests.batch_worlds import (
    SETTINGS,
    WORLD,
    batch,
    data_files,
    deadly_truth,
    in_this_process,
    task,
    truth,
    write_clips,
)
from tests.conftest import REPOSITORY
from tests.media import write_video
from tests.worlds import STANDING, PowerCut, power_cut_after, write_images
from tracker.association.stabilisation import Stabiliser, transformed
from tracker.batch.clip import Task, split_into_segments
from tracker.batch.clip_list import find_clips
from tracker.batch.table import read_table, summary
from tracker.batch.workers import track_in_processes
from tracker.frames import PoseFrame, PropagatedPoses
from tracker.io.pose_log import PoseLogHeader, read_pose_log
from tracker.io.video import Source, open_source
from tracker.runs.folder import run_clip
from tracker.runs.locks import write_lock
from tracker.runs.segments import cut, joined, matching_rows
from tracker.settings import InferenceSettings

FPS = 4.0  # of the images: a lead of 2 s is 8 frames
SEGMENT_S = 2.0


def clip_of(frames: int | None, fps: float = 30.0, **part: object) -> Source:
    size = {"width": 64, "height": 48, "origin_s": 0.0}
    whole = {"path": Path("clip.mp4"), "name": "clip", "images": (), "timed_by_fps": False, **size}
    return Source(**whole, fps=fps, total_frames=frames, **part)  # type: ignore[arg-type]


def test_a_minute_is_cut_into_six_times_ten_seconds() -> None:
    segments = cut(clip_of(1800), InferenceSettings(), 10.0)
    assert [(s.name, s.lead, s.first, s.end) for s in segments] == [
        ("1of6", 0, 0, 300),
        ("2of6", 240, 300, 600),
        ("3of6", 540, 600, 900),
        ("4of6", 840, 900, 1200),
        ("5of6", 1140, 1200, 1500),
        ("6of6", 1440, 1500, None),
    ]


def test_short_clips_and_clips_of_unknown_length_are_not_cut() -> None:
    assert cut(clip_of(1800), InferenceSettings(), None) == ()
    assert cut(clip_of(440), InferenceSettings(), 10.0) == ()
    assert cut(clip_of(None), InferenceSettings(), 10.0) == ()
    assert cut(clip_of(1800), InferenceSettings(), float("inf")) == ()
    for wrong in (0.0, -1.0, float("nan")):
        with pytest.raises(InputError, match="expected seconds, more than 0"):
            cut(clip_of(1800), InferenceSettings(), wrong)


@given(
    st.integers(1, 100_000),
    st.sampled_from([4.0, 25.0, 29.97, 240.0]),
    st.integers(1, 7),
    st.integers(1, 10),
    st.floats(0, 100),
    st.floats(0.01, 1000),
)
def test_segments_cover_a_clip_and_begin_with_full_batches(
    frames: int, fps: float, stride: int, detect_every: int, start_s: float, segment_s: float
) -> None:
    segments = cut(
        clip_of(frames, fps, stride=stride, start_s=start_s), InferenceSettings(detect_every=detect_every), segment_s
    )
    if not segments:
        return
    assert [segment.number for segment in segments] == list(range(1, segments[0].of + 1))
    assert (segments[0].lead, segments[0].first, segments[-1].end) == (0, 0, None)
    assert [segment.end for segment in segments[:-1]] == [segment.first for segment in segments[1:]]
    first_wanted = -(-np.ceil(start_s * fps) // stride) * stride
    for segment in segments[1:]:
        for begin in (segment.lead, segment.first):
            wanted_before, rest = divmod(begin - first_wanted, stride)
            assert rest == 0
            assert wanted_before >= 0
            assert wanted_before % 4 == 0
            assert wanted_before % detect_every == 0
        assert segment.lead <= segment.first
        assert segment.first < frames


def test_a_part_of_a_source_has_the_frames_and_times_of_the_whole(tmp_path: Path) -> None:
    for whole in (open_source(write_video(tmp_path / "v.mp4", 12), stride=2), images(tmp_path / "images")):
        frames = [(frame.index, frame.time_s, frame.name) for frame in whole.frames()]
        part = replace(whole, first_index=4, end_index=9)
        assert [(f.index, f.time_s, f.name) for f in part.frames()] == [f for f in frames if 4 <= f[0] < 9]
        assert part.num_frames == len([f for f in frames if 4 <= f[0] < 9])


# Joining --------------------------------------------------------------------------------------------------------------


def standing(*lefts: float) -> Poses:
    """People beside each other."""
    boxes = np.array([[left, 10, left + 40, 110] for left in lefts]).reshape(-1, 4)
    keypoints = boxes[:, None, :2] + STANDING * (boxes[:, None, 2:] - boxes[:, None, :2])
    count = len(lefts)
    return Poses(keypoints, np.ones((count, 17)), boxes, np.ones(count), np.zeros(count))


def frame(index: int, poses: Poses, source: int = 0, rows: tuple[int, ...] = ()) -> PoseFrame:
    keypoints = np.zeros((len(rows), 17, 2))
    return PoseFrame(
        index, index / 30, "", poses, PropagatedPoses(np.full(len(rows), source), np.array(rows), keypoints)
    )


def test_matching_rows_pairs_the_same_people_by_position() -> None:
    sigmas = np.array(COCO_17.oks_sigmas)
    assert matching_rows(standing(10, 200, 90), standing(201, 11), sigmas).tolist() == [1, 0, -1]
    assert matching_rows(standing(), standing(10), sigmas).tolist() == []
    assert matching_rows(standing(10), standing(), sigmas).tolist() == [-1]


def test_whom_flow_carried_over_a_seam_comes_from_the_poses_that_are_kept() -> None:
    header = PoseLogHeader(
        skeleton=COCO_17, fps=30, width=1, height=1, source="", source_fingerprint="",
        inference_settings={"queue_frames": 1}, models=[], posetrail_version="",
    )  # fmt: skip
    before = [frame(0, standing(10, 200)), frame(1, standing(10, 200), source=0, rows=(0, 1))]
    # Who begins at frame 1 finds the same two in another order, and a third.
    after = [
        frame(1, standing(200, 90, 10)),
        frame(2, standing(10, 200), source=1, rows=(0, 1, 2)),
        frame(3, standing(10), source=2, rows=(0, 1)),
    ]
    frames = list(joined([(0, before), (2, after)], header))
    assert [seen.index for seen in frames] == [0, 1, 2, 3]
    assert frames[2].propagated.source_rows.tolist() == [1, 0]
    assert frames[3].propagated.source_rows.tolist() == [0, 1]


# Runs -----------------------------------------------------------------------------------------------------------------


def images(folder: Path) -> Source:
    return open_source(write_images(WORLD, folder) if not folder.exists() else folder, fps=FPS)


def run(source: Source, folder: Path, settings=SETTINGS, **options):  # type: ignore[no-untyped-def]
    segments = cut(source, settings.inference, options.pop("segment_s", SEGMENT_S))
    with truth(settings) as networks:
        options = {"if_exists": "continue", "segments": segments, **options}
        return run_clip(source, folder, networks, settings, **options)


def seen_in(folder: Path) -> list[PoseFrame]:
    return list(read_pose_log(folder / "poses.arrow")[1])


def test_segments_give_the_poses_of_the_uncut_clip(tmp_path: Path) -> None:
    source = images(tmp_path / "images")
    assert len(cut(source, SETTINGS.inference, SEGMENT_S)) == 3
    one, many = run(source, tmp_path / "one", segment_s=None), run(source, tmp_path / "many")
    assert (many.frames, many.people, many.status) == (one.frames, one.people, "complete")
    for a, b in zip(seen_in(tmp_path / "one"), seen_in(tmp_path / "many"), strict=True):
        for which in ("poses", "propagated"):
            for x, y in zip(vars(getattr(a, which)).values(), vars(getattr(b, which)).values(), strict=True):
                assert x.tobytes() == y.tobytes(), a.index
    tracks = [(tmp_path / way / "tracks.csv").read_bytes() for way in ("one", "many")]
    assert tracks[0] == tracks[1]
    assert not (tmp_path / "many" / "segments").exists()


def test_without_a_lead_a_seam_forgets_whom_flow_carried(tmp_path: Path) -> None:
    source = images(tmp_path / "images")
    with truth(SETTINGS) as networks:
        for name, lead_s in (("with", 2.0), ("without", 0.0)):
            segments = cut(source, SETTINGS.inference, SEGMENT_S, lead_s=lead_s)
            run_clip(source, tmp_path / name, networks, SETTINGS, segments=segments)
    assert len(seen_in(tmp_path / "with")[8].propagated) == 4  # two people of two frames
    assert len(seen_in(tmp_path / "without")[8].propagated) == 0


@pytest.mark.parametrize("frames", range(1, 40, 5))
def test_broken_off_anywhere_it_ends_with_the_same_bytes(tmp_path: Path, frames: int) -> None:
    source = images(tmp_path / "images")
    run(source, tmp_path / "undisturbed")
    with pytest.raises(PowerCut):
        run(source, tmp_path / "clip", on_frame=power_cut_after(frames))
    if frames > 12:
        stopped = run(source, tmp_path / "clip", stopped=lambda: True)  # by hand, in the next segment
        assert stopped.status == "interrupted"
    assert run(source, tmp_path / "clip").status == "complete"
    assert data_files(tmp_path / "clip") == data_files(tmp_path / "undisturbed")


def test_other_segments_are_other_settings(tmp_path: Path) -> None:
    source = images(tmp_path / "images")
    run(source, tmp_path / "clip")
    before = data_files(tmp_path / "clip")
    with pytest.raises(InputError, match=r"segments was 3, now None.*--redo"):
        run(source, tmp_path / "clip", segment_s=None)
    with pytest.raises(InputError, match="segments was 3, now 2"):
        run(source, tmp_path / "clip", segment_s=3.0)
    assert data_files(tmp_path / "clip") == before
    assert run(source, tmp_path / "clip", segment_s=3.0, if_exists="adapt").status == "complete"
    assert data_files(tmp_path / "clip") != before


def test_damage_in_any_segment_is_reported(tmp_path: Path) -> None:
    folder = write_images(WORLD, tmp_path / "images")
    for broken in (7, 11, 20):
        (folder / f"{broken:06d}.png").write_bytes(b"torn")
    outcome = run(images(folder), tmp_path / "out")
    assert (outcome.status, outcome.frames) == ("damaged", 19)
    assert "000007.png" in outcome.reason
    assert "000011.png" in outcome.reason

    video = write_video(tmp_path / "video.mp4", 60, container_options={"movflags": "frag_keyframe+empty_moov"})
    video.write_bytes(video.read_bytes()[:-200])
    source = replace(open_source(video), total_frames=60)
    outcome = run(source, tmp_path / "video", segment_s=0.5)
    whole = run(source, tmp_path / "whole", segment_s=None)
    assert (outcome.status, outcome.frames, outcome.reason) == ("damaged", whole.frames, whole.reason)


def test_more_frames_promised_than_there_are_leave_the_last_segments_empty(tmp_path: Path) -> None:
    source = replace(images(tmp_path / "images"), total_frames=100)
    outcome = run(source, tmp_path / "out")
    assert (outcome.status, outcome.frames) == ("complete", 22)
    fewer = replace(source, total_frames=16)
    assert run(fewer, tmp_path / "fewer").frames == 22


# Batches --------------------------------------------------------------------------------------------------------------


def cut_task(output: Path) -> Task:
    return replace(task(output), segment_s=SEGMENT_S, fps=FPS)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_clips(tmp_path_factory.mktemp("segments") / "recordings", 2)
    for image in sorted((folder / "clip 1").iterdir())[8:]:
        image.unlink()
    return folder


@pytest.fixture(scope="module")
def undisturbed(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    output = tmp_path_factory.mktemp("undisturbed")
    assert summary(batch(clips, output, task=cut_task(output))) == "2 clips: 2 complete"
    return data_files(output)


def test_long_clips_are_listed_once_for_each_segment(clips: Path, tmp_path: Path) -> None:
    listed = split_into_segments(find_clips([clips], tmp_path), cut_task(tmp_path))
    assert [clip.label for clip in listed] == ["clip 0 [1]", "clip 0 [2]", "clip 0 [3]", "clip 1"]
    assert len(split_into_segments(find_clips([clips], tmp_path), task(tmp_path))) == 2


def test_segments_of_no_length_are_refused_before_anything_is_done(clips: Path, tmp_path: Path) -> None:
    for wrong in (0.0, -1.0, float("nan")):
        with pytest.raises(InputError, match="--segment-s: expected seconds"):
            batch(clips, tmp_path / "out", task=replace(task(tmp_path / "out"), segment_s=wrong))
    assert not (tmp_path / "out").exists()


def test_a_clip_that_cannot_be_opened_fails_in_its_row(tmp_path: Path) -> None:
    gone, long = tmp_path / "gone.mp4", tmp_path / f"{'n' * 300}.mp4"
    table = batch([gone, long], tmp_path / "out", task=cut_task(tmp_path / "out"))
    assert [row.status for row in table.rows.values()] == ["failed", "failed"]
    assert "no such file" in table.rows["gone"].warnings


def test_whoever_sees_the_last_segment_follows_the_clip(
    clips: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    table = batch(
        clips, tmp_path, task=cut_task(tmp_path), run_clips=partial(track_in_processes, open_networks=truth), jobs=2
    )
    rows = read_table(table.path)
    assert [(row.clip, row.status, row.frames, row.people) for row in rows] == [
        ("clip 0", "complete", 22, 2),
        ("clip 1", "complete", 8, 2),
    ]
    assert data_files(tmp_path) == undisturbed
    again = batch(clips, tmp_path, task=cut_task(tmp_path))
    assert summary(again) == "2 clips: 2 complete"
    assert data_files(tmp_path) == undisturbed


def test_shards_share_the_segments_of_a_clip(clips: Path, undisturbed: dict[str, bytes], tmp_path: Path) -> None:
    first = batch(clips, tmp_path, task=cut_task(tmp_path), shard="1/2")
    assert [row.status for row in first.rows.values()] == ["inferred"]
    second = batch(clips, tmp_path, task=cut_task(tmp_path), shard="2/2")
    assert summary(second) == "2 clips: 2 complete"
    files = {name: data for name, data in data_files(tmp_path).items() if not name.startswith("batch.")}
    assert files == undisturbed


def test_a_dead_worker_fails_one_segment_and_the_next_batch_continues_it(
    clips: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    deadly = partial(track_in_processes, open_networks=partial(deadly_truth, tmp_path / "mark"))
    table = batch(clips, tmp_path / "out", task=cut_task(tmp_path / "out"), run_clips=deadly)
    assert {clip: row.status for clip, row in table.rows.items()} == {"clip 0": "failed", "clip 1": "complete"}
    assert "its worker died" in table.rows["clip 0"].warnings
    assert summary(batch(clips, tmp_path / "out", task=cut_task(tmp_path / "out"))) == "2 clips: 2 complete"
    assert data_files(tmp_path / "out") == undisturbed


@pytest.mark.skipif(os.name != "posix", reason="kills a process group")
def test_killed_again_and_again_segments_end_with_the_same_bytes(
    clips: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "tests.batch_kills", str(clips), str(tmp_path), "2", "8", str(SEGMENT_S)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) >= 3
    assert data_files(tmp_path) == undisturbed


def test_a_clip_that_was_locked_when_its_last_segment_ended_is_associated_later(
    clips: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    given: list[list[str]] = []
    with ExitStack() as held:
        held.enter_context(write_lock(tmp_path / "clip 0"))

        def follow(listed, *rest, **more):  # type: ignore[no-untyped-def]
            given.append([clip.label for clip in listed])
            if len(given) == 2:
                held.close()
            return in_this_process(listed, *rest, **more)

        table = batch(clips, tmp_path, task=cut_task(tmp_path), run_clips=follow)
    assert given == [["clip 0 [1]", "clip 0 [2]", "clip 0 [3]", "clip 1"], ["clip 0"]]
    assert summary(table) == "2 clips: 2 complete"
    assert data_files(tmp_path) == undisturbed


def test_camera_motion_of_a_slow_pan_agrees_with_the_uncut_clip(tmp_path: Path) -> None:
    still = write_images(WORLD, tmp_path / "still")
    (tmp_path / "pan").mkdir()
    for path in sorted(still.iterdir()):
        image = cv2.imread(str(path))
        shift = np.array([[1, 0, 0.11 * int(path.stem)], [0, 1, 0.0]])
        moved_image = cv2.warpAffine(image, shift, WORLD.size, borderMode=cv2.BORDER_REPLICATE)
        moved_image[0, 0] = image[0, 0]
        cv2.imwrite(str(tmp_path / "pan" / path.name), moved_image)
    ends = []
    for segment_s in (None, SEGMENT_S):
        run(open_source(tmp_path / "pan", fps=FPS), tmp_path / str(segment_s), segment_s=segment_s)
        stabiliser = Stabiliser()
        for frame in seen_in(tmp_path / str(segment_s)):
            to_first = stabiliser.add(frame.camera_motion)
        ends.append(transformed(np.array([100.0, 80.0]), to_first))
    assert np.linalg.norm(ends[0] - [100.0, 80.0]) > 1.5  # it did move
    assert np.linalg.norm(ends[1] - ends[0]) < 0.75
