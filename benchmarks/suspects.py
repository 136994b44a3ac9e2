"""How many errors of tracks `posetrail suspects` finds in how many looks, on worlds with invented noise.

    uv run python -m benchmarks.suspects
    uv run python -m benchmarks.suspects --hard 3 0 --easy 0 0

The tracks are those of offline association without smoothing; the camera's motion is not known. A look is a place:
flags of one track within six frames, and of the other track of an exchange. At a number of looks, each order shows the
flags of its greatest values that make so many places. A lasting transfer - an id that goes over from one person to
another, with at least five poses of each - is found if one of these flags lies on it: on a link between the last pose
of the one person and the first pose of the other, in the flagged track or at the same frames in the track with which it
could be exchanged.

The weights were fitted on the first seeds of the suite `dev` by `benchmarks.suspect_fit`; figures are of the suite
`report`, and of the seeds from 100 on of `dev`.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.suspect_fit import link_parts
from benchmarks.suspect_oracle import Edited, idf1
from benchmarks.suspect_samples import Sample, Transfer, samples
from posetrail.skeletons import COCO_17
from tracker.association.suspect_ends import measured_ends
from tracker.association.suspect_joints import joint_parts, joint_residuals
from tracker.association.suspect_places import Flag, merged
from tracker.association.suspect_weights import JOINT, doubt
from tracker.association.suspects import LEAST, identity_flags

LOOKS = (10, 20, 40, 80)
_FURTHER = 100  # first seed of `dev` that nothing was chosen on
_JOINT_SEEDS = 5  # seeds of `report` whose joints are measured
_FLAGS_PER_FRAME = 0.7  # of each order, the greatest are kept
_ALL = {**dict.fromkeys(LEAST, 0.0), "link": 0.001, "interpolated": LEAST["interpolated"]}


@dataclass(eq=False)
class Judged:
    """A sequence: what is wrong with its tracks, and its flags by each order."""

    name: str
    num_frames: int
    transfers: list[Transfer]
    births: list[tuple[int, int, int]]  # id, position and pose of each broken birth
    flags: dict[str, list[Flag]]
    edited: Edited
    joints: dict[str, np.ndarray] = field(default_factory=dict)  # (P,) of joints: values of measures, and what is bad
    _places: dict[str, list[Flag]] = field(default_factory=dict)

    def places(self, order: str) -> list[Flag]:
        """The places of all flags of an order, the greatest values first."""
        if order not in self._places:
            self._places[order] = merged(self.flags.get(order, []))
        return self._places[order]


def judged(sample: Sample, rng: np.random.Generator, *, joints_too: bool) -> Judged:
    """Measure a sequence by all orders."""
    chains, poses = sample.chains, sample.poses
    flags: dict[str, list[Flag]] = {}
    births: list[tuple[int, int, int]] = []
    joints: dict[str, np.ndarray] = {}
    if len(chains.links):
        a, b = chains.order[chains.links], chains.order[chains.links + 1]
        moved = np.linalg.norm(poses.stabilised[b] - poses.stabilised[a], axis=1)
        seconds = poses.times_s[poses.positions[b]] - poses.times_s[poses.positions[a]]
        parts = link_parts(sample)
        orders = {
            "raw speed": moved / seconds,
            "raw speed in body sizes": moved / seconds / poses.sizes[a],
            "distance in body sizes": moved / poses.sizes[a],
            "low score": -np.minimum(poses.scores[a], poses.scores[b]),
            "random": rng.random(len(a)),
            "trackers disagree": parts["forward_lost"] + parts["backward_lost"] + 1e-3 * rng.random(len(a)),
            "another person's track": parts["forward_other"] + parts["backward_other"] + 1e-3 * rng.random(len(a)),
            "exchange": parts["exchange"],
            "shape": parts["shape"],
        }
        flags = {name: _link_flags(sample, values) for name, values in orders.items()}
        every = identity_flags(chains, sample.tracks.forward, sample.tracks.backward, sample.sequence.size, _ALL)
        flags["doubt, links"] = [each for each in every if each.kind == "link"]
        flags["doubt, identities"] = every
        places = measured_ends(chains, sample.sequence.size, births=True).places
        births = [
            (int(chains.track_ids[place]), int(chains.positions[place]), int(chains.order[place]))
            for place in places[sample.broken(places, births=True)].tolist()
        ]
        joints = _joints(sample) if joints_too else {}
    edited = Edited(chains.ids.copy(), sample.owners, poses.positions)
    return Judged(sample.name, sample.num_frames, sample.transfers, births, flags, edited, joints)


def _link_flags(sample: Sample, values: np.ndarray) -> list[Flag]:
    """A flag for each of the links of the greatest values."""
    chains = sample.chains
    chosen = np.argsort(-values, kind="stable")[: int(_FLAGS_PER_FRAME * sample.num_frames)]
    return [
        Flag(
            kind="link",
            doubt=float(values[k]),
            first=int(chains.positions[place]),
            last=int(chains.positions[place + 1]),
            tracks=(int(chains.track_ids[place]),),
            poses=(int(chains.order[place]), int(chains.order[place + 1])),
            parts={},
            reason="",
        )
        for k, place in zip(chosen.tolist(), chains.links[chosen].tolist(), strict=True)
    ]


def _joints(sample: Sample) -> dict[str, np.ndarray]:
    """Measures of the joints whose truth is known, thinned."""
    chains, residuals, bad = sample.chains, joint_residuals(sample.chains, COCO_17), sample.bad_joints
    places, joints = np.nonzero(np.isfinite(residuals.distances) & np.isfinite(bad))
    places, joints = places[::3], joints[::3]
    return {
        "distance from the neighbouring poses": residuals.distances[places, joints],
        "length of limbs": residuals.limbs[places, joints],
        "low score": -chains.poses.joint_scores[chains.order[places], joints],
        "doubt": doubt(joint_parts(residuals, places, joints), JOINT),
        "bad": bad[places, joints],
    }


def chosen_flags(every: Sequence[Judged], order: str, looks: float) -> list[list[Flag]]:
    """The flags of the greatest values that make `looks` places per 1000 frames in all, for each sequence."""
    wanted = round(looks * sum(each.num_frames for each in every) / 1000)
    # Flags are merged in the order of their values, so those above a value make the places above it.
    values = sorted((place.doubt for each in every for place in each.places(order)), reverse=True)
    above = values[wanted] if wanted < len(values) else -np.inf
    return [[flag for flag in each.flags.get(order, []) if flag.doubt > above] for each in every]


def found(transfer: Transfer, flags: Iterable[Flag]) -> bool:
    """Whether one of the flags lies on a transfer."""
    return any(
        transfer.track in flag.tracks and flag.first < transfer.last and flag.last > transfer.first for flag in flags
    )


def found_birth(birth: tuple[int, int, int], flags: Iterable[Flag]) -> bool:
    """Whether one of the flags lies on a birth, or names its pose as the best candidate."""
    track, position, pose = birth
    return any(
        (track in flag.tracks and flag.first <= position <= flag.last) or pose in flag.candidates[:1] for flag in flags
    )


@dataclass(frozen=True)
class Figures:
    """What an order finds at a number of looks."""

    transfers: float  # recall of lasting transfers
    births: float  # recall of broken births
    precision: float  # share of places with a transfer or a broken birth
    median: float  # recall of transfers in the median sequence of those that have some
    worst: float  # ... and in the worst one


def figures(every: Sequence[Judged], order: str, looks: float) -> Figures:
    """The figures of an order at so many looks per 1000 frames."""
    flags = chosen_flags(every, order, looks)
    hits = [[found(each, shown) for each in one.transfers] for one, shown in zip(every, flags, strict=True)]
    births = [[found_birth(each, shown) for each in one.births] for one, shown in zip(every, flags, strict=True)]
    right = [
        any(found(t, [place]) for t in one.transfers) or any(found_birth(b, [place]) for b in one.births)
        for one, shown in zip(every, flags, strict=True)
        for place in merged(shown)
    ]
    shares = [np.mean(each) for each in hits if each] or [np.nan]
    all_hits, all_births = ([each for one in several for each in one] for several in (hits, births))
    return Figures(_mean(all_hits), _mean(all_births), _mean(right), float(np.median(shares)), float(min(shares)))


def _mean(values: Sequence[bool]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def print_curve(every: Sequence[Judged], orders: Sequence[str]) -> None:
    """Recall and precision of all orders."""
    print(f"\n| order | {' | '.join(f'{n} looks' for n in LOOKS)} | median, worst sequence at 40 |")
    print(f"| --- |{' ---: |' * (len(LOOKS) + 1)}")
    for order in orders:
        rows = {looks: figures(every, order, looks) for looks in LOOKS}
        cells = [f"{row.transfers:.2f} ({row.precision:.2f})" for row in rows.values()]
        print(f"| {order} | {' | '.join(cells)} | {rows[40].median:.2f}, {rows[40].worst:.2f} |", flush=True)


def print_births(every: Sequence[Judged]) -> None:
    """Recall of broken births."""
    print("\n| recall of births of people who had an id before | " + " | ".join(f"{n} looks" for n in LOOKS) + " |")
    print(f"| --- |{' ---: |' * len(LOOKS)}")
    for order in ("raw speed", "random", "doubt, links", "doubt, identities"):
        cells = [f"{figures(every, order, looks).births:.2f}" for looks in LOOKS]
        print(f"| {order} | {' | '.join(cells)} |", flush=True)


def print_joints(every: Sequence[Judged]) -> None:
    """AUROC of the measures of joints, and what their highest values hold."""
    columns = defaultdict[str, list[np.ndarray]](list)
    for each in every:
        for name, values in each.joints.items():
            columns[name].append(values)
    values = {name: np.concatenate(parts) for name, parts in columns.items()}
    bad = values.pop("bad") > 0
    print(f"\n{100 * bad.mean():.1f} % of {len(bad)} joints are off by more than 6 % of the body's height")
    print("\n| measure | AUROC | precision, recall of its top 2 % | of its top 5 % |\n| --- | ---: | ---: | ---: |")
    for name, each in values.items():
        order = np.argsort(-each, kind="stable")
        tops = [bad[order[: int(share * len(bad))]] for share in (0.02, 0.05)]
        cells = [f"{top.mean():.2f}, {top.sum() / max(bad.sum(), 1):.2f}" for top in tops]
        print(f"| {name} | {auroc(each, bad):.2f} | {' | '.join(cells)} |", flush=True)


def auroc(values: np.ndarray, positive: np.ndarray) -> float:
    """Area under the ROC curve, ties counted half."""
    _, inverse, count = np.unique(values, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[inverse]
    P, N = positive.sum(), (~positive).sum()
    return float((rank[positive].sum() - P * (P + 1) / 2) / max(P * N, 1))


def print_oracle(every: Sequence[Judged], orders: Sequence[str]) -> None:
    """IDF1 of poses after a person who knows the truth has corrected the first places of an order."""
    checkpoints = (0, *LOOKS, 160)
    print(f"\n| IDF1 of poses after looks per 1000 frames | {' | '.join(map(str, checkpoints))} |")
    print(f"| --- |{' ---: |' * len(checkpoints)}")
    frames = sum(each.num_frames for each in every)
    for order in orders:
        edited = [each.edited.copy() for each in every]
        places = [(place, k) for k, each in enumerate(every) for place in each.places(order)]
        places.sort(key=lambda each: -each[0].doubt)
        cells, looks = [], 0
        for checkpoint in checkpoints:
            until = min(round(checkpoint * frames / 1000), len(places))
            for place, k in places[looks:until]:
                edited[k].correct(place)
            looks = until
            cells.append(f"{100 * idf1(edited):.2f}")
        print(f"| {order} | {' | '.join(cells)} |", flush=True)


def gathered(level: str, suite: str, seeds: Iterable[int], keep: Path | None) -> Iterator[Judged]:
    """All sequences of these seeds of a suite, judged."""
    for seed in seeds:
        rng = np.random.default_rng(seed)
        for sample in samples(suite, seed, level, keep):
            yield judged(sample, rng, joints_too=suite == "report" and seed < _JOINT_SEEDS)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    seeds = {"type": int, "nargs": 2, "metavar": ("REPORT", "DEV")}
    parser.add_argument("--hard", default=(20, 30), help="number of seeds of both suites with hard noise", **seeds)
    parser.add_argument("--easy", default=(10, 80), help="number of seeds of both suites with easy noise", **seeds)
    parser.add_argument("--keep", type=Path, help="folder in which sequences are kept, so that another run is faster")
    options = parser.parse_args()
    for level, (report, dev) in (("hard", options.hard), ("easy", options.easy)):
        every = list(gathered(level, "report", range(report), options.keep))
        every += gathered(level, "dev", range(_FURTHER, _FURTHER + dev), options.keep)
        if not every:
            continue
        frames = sum(each.num_frames for each in every)
        transfers, births = (sum(len(getattr(each, name)) for each in every) for name in ("transfers", "births"))
        print(f"\n## {level}: {len(every)} sequences, {frames} frames, {transfers} transfers, {births} broken births")
        print_curve(every, list(max((each.flags for each in every), key=len)))
        print_births(every)
        print_joints(every)
        print_oracle(every, ("raw speed", "random", "doubt, links", "doubt, identities"))


if __name__ == "__main__":
    main()
