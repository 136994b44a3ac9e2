"""Damaged PoseTrack files: a fixed sample of the fuzzer, and every field removed once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval_posetrack.formats.files import read_clip
from posetrail.errors import InputError
from tests.fuzz_posetrack import run, seeds


@pytest.mark.parametrize("seed", range(4))
def test_mutated_files_are_refused_in_one_line_or_read_as_written(seed: int) -> None:
    outcomes = run(150, seed)
    assert outcomes["refused"] > 20
    assert outcomes["scored"] > 10


def fields_of(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every key of every dict, into the first two entries of lists."""
    if isinstance(node, dict):
        return [way for key in node for way in [(*path, key), *fields_of(node[key], (*path, key))]]
    return (
        [way for i, entry in enumerate(node[:2]) for way in fields_of(entry, (*path, i))]
        if isinstance(node, list)
        else []
    )


@pytest.mark.parametrize("which", range(6))
def test_a_change_of_any_field_is_noticed(which: int, tmp_path: Path) -> None:
    path, _ = seeds(tmp_path)[which]
    original, data = read_clip(path), path.read_bytes()
    silent = set()
    for way in fields_of(json.loads(data)):
        content = json.loads(data)
        node = content
        for step in way[:-1]:
            node = node[step]
        del node[way[-1]]
        path.write_text(json.dumps(content))
        try:
            clip = read_clip(path)
        except InputError:
            continue
        arrays = ("frames", "track_ids", "scores", "keypoints", "keypoint_scores", "boxes", "head_boxes", "labeled")
        same = all(np.array_equal(getattr(clip, n), getattr(original, n), equal_nan=n != "labeled") for n in arrays)
        regions = [[p.tolist() for p in of] for of in clip.ignore_regions]
        same &= regions == [[p.tolist() for p in of] for of in original.ignore_regions]
        if not same and not clip.notes:
            silent.add(way)
    assert not silent
