"""The pose log: comes back bit for bit, and stays readable wherever it is cut off."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from posetrail.errors import InputError
from posetrail.poses import Poses
from posetrail.skeletons import COCO_17
from tracker.frames import PoseFrame, PropagatedPoses
from tracker.io.pose_log import PoseLogHeader, PoseLogWriter, is_complete, read_pose_log

K = 17
HEADER = PoseLogHeader(
    skeleton=COCO_17,
    fps=29.97,
    width=1280,
    height=720,
    source="jardín.mp4",
    source_fingerprint="sha256:00ff",
    inference_settings={"detect_every": 1, "flow": "lk", "propagate": True},
    models=[{"name": "nanodet", "sha256": "ab"}, {"name": "movenet", "sha256": "cd"}],
    posetrail_version="0.1.0",
)


LOOKS = dataclasses.replace(HEADER, appearance_size=5)


def seen(index: int, people: int = 2, propagated: int = 1, seed: int = 0, appearance: int = 0) -> PoseFrame:
    rng = np.random.default_rng([seed, index])
    keypoints = rng.normal(300, 100, (people, K, 2)).astype(np.float32)
    scores = rng.random((people, K), dtype=np.float32)
    keypoints[scores < 0.2] = np.nan
    scores[scores < 0.2] = 0
    poses = Poses(keypoints, scores, rng.random((people, 4)), rng.random(people), rng.random(people) < 0.5)
    moved = PropagatedPoses(np.full(propagated, index - 1), np.arange(propagated), rng.random((propagated, K, 2)))
    looks = rng.normal(size=(people, appearance))
    return PoseFrame(index, index / 30, f"{index:06d}.jpg", poses, moved, rng.normal(size=(2, 3)), looks)


def write(path: Path, frames: list[PoseFrame], header: PoseLogHeader = HEADER) -> None:
    with PoseLogWriter(path, header) as log:
        for frame in frames:
            log.append(frame)


def same(a: PoseFrame, b: PoseFrame) -> bool:
    """Bit for bit, NaN payloads and the sign of zero included."""
    arrays = [
        (getattr(x, field.name), getattr(y, field.name))
        for x, y in ((a.poses, b.poses), (a.propagated, b.propagated))
        for field in dataclasses.fields(x)
    ]
    arrays += [(a.camera_motion, b.camera_motion), (a.appearance, b.appearance)]
    plain = (a.index, a.time_s, a.name) == (b.index, b.time_s, b.name)
    return plain and all(x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes() for x, y in arrays)


def test_frames_are_read_back_bit_for_bit(tmp_path: Path) -> None:
    frames = [
        seen(0),
        seen(1, people=0, propagated=0),
        seen(2, people=0, propagated=3),
        seen(7, people=10, propagated=0),
    ]
    write(tmp_path / "poses.arrow", frames)
    header, back = read_pose_log(tmp_path / "poses.arrow")
    assert header == HEADER
    assert all(same(a, b) for a, b in zip(frames, back, strict=True))
    assert is_complete(tmp_path / "poses.arrow")


def test_appearance_embeddings_are_read_back(tmp_path: Path) -> None:
    frames = [seen(i, people=people, appearance=5) for i, people in enumerate((0, 2, 0, 7))]
    write(tmp_path / "poses.arrow", frames, LOOKS)
    header, back = read_pose_log(tmp_path / "poses.arrow")
    assert header == LOOKS
    assert all(same(a, b) for a, b in zip(frames, back, strict=True))


@settings(max_examples=30, deadline=None)
@given(
    keypoints=hnp.arrays(np.uint32, st.tuples(st.integers(0, 3), st.just(K), st.just(2))),
    time_s=st.floats(allow_nan=False),
    name=st.text(st.characters(codec="utf-8")),
)
def test_every_float_and_every_name_comes_back(
    tmp_path_factory: pytest.TempPathFactory, keypoints: np.ndarray, time_s: float, name: str
) -> None:
    n = len(keypoints)
    poses = Poses(keypoints.view(np.float32), np.ones((n, K)), np.zeros((n, 4)), np.ones(n), np.zeros(n))
    moved = PropagatedPoses(np.zeros(n), np.arange(n), keypoints.view(np.float32))
    frame = PoseFrame(3, time_s, name, poses, moved)
    path = tmp_path_factory.mktemp("log") / "poses.arrow"
    write(path, [frame])
    _, back = read_pose_log(path)
    assert same(next(back), frame)


@pytest.mark.parametrize("header", [HEADER, LOOKS], ids=["without looks", "with looks"])
def test_the_same_frames_make_the_same_bytes(tmp_path: Path, header: PoseLogHeader) -> None:
    for name in ("a", "b"):
        write(tmp_path / name, [seen(i, appearance=header.appearance_size) for i in range(5)], header)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_log_of_no_frames_is_complete(tmp_path: Path) -> None:
    write(tmp_path / "poses.arrow", [])
    header, back = read_pose_log(tmp_path / "poses.arrow")
    assert header == HEADER
    assert list(back) == []
    assert is_complete(tmp_path / "poses.arrow")


def test_each_frame_can_be_read_as_soon_as_it_was_appended(tmp_path: Path) -> None:
    path = tmp_path / "poses.arrow"
    with PoseLogWriter(path, HEADER) as log:
        for n in range(3):
            assert len(list(read_pose_log(path)[1])) == n
            assert not is_complete(path)
            log.append(seen(n))
    assert len(list(read_pose_log(path)[1])) == 3


def test_a_run_that_fails_leaves_its_frames_but_no_end(tmp_path: Path) -> None:
    path = tmp_path / "poses.arrow"

    def interrupted() -> None:
        with PoseLogWriter(path, HEADER) as log:
            log.append(seen(0))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert same(next(read_pose_log(path)[1]), seen(0))
    assert not is_complete(path)


@pytest.mark.skipif(os.name != "posix", reason="Windows has other locks")
def test_a_second_writer_is_refused_and_harms_nothing(tmp_path: Path) -> None:
    path = tmp_path / "poses.arrow"
    with PoseLogWriter(path, HEADER) as log:
        log.append(seen(0))
        with pytest.raises(InputError, match="another posetrail is writing this"):
            write(path, [seen(1)])
        log.append(seen(2))
    assert is_complete(path)
    assert [frame.index for frame in read_pose_log(path)[1]] == [0, 2]
    write(path, [seen(1)])
    assert [frame.index for frame in read_pose_log(path)[1]] == [1]


def test_cut_off_at_any_byte_it_gives_exactly_the_whole_frames(tmp_path: Path) -> None:
    path = tmp_path / "poses.arrow"
    frames = [seen(0, 1, 0, appearance=5), seen(1, 0, 0, appearance=5), seen(2, 1, 2, appearance=5)]
    ends = []
    with PoseLogWriter(path, LOOKS) as log:
        for frame in frames:
            start = path.stat().st_size
            log.append(frame)
            ends.append(path.stat().st_size)
            if len(ends) == 1:
                header_ends = start
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        if cut < header_ends:
            with pytest.raises(InputError, match="cut off before its first frame"):
                read_pose_log(path)
            continue
        back = list(read_pose_log(path)[1])
        assert len(back) == sum(end <= cut for end in ends), cut
        if cut in ends or cut % 97 == 0:  # comparing is slow beside reading
            assert all(same(a, b) for a, b in zip(frames, back, strict=False))
            assert not is_complete(path)
    path.write_bytes(whole)
    assert is_complete(path)
    path.write_bytes(whole + b"\0" * 64)
    assert not is_complete(path)
    assert len(list(read_pose_log(path)[1])) == 3


def test_zeros_or_noise_after_a_crash_of_the_machine_end_the_frames(tmp_path: Path) -> None:
    path = tmp_path / "poses.arrow"
    write(path, [seen(0)])
    first_ends = path.stat().st_size - 8
    write(path, [seen(0), seen(1)])
    whole = path.read_bytes()
    rng = np.random.default_rng(5)
    for start in range(first_ends, len(whole), 61):
        noise = rng.integers(0, 256, len(whole) - start, dtype=np.uint8).tobytes()
        for tail in (bytes(len(whole) - start), noise):
            path.write_bytes(whole[:start] + tail)
            back = list(read_pose_log(path)[1])
            assert same(back[0], seen(0))
            assert not is_complete(path)


@pytest.mark.parametrize("column", ["name", "camera", "poses"])
def test_a_frame_with_nulls_in_it_ends_the_frames(tmp_path: Path, column: str) -> None:
    path = tmp_path / "poses.arrow"
    write(path, [seen(0), seen(1)])
    with pa.OSFile(str(path)) as file:
        batch = pa.ipc.open_stream(file).read_all().slice(1).to_batches()[0]
    row = batch.to_pylist()[0]
    nothing = {"name": None, "camera": [None] * 6, "poses": [{**row["poses"][0], "score": None}]}
    nulls = pa.RecordBatch.from_pylist([{**row, column: nothing[column]}], schema=batch.schema)
    write(path, [seen(0)])
    path.write_bytes(path.read_bytes()[:-8] + nulls.serialize().to_pybytes())
    assert [frame.index for frame in read_pose_log(path)[1]] == [0]


def test_a_log_is_written_and_read_without_pandas(tmp_path: Path) -> None:
    write(tmp_path / "poses.arrow", [seen(0)])
    program = "import sys; from pathlib import Path; from tracker.io.pose_log import *\n"
    program += "header, frames = read_pose_log(Path(sys.argv[1])); frames = list(frames)\n"
    program += "with PoseLogWriter(Path(sys.argv[2]), header) as log: [log.append(frame) for frame in frames]\n"
    program += "print(len(frames), 'pandas' in sys.modules)"
    command = [sys.executable, "-c", program, tmp_path / "poses.arrow", tmp_path / "copy.arrow"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() == ["1", "False"]
    assert (tmp_path / "copy.arrow").read_bytes() == (tmp_path / "poses.arrow").read_bytes()


@pytest.mark.parametrize("seed", range(4))
def test_damaged_bytes_never_crash_the_reader(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "poses.arrow"
    write(path, [seen(i) for i in range(4)])
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    rng = np.random.default_rng(seed)
    for _ in range(150):
        damaged = whole.copy()
        at = rng.integers(0, len(whole), rng.integers(1, 4))
        damaged[at] ^= rng.integers(1, 256, len(at), dtype=np.uint8)
        path.write_bytes(damaged.tobytes())
        with contextlib.suppress(InputError):  # the header was hit
            assert len(list(read_pose_log(path)[1])) <= 4


def test_only_growing_frames_with_the_skeletons_joints_can_be_appended(tmp_path: Path) -> None:
    with PoseLogWriter(tmp_path / "poses.arrow", HEADER) as log:
        log.append(seen(4))
        with pytest.raises(ValueError, match="frame 4 after frame 4"):
            log.append(seen(4))
        with pytest.raises(ValueError, match="expected 17 joints, got 15"):
            log.append(PoseFrame(5, 0.0, "", Poses.empty(15), PropagatedPoses.empty(15)))
        with pytest.raises(ValueError, match="expected appearance embeddings of size 0, got 5"):
            log.append(seen(5, appearance=5))
    assert len(list(read_pose_log(tmp_path / "poses.arrow")[1])) == 1


def arrow_stream(schema: pa.Schema) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, schema):
        pass
    return sink.getvalue()


def with_header(**changes: object) -> bytes:
    told = json.dumps({**dataclasses.asdict(HEADER), **changes}).encode()
    return arrow_stream(pa.schema({"frame": pa.int64()}).with_metadata({"posetrail_pose_log": told}))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no Arrow stream"),
        (b"frame,time_s,track_id\n0,0,1\n", "no Arrow stream"),
        (arrow_stream(pa.schema({"x": pa.int64()})), "not a pose log"),
        (
            with_header(format_version=2),
            "expected format 4, got format 2; infer again: posetrail track .*--redo",
        ),
        (with_header(format_version=99), "expected format 4, got format 99; update posetrail"),
        (with_header(format_version="new"), "expected header and columns"),
        (with_header(appearance_size=-5), "expected header and columns"),
        (with_header(skeleton="octopus_8"), "expected header and columns"),
        (with_header(colour="blue"), "expected header and columns"),
        (with_header(), "expected header and columns"),
    ],
)
def test_a_bad_file_is_refused_in_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "poses.arrow"
    path.write_bytes(content)
    for read in (read_pose_log, is_complete):
        with pytest.raises(InputError, match=said) as caught:
            read(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_missing_file_or_a_folder_is_refused_in_one_line(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.arrow", tmp_path):
        with pytest.raises(InputError, match="cannot be read") as caught:
            read_pose_log(path)
        assert "\n" not in str(caught.value)


def test_a_log_with_wrong_columns_is_refused_before_any_frame(tmp_path: Path) -> None:
    path = tmp_path / "poses.arrow"
    write(path, [seen(0)])
    with pa.OSFile(str(path)) as file:
        metadata = pa.ipc.open_stream(file).schema.metadata
    path.write_bytes(arrow_stream(pa.schema({"frame": pa.int64()}).with_metadata(metadata)))
    with pytest.raises(InputError, match="columns"):
        read_pose_log(path)
