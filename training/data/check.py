"""Checks of a data set before it is trained on: what is broken, and what looks like a mistake in a whole file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from posetrail.errors import InputError
from posetrail.wording import counted
from training.data import sides
from training.data.image_files import read_image
from training.samples import Samples

_NO_ROWS = np.zeros(0, int)
_OUTSIDE_SHARE = 0.5  # of a box
_MOST = 0.8  # share of people
_THREADS = 4
_EXAMPLES = 3


@dataclass(frozen=True, eq=False)
class Finding:
    """One kind of problem and where it was found."""

    problem: str
    rows: np.ndarray = field(default_factory=lambda: _NO_ROWS)  # people
    image_rows: np.ndarray = field(default_factory=lambda: _NO_ROWS)  # images, where the problem is not of people
    detail: str = ""  # what it may mean

    def examples(self, samples: Samples) -> list[str]:
        """Up to three places: file names, and ids of annotations."""
        places = [samples.images[i].name for i in self.image_rows[:_EXAMPLES].tolist()]
        for row in self.rows[:_EXAMPLES].tolist():
            named = f" #{samples.ids[row]}" if samples.ids[row] >= 0 else f" row {row}"
            places.append(samples.images[samples.image_rows[row]].name + named)
        return places[:_EXAMPLES]


@dataclass(frozen=True, eq=False)
class Checked:
    """The result of `check`."""

    samples: Samples
    findings: tuple[Finding, ...]  # without problems that were not found

    def lines(self) -> Iterator[str]:
        """The result as text: a summary, and a table with a row for each finding."""
        samples = self.samples
        yield (
            f"{samples.name}: {counted(len(samples.images), 'image')}, {counted(len(samples), 'person', 'people')}, "
            f"{int(samples.usable.sum())} usable for training, skeleton {samples.skeleton.name} "
            f"({counted(len(samples.skeleton), 'joint')})"
        )
        labelled = samples.labelled
        if labelled.any():
            occluded = (samples.visibility == 1).sum() / labelled.sum()
            yield f"joints: {labelled.mean():.0%} labelled, of these {occluded:.0%} occluded"
        unused = [joint for k, joint in enumerate(samples.skeleton.joints) if not labelled[:, k].any()]
        if unused and len(samples):
            yield f"never labelled: {', '.join(unused)}"
        yield from samples.notes
        if not self.findings:
            yield "no problem found"
            return
        wide = max(len(finding.problem) for finding in self.findings)
        yield f"{'problem':{wide}}  people  images  where"
        for finding in self.findings:
            images = set(samples.image_rows[finding.rows].tolist()) | set(finding.image_rows.tolist())
            yield (
                f"{finding.problem:{wide}}  {len(finding.rows) or '-':>6}  {len(images) or '-':>6}  "
                f"{', '.join(finding.examples(samples)) or finding.detail}"
            )
            if finding.detail and finding.examples(samples):
                yield f"{'':{wide}}  {finding.detail}"


def check(samples: Samples, *, on_image: Callable[[int], None] = lambda _: None) -> Checked:
    """Check images, boxes, joints and ids of a data set. Every image is read once.

    Args:
        samples: read with `may_be_missing`, so that missing images are found, too.
        on_image: called after each image with its number of people.
    """
    sizes, unreadable = _image_sizes(samples, on_image)
    findings = [
        Finding("unreadable or missing image", image_rows=np.flatnonzero(unreadable)),
        *_stated_sizes(samples, sizes),
        *_boxes(samples, sizes),
        *_joints(samples, sizes),
        *_sides(samples, sizes),
        *_duplicates(samples),
    ]
    return Checked(samples, tuple(each for each in findings if len(each.rows) or len(each.image_rows) or each.detail))


def _image_sizes(samples: Samples, on_image: Callable[[int], None]) -> tuple[np.ndarray, np.ndarray]:
    """(I, 2) width and height of the files, as stated where they cannot be read; (I,) bool: cannot be read."""
    people = np.bincount(samples.image_rows, minlength=len(samples.images))
    sizes, unreadable = samples.image_sizes.copy(), np.zeros(len(samples.images), bool)
    with ThreadPoolExecutor(_THREADS) as threads:
        for i, size in enumerate(threads.map(_size_of, samples.images)):
            unreadable[i] = size is None
            sizes[i] = samples.image_sizes[i] if size is None else size
            on_image(int(people[i]))
    return sizes, unreadable


def _size_of(path: Path) -> tuple[int, int] | None:
    try:
        height, width, _ = read_image(path).shape
    except InputError:
        return None
    return width, height


def _stated_sizes(samples: Samples, sizes: np.ndarray) -> Iterator[Finding]:
    stated = samples.image_sizes
    different = (stated > 0).all(axis=1) & (stated != sizes).any(axis=1)
    turned = different & (stated[:, ::-1] == sizes).all(axis=1)
    yield Finding("image of another size than annotated", image_rows=np.flatnonzero(different & ~turned))
    meaning = "the EXIF orientation was applied before the image was annotated: store the images upright"
    rows = np.flatnonzero(turned)
    yield Finding("width and height exchanged", image_rows=rows, detail=meaning if len(rows) else "")


def _boxes(samples: Samples, sizes: np.ndarray) -> Iterator[Finding]:
    low, high = samples.boxes[:, :2].astype(float), samples.boxes[:, 2:].astype(float)
    sides_px = high - low
    empty = ~(sides_px > 0).all(axis=1)
    yield Finding("empty box", np.flatnonzero(empty))
    limits, known = _limits(samples, sizes)
    inside = np.clip(np.minimum(high, limits) - np.maximum(low, 0), 0, None).prod(axis=1)
    share = inside / np.where(empty, 1.0, sides_px.prod(axis=1))
    outside = known & ~empty & (share < _OUTSIDE_SHARE)
    yield Finding("box more than half outside its image", np.flatnonzero(outside))
    known_joints = samples.labelled.any(axis=1)
    if known_joints.any():
        fits = _contain_joints(samples, low, high - low)[known_joints].mean()  # x2 y2 were read as width and height
        if fits > _MOST:
            meaning = f"{fits:.0%} fit the joints so; the boxes of COCO's layout are x y width height"
            yield Finding("boxes given as x1 y1 x2 y2?", detail=meaning)


def _contain_joints(samples: Samples, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """(N,) bool: areas that contain all labelled joints, give or take a tenth of the side."""
    margin = 0.1 * np.abs(high - low)
    with np.errstate(invalid="ignore"):
        outside = (samples.keypoints < (low - margin)[:, None]) | (samples.keypoints > (high + margin)[:, None])
    return ~outside.any(axis=(1, 2))


def _joints(samples: Samples, sizes: np.ndarray) -> Iterator[Finding]:
    limits, known = _limits(samples, sizes)
    with np.errstate(invalid="ignore"):
        outside = (samples.keypoints < -0.5) | (samples.keypoints > limits[:, None] - 0.5)
    people = (outside.any(axis=2) & samples.labelled).any(axis=1) & known
    yield Finding("joint outside its image", np.flatnonzero(people))
    reach = samples.boxes[:, 2:] - samples.boxes[:, :2]
    far = (samples.keypoints < (samples.boxes[:, :2] - reach / 2)[:, None]) | (
        samples.keypoints > (samples.boxes[:, 2:] + reach / 2)[:, None]
    )
    distant = far.any(axis=2).sum(axis=1) > samples.labelled.sum(axis=1) / 2
    yield Finding("most joints far outside their box", np.flatnonzero(distant & ~samples.is_crowd))
    yield Finding("no labelled joint", np.flatnonzero(~samples.labelled.any(axis=1) & ~samples.is_crowd))


def _limits(samples: Samples, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, 2) width and height of each person's image, and (N,) bool whether they are known."""
    limits = sizes[samples.image_rows].astype(float)
    return limits, (limits > 0).all(axis=1)


def _sides(samples: Samples, sizes: np.ndarray) -> Iterator[Finding]:
    axes = sides.exchanged_axes(samples, sizes)
    yield Finding("x and y exchanged", np.flatnonzero(axes))
    if sides.looks_turned(samples):
        share = sides.lying_share(samples)
        yield Finding("x and y exchanged in the whole data set?", detail=f"{share:.0%} of the people lie on their side")
    for pair in (exchanged := sides.exchanged_pairs(samples)):
        left, right = samples.skeleton.mirror_pairs[pair]
        meaning = f"in most people {left} is on the side of the other right joints, and {right} on that of the left"
        yield Finding(f"{left} and {right} exchanged in the whole data set?", detail=meaning)
    if not exchanged and sides.looks_exchanged_as_a_whole(samples):
        share = sides.is_seen_from_behind(samples)
        meaning = f"{share:.0%} of the people are seen from behind; photographs show most people from the front"
        yield Finding("left and right exchanged in the whole data set?", detail=meaning)
    people = sides.disagreeing_people(samples) | sides.faces_from_behind(samples) | sides.stretched_people(samples)
    yield Finding("left and right exchanged?", np.flatnonzero(people & ~axes))


def _duplicates(samples: Samples) -> Iterator[Finding]:
    given = samples.ids >= 0
    yield Finding("id of another annotation", _repeated(samples.ids[given], np.flatnonzero(given)))
    tracked = samples.track_ids >= 0
    tracks = np.stack([samples.image_rows, samples.track_ids], axis=1)[tracked]
    yield Finding("track id of another person in the image", _repeated(tracks, np.flatnonzero(tracked)))
    posed = samples.labelled.any(axis=1)
    poses = np.concatenate(
        [
            samples.image_rows[:, None],
            np.nan_to_num(samples.keypoints, nan=-1e6).reshape(len(samples), 2 * len(samples.skeleton)),
        ],
        axis=1,
    )[posed]
    yield Finding("same joints as another person in the image", _repeated(poses, np.flatnonzero(posed)))
    names = np.array([str(path) for path in samples.images])
    yield Finding("image listed twice", image_rows=_repeated(names, np.arange(len(names))))


def _repeated(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The rows whose value an earlier one has."""
    if not len(values):
        return _NO_ROWS
    _, first = np.unique(values, axis=0, return_index=True)
    return np.delete(rows, first)
