"""Skeletons as plain values and as TOML files, for joints that no published skeleton has.

    name = "horse"
    joints = ["nose", "withers", "left_fore_hoof", "right_fore_hoof"]
    limbs = [["nose", "withers"], ["withers", "left_fore_hoof"], ["withers", "right_fore_hoof"]]
    oks_sigmas = { withers = 0.05 }  # others: those of COCO for its joints, such as nose, otherwise 0.08

`posetrail data sigmas` prints estimated ones, as { estimated = 0.05, pairs = 312 }.

Every left_NAME is the mirror image of its right_NAME; `mirror_pairs` lists pairs with other names.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Literal

from posetrail.errors import InputError
from posetrail.skeletons import COCO_17, UNKNOWN_SIGMA, Skeleton

LARGEST_NUMBER_OF_JOINTS = 4096
_LONGEST_NAME = 200  # characters, of a joint or a skeleton
_LARGEST_BYTES = 2**20
_KEYS = {each.name for each in fields(Skeleton)}
_OF_COCO = dict(zip(COCO_17.joints, COCO_17.oks_sigmas, strict=True))

SigmaSource = Literal["given", "estimated", "by name", "default"]
"""Where an OKS sigma comes from: the skeleton, two annotators' annotations, the joint of this name in COCO, or none."""


def skeleton_to_dict(skeleton: Skeleton) -> dict[str, Any]:
    """The fields of a skeleton as JSON can hold them."""
    return asdict(skeleton)


def skeleton_from_dict(values: Any) -> Skeleton:
    """The skeleton with these fields, as `skeleton_to_dict` returns them or JSON returns those.

    Raises:
        ValueError: a field is missing, unknown or of the wrong type, or `Skeleton` refuses the values.
    """
    if not isinstance(values, dict) or not _is_name(values.get("name")) or set(values) != _KEYS:
        raise ValueError("no skeleton")
    joints, sigmas = values["joints"], values["oks_sigmas"]
    pairs = [values["limbs"], values["mirror_pairs"]]
    lists = (joints, sigmas, *pairs)
    if not all(isinstance(each, list | tuple) and len(each) <= LARGEST_NUMBER_OF_JOINTS for each in lists):
        raise ValueError("no lists of joints, limbs, mirror pairs and sigmas")
    if not all(isinstance(pair, list | tuple) and len(pair) == 2 for each in pairs for pair in each):
        raise ValueError("limbs and mirror pairs are pairs of joints")
    if not all(_is_name(name) for name in (*joints, *(name for each in pairs for pair in each for name in pair))):
        raise ValueError("names of joints are text")
    if not all(type(sigma) in (int, float) for sigma in sigmas):
        raise ValueError("sigmas are numbers")
    limbs, mirror_pairs = (tuple((first, second) for first, second in each) for each in pairs)
    return Skeleton(
        name=values["name"],
        joints=tuple(joints),
        limbs=limbs,
        oks_sigmas=tuple(sigmas),
        mirror_pairs=mirror_pairs,
    )


def read_skeleton(path: Path) -> Skeleton:
    """Read a skeleton from a TOML file.

    Raises:
        InputError: as of `read_skeleton_and_sources`.
    """
    return read_skeleton_and_sources(path)[0]


def read_skeleton_and_sources(path: Path) -> tuple[Skeleton, dict[str, SigmaSource]]:
    """Read a skeleton from a TOML file, and where the OKS sigma of each joint comes from.

    Raises:
        InputError: the file cannot be read, is not TOML, or describes no skeleton; a joint left_NAME without
            right_NAME is refused unless `mirror_pairs` is given, because training with mirrored images needs the pairs.
    """
    try:
        with path.open("rb") as file:
            values = tomllib.loads(file.read(_LARGEST_BYTES).decode())
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give a TOML file with the skeleton") from None
    except ValueError as error:
        raise InputError(f"{path}: expected TOML, got something else ({error}); see docs/how-to/training.md") from None
    if unknown := set(values) - _KEYS:
        raise InputError(f"{path}: expected the keys {', '.join(sorted(_KEYS))}, got {', '.join(sorted(unknown))}")
    joints = values.get("joints")
    if not isinstance(joints, list) or not joints or not all(joint and _is_name(joint) for joint in joints):
        raise InputError(f'{path}: joints: expected names such as ["nose", "left_eye"], got {joints!r:.80}')
    if "mirror_pairs" not in values and (alone := _without_mirror_image(joints)):
        raise InputError(
            f"{path}: joints: expected the mirror image of {alone}, got none; name it with left_ and right_, or give "
            "mirror_pairs"
        )
    if len(set(joints)) < len(joints):
        again = next(joint for joint in joints if joints.count(joint) > 1)
        raise InputError(f"{path}: joints: expected different names, got {again} twice")
    if not _is_name(values.get("name", "")):
        raise InputError(f"{path}: name: expected text, got {values['name']!r:.80}")
    for key in ("limbs", "mirror_pairs"):
        _check_pairs(path, key, values.get(key, []), joints)
    sigmas = values.get("oks_sigmas", {})
    sources: dict[str, SigmaSource] = dict.fromkeys(joints, "given")
    if isinstance(sigmas, dict):
        if unknown := set(sigmas) - set(joints):
            raise InputError(f"{path}: oks_sigmas: expected joints, got {', '.join(sorted(unknown))}")
        tables = {joint: each for joint, each in sigmas.items() if isinstance(each, dict)}
        estimated = {
            joint: each.get("estimated") if each.keys() <= {"estimated", "pairs"} else None
            for joint, each in tables.items()
        }
        sources = default_sources(joints) | dict.fromkeys(sigmas, "given") | dict.fromkeys(estimated, "estimated")
        sigmas = dict(zip(joints, default_sigmas(joints), strict=True)) | sigmas | estimated
        sigmas = [sigmas[joint] for joint in joints]
    if not isinstance(sigmas, list) or len(sigmas) != len(joints) or not all(map(_is_sigma, sigmas)):
        raise InputError(
            f"{path}: oks_sigmas: expected a number above 0 for each of the {len(joints)} joints, or a table of joints "
            f"such as {{ {joints[0]} = 0.05 }}, got {values['oks_sigmas']!r:.80}"
        )
    whole = {"name": path.stem, "limbs": [], "mirror_pairs": [], **values, "oks_sigmas": sigmas}
    try:
        return skeleton_from_dict(whole), sources
    except ValueError as error:
        raise InputError(f"{path}: {error}; see docs/how-to/training.md") from None


def default_sigmas(joints: Sequence[str]) -> tuple[float, ...]:
    """The OKS sigmas of COCO for joints with its names, otherwise 0.08."""
    return tuple(_OF_COCO.get(joint, UNKNOWN_SIGMA) for joint in joints)


def default_sources(joints: Sequence[str]) -> dict[str, SigmaSource]:
    """Where the sigmas of `default_sigmas` come from."""
    return {joint: "by name" if joint in _OF_COCO else "default" for joint in joints}


def sigma_sources(skeleton: Skeleton) -> dict[str, SigmaSource]:
    """Where the sigmas of a skeleton without a file come from: "given" are those that differ from the default."""
    defaults = zip(default_sigmas(skeleton.joints), default_sources(skeleton.joints).items(), strict=True)
    return {
        joint: source if sigma == default else "given"
        for sigma, (default, (joint, source)) in zip(skeleton.oks_sigmas, defaults, strict=True)
    }


def _check_pairs(path: Path, key: str, pairs: Any, joints: list[str]) -> None:
    """Check that limbs or mirror pairs are pairs of two joints, each of them given once.

    Raises:
        InputError: they are not.
    """
    if not isinstance(pairs, list):
        raise InputError(f'{path}: {key}: expected pairs such as [["{joints[0]}", "{joints[-1]}"]], got {pairs!r:.80}')
    seen: set[frozenset[str]] = set()
    for pair in pairs:
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(name, str) for name in pair):
            raise InputError(f"{path}: {key}: expected pairs of joints, got {pair!r:.80}")
        if unknown := [name for name in pair if name not in joints]:
            raise InputError(f"{path}: {key}: expected joints of this file, got {unknown[0]!r:.80}; add it to joints")
        if len(each := frozenset(pair)) < 2 or each in seen:
            raise InputError(f"{path}: {key}: expected two different joints, once for each pair, got {pair!r:.80}")
        seen.add(each)


def _without_mirror_image(joints: list[str]) -> str:
    """The first joint of one side without a joint of the other; empty if there is none."""
    for side, other in (("left_", "right_"), ("right_", "left_")):
        for joint in joints:
            if joint.startswith(side) and other + joint.removeprefix(side) not in joints:
                return joint
    return ""


def _is_sigma(value: Any) -> bool:
    return type(value) in (int, float) and 0 < value < math.inf


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST_NAME
