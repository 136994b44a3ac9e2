"""Skeletons as plain values and as TOML files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from posetrail.errors import InputError
from posetrail.skeleton_files import (
    read_skeleton,
    read_skeleton_and_sources,
    sigma_sources,
    skeleton_from_dict,
    skeleton_to_dict,
)
from posetrail.skeletons import SKELETONS, Skeleton

HORSE = """
joints = ["nose", "withers", "left_hoof", "right_hoof"]
limbs = [["nose", "withers"], ["withers", "left_hoof"], ["withers", "right_hoof"]]
oks_sigmas = { nose = 0.03 }
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "horse.toml"
    path.write_text(text)
    return path


def test_a_toml_file_gives_joints_limbs_sigmas_and_mirror_pairs(tmp_path: Path) -> None:
    skeleton = read_skeleton(written(tmp_path, HORSE))
    assert skeleton.name == "horse"
    assert skeleton.oks_sigmas == (0.03, 0.08, 0.08, 0.08)
    assert skeleton.mirror.tolist() == [0, 1, 3, 2]


def test_joints_of_coco_have_its_sigmas_unless_the_file_gives_others(tmp_path: Path) -> None:
    text = 'joints = ["nose", "left_hip", "right_hip", "tip"]\noks_sigmas = { left_hip = 0.2 }'
    assert read_skeleton(written(tmp_path, text)).oks_sigmas == (0.026, 0.2, 0.107, 0.08)


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)
def test_every_skeleton_survives_json(skeleton: Skeleton) -> None:
    assert skeleton_from_dict(json.loads(json.dumps(skeleton_to_dict(skeleton)))) == skeleton


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("joints = [", "expected TOML"),
        ("joints = []", "joints: expected names"),
        ('joints = ["nose"]\nbones = []', "expected the keys joints, limbs, mirror_pairs, name, oks_sigmas, got bones"),
        ('joints = ["left_eye", "nose"]', "expected the mirror image of left_eye, got none"),
        ('joints = ["a", "b"]\nlimbs = [["a", "c"]]', "limbs: expected joints of this file, got 'c'"),
        ('joints = ["a", "b"]\nlimbs = [["a", "a"]]', "limbs: expected two different joints"),
        ('joints = ["a", "b"]\nlimbs = [["a", "b"], ["b", "a"]]', "limbs: expected two different joints, once"),
        ('joints = ["a", "b"]\nmirror_pairs = [["a"]]', "mirror_pairs: expected pairs of joints, got"),
        ('joints = ["a", "b", "c"]\nmirror_pairs = [["a", "b"], ["b", "c"]]', "a joint has two mirror images"),
        ('joints = ["a", "b"]\nlimbs = "a"', "limbs: expected pairs such as"),
        ('joints = ["a"]\nname = 3', "name: expected text, got 3"),
        ('joints = ["a"]\noks_sigmas = [0.1, 0.2]', "a number above 0 for each of the 1 joints"),
        ('joints = ["a"]\noks_sigmas = { a = "b" }', "a number above 0 for each"),
        ('joints = ["a", "a"]', "joints: expected different names, got a twice"),
        ('joints = ["a"]\noks_sigmas = { b = 1.0 }', "oks_sigmas: expected joints, got b"),
        ('joints = ["a"]\noks_sigmas = [0.0]', "a number above 0"),
    ],
)
def test_a_file_that_describes_no_skeleton_is_refused_in_one_line(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(InputError, match=expected) as error:
        read_skeleton(written(tmp_path, text))
    assert "\n" not in str(error.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be read \(No such file"):
        read_skeleton(tmp_path / "none.toml")


def test_each_sigma_has_a_source(tmp_path: Path) -> None:
    text = """joints = ["nose", "left_hip", "right_hip", "tip"]
        [oks_sigmas]
        left_hip = 0.2
        right_hip = { estimated = 0.11, pairs = 90 }"""
    skeleton, sources = read_skeleton_and_sources(written(tmp_path, text))
    assert skeleton.oks_sigmas == (0.026, 0.2, 0.11, 0.08)
    assert sources == {"nose": "by name", "left_hip": "given", "right_hip": "estimated", "tip": "default"}
    assert sigma_sources(skeleton) == sources | {"right_hip": "given"}


@pytest.mark.parametrize("sigma", ["{ pairs = 3 }", "{ estimated = -0.1 }", "{ estimated = 0.1, pears = 3 }", "{}"])
def test_a_table_of_a_joint_without_an_estimate_is_refused(sigma: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="oks_sigmas: expected a number above 0"):
        read_skeleton(written(tmp_path, f'joints = ["a"]\noks_sigmas = {{ a = {sigma} }}'))
