"""Writes the reference of settings and command line while MkDocs builds: a hook, so neither page can be out of date.

The pages come from the dataclasses of tracker/settings.py and the commands of tracker/cli; no file is written to docs/.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable
from dataclasses import fields
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))  # MkDocs runs hooks without the repository on the path

COMMANDS = {
    "track": (),
    "batch": (),
    "follow": (),
    "draw": (),
    "export": (),
    "report": (),
    "view": (),
    "eval": (),
    "convert": (),
    "models": ("list", "fetch", "verify", "path", "export", "quantise"),
    "data": ("check",),
    "doctor": (),
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages; MkDocs calls this."""
    from mkdocs.structure.files import File

    pages = {
        "reference/settings.md": settings_page(),
        "reference/cli.md": cli_page(),
        "reference/lifters.md": lifters_page(),
        "changelog.md": (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8"),
        "contributing.md": (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8"),
    }
    for path, page in pages.items():
        files.append(File.generated(config, path, content=page))
    return files


def lifters_page() -> str:
    """Markdown: each network for 3-D joints with its joints, its weights, their licence and score."""
    from estimators.lifters import LIFTERS
    from estimators.published import PUBLISHED

    lines = [
        "# Networks for 3-D joints",
        "",
        "These networks take the 2-D joints of one person over time. Their weights are not in the package: those",
        "with a link to a file are downloaded by `posetrail models fetch NAME`, the others from the page of their",
        "authors. Those that allow commercial use are first; all were trained on Human3.6M or HumanEva-I, whose",
        "terms are for academic use. Errors are those that the authors report on these data sets, in millimetres;",
        "errors with 2-D joints from the ground truth are lower than what a pose estimator gives. An answer in",
        "pixels has no size in metres without the height of the person.",
        "",
        "| name | 2-D joints | 3-D joints | frames | trained at | unit | licence | error | weights |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, recipe in LIFTERS.items():
        known = PUBLISHED[name]
        rate = f"{recipe.rate_hz:g} Hz" if recipe.rate_hz else "any"
        address = known.url or known.page
        weights = f"[{known.file.rpartition('/')[2] or 'files'}]({address})" if address else "your own"
        cells = (f"`{name}`", recipe.source.name, recipe.skeleton.name, str(recipe.frames), rate, recipe.unit)
        lines.append(f"| {' | '.join((*cells, known.licence, known.reported_score, weights))} |")
    further = [each for each in PUBLISHED.values() if each.kind == "lifter" and each.name not in LIFTERS and each.file]
    lines += ["", "Further files, to be given as the weights of a network above:", ""]
    lines += [f"- `{each.name}` of `{each.network}`: {each.reported_score}; {each.licence}" for each in further]
    lines += [
        "",
        "Accuracy with published weights was not measured here. That network and loss work together is checked by",
        "training a VideoPose3D of 27 frames and 128 channels on 15 recorded motions seen by made-up cameras: after 30",
        "epochs, its mean joint error on 5 other motions is 191 mm, that of the mean pose 376 mm",
        "(`python -m benchmarks.lifting FILE`).",
    ]
    return "\n".join(lines) + "\n"


def settings_page() -> str:
    """Markdown: a table of the settings of each section, with presets beside the defaults."""
    from tracker.cli.help import sections
    from tracker.settings import PRESETS, AssociationSettings, InferenceSettings, NetworkSettings

    texts = {name: argument.parameter.help for name, argument in _arguments("track").items()}
    names = {
        each.name: (group, kind)
        for kind, group in zip(
            ("networks", "inference", "association"),
            (NetworkSettings, InferenceSettings, AssociationSettings),
            strict=True,
        )
        for each in fields(group)
    }
    lines = [
        "# Settings",
        "",
        "A setting is a flag (`detect_every` is `--detect-every`), a line of the TOML file of `--config`, a",
        "`--set NAME=VALUE`, and a field of a dataclass in Python. Flags take precedence over `--set`, then come the",
        "file, the preset and the defaults.",
        "",
        "Accuracy figures are those of synthetic worlds with hard noise, where the default online association has",
        "IDF1 86.5 and MOTA 66.2; see [Association](../concepts/association.md).",
    ]
    for heading, rows in groupby(sections().items(), key=lambda item: item[1]):
        lines += ["", f"## {heading}", "", "| setting | values | default | |", "| --- | --- | --- | --- |"]
        for name, _ in rows:
            group, _kind = names[name]
            text = _cell(texts[f"--{name.replace('_', '-')}"])
            lines.append(f"| `{name}` | {_values(group, name)} | {_shown(getattr(group(), name))} | {text} |")
    lines += ["", "## Presets", "", "Settings that `--preset NAME` changes:", ""]
    changed = {name: _differences(preset, names) for name, preset in PRESETS.items() if name != "default"}
    lines += [f"| setting | default | {' | '.join(changed)} |", f"| --- | --- |{' --- |' * len(changed)}"]
    for name, (group, _kind) in names.items():
        if any(name in values for values in changed.values()):
            cells = [_shown(values[name]) if name in values else "" for values in changed.values()]
            lines.append(f"| `{name}` | {_shown(getattr(group(), name))} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def cli_page() -> str:
    """Markdown: each command, what it does and its flags; those of settings are on the page of settings."""
    from tracker.cli.app import app
    from tracker.cli.help import sections

    settings = {"--" + name.replace("_", "-") for name in sections()}
    _, exit_codes, _ = (sys.modules["tracker.cli.app"].__doc__ or "").split("\n\n", 2)
    lines = ["# Command line", "", exit_codes]
    for command, children in COMMANDS.items():
        for names in [(command,), *((command, child) for child in children)]:
            level, title = "#" * (1 + len(names)), " ".join(names)
            lines += ["", f"{level} {title}", "", _paragraphs(_resolved(app, names).help)]
            arguments = _arguments(*names) if _resolved(app, names).default_command else {}
            own = {name: argument for name, argument in arguments.items() if name not in settings}
            if own and not (len(names) == 1 and children):
                lines += ["", "| flag | default | |", "| --- | --- | --- |"]
                lines += [_row(argument) for argument in own.values()]
            if set(arguments) & settings:
                lines += ["", "Also the flags of [all settings](settings.md)." if "--detector" in arguments else ""]
                if "--detector" not in arguments:
                    lines += ["Also the flags of the [association settings](settings.md#association)."]
    return "\n".join(lines) + "\n"


def _resolved(app: Any, names: Iterable[str]) -> Any:
    for name in names:
        app = app[name]
    return app


def _arguments(*names: str) -> dict[str, Any]:
    """The arguments of a command by their names, without those that only group others."""
    from tracker.cli.app import app

    found = _resolved(app, names).assemble_argument_collection(parse_docstring=True)
    return {argument.name: argument for argument in found if argument.show}


def _row(argument: Any) -> str:
    name = argument.name if argument.index is None else argument.name.lstrip("-").upper()
    short = [f"`{each}`" for each in argument.names if re.fullmatch("-[a-z]", each)]
    default = argument.field_info.default
    shown = _shown(default) if isinstance(default, str | int | float | Path) and default is not False else ""
    return f"| {', '.join([f'`{name}`', *short])} | {shown} | {_cell(argument.parameter.help)} |"


def _values(group: type, name: str) -> str:
    """What a setting may be: choices, a range, or a kind of value."""
    hint = get_type_hints(group, include_extras=True)[name]
    parts = [hint, *get_args(hint)]
    ranges = [note for part in parts for note in getattr(part, "__metadata__", ())]
    if ranges:
        return f"{ranges[0].low:g}..{ranges[0].high:g}"
    choices = [value for part in parts for value in (part, *get_args(part)) if isinstance(value, str)]
    if choices:
        return ", ".join(dict.fromkeys(choices))
    kinds = {bool: "true, false", str: "text", Path: "path"}
    return next((word for kind, word in kinds.items() if kind in parts), "number")


def _differences(preset: Any, names: dict[str, tuple[type, str]]) -> dict[str, Any]:
    values = {name: getattr(getattr(preset, kind), name) for name, (_, kind) in names.items()}
    return {name: value for name, value in values.items() if value != getattr(names[name][0](), name)}


def _shown(value: object) -> str:
    if value is None or value == "":
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


def _paragraphs(text: str) -> str:
    """The text of a docstring up to its sections."""
    return re.split(r"\n(?:Args|Returns|Raises):", inspect.cleandoc(text))[0].strip()
