"""A small valid file of every kind that the product reads, and a command that reads it."""

from __future__ import annotations

import json
import random
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from posetrail.skeletons import COCO_17
from tests.pose_formats import FORMATS, source

from ..fuzz_posetrack import seeds
from ..media import numbered_image
from .mutations import damaged, mutated_text
from .onnx_files import onnx_file, onnx_mutant
from .sandbox import in_child
from .work import QUIET, clips, finished_run

Mutate = Callable[[bytes, random.Random], bytes]


@dataclass(frozen=True)
class Format:
    """A kind of file."""

    name: str
    make: Callable[[Path, Path], Path]
    """Puts a valid file, and all that goes with it, into a folder; the second argument is the shared folder."""
    arguments: tuple[str, ...]
    """The command that reads it: FILE is the file, IN and OUT are the folders."""
    mutate: Mutate = mutated_text
    exact: bool = False
    """Where the command succeeds without a word, its results are those of the valid file."""
    share: int = 10
    """Of all cases, in proportion."""
    mutants: int = 40
    """In a case; fewer of what costs more."""


def _run_of(shared: Path, folder: Path) -> Path:
    shutil.copytree(finished_run(shared), folder / "run")
    return folder / "run"


def _log(folder: Path, shared: Path) -> Path:
    return _run_of(shared, folder) / "poses.arrow"


def _run_file(folder: Path, shared: Path) -> Path:
    return _run_of(shared, folder) / "run.json"


def _earlier_batch(name: str) -> Callable[[Path, Path], Path]:
    """Two clips of a batch that is done, one of whose files is mutated; they lie in `in`, and are copied to `out`."""

    def make(folder: Path, shared: Path) -> Path:
        clip = clips(shared)[0]
        for other in ("a", "b"):
            shutil.copy2(clip, folder / f"{other}.mkv")
            shutil.copytree(finished_run(shared), folder / "earlier" / other)
        table = "clip,status,frames,seconds,people,warnings,input,log\n"
        table += "".join(f"{each},complete,48,1.00,2,,{folder / each}.mkv,\n" for each in "ab")
        (folder / "earlier" / "batch.csv").write_text(table)
        return folder / "earlier" / name

    return make


def _posetrack(side: str, version: int, folder: Path, _: Path) -> Path:
    seeds(folder)
    return folder / f"{side}_{version}.json"


def _tool(format: str, folder: Path, _: Path) -> Path:
    path = source(folder, format)[1]
    return sorted(path.iterdir())[1] if path.is_dir() else path


def _text(name: str, text: str, folder: Path, shared: Path) -> Path:
    for clip in clips(shared)[:1]:
        shutil.copy2(clip, folder / "a.mkv")
    _run_of(shared, folder)
    (folder / name).write_text(text)
    return folder / name


def _data_set(folder: Path, _: Path) -> Path:
    """A PoseTrack data set of one sequence."""
    import cv2

    names = [f"images/val/one/{t:06d}.jpg" for t in range(4)]
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / name), numbered_image(number))
    content = {
        "images": [
            {
                "file_name": name,
                "id": 10_000 + t,
                "frame_id": 10_000 + t,
                "vid_id": "1",
                "is_labeled": True,
                "nframes": 4,
            }
            for t, name in enumerate(names)
        ],
        "annotations": [],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO_17.joints), "skeleton": []}],
    }
    path = folder / "annotations" / "val" / "one.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(content))
    return path


def _weights(name: str) -> Callable[[Path, Path], Path]:
    """Weights of the smallest detector, made in a process of its own, which imports torch."""

    def make(folder: Path, shared: Path) -> Path:
        def write() -> None:
            import torch
            from safetensors.torch import save_file

            from detectors.networks import NETWORKS

            state = NETWORKS["yolox_nano"]().state_dict()
            torch.save(state, shared / "weights.pth")
            save_file(state, shared / "weights.safetensors")

        if not (shared / name).exists():
            assert in_child(write)
        shutil.copy2(shared / name, folder / name)
        shutil.copy2(clips(shared)[0], folder / "a.mkv")
        return folder / name

    return make


def _onnx(folder: Path, shared: Path) -> Path:
    """A YOLOX that detects no person."""
    path = folder / "detector.onnx"
    path.write_bytes(onnx_file((1, 1008, 85)))
    shutil.copy2(clips(shared)[0], folder / "a.mkv")
    return path


def _submission(folder: Path, _: Path) -> Path:
    seeds(folder)
    path = folder / "submission.zip"
    (folder / "truth").mkdir()
    shutil.copy2(folder / "truth_2018.json", folder / "truth" / "one.json")
    with zipfile.ZipFile(path, "w") as file:
        file.write(folder / "found_2018.json", "one.json")
    return path


MOT = "".join(f"{t},{i},{10 * t + 50 * i},20,30,60,0.9,-1,-1,-1\n" for t in range(1, 9) for i in (1, 2))
TABLE = "frame,time_s,track_id,joint,x,y,score,interpolated\n" + "".join(
    f"{t},{t / 25},{i},{joint},{10 * t + 50 * i},{20 + k},0.{9 - k},0\n"
    for t in range(8)
    for i in (1, 2)
    for k, joint in enumerate(("nose", "left_hip", "right_ankle"))
)
TOML = 'detect_every = 2\nmemory_s = 1.5\nsimilarity = "iou"\noffline = false\n'
TRACK = ("track", "IN/a.mkv", "--end", "0.1", "-o", "OUT", *QUIET)
AGAIN = ("-o", "OUT/again")


@cache
def formats() -> tuple[Format, ...]:
    """All of them."""
    follow_run, batch = ("follow", "IN/run", *AGAIN), ("batch", "IN", "-o", "OUT", *QUIET)
    retry = (*batch, "--retry-failed")
    listed = ("batch", "FILE", "-o", "OUT", *QUIET)
    found = [
        Format("poses.arrow, follow", _log, follow_run, damaged, exact=True, share=40),
        Format("poses.arrow, draw", _log, ("draw", "IN/run", "-o", "OUT/drawn.mp4", *QUIET), damaged, exact=True),
        Format("poses.arrow alone, follow", _log, ("follow", "FILE", *AGAIN), damaged, exact=True),
        Format("poses.arrow, batch", _earlier_batch("a/poses.arrow"), batch, damaged, exact=True, share=3, mutants=8),
        Format("run.json, follow", _run_file, follow_run, exact=True, share=20),
        Format("run.json, draw", _run_file, ("draw", "IN/run", "-o", "OUT/drawn.mp4", *QUIET), share=10),
        Format("run.json, batch", _earlier_batch("a/run.json"), batch, share=3, mutants=8),
        Format("batch.csv", _earlier_batch("batch.csv"), batch, share=3, mutants=8),
        Format("batch.csv, --retry-failed", _earlier_batch("batch.csv"), retry, share=3, mutants=8),
        Format("MOT", partial(_text, "det.txt", MOT), ("follow", "FILE", *AGAIN), share=20),
        Format("table of joints", partial(_text, "tracks.csv", TABLE), ("follow", "FILE", *AGAIN), share=20),
        Format("TOML", partial(_text, "settings.toml", TOML), (*follow_run, "--config", "FILE"), share=20),
        Format("list of clips", partial(_text, "clips.txt", "a.mkv\n# b.mkv\n"), listed, share=3, mutants=8),
        Format("annotations", _data_set, ("batch", "--posetrack", "IN", "-o", "OUT", *QUIET), share=3, mutants=8),
        Format("submission.zip", _submission, ("eval", "IN/truth", "FILE"), damaged),
    ]  # fmt: skip
    for name in ("weights.pth", "weights.safetensors"):
        network = ("--detector", "yolox_nano", "--detector-weights", "FILE")
        found.append(Format(name, _weights(name), (*TRACK, *network), damaged, share=2, mutants=4))
    found.append(Format("ONNX", _onnx, (*TRACK, "--detector", "onnx:FILE"), onnx_mutant, mutants=10))
    for version in (2017, 2018, 2021):
        make = partial(_posetrack, "found", version)
        found.append(Format(f"PoseTrack {version}, follow", make, ("follow", "FILE", *AGAIN), share=15))
        evaluation = ("eval", "IN/truth_2018.json", "FILE", "--json", "OUT/scores.json")
        found.append(Format(f"PoseTrack {version}, eval", make, evaluation, share=15))
    for name, (tool, file, _) in FORMATS.items():
        given = "IN/clip" if file == "clip" else "FILE"
        mutate = damaged if file.endswith(".h5") else mutated_text
        arguments = ("convert", given, "OUT/out.json", "--from", tool)
        found.append(Format(f"{name}, convert", partial(_tool, name), arguments, mutate))
    return tuple(found)
