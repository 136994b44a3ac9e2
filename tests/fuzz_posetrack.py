"""Mutated PoseTrack files: never a crash, a hang, a warning, or a figure from something the file does not say.

`python -m tests.fuzz_posetrack 100000` tries that many; the tests try a fixed few. What the reader accepts is compared
with a reader written a second time, slowly and plainly, on another JSON parser.
"""

from __future__ import annotations

import copy
import json
import math
import random
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from eval_posetrack.evaluation import evaluate
from eval_posetrack.formats.files import Clip, read_clip, write_clip
from posetrail.errors import InputError
from posetrail.skeletons import POSETRACK_15

from .poses import crowd

LONGEST_S = 5.0
REGION = np.array([[0.0, 0.0], [300.0, 0.0], [300.0, 200.0]])
ODD_VALUES: list[Any] = [
    None,
    True,
    False,
    "x",
    "1",
    "",
    -1,
    0,
    1e30,
    -1e30,
    2**63,
    2**70,
    0.5,
    [],
    {},
    [[]],
    [None],
    [1],
    [1, 2],
]


def seeds(folder: Path) -> list[tuple[Path, str]]:
    """Small valid files of every kind, and which side each one is."""
    out = []
    for version in (2017, 2018, 2021):
        for side in ("truth", "found"):
            clip = crowd(
                people=2,
                frames=3,
                seed=version,
                noise=4.0 if side == "found" else 0.0,
                joints_shown=0.9,
                shift=300,
                scores=np.random.default_rng(version),
            )
            values = {**vars(clip), "ignore_regions": ((REGION,), (), (REGION, REGION + 900.0))}
            path = folder / f"{side}_{version}.json"
            write_clip(Clip(**values), path, version=version)
            out.append((path, side))
    return out


def mutated(data: bytes, rng: random.Random) -> bytes:
    """The file with one to three things wrong."""
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        data = rng.choice([_flip, _cut, _insert, _repeat, _truncate, _change, _change, _change, _change])(data, rng)
    return data


def check(data: bytes, side: str, folder: Path) -> str:
    """Read and evaluate a mutated file; returns "refused" or "scored".

    Raises:
        AssertionError: the file was read wrongly, took too long, or was refused in more than one line.
    """
    path = folder / "mutant.json"
    path.write_bytes(data)
    start = time.perf_counter()
    other = Path(folder / f"{'found' if side == 'truth' else 'truth'}_2018.json")
    pair = (path, other) if side == "truth" else (other, path)
    outcome, message = "scored", ""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            clip = read_clip(path)
            assert_read_correctly(clip, json.loads(data))
            for mode in ("default", "exact"):
                assert_sane(evaluate(*pair, mode=mode).to_json())
        except InputError as error:
            outcome, message = "refused", str(error)
    assert "\n" not in message
    assert time.perf_counter() - start < LONGEST_S, "too slow"
    return outcome


def assert_sane(content: Any) -> None:
    """Numbers, names and None only; no percentage above 100."""
    json.dumps(content, allow_nan=False)
    for group in (content["total"], *content["sequences"].values()):
        for name, metric in group.items():
            for figure in metric.values() if name == "MOT" else [metric]:
                assert figure["total"] is None or figure["total"] <= 100 + 1e-9, name


# --- a second reader --------------------------------------------------------------------------------------------------


def assert_read_correctly(clip: Clip, content: Any) -> None:
    """Compare with a second, simple reader of the parsed file, person by person."""
    people = _people_2017(content) if isinstance(content.get("annolist"), list) else _people_2018(content)
    assert len(people) == len(clip)
    for row, (frame, track_id, joints, scores, head) in enumerate(people):
        assert frame == clip.frames[row]
        assert track_id == clip.track_ids[row]
        assert _equal(clip.head_boxes[row], head)
        for k in range(15):
            assert _equal(clip.keypoints[row, k], joints.get(k, (math.nan, math.nan)))
            assert _equal([clip.keypoint_scores[row, k]], [scores.get(k, math.nan) if k in joints else math.nan])


def _people_2018(content: Any) -> list[Any]:
    names = content["categories"][0]["keypoints"]
    index = {joint: k for k, joint in enumerate(POSETRACK_15.joints)} | {"head_bottom": POSETRACK_15.index("neck")}
    positions = {image["id"]: t for t, image in enumerate(content["images"])}
    newest = any("person_id" in person for person in content["annotations"])
    people = []
    for person in content["annotations"]:
        joints, scores = {}, {}
        for i, name in enumerate(names):
            if name not in index:
                continue
            if person.get("keypoints"):
                x, y, v = person["keypoints"][3 * i : 3 * i + 3]
                if (x > 0 and y > 0) if newest else (x != 0 or y != 0 or v != 0):
                    joints[index[name]] = (x, y)
            if person.get("scores") and person["scores"][i] != -9999:
                scores[index[name]] = person["scores"][i]
        box = person.get("bbox_head") or [math.nan] * 4
        head = (box[0], box[1], box[0] + box[2], box[1] + box[3])
        people.append((positions[person["image_id"]], _bare(person.get("track_id"), -1), joints, scores, head))
    return sorted(people, key=lambda person: person[0])


def _people_2017(content: Any) -> list[Any]:
    people = []
    for t, frame in enumerate(content["annolist"]):
        for person in frame.get("annorect") or []:
            joints, scores = {}, {}
            for holder in person.get("annopoints") or []:
                for point in holder.get("point") or []:
                    k = _bare(point["id"], None)
                    joints[k] = (_bare(point["x"], None), _bare(point["y"], None))
                    if _bare(point.get("score"), -9999) != -9999:
                        scores[k] = _bare(point["score"], None)
            head = tuple(_bare(person.get(key), math.nan) for key in ("x1", "y1", "x2", "y2"))
            people.append((t, _bare(person.get("track_id"), -1), joints, scores, head))
    return people


def _bare(value: Any, absent: Any) -> Any:
    if isinstance(value, list):
        value = value[0] if value else None
    return absent if value is None else value


def _equal(a: Any, b: Any) -> bool:
    return all(x == y or (math.isnan(x) and math.isnan(y)) for x, y in zip(a, b, strict=True))


# --- mutations --------------------------------------------------------------------------------------------------------


def _place(data: bytes, rng: random.Random) -> int:
    return rng.randrange(max(len(data), 1))


def _flip(data: bytes, rng: random.Random) -> bytes:
    i = _place(data, rng)
    return data[:i] + bytes([rng.randrange(256)]) + data[i + 1 :]


def _cut(data: bytes, rng: random.Random) -> bytes:
    i = _place(data, rng)
    return data[:i] + data[i + rng.randint(1, 20) :]


def _insert(data: bytes, rng: random.Random) -> bytes:
    i = _place(data, rng)
    return (
        data[:i]
        + rng.choice([b"9", b"-", b"e5", b"NaN", b"Infinity", b'"', b"[", b"}", b",", b"\x00", b"\xff"])
        + data[i:]
    )


def _repeat(data: bytes, rng: random.Random) -> bytes:
    i = _place(data, rng)
    return data[:i] + data[i : i + rng.randint(1, 200)] + data[i:]


def _truncate(data: bytes, rng: random.Random) -> bytes:
    return data[: _place(data, rng)]


def _change(data: bytes, rng: random.Random) -> bytes:
    """Change one value somewhere in the tree, or drop, repeat or rename an entry."""
    try:
        content = json.loads(data)
    except ValueError:
        return data
    node = content
    while isinstance(node, (dict, list)) and node:
        key = rng.choice(list(node)) if isinstance(node, dict) else rng.randrange(len(node))
        if not isinstance(node[key], (dict, list)) or not node[key] or rng.random() < 0.15:
            kind = rng.random()
            if kind < 0.4 and type(node[key]) in (int, float):
                node[key] = rng.choice([node[key] + 1, node[key] - 1, -node[key], node[key] * 1.5, float(node[key])])
            elif kind < 0.5:
                node[key] = copy.deepcopy(rng.choice(ODD_VALUES))
            elif kind < 0.7:
                del node[key]
            elif kind < 0.85 and isinstance(node, list):
                node.insert(rng.randrange(len(node) + 1), copy.deepcopy(node[key]))
            elif isinstance(node, dict):
                node[rng.choice(["x", str(key) + "_", *map(str, node)])] = node.pop(key)
            break
        node = node[key]
    return json.dumps(content).encode()


def run(count: int, seed: int) -> Counter[str]:
    """Try so many mutants; how many were refused and scored."""
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = [(path.read_bytes(), side) for path, side in seeds(folder)]
        rng = random.Random(seed)
        for i in range(count):
            data, side = rng.choice(files)
            data = mutated(data, rng)
            try:
                outcomes[check(data, side, folder)] += 1
            except BaseException:
                Path(f"mutant_{seed}_{i}_{side}.json").write_bytes(data)
                raise
    return outcomes


if __name__ == "__main__":
    print(run(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0))  # noqa: T201
