"""A pose log that is not what run.json says is noticed, wherever it was damaged, and read up to the damage."""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import asdict, replace
from itertools import pairwise, permutations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from posetrail.errors import InputError
from posetrail.poses import Poses
from posetrail.skeletons import COCO_17, Skeleton
from tracker.frames import PoseFrame, PropagatedPoses
from tracker.io.pose_log import DamagedLog, LogEnd, PoseLogHeader, PoseLogWriter, check_pose_log, places, read_pose_log

OWN = Skeleton(
    name="stick",
    joints=("top", "l_end", "r_end"),
    limbs=(("top", "l_end"), ("top", "r_end")),
    oks_sigmas=(0.05, 0.07, 0.07),
    mirror_pairs=(("l_end", "r_end"),),
)
HEADER = PoseLogHeader(
    skeleton=OWN,
    fps=25,
    width=64,
    height=48,
    source="clip.mp4",
    source_fingerprint="ab",
    inference_settings={"queue_frames": 1},
    models=[],
    posetrail_version="0.1.0",
)


def frame(index: int, people: int = 1) -> PoseFrame:
    rng = np.random.default_rng(index)
    poses = Poses(
        rng.random((people, 3, 2)), rng.random((people, 3)), rng.random((people, 4)), np.ones(people), [1] * people
    )
    return PoseFrame(index, index / 25, f"{index}.png", poses, PropagatedPoses.empty(3))


def write(path: Path, num_frames: int) -> tuple[bytes, list[int], LogEnd]:
    """The log's bytes, where its messages end, the header's first, and how it ends."""
    with PoseLogWriter(path, HEADER) as log:
        ends = [log.place.end]
        for index in range(num_frames):
            log.append(frame(index))
            ends.append(log.place.end)
    return path.read_bytes(), ends, log.place.log_end


def assert_noticed(path: Path, content: bytes, end: LogEnd, ends: list[int], at: int) -> None:
    """That the frames before the damage are known to be whole, and no other."""
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        check_pose_log(path, end)
    assert "\n" not in str(caught.value)
    if ends[0] <= at < ends[-1]:
        whole = sum(each <= at for each in ends) - 1
        assert ("none of" if not whole else f"only the first {whole} of") in str(caught.value)


def test_a_flipped_bit_anywhere_is_noticed(tmp_path: Path) -> None:
    content, ends, end = write(tmp_path / "log", 2)
    for at in range(len(content)):
        flipped = bytearray(content)
        flipped[at] ^= 1 << at % 8
        assert_noticed(tmp_path / "log", bytes(flipped), end, ends, at)


def test_a_block_of_zeros_anywhere_is_noticed(tmp_path: Path) -> None:
    content, ends, end = write(tmp_path / "log", 2)
    for at in range(0, len(content) - 64, 8):
        zeroed = content[:at] + bytes(64) + content[at + 64 :]
        first = next((at + i for i, (a, b) in enumerate(zip(content[at:], zeroed[at:], strict=True)) if a != b), None)
        if first is not None:
            assert_noticed(tmp_path / "log", zeroed, end, ends, first)


def test_a_finished_log_cut_off_at_any_byte_is_noticed(tmp_path: Path) -> None:
    content, ends, end = write(tmp_path / "log", 2)
    check_pose_log(tmp_path / "log", end)
    for cut in range(len(content)):
        assert_noticed(tmp_path / "log", content[:cut], end, ends, cut)
    path = tmp_path / "log"
    path.write_bytes(content + b"\0")
    with pytest.raises(DamagedLog, match="after the last of its 2 frames"):
        check_pose_log(path, end)
    check_pose_log(path, end, ended=False)


def test_frames_lost_repeated_or_exchanged_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "log"
    content, ends, end = write(path, 3)
    header, mark = content[: ends[0]], content[ends[-1] :]
    messages = [content[a:b] for a, b in pairwise(ends)]
    orders = [order for n in range(4) for order in permutations(range(3), n)] + [(0, 0, 1, 2), (0, 1, 2, 2), (0, 1, 1)]
    for order in orders:
        if order == (0, 1, 2):
            continue
        path.write_bytes(header + b"".join(messages[i] for i in order) + mark)
        with pytest.raises(DamagedLog):
            check_pose_log(path, end)
        whole = next((i for i, (a, b) in enumerate(zip(order, range(3), strict=False)) if a != b), min(len(order), 3))
        assert [seen.index for seen in read_pose_log(path)[1]] == list(range(whole))
        if whole < 3:
            with pytest.raises(DamagedLog):
                list(read_pose_log(path, end)[1])
    other, _, _ = write(tmp_path / "other", 4)
    path.write_bytes(other)
    with pytest.raises(DamagedLog, match="expected 3 frames that end with checksum"):
        check_pose_log(path, end)


def test_reading_up_to_a_place_gives_just_those_frames(tmp_path: Path) -> None:
    write(tmp_path / "log", 3)
    for place in places(tmp_path / "log"):
        assert len(list(read_pose_log(tmp_path / "log", place.log_end)[1])) == place.frames
    with pytest.raises(DamagedLog, match="expected 1 frames"):
        list(read_pose_log(tmp_path / "log", LogEnd(1, "00000000"))[1])


def test_any_arrow_library_reads_the_log_and_can_check_it(tmp_path: Path) -> None:
    content, ends, _ = write(tmp_path / "log", 3)
    with pa.OSFile(str(tmp_path / "log")) as file:
        table = pa.ipc.open_stream(file).read_all()
    checksum = zlib.crc32(content[: ends[0]])
    for number, (begin, end) in enumerate(pairwise(ends)):
        checksum = zlib.crc32(content[begin : end - 8], checksum)
        assert table["crc32"][number].as_py() == checksum
    assert table["frame"].to_pylist() == [0, 1, 2]


def test_lengths_that_cannot_be_allocate_nothing(tmp_path: Path) -> None:
    content, ends, _ = write(tmp_path / "log", 1)
    place = (
        ends[0]
        + 8
        + content[ends[0] + 8 :].index(
            struct.pack("<q", ends[1] - ends[0] - 8 - int.from_bytes(content[ends[0] + 4 : ends[0] + 8], "little"))
        )
    )
    for length in (2**62, -1, 2**40):
        (tmp_path / "log").write_bytes(content[:place] + struct.pack("<q", length) + content[place + 8 :])
        assert list(read_pose_log(tmp_path / "log")[1]) == []


# The header -----------------------------------------------------------------------------------------------------------


def test_a_skeleton_of_ones_own_comes_back_from_the_header(tmp_path: Path) -> None:
    write(tmp_path / "log", 1)
    header, _ = read_pose_log(tmp_path / "log")
    assert header == HEADER
    assert header.skeleton.mirror.tolist() == [0, 2, 1]
    assert PoseLogHeader.from_json(replace(HEADER, skeleton=COCO_17).to_json()).skeleton == COCO_17


def with_header(path: Path, text: str) -> Path:
    schema = pa.schema({"frame": pa.int64()}).with_metadata({"posetrail_pose_log": text.encode()})
    path.write_bytes(schema.serialize().to_pybytes())
    return path


SKELETON = asdict(OWN)


@pytest.mark.parametrize(
    "changes",
    [
        {"fps": 0},
        {"fps": float("nan")},
        {"fps": float("inf")},
        {"fps": "25"},
        {"fps": True},
        {"width": 0},
        {"width": 10**12},
        {"height": -3},
        {"height": 1.5},
        {"appearance_size": -1},
        {"appearance_size": 2**40},
        {"format_version": True},
        {"source": None},
        {"inference_settings": []},
        {"inference_settings": {"queue_frames": 10**9}},
        {"models": {}},
        {"models": [{"name": "x"}]},
        {"provenance": 1},
        {"skeleton": "coco_17"},
        {"skeleton": {}},
        {"skeleton": {**SKELETON, "joints": []}},
        {"skeleton": {**SKELETON, "joints": ["a", "a", "b"]}},
        {"skeleton": {**SKELETON, "joints": ["a" * 500, "b", "c"]}},
        {"skeleton": {**SKELETON, "joints": [1, 2, 3]}},
        {"skeleton": {**SKELETON, "limbs": [["top", "tail"]]}},
        {"skeleton": {**SKELETON, "limbs": [["top"]]}},
        {"skeleton": {**SKELETON, "limbs": [[[], {}]]}},
        {"skeleton": {**SKELETON, "mirror_pairs": [["top", "l_end"], ["top", "r_end"]]}},
        {"skeleton": {**SKELETON, "oks_sigmas": [0.1, 0.1]}},
        {"skeleton": {**SKELETON, "oks_sigmas": [0.1, 0, 0.1]}},
        {"skeleton": {**SKELETON, "oks_sigmas": [0.1, float("nan"), 0.1]}},
        {"skeleton": {**SKELETON, "oks_sigmas": [0.1, None, 0.1]}},
        {"skeleton": {**SKELETON, "colour": "red"}},
        {"skeleton": {**SKELETON, "joints": [f"{k}" for k in range(10_000)], "oks_sigmas": [0.1] * 10_000}},
    ],
    ids=str,
)
def test_header_values_that_cannot_be_are_one_line(tmp_path: Path, changes: dict[str, Any]) -> None:
    path = with_header(tmp_path / "log", json.dumps({**asdict(HEADER), **changes}))
    with pytest.raises(InputError, match="expected header and columns of format 4") as caught:
        read_pose_log(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("text", ["", "[]", "null", "[" * 100_000, '{"a":' * 3000, "{}", "9" * 5000])
def test_a_header_that_is_no_header_is_one_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match="expected header and columns of format 4") as caught:
        read_pose_log(with_header(tmp_path / "log", text))
    assert "\n" not in str(caught.value)


def test_a_log_of_an_older_format_names_the_command_that_infers_again(tmp_path: Path) -> None:
    old = {**asdict(HEADER), "skeleton": "coco_17", "format_version": 2, "source": "my clip.mp4"}
    with pytest.raises(InputError, match=r"infer again: posetrail track 'my clip.mp4' -o OUTPUT.*--redo"):
        read_pose_log(with_header(tmp_path / "log", json.dumps(old)))
