"""How well a configuration agrees with a far more expensive one, on clips without annotation.

    uv run python -m benchmarks.agreement --clip CLIP [CLIP ...]                  # the default settings
    uv run python -m benchmarks.agreement --clip CLIP --candidates flip-test crop-scale-1.1 --reference FOLDER
    uv run python -m benchmarks.agreement --clip CLIP --set crop_scale=1.1 flip_test=true --set propagate=false
    uv run python -m benchmarks.agreement --clip CLIP --frames 58-99              # score these frames only
    uv run python -m benchmarks.agreement --clip CLIP --full-cost                 # what speed costs

The reference is no ground truth: the same networks with larger detector input, the flip test and joints averaged over
several crop scales (`benchmarks.expensive`). A candidate that shares an error with it is not charged for the error, and
one that corrects it is. Agreement shows what a cheaper setting loses; which of two settings is right where the
reference may be wrong itself is a question for annotated data (`benchmarks.estimators`).

With --full-cost, the reference has the crops of the settings and is not averaged: float32, detection on every frame, a
detector input of 1152 pixels. Agreement then shows what a cheaper precision or rarer detection changes.

Figures, with the reference as ground truth:

    AP, MOTA   of PoseTrack (eval_posetrack); IDF1 and switches of people (`benchmarks.scoring`)
    people     predicted people, summed over frames, and those of the reference; ids likewise
    distance   median and 90th percentile over the joints of paired people, in percent of the body length
    other      share of joints on another person, in percent: nearer to the same joint of another person of the
               reference than to their own, and farther than PoseTrack's match distance from their own

Body length is measured along the skeleton (head top, neck, hips, knee, ankle) and is the median over the same person's
frames within half a second. PoseTrack's unit of distances is the head box; the reference gets one whose head size is
HEAD_PER_BODY of the body length, the median ratio of ten people annotated in PoseTrack18.

What the reference is unsure of is ignored, neither required nor charged: its tracks with a mean joint score below
MIN_TRACK_SCORE, and the predicted people that are paired with them; its joints with a score below MIN_JOINT_SCORE, and
the same joints of the predicted people that are paired with it. Its scores are low where the crop scales disagree.
Therefore, agreement cannot tell which threshold for joints MOTA needs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.candidates import add_candidate_arguments, chosen_candidates, values_of, with_values
from benchmarks.expensive import CROP_SCALES, make_reference
from benchmarks.scoring import count_people
from eval_posetrack.formats.clip import Clip
from eval_posetrack.formats.files import read_clip
from eval_posetrack.metrics.clean import HEAD_SIZE_PER_DIAGONAL, clean
from eval_posetrack.metrics.counts import Counts, count
from eval_posetrack.metrics.match import MATCH_DISTANCE, near_joints
from eval_posetrack.metrics.rules import DEFAULT
from posetrail.assignment import associate
from posetrail.errors import InputError
from posetrail.similarity import box_area, box_iou, keypoint_boxes, oks
from posetrail.skeletons import POSETRACK_15
from tracker.runs.folder import track_to_folder
from tracker.settings import Settings

HEAD_PER_BODY = 0.146  # head size / body length; between 0.13 and 0.17 in all ten people
_PARTS_OF_BODY = np.array([0.17, 0.335, 0.495])  # head, torso and leg, as shares of the body length
MIN_TRACK_SCORE = 0.3
MIN_JOINT_SCORE = 0.3
MIN_PAIR_SIMILARITY = 0.1  # mean of OKS and box IoU of a predicted person and one of the reference
SAME_SIZE_S = 0.5  # a body has the same length for so long
TRACKS = "tracks.json"


@dataclass(frozen=True)
class Agreement:
    """The counts of one clip, or of several together."""

    counts: Counts
    people: np.ndarray  # (4,) int: correct identities, of the reference, predicted, switches
    ids: np.ndarray  # (2,) int: of the reference, predicted
    distances: np.ndarray  # (J,) of the joints of paired people, as a share of the body length
    other: np.ndarray  # (J,) bool: the joint is on another person

    @classmethod
    def join(cls, parts: Sequence[Agreement]) -> Agreement:
        """The counts of one or more clips together."""
        return cls(
            counts=Counts.join([part.counts for part in parts]),
            people=np.sum([part.people for part in parts], axis=0),
            ids=np.sum([part.ids for part in parts], axis=0),
            distances=np.concatenate([part.distances for part in parts]),
            other=np.concatenate([part.other for part in parts]),
        )

    TITLES = ("AP", "MOTA", "IDF1", "switches", "people", "ids", "distance median", "p90", "other")

    def cells(self) -> tuple[str, ...]:
        """The figures as text, in the order of TITLES."""
        figures = self.counts.figures(DEFAULT, pooled=True)
        right, expected, predicted, switches = self.people.tolist()
        median, p90 = np.quantile(self.distances, [0.5, 0.9]) if len(self.distances) else (np.nan, np.nan)
        idf1 = 200 * right / (expected + predicted) if expected + predicted else np.nan
        numbers = (figures["AP"].total, figures["MOTA"].total, idf1)
        other = self.other.mean() if len(self.other) else np.nan
        return (
            *(f"{number:.1f}" for number in numbers),
            str(switches),
            f"{predicted} of {expected}",
            f"{self.ids[1]} of {self.ids[0]}",
            *(f"{100 * share:.2f}" for share in (median, p90, other)),
        )


def compare(reference: Clip, predictions: Clip, frames: range | None = None) -> Agreement:
    """Score the predictions of a clip by a reference.

    Args:
        reference: with scores of the joints.
        predictions: the same frames.
        frames: score these frames only; all when not given.

    Raises:
        InputError: the clips have different numbers of frames, or the reference has no confident person to score by.
    """
    sizes = body_lengths(reference)
    reference = replace(reference, head_boxes=head_boxes(reference, sizes))
    confident = confident_people(reference)
    if frames is not None:
        kept = np.isin(reference.frames, frames)
        reference, sizes, confident = reference.with_people(kept), sizes[kept], confident[kept]
        predictions = predictions.with_people(np.isin(predictions.frames, frames))
    if not confident.any():
        raise InputError(
            f"{reference.name}: expected a reference with confident people, got none in the chosen frames; "
            "take other frames or another clip"
        )
    pairs = pair_people(reference, predictions, sizes)
    reference, predictions, pairs, sizes = _without_ignored(reference, predictions, pairs, sizes, confident)
    distances, other = _distances(reference, predictions, pairs, sizes)
    scene = clean(reference, predictions)
    near = near_joints(scene)
    return Agreement(
        counts=count(scene, DEFAULT, ("AP", "MOT"), near),
        people=np.array(count_people(scene, near)),
        ids=np.array([len(np.unique(side.ids)) for side in (scene.ground_truth, scene.predictions)]),
        distances=distances,
        other=other,
    )


def body_lengths(clip: Clip) -> np.ndarray:
    """(P,) pixels along the skeleton from head top to ankle: the median over frames of the same person nearby in time.

    The length of parts without joints is estimated from the others. Without any part, the longer side of the box around
    the joints counts.
    """
    place = {name: clip.keypoints[:, POSETRACK_15.index(name)] for name in POSETRACK_15.joints}

    def apart(a: str, b: str) -> np.ndarray:
        return np.linalg.norm(place[a] - place[b], axis=1)

    place["hips"] = (place["left_hip"] + place["right_hip"]) / 2
    legs = [apart(f"{side}_hip", f"{side}_knee") + apart(f"{side}_knee", f"{side}_ankle") for side in ("left", "right")]
    parts = np.stack([apart("head_top", "neck"), apart("neck", "hips"), np.fmax(*legs)], axis=1)
    known = np.isfinite(parts) @ _PARTS_OF_BODY
    boxes = keypoint_boxes(clip.keypoints)
    longer = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0)
    lengths = np.where(known > 0, np.nansum(parts, axis=1) / np.where(known > 0, known, 1), longer)
    times = (np.arange(clip.num_frames) / 30 if clip.times is None else clip.times)[clip.frames]
    steady = np.empty(len(clip))
    for track_id in np.unique(clip.track_ids):
        rows = np.flatnonzero(clip.track_ids == track_id)
        nearby = np.abs(times[rows, None] - times[rows]) <= SAME_SIZE_S
        steady[rows] = np.nanmedian(np.where(nearby, lengths[rows], np.nan), axis=1)
    return steady


def head_boxes(clip: Clip, sizes: np.ndarray) -> np.ndarray:
    """(P, 4) squares around the noses; only their size is used."""
    half = (HEAD_PER_BODY / HEAD_SIZE_PER_DIAGONAL / np.sqrt(8)) * sizes[:, None]
    nose = np.nan_to_num(clip.keypoints[:, POSETRACK_15.index("nose")])
    return np.concatenate([nose - half, nose + half], axis=1)


def confident_people(reference: Clip) -> np.ndarray:
    """(P,) bool: the people of tracks with a mean joint score of at least MIN_TRACK_SCORE."""
    _, track = np.unique(reference.track_ids, return_inverse=True)
    of_people = np.nan_to_num(reference.keypoint_scores).mean(axis=1)
    return (np.bincount(track, of_people) >= MIN_TRACK_SCORE * np.bincount(track))[track]


def pair_people(reference: Clip, predictions: Clip, sizes: np.ndarray) -> np.ndarray:
    """(M, 2) rows of people of the reference and of predicted people in the same frames, each at most once.

    Similarity is the mean of OKS and of the IoU of the boxes around the joints.
    """
    pairs = [np.zeros((0, 2), int)]
    for t in np.unique(reference.frames):
        g, p = np.flatnonzero(reference.frames == t), np.flatnonzero(predictions.frames == t)
        if not len(p):
            continue
        a, b = predictions.keypoints[p], reference.keypoints[g]
        boxes = keypoint_boxes(b)
        similarity = (oks(a, b, box_area(boxes), POSETRACK_15.oks_sigmas) + box_iou(keypoint_boxes(a), boxes)) / 2
        found = associate(similarity.T, MIN_PAIR_SIMILARITY, "hungarian")
        pairs.append(np.column_stack([g[found[:, 0]], p[found[:, 1]]]))
    return np.concatenate(pairs)


def _without_ignored(
    reference: Clip, predictions: Clip, pairs: np.ndarray, sizes: np.ndarray, confident: np.ndarray
) -> tuple[Clip, Clip, np.ndarray, np.ndarray]:
    """Reference, predictions, pairs and sizes without people and joints of which the reference is unsure."""
    g, p = pairs.T
    unsure = np.nan_to_num(reference.keypoint_scores) < MIN_JOINT_SCORE
    ignored = np.zeros(predictions.keypoints.shape[:2], bool)
    ignored[p] = unsure[g]
    reference, predictions = _without_joints(reference, unsure), _without_joints(predictions, ignored)
    kept = np.ones(len(predictions), bool)
    kept[p[~confident[g]]] = False
    pairs = pairs[confident[g]]
    numbers = [np.cumsum(rows) - 1 for rows in (confident, kept)]
    pairs = np.column_stack([number[column] for number, column in zip(numbers, pairs.T, strict=True)])
    return reference.with_people(confident), predictions.with_people(kept), pairs, sizes[confident]


def _without_joints(clip: Clip, joints: np.ndarray) -> Clip:
    """The clip without these joints (P, 15) bool."""
    keypoints = np.where(joints[:, :, None], np.nan, clip.keypoints)
    return replace(clip, keypoints=keypoints, keypoint_scores=np.where(joints, np.nan, clip.keypoint_scores))


def _distances(
    reference: Clip, predictions: Clip, pairs: np.ndarray, sizes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Of the joints of all pairs: distances (J,) as shares of the body length, and whether on another person (J,)."""
    g, p = pairs.T
    own = np.linalg.norm(reference.keypoints[g] - predictions.keypoints[p], axis=2)
    nearest = np.full(own.shape, np.inf)  # pixels to the same joint of anyone else
    for row, (mine, predicted) in enumerate(pairs):
        others = np.flatnonzero(reference.frames == reference.frames[mine])
        others = others[others != mine]
        far = np.linalg.norm(reference.keypoints[others] - predictions.keypoints[predicted], axis=2)
        nearest[row] = np.where(np.isnan(far), np.inf, far).min(axis=0, initial=np.inf)
    there = np.isfinite(own)
    shares = own / sizes[g, None]
    return shares[there], ((nearest < own) & (shares > MATCH_DISTANCE * HEAD_PER_BODY))[there]


def frame_range(text: str) -> range:
    """The frames that a text such as 58-99 names, both ends included.

    Raises:
        argparse.ArgumentTypeError: it names none.
    """
    first, sign, last = text.partition("-")
    last = last if sign else first
    if not (first.isdigit() and last.isdigit() and int(first) <= int(last)):
        raise argparse.ArgumentTypeError(f"expected FIRST-LAST such as 58-99, got {text!r}")
    return range(int(first), int(last) + 1)


def _tracks(folder: Path) -> Clip:
    if not (folder / TRACKS).is_file():
        raise InputError(f"{folder}: expected tracks with PoseTrack's joints, got none; choose another estimator")
    return read_clip(folder / TRACKS)


def _measure(options: argparse.Namespace, folder: Path, reference_folder: Path) -> None:
    base = with_values(Settings(), {"device": options.device, "threads": options.threads})
    if len({clip.stem for clip in options.clip}) < len(options.clip):
        raise InputError("--clip: expected clips with different names, got the same name twice; rename one")
    settings = chosen_candidates(base, options.candidates, options.set)
    references = {}
    for clip in options.clip:
        of_clip = reference_folder / clip.stem
        make_reference(clip, of_clip, with_values(base, values_of(options.reference_set)), scales=options.scales)
        references[clip] = _tracks(of_clip)
    titles = ("settings", "clip", *Agreement.TITLES)
    print(f"| {' | '.join(titles)} |\n| --- | --- |{' ---: |' * len(Agreement.TITLES)}")
    inferred: dict[Any, Path] = {}  # run folders by what inference depends on
    for name, chosen in settings.items():
        run = inferred.setdefault((chosen.networks, chosen.inference), folder / str(len(inferred)))
        parts = {}
        for clip, reference in references.items():
            track_to_folder(clip, run / clip.stem, chosen)
            parts[clip.stem] = compare(reference, _tracks(run / clip.stem), options.frames)
            print(f"| {name} | {clip.stem} | {' | '.join(parts[clip.stem].cells())} |", flush=True)
        if len(parts) > 1:
            print(f"| {name} | together | {' | '.join(Agreement.join(list(parts.values())).cells())} |", flush=True)


def main() -> None:
    """Print a table of the candidates' agreement on each clip and on all together."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", nargs="+", type=Path, required=True, help="videos or folders of images")
    add_candidate_arguments(parser)
    parser.add_argument("--frames", type=frame_range, help="score these frames only, such as 58-99")
    parser.add_argument("--reference", type=Path, help="folder that keeps the references; not kept when not given")
    parser.add_argument(
        "--reference-set", nargs="+", default=[], metavar="NAME=VALUE", help="settings of the reference"
    )
    crops = parser.add_mutually_exclusive_group()
    crops.add_argument("--scales", nargs="+", type=float, default=CROP_SCALES, help="crop scales of the reference")
    crops.add_argument(
        "--full-cost",
        action="store_const",
        const=(),
        dest="scales",
        help="a reference without averaging: float32, detection on every frame with a large input",
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        try:
            _measure(options, Path(folder) / "candidates", options.reference or Path(folder) / "reference")
        except InputError as error:
            sys.exit(str(error))


if __name__ == "__main__":
    main()
