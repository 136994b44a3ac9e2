"""Settings that benchmarks of inference compare: by name, or given as NAME=VALUE."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import orjson

from posetrail.errors import InputError, unknown_name
from tracker.settings import Settings

CANDIDATES: dict[str, dict[str, Any]] = {
    "default": {},
    "flip-test": {"flip_test": True},
    **{f"crop-scale-{scale}": {"crop_scale": scale} for scale in (1.0, 1.1, 1.15, 1.2, 1.3, 1.4, 1.5)},
    "no-crop-mask": {"crop_mask": False},
    **{f"mask-margin-{margin}": {"crop_mask_margin": margin} for margin in (0.1, 0.15, 0.3, 0.4)},
    "no-propagation": {"propagate": False},
    "detector-416": {"detector_input_px": 416},
    "detect-every-3": {"detect_every": 3},
    "online": {"offline": False},
}


def add_candidate_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --candidates and --set, whose values `chosen_candidates` takes."""
    parser.add_argument("--candidates", nargs="+", choices=CANDIDATES, metavar="NAME", help=", ".join(CANDIDATES))
    parser.add_argument(
        "--set", nargs="+", action="append", default=[], metavar="NAME=VALUE", help="one more candidate; repeatable"
    )


def chosen_candidates(
    base: Settings, names: Sequence[str] | None, given: Sequence[Sequence[str]]
) -> dict[str, Settings]:
    """Settings by the name of their row; the default alone if nothing was chosen.

    Args:
        base: settings that the candidates change.
        names: of CANDIDATES.
        given: for each further candidate its texts, such as crop_scale=1.1.

    Raises:
        InputError: there is no such setting, or a value cannot be used.
    """
    values = {name: CANDIDATES[name] for name in names or ([] if given else ["default"])}
    values |= {" ".join(texts): values_of(texts) for texts in given}
    return {name: with_values(base, changes) for name, changes in values.items()}


def with_values(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """The settings with these fields changed, whichever group they belong to.

    Raises:
        InputError: there is no such setting, or a value cannot be used.
    """
    groups = {each.name: getattr(settings, each.name) for each in fields(settings)}
    for name, value in values.items():
        group = next((group for group, part in groups.items() if name in {each.name for each in fields(part)}), None)
        if group is None:
            raise unknown_name("setting", name, [each.name for part in groups.values() for each in fields(part)])
        groups[group] = replace(groups[group], **{name: value})
    return replace(settings, **groups)


def values_of(texts: Iterable[str]) -> dict[str, Any]:
    """Settings by name from texts such as crop_scale=1.1, crop_mask=false or flow=none.

    Raises:
        InputError: a text has no name or no value.
    """
    values = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign:
            raise InputError(f"--set: expected NAME=VALUE such as crop_scale=1.1, got {text!r}")
        try:
            values[name.strip()] = orjson.loads(value)
        except orjson.JSONDecodeError:
            values[name.strip()] = value.strip()
    return values
