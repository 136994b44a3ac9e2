"""Association alone: the same poses given to the presets of posetrail and to other trackers. No pixels, no networks.

    uv run python -m benchmarks.association                       # all trackers, suite "report"
    uv run python -m benchmarks.association --suite dev --level easy --only "perfect ids; default online"
    uv run python -m benchmarks.association --people 5,20,100 --only "perfect ids; default online; trackers BoTSORT"
    uv run python -m benchmarks.association --time                # microseconds per frame
    uv run python -m benchmarks.association --mot15               # two real sequences of boxes
    uv run python -m benchmarks.association --tune "trackers BoTSORT" --trials 24

The worlds are synthetic (`benchmarks.worlds`), and so are the errors of the networks that observe them
(`benchmarks.noise`). Camera motion is known only where a row says so. Offline, posetrail also smooths joints and
interpolates gaps, so that perfect ids on the observed poses are no upper bound; rows with "ids only" do neither.
"""

from __future__ import annotations

import argparse
from collections import abc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import numpy as np

from benchmarks import mot15
from benchmarks.noise import LEVELS, PROFILES
from benchmarks.peers import CHOSEN, DOCUMENTED, SPACES, Peer
from benchmarks.scoring import Row, perfect, score
from benchmarks.sequence_trackers import Greedy, Posetrail
from benchmarks.sequences import SUITES, Sequence, SequenceTracker, sequence, sequences
from benchmarks.worlds import make_world
from tracker.settings import PRESETS

_NEED_JOINTS = ("perfect ids", "OKS", "norfair joints")


def trackers() -> dict[str, SequenceTracker]:
    """Trackers that need no other package, by name."""
    known: dict[str, SequenceTracker] = {
        "perfect ids": perfect,
        "perfect ids, false poses kept": partial(perfect, keep_false=True),
        "IoU greedy, last frame": Greedy("iou", 1, 0.3),
        "OKS greedy, 10 frames": Greedy("oks", 10, 0.2),
    }
    default = PRESETS["default"].association
    online = replace(default, offline=False)
    known |= {
        name: Posetrail(settings.association, camera=False) for name, settings in PRESETS.items() if name != "default"
    }
    known |= {
        "default online": Posetrail(online, camera=False),
        "default online, camera motion known": Posetrail(online),
        "default offline, ids only": Posetrail(
            replace(default, smooth="none", max_interpolation_gap_s=0.0), camera=False
        ),
        "default offline": Posetrail(default, camera=False),
        "default offline, camera motion known": Posetrail(default),
    }
    return known


@contextmanager
def contenders(only: abc.Sequence[str] = ()) -> Iterator[dict[str, SequenceTracker]]:
    """All trackers by name, or those in `only`; prints which packages could not be installed."""
    known = trackers()
    chosen: dict[str, SequenceTracker] = {name: known[name] for name in only or known if name in known}
    peers = []
    for name in SPACES:
        for label, settings in ((f"{name}, as documented", DOCUMENTED[name]), (name, CHOSEN.get(name))):
            if settings is not None and (not only or label in only):
                peers.append((label, Peer(name, settings)))
    usable = {label: peer for label, peer in peers if peer.works()}
    left_out = [label for label, _ in peers if label not in usable]
    unknown = set(only) - set(known) - {label for label, _ in peers}
    if left_out or unknown:
        print(f"left out, because unknown or not installable: {', '.join([*left_out, *unknown])}")
    try:
        yield chosen | usable
    finally:
        for _, peer in peers:
            peer.close()


def tune(name: str, trials: int, made: abc.Sequence[Sequence]) -> None:
    """Try random settings of another tracker, the documented ones first, and print each improvement."""
    best, peer = -np.inf, Peer(name, {})
    for trial in range(trials):
        rng = np.random.default_rng([3, trial])
        drawn = {key: values[rng.integers(len(values))] for key, values in SPACES[name].items()}
        peer.settings = drawn if trial else DOCUMENTED[name]
        row = score(made, peer)
        if row.goodness > best:
            best = row.goodness
            print(f"{trial:4d}  {' '.join(row.cells())}  {peer.settings}", flush=True)
    peer.close()


def print_table(title: str, rows: abc.Mapping[str, Row | mot15.BoxRow]) -> None:
    """Print one line per tracker."""
    titles = next(iter(rows.values())).TITLES
    print(f"\n{title}\n\n| tracker | {' | '.join(titles)} |\n| --- |{' ---: |' * len(titles)}")
    for name, row in rows.items():
        print(f"| {name} | {' | '.join(row.cells())} |", flush=True)


def print_scores(title: str, made: abc.Sequence[Sequence], chosen: dict[str, SequenceTracker]) -> None:
    """Score all trackers and print the table."""
    rows = {name: score(made, tracker) for name, tracker in chosen.items()}
    people = next(iter(rows.values())).people
    print_table(f"{title}: {len(made)} sequences, {people} people in frames", rows)


def print_times(chosen: dict[str, SequenceTracker]) -> None:
    """Print microseconds per frame of the updates, medians over three worlds."""
    print("\n| us/frame | 20 people | 100 people |\n| --- | ---: | ---: |")
    crowds = [
        [sequence(f"{seed}", make_world("street", rng, people=people, frames=60), LEVELS["hard"], "usual", rng)]
        for people in (20, 100)
        for seed in range(3)
        for rng in [np.random.default_rng([people, seed])]
    ]
    for name, tracker in chosen.items():
        if not name.startswith("perfect ids"):
            spent = [score(made, tracker).microseconds for made in crowds]
            print(f"| {name} | {np.median(spent[:3]):.0f} | {np.median(spent[3:]):.0f} |", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", choices=list(SUITES), default="report")
    parser.add_argument("--level", choices=list(LEVELS), default="hard", help="level of the noise")
    parser.add_argument("--seeds", type=int, default=1, help="number of seeds, with thirty sequences each")
    parser.add_argument(
        "--people",
        type=lambda text: [int(n) for n in text.split(",")],
        help="people in each sequence; several numbers with commas",
    )
    parser.add_argument("--profile", choices=PROFILES, help="scale of the scores; mixed if not given")
    parser.add_argument("--boxes", action="store_true", help="give the trackers boxes without joints")
    parser.add_argument(
        "--only", type=lambda text: text.split("; "), default=[], help="names of trackers, separated by '; '"
    )
    parser.add_argument("--time", action="store_true", help="measure microseconds per frame instead")
    parser.add_argument("--mot15", action="store_true", help="use two real sequences of boxes instead")
    parser.add_argument("--tune", metavar="NAME", help="search settings of this tracker on the suite dev instead")
    parser.add_argument("--trials", type=int, default=24, help="settings tried by --tune")
    options = parser.parse_args()

    make = partial(sequences, level=options.level, profile=options.profile, boxes_only=options.boxes)
    if options.tune:
        return tune(options.tune, options.trials, make("dev"))
    with contenders(options.only) as chosen:
        if options.time:
            print_times(chosen)
        elif options.mot15:
            clips = mot15.clips()
            boxed = {name: tracker for name, tracker in chosen.items() if not name.startswith(_NEED_JOINTS)}
            first = 100 if options.suite == "dev" else 0
            noisy = mot15.noisy_clips(clips, range(first, first + 8))
            for name in mot15.CLIPS:
                for made, title in ((clips, "boxes of a tracker"), (noisy, "annotated boxes with invented errors")):
                    chosen_clips = [each for each in made if each.sequence.name.startswith(name)]
                    rows = {tracker: mot15.score(chosen_clips, run) for tracker, run in boxed.items()}
                    print_table(f"{name}, {title}", rows)
        else:
            for people in options.people or [None]:
                made = [each for seed in range(options.seeds) for each in make(options.suite, seed, people=people)]
                crowd = f", {people} people" if people else ""
                print_scores(f"{options.suite}, {options.level}{crowd}", made, chosen)
    return None


if __name__ == "__main__":
    main()
