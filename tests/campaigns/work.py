"""The commands that write results, each with what it needs, and what an undisturbed run of it makes."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from ..media import write_video
from .clips import pictures
from .product import Product
from .results import data_files
from .sandbox import Ended, Sandbox, in_child

SLOW = Product(slow_s=0.03)
QUIET = ("--progress", "none")


@dataclass(frozen=True)
class Work:
    """A command; IN, OUT and RUN among its arguments are a folder of clips, the output, and a finished run's copy."""

    name: str
    arguments: tuple[str, ...]
    needs_run: bool = False

    def prepare(self, sandbox: Sandbox) -> list[object]:
        """Put what it needs into a sandbox; its arguments there."""
        for clip in clips(sandbox.shared):
            if not (sandbox.given / clip.name).exists():
                shutil.copy2(clip, sandbox.given / clip.name)
        if self.needs_run and not (sandbox.out / "run").exists():
            shutil.copytree(finished_run(sandbox.shared), sandbox.out / "run")
        places = {"IN": sandbox.given, "OUT": sandbox.out, "RUN": sandbox.out / "run"}
        return [_placed(argument, places) for argument in self.arguments]


def _placed(argument: str, places: dict[str, Path]) -> str:
    first, sign, rest = argument.partition("/")
    return f"{places[first]}{sign}{rest}" if first in places else argument


WORKS = (
    Work("track", ("track", "IN/a.mkv", "-o", "OUT", *QUIET)),
    Work("track --video", ("track", "IN/a.mkv", "-o", "OUT", "--video", *QUIET)),
    Work("batch --jobs 2", ("batch", "IN", "-o", "OUT", "--jobs", "2", *QUIET)),
    Work("batch --segment-s", ("batch", "IN/a.mkv", "-o", "OUT", "--jobs", "2", "--segment-s", "0.5", *QUIET)),
    Work("follow", ("follow", "RUN", "-o", "OUT/again", "--similarity", "iou", "--save", "coco"), needs_run=True),
    Work("draw", ("draw", "RUN", "-o", "OUT/drawn.mp4", *QUIET), needs_run=True),
)


@cache
def clips(shared: Path) -> tuple[Path, ...]:
    """Three clips of 48, 72 and 96 frames."""
    folder = shared / "clips"
    folder.mkdir()
    made = {name: folder / f"{name}.mkv" for name in "abc"}
    images = pictures((128, 96))
    for times, path in enumerate(made.values(), 2):
        assert in_child(partial(write_video, path, images * times, fps=24))
    return tuple(made.values())


@cache
def finished_run(shared: Path) -> Path:
    """A run's folder, of the clip a.mkv of `clips`."""
    sandbox = Sandbox(shared / "finished", shared)
    sandbox.posetrail("track", clips(shared)[0], "-o", sandbox.out, *QUIET)
    return sandbox.out / "a"


@cache
def undisturbed(work: Work, shared: Path) -> tuple[dict[str, bytes], Ended]:
    """What a command makes if nothing happens, and how it ends."""
    sandbox = Sandbox(shared / work.name.replace(" ", ""), shared)
    ended = sandbox.posetrail(*work.prepare(sandbox), product=SLOW)
    assert ended.code == 0, ended
    return data_files(sandbox.out), ended
