"""Values of settings that no flag gives: from --set, then the TOML file of --config, then the preset, then defaults."""

from __future__ import annotations

import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cyclopts import App
from cyclopts.config import Dict

from posetrail.errors import InputError, unknown_name
from tracker.settings import PRESETS, Settings


def fill_in(app: App, commands: tuple[str, ...], arguments: Any) -> None:
    """Complete the arguments of a command; a `config` of cyclopts.

    Presets and files may have settings that the command does not have; these are ignored.

    Raises:
        InputError: the file cannot be read, or no preset has this name.
    """
    given = {argument.name: [token.value for token in argument.tokens] for argument in arguments}
    sources: list[tuple[str, dict[str, Any]]] = [("--set", dict(map(_name_and_value, given.get("--set", []))))]
    if any(token.implicit_value is True for each in arguments if each.name == "--online" for token in each.tokens):
        sources.insert(0, ("--online", {"offline": False}))  # before the settings are validated: some need it
    sources += [(path, _read_toml(Path(path))) for path in given.get("--config", [])]
    for name in given.get("--preset", []):
        if name not in PRESETS:
            raise unknown_name("preset", name, PRESETS)
        values = {setting: value for setting, value in _flat(PRESETS[name]).items() if value is not None}
        sources.append((f"preset {name}", values))
    elsewhere = {_flag(setting) for setting in _flat(Settings())} - {argument.name for argument in arguments}
    for source, values in sources:
        known = {setting: value for setting, value in values.items() if _flag(setting) not in elsewhere}
        Dict(known, use_commands_as_keys=False, source=source)(app, commands, arguments)
    for argument in arguments:
        _check_whole(argument)


def _check_whole(argument: Any) -> None:
    """Refuse 2.5 for a whole number, which cyclopts would round to 2."""
    if argument.hint not in (int, int | None):
        return
    for token in argument.tokens:
        _, point, decimals = token.value.partition(".")
        if point and decimals.strip("0_"):
            raise InputError(f"{argument.name}: expected a whole number, got {token.value}")


def _flag(setting: str) -> str:
    return "--" + setting.replace("_", "-")


def _flat(settings: Settings) -> dict[str, Any]:
    return {setting: value for group in asdict(settings).values() for setting, value in group.items()}


def _name_and_value(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise InputError(f"--set: expected NAME=VALUE such as similarity=iou, got {text!r}")
    return name.strip(), value.strip()


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"--config: expected a TOML file of settings, got {path}, which cannot be read ({error.strerror})"
        ) from None
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"--config: expected lines such as detect_every = 2, got {path}, which is not TOML ({error})"
        ) from None
    for name, value in values.items():
        if isinstance(value, dict):  # a deeply nested table would exhaust the recursion of cyclopts
            raise InputError(
                f"--config: expected lines such as detect_every = 2, got a table {name[:40]!r} in {path}; "
                "leave out the table's heading"
            )
    return values
