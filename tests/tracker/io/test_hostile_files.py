"""Small files that ask for much: numbers without end, nesting without end, lines without end. One line, at once."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from detectors.from_file import BoxesFromFile
from eval_posetrack.formats.columns import shown
from eval_posetrack.formats.files import read_clip
from eval_posetrack.readers import READERS
from posetrail.errors import InputError
from posetrail.store import write_manifest
from tests.command_line import fails
from tracker.io.importers import read_poses
from tracker.io.importers.posetrack import _numbers
from tracker.runs.record import read_record

# --- Numbers and lines without end ------------------------------------------------------------------------------------


@pytest.mark.parametrize("frame", ["1000000001", "2147483649", "1e300", "-1", "0", "1.5", "nan", "9" * 400])
def test_a_frame_that_cannot_be_is_refused_in_a_line(tmp_path: Path, frame: str) -> None:
    det = tmp_path / "det.txt"
    det.write_text(f"{frame},-1,11,21,50,120,0.9\n")
    with pytest.raises(InputError, match="line 1: expected a frame from 1 to 1000000000"):
        read_poses(det)


def test_a_line_without_end_is_refused(tmp_path: Path) -> None:
    det = tmp_path / "det.txt"
    det.write_text("1," * 5_000_000)
    with pytest.raises(InputError, match="line 1: expected at most 1000 characters") as refused:
        read_poses(det)
    assert len(str(refused.value)) < 300


def test_names_of_a_million_digits_are_looked_through_once() -> None:
    names = tuple("1" * 1_000_000 + f"x{end}.jpg" for end in (7, 9))
    assert _numbers(names).tolist() == [7, 9]  # a search by regular expression would take hours


# --- Nesting ----------------------------------------------------------------------------------------------------------


def nested(depth: int, inner: str = "1") -> str:
    return "[" * depth + inner + "]" * depth


DEEP = {
    "a list": nested(1000),
    "a list with NaN": nested(3000, "NaN"),
    "a deeper list": nested(100_000),
    "objects": '{"a":' * 1000 + "1" + "}" * 1000,
    "images": f'{{"images": {nested(1000)}, "annotations": []}}',
    "file_name": f'{{"images": [{{"id": 1, "file_name": {nested(1000)}}}], "annotations": []}}',
    "annolist": f'{{"annolist": [{{"image": {nested(1000)}}}]}}',
    "keypoints": f'[{{"image_id": 1, "keypoints": {nested(1000)}}}]',
    "image_id": f'[{{"image_id": {nested(1000)}, "keypoints": [1, 2, 3]}}]',
    "frame_id": f'[{{"frame_id": {nested(1000)}, "instances": []}}]',
    "people": f'{{"people": {nested(1000)}}}',
    "a long text": json.dumps([{"image_id": 1, "keypoints": "x" * 3_000_000}]),
}


def readers(path: Path) -> dict[str, Callable[[], object]]:
    """Everything that reads JSON of others."""
    tools = {tool: READERS[tool] for tool in ("coco", "alphapose", "openpose", "mmpose")}
    calls: dict[str, Callable[[], object]] = {
        tool: lambda read=read, tool=tool: read(path.parent if tool == "openpose" else path, None, None)  # type: ignore[misc]
        for tool, read in tools.items()
    }
    calls["posetrack"] = lambda: read_clip(path)
    calls["run.json"] = lambda: read_record(path.parent)
    calls["manifest"] = lambda: write_manifest([], path.parent)
    calls["boxes"] = lambda: BoxesFromFile(path=path, first_id=0)
    return calls


@pytest.mark.parametrize("what", DEEP)
def test_json_nested_without_end_is_a_line(tmp_path: Path, what: str) -> None:
    path = tmp_path / "x_keypoints.json"
    for name in (path.name, "run.json", "manifest.json"):
        (tmp_path / name).write_text(DEEP[what])
    for reader, read in readers(path).items():
        if reader == "openpose":
            for name in ("run.json", "manifest.json"):
                (tmp_path / name).unlink(missing_ok=True)
        refusal = ""
        try:
            read()
        except InputError as error:
            refusal = str(error)
        assert len(refusal.splitlines()) <= 1, reader
        assert len(refusal) < 600, reader
        for name in ("run.json", "manifest.json"):
            (tmp_path / name).write_text(DEEP[what])


def test_what_is_shown_of_a_value_is_short_and_in_order() -> None:
    assert shown("1,2") == "'1,2'"
    assert shown({"b": [1, {"c": None}], "a": 2.5}) == "{'b': [1, {'c': None}], 'a': 2.5}"
    assert shown("x" * 10**6) == "'" + "x" * 56 + "..."
    assert len(shown(list(range(10**6)))) == 60
    deep: Any = 1
    for _ in range(sys.getrecursionlimit() * 2):
        deep = {"a": [deep]}
    assert len(shown(deep)) <= 60


@pytest.mark.parametrize(
    "content", [f"a = {nested(3000)}", "a = " + "{b=" * 3000 + "1" + "}" * 3000, f"[{'.'.join('a' * 3000)}]\nb = 1"]
)
def test_toml_nested_without_end_is_a_line(tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.toml").write_text(content)
    line = fails(capsys, "track", "clip.mp4", "--config", tmp_path / "config.toml")
    assert len(line) < 500
