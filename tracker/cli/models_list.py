"""The list of networks: those built in, those that can be fetched, those that need a file from their authors."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Iterator, Sequence
from itertools import groupby, takewhile
from pathlib import Path

from rich.console import Console, RenderableType
from rich.table import Table

from posetrail.published import Published
from posetrail.store import home_folder, state
from posetrail.weights import Weights
from tracker.runs.published import published_weights

_WIDE, _NARROW = 120, 80  # columns: without a terminal, and at least
_RESTRICTED = "†"
_KINDS = {
    "detector": "Detectors",
    "estimator": "Estimators",
    "refiner": "Refiners",
    "appearance": "Appearance",
    "flow": "Optical flow",
    "lifter": "Lifting to 3-D",
}


def built_in() -> dict[str, Weights]:
    """Weights in the package, by their names."""
    from detectors import BUILT_IN as DETECTORS
    from estimators import BUILT_IN as ESTIMATORS

    networks = [made.network for made in DETECTORS.values()] + [made.network for made in ESTIMATORS.values()]
    files = [each for network in networks for each in (network.weights, network.int8) if each is not None]
    return {weights.name: weights for weights in files}


def page(*, everything: bool = False, home: Path | None = None, width: int | None = None) -> str:
    """The list as text.

    Args:
        everything: details of each file, instead of a table of families.
        home: home folder of the store; the default one if None.
        width: columns; those of the terminal if None.
    """
    text = io.StringIO()
    console = Console(file=text, highlight=False, markup=False, color_system=None, width=width or _terminal_width())
    for part in _everything(home) if everything else _families(home):
        console.print(part, soft_wrap=isinstance(part, str))
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines())


def _terminal_width() -> int:
    return max(shutil.get_terminal_size((_WIDE, 0)).columns, _NARROW)


def _families(home: Path | None) -> Iterator[RenderableType]:
    yield "Built in, ready to use:"
    table = _table("name", "licence", "MB", "what it is")
    for name, weights in built_in().items():
        table.add_row(f"  {name}", weights.licence, f"{weights.size_bytes / 1e6:.0f}", weights.about)
    yield table
    yield "\nTo be fetched from their authors, once: posetrail models fetch NAME ..."
    yield _by_family([each for each in published_weights().values() if each.url], home)
    yield "\nWith a file of your own, which its authors link at a drive or which you trained:"
    yield _by_family([each for each in published_weights().values() if not each.url], home)
    here = sum(state(each, home).is_here for each in published_weights().values())
    yield (
        f"\n* here already ({here} of {len(published_weights())}), in {home_folder(home) / 'weights'}\n"
        f"{_RESTRICTED} some of them were trained on data that is not for every use\n"
        "Each file's size, skeleton, score and address: posetrail models list --all"
    )


def _by_family(entries: Sequence[Published], home: Path | None) -> Table:
    table = _table("", "licence", "MB", "expected score", "names")
    for kind, title in _KINDS.items():
        of_kind = sorted((each for each in entries if each.kind == kind), key=lambda each: _order(entries, each))
        if of_kind:
            table.add_row(title)
        for family, group in groupby(of_kind, key=lambda each: each.family):
            members = list(group)
            table.add_row(
                f"  {family}",
                _licences(members),
                _range([each.megabytes for each in members]),
                _scores(members),
                _braced([each.name + ("*" if state(each, home).is_here else "") for each in members]),
            )
    return table


def _order(entries: Sequence[Published], one: Published) -> int:
    """Rank of a family: families are in the order of the entries."""
    return next(k for k, each in enumerate(entries) if each.family == one.family and each.kind == one.kind)


def _braced(names: Sequence[str]) -> str:
    """Names with their common beginning and end written once: "rtmpose_{t, s, m, l}_coco"."""
    if len(names) == 1:
        return names[0]
    start = re.sub(r"[^:_]*$", "", _shared(names))
    end = re.sub(r"^[^_]*", "", _shared([name.removeprefix(start)[::-1] for name in names])[::-1])
    middles = ", ".join(name.removeprefix(start).removesuffix(end) for name in names)
    return f"{start}{{{middles}}}{end}" if start or end else middles


def _shared(words: Sequence[str]) -> str:
    """The common beginning of all words."""
    return "".join(letters[0] for letters in takewhile(lambda each: len(set(each)) == 1, zip(*words, strict=False)))


def _licences(members: Sequence[Published]) -> str:
    licences = dict.fromkeys(each.licence.partition(";")[0] for each in members)
    return ", ".join(licences) + (f" {_RESTRICTED}" if any(";" in each.licence for each in members) else "")


def _range(numbers: Sequence[float]) -> str:
    low, high = f"{min(numbers):.0f}", f"{max(numbers):.0f}"
    return low if low == high else f"{low} to {high}"


def _scores(members: Sequence[Published]) -> str:
    """The range of scores of each measure: "25.8 to 46.9 COCO box AP"."""
    by_measure: dict[str, list[str]] = {}
    for each in members:
        number = re.match(r"[\d.]+", each.score)
        if number:
            by_measure.setdefault(each.score[number.end() :].strip(), []).append(number[0])
    return ", ".join(
        f"{' to '.join(dict.fromkeys((min(values, key=float), max(values, key=float))))} {measure}"
        for measure, values in by_measure.items()
    )


def _everything(home: Path | None) -> Iterator[RenderableType]:
    for name, weights in built_in().items():
        yield f"{name}  (built in, {weights.size_bytes / 1e6:.1f} MB, {weights.licence})"
        yield f"    {weights.about}\n    from {weights.source}\n    sha256 {weights.sha256}"
    for each in published_weights().values():
        kept = state(each, home)
        where = "in the cache" if kept.is_here else "not fetched" if each.url else "needs a file of yours"
        size = f" at {each.input_size[0]}x{each.input_size[1]}" if each.input_size else ""
        skeleton = f", {each.skeleton}" if each.skeleton else ""
        yield f"{each.name}  ({each.kind}, {where}, about {each.megabytes:.0f} MB, {each.licence})"
        yield f"    {each.score}{size}{skeleton}; by {each.scored_by or 'an unknown source'}"
        yield f"    {f'from {each.url}' if each.url else _by_hand(each)}"
        yield f"    sha256 {' or '.join(each.sha256) or 'not published'}; kept at {kept.path}"


def _by_hand(each: Published) -> str:
    if not each.page:
        return "no published weights"
    remark = f"; {each.remark}" if each.remark else ""
    return f"{each.file or 'files'} linked at {each.page}{remark}"


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in columns:
        table.add_column(name, overflow="fold", no_wrap=name in ("", "name", "MB"))
    return table
