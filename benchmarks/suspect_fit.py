"""Fits the weights of tracker/association/suspect_weights.py: logistic regressions on the worlds of the suite `dev`.

    uv run python -m benchmarks.suspect_fit --hard 12 --easy 12

Weights are not negative: a part that would lower the doubt is left out, the most negative one first.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from benchmarks.suspect_samples import Sample, samples
from posetrail.skeletons import COCO_17
from tracker.association.suspect_duplicates import measured_duplicates
from tracker.association.suspect_ends import measured_ends
from tracker.association.suspect_exchange import best_exchanges
from tracker.association.suspect_joints import joint_parts, joint_residuals, measured_flips
from tracker.association.suspect_links import measured_links
from tracker.association.suspect_weights import Parts

_RIDGE = 1.0  # on weights of parts of unit variance
_JOINTS_PER_SEQUENCE = 3000


def link_parts(sample: Sample) -> Parts:
    """The parts of all links."""
    chains = sample.chains
    evidence = chains.evidence(chains.links, chains.links + 1)
    gain = best_exchanges(chains, chains.links, evidence.sum(axis=0)).gain
    return measured_links(chains, evidence, gain, sample.tracks.forward, sample.tracks.backward)


def measured(sample: Sample) -> Iterator[tuple[str, Parts, np.ndarray]]:
    """Of each kind: the name of its table, the parts (P,) of all its places and whether (P,) they are wrong."""
    chains = sample.chains
    if not len(chains.links):
        return
    yield "LINK", link_parts(sample), sample.wrong_links
    for name, births in (("BIRTH", True), ("END", False)):
        ends = measured_ends(chains, sample.sequence.size, births=births)
        yield name, ends.parts, sample.broken(ends.places, births=births)
    residuals, bad = joint_residuals(chains, COCO_17), sample.bad_joints
    places, joints = np.nonzero(np.isfinite(residuals.distances) & np.isfinite(bad))
    chosen = np.random.default_rng(0).permutation(len(places))[:_JOINTS_PER_SEQUENCE]
    places, joints = places[chosen], joints[chosen]
    yield "JOINT", joint_parts(residuals, places, joints), bad[places, joints] > 0
    flips = measured_flips(chains, COCO_17)
    yield (
        "FLIP",
        flips.parts,
        np.array([_flipped(sample, a, b) for a, b in zip(flips.first, flips.last, strict=True)], bool),
    )
    twins = measured_duplicates(chains)
    yield "DUPLICATE", twins.parts, (sample.owners[chains.order[twins.first]] < 0).any(axis=1)


def _flipped(sample: Sample, first: int, last: int) -> bool:
    """Whether the mirrored joints of arms and legs are nearer to the truth in most poses of a stretch."""
    places, limbs = np.arange(first, last + 1), np.arange(5, 17)
    own, true = sample.poses.keypoints[sample.chains.order[places]], sample.true_joints[places]
    off = np.linalg.norm(own - true, axis=2)[:, limbs]
    mirrored = np.linalg.norm(own[:, COCO_17.mirror] - true, axis=2)[:, limbs]
    better = np.where(np.isfinite(off) & np.isfinite(mirrored), np.clip(off - mirrored, -50, 50), 0.0)
    # Either the arms or the legs may be exchanged alone: the group that differs most decides.
    groups = np.stack([better[:, :6].sum(axis=1), better[:, 6:].sum(axis=1)])
    return bool((groups.max(axis=0) > 0).mean() > 0.5)


def fitted(parts: Mapping[str, np.ndarray], wrong: np.ndarray) -> dict[str, float]:
    """Weights of parts (P,) that explain which of P places are wrong."""
    names, values = list(parts), np.stack(list(parts.values()), axis=1).astype(float)
    kept = [k for k in range(len(names)) if values[:, k].std() > 1e-9]
    while True:
        constant, weights = _logistic(values[:, kept], wrong.astype(float))
        if not kept or weights.min() >= 0:
            break
        kept.pop(int(weights.argmin()))
    chosen = {names[k]: float(w) for k, w in zip(kept, weights, strict=True)}
    return {"constant": constant, **{name: chosen.get(name, 0.0) for name in names}}


def _logistic(values: np.ndarray, wrong: np.ndarray) -> tuple[float, np.ndarray]:
    """Constant and weights of a logistic regression, by Newton's method with halved steps."""
    mean, spread = values.mean(axis=0), values.std(axis=0) + 1e-9
    z = np.column_stack([np.ones(len(values)), (values - mean) / spread])
    ridge = np.diag([1e-6] + [_RIDGE] * values.shape[1])
    w = np.zeros(z.shape[1])
    share = np.clip(wrong.mean(), 1e-6, 1 - 1e-6)
    w[0] = np.log(share / (1 - share))

    def loss(w: np.ndarray) -> float:
        return float((np.logaddexp(0, z @ w) - wrong * (z @ w)).sum() + w @ ridge @ w / 2)

    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(z @ w, -50, 50)))
        step = np.linalg.solve((z * (p * (1 - p))[:, None]).T @ z + ridge, z.T @ (wrong - p) - ridge @ w)
        size = 1.0
        while loss(w + size * step) > loss(w) and size > 1e-4:
            size /= 2
        w = w + size * step
        if np.abs(size * step).max() < 1e-6:
            break
    weights = w[1:] / spread
    return float(w[0] - weights @ mean), weights


def main() -> None:
    """Print the tables of weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hard", type=int, default=12, help="number of seeds with hard noise")
    parser.add_argument("--easy", type=int, default=12, help="number of seeds with easy noise")
    parser.add_argument("--keep", type=Path, help="folder in which sequences are kept, so that another run is faster")
    options = parser.parse_args()
    gathered = defaultdict[str, list[tuple[Parts, np.ndarray]]](list)
    for level, seeds in (("hard", options.hard), ("easy", options.easy)):
        for seed in range(seeds):
            for sample in samples("dev", seed, level, options.keep):
                for name, parts, wrong in measured(sample):
                    gathered[name].append((parts, wrong))
    for name, several in gathered.items():
        parts = {part: np.concatenate([each[part] for each, _ in several]) for part in several[0][0]}
        wrong = np.concatenate([wrong for _, wrong in several])
        weights = {part: round(weight, 2) for part, weight in fitted(parts, wrong).items()}
        print(f"{name}: {len(wrong)} places, {int(wrong.sum())} wrong: {weights}", flush=True)


if __name__ == "__main__":
    main()
