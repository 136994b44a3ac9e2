"""PoseTrack submissions: the sequences of a split as a batch, and its predictions in the form the official kit reads.

The layout is that of the data set: ROOT/annotations/SPLIT/NAME.json names the frames of each sequence as
images/SPLIT/NAME/000000.jpg, relative to ROOT. The kit pairs files by name and frames by position, so a prediction has
the name of its annotation and exactly its frames; a frame that could not be read has no people.

There are two submissions, because the two metrics of the benchmark want different joints. AP ranks joints by score and
loses by each one that is left out; MOTA counts each joint without an annotation as a false positive, whatever its
score. `submission/` has all joints of the runs, `submission_mota/` those from a score on.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from eval_posetrack.formats.clip import LARGEST_TRACK_ID, Clip
from eval_posetrack.formats.files import find_files, read_clip, read_folder, write_clip
from posetrail.errors import InputError
from posetrail.files import written_whole
from posetrail.paths import below, distinct_names, is_safe_name
from tracker.association.interpolation import SCORE_SHARE
from tracker.batch import MOTA_JOINT_SCORE
from tracker.batch.clip_list import ListedClip, folder_name

SUBMISSION, MOTA_SUBMISSION = "submission", "submission_mota"
_TRACKS = "tracks.json"
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # fixed, so that the same files give the same bytes


def annotations_of(root: Path, split: str) -> Path:
    """The folder of a split's annotations.

    Raises:
        InputError: there is none.
    """
    folder = root / "annotations" / split
    if not folder.is_dir():
        found = sorted(path.name for path in (root / "annotations").glob("*") if path.is_dir())
        known = f"it has {', '.join(found)}" if found else "give the folder that holds annotations/ and images/"
        raise InputError(f"{folder}: no annotations of split {split!r} there; {known}")
    return folder


def sequences(root: Path, split: str) -> dict[str, Clip]:
    """The annotated sequences of a split by name.

    Raises:
        InputError: there are none, or a file cannot be used or has a name that no submission can have.
    """
    folder = annotations_of(root, split)
    for name, file in find_files(folder).items():
        if not is_safe_name(name):  # the submission's files have these names, on any system that unpacks it
            raise InputError(f"{folder}: expected names that every system takes, got {file.name!r}; rename the file")
    return read_folder(folder)


def listed_sequences(root: Path, ground_truth: Mapping[str, Clip]) -> list[ListedClip]:
    """The sequences as clips of a batch: exactly their frames.

    Raises:
        InputError: an annotation names an image that is not below the root.
    """
    root, folders = root.absolute(), folders_of(ground_truth)
    return [
        ListedClip(root, folders[name], images=tuple(below(root, image, f"{name}.json") for image in clip.image_names))
        for name, clip in ground_truth.items()
    ]


def folders_of(ground_truth: Iterable[str]) -> dict[str, str]:
    """The folder of each sequence's run in the output: its name, unless the batch has a file of that name."""
    names = list(ground_truth)
    return dict(zip(names, distinct_names([folder_name(name) for name in names]), strict=True))


def write_submissions(
    output: Path, ground_truth: Mapping[str, Clip], *, mota_joint_score: float = MOTA_JOINT_SCORE
) -> list[str]:
    """Write submission/ and submission_mota/ in OUTPUT from the runs there, and each as a zip file.

    Args:
        output: folder of the batch.
        ground_truth: the sequences by name.
        mota_joint_score: joints with a lower score are left out of submission_mota/, see `with_joints_from`.

    Returns:
        One line for each deviation from what the official kit expects, with file and frame; empty if there is none.

    Raises:
        InputError: a run has other frames than its sequence.
    """
    folders = output / SUBMISSION, output / MOTA_SUBMISSION
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    complaints = []
    for name, run in folders_of(ground_truth).items():
        clip, tracks = ground_truth[name], output / run / _TRACKS
        all_joints, for_mota = (folder / f"{name}.json" for folder in folders)
        if not tracks.is_file():
            all_joints.unlink(missing_ok=True)
            for_mota.unlink(missing_ok=True)
            continue
        found, missing = _with_frames_of(clip, read_clip(tracks))
        complaints += [f"{all_joints}: frame {frame}: was not tracked, has no people" for frame in missing]
        write_clip(found, all_joints)
        write_clip(with_joints_from(mota_joint_score, found), for_mota)
    for folder in folders:
        complaints += check_submission(folder, ground_truth)
        _pack(folder, ground_truth, zip_of(folder))
    return complaints


def zip_of(folder: Path) -> Path:
    """The zip file of a submission's folder, beside it."""
    return folder.with_name(f"{folder.name}.zip")


def with_joints_from(min_score: float, clip: Clip) -> Clip:
    """A clip with the joints of at least this score; people without any are left out, at which the official kit stops.

    Joints of interpolated poses have half the score of those between which they lie, so half of `min_score` is asked of
    them: a pose is interpolated with the joints that its neighbours keep. Joints without a score stay.
    """
    needed = np.where(clip.interpolated, SCORE_SHARE * min_score, min_score)
    is_low = clip.keypoint_scores < needed[:, None]
    thresholded = replace(
        clip,
        keypoints=np.where(is_low[:, :, None], np.nan, clip.keypoints),
        keypoint_scores=np.where(is_low, np.nan, clip.keypoint_scores),
    )
    return thresholded.with_people(np.isfinite(thresholded.keypoints).all(axis=2).any(axis=1))


def _with_frames_of(ground_truth: Clip, found: Clip) -> tuple[Clip, list[str]]:
    """A prediction with exactly the frames of the annotation, and the names of the frames that it lacked."""
    position = {name: i for i, name in enumerate(ground_truth.image_names)}
    strange = [name for name in found.image_names if name not in position]
    if strange:
        raise InputError(f"{found.name}: has frame {strange[0]}, which {ground_truth.name} does not have; give --redo")
    moved = np.array([position[name] for name in found.image_names], np.int64)
    frames = ground_truth.num_frames
    exact = replace(
        found,
        name=ground_truth.name,
        image_names=ground_truth.image_names,
        frames=moved[found.frames] if len(found) else found.frames,
        ignore_regions=((),) * frames,
        labeled=np.ones(frames, bool),
        times=None,
    )
    return exact, [name for name in ground_truth.image_names if name not in set(found.image_names)]


def check_submission(folder: Path, ground_truth: Mapping[str, Clip]) -> list[str]:
    """One line for each problem that the official kit would stop at or score wrongly, with file and frame."""
    complaints = []
    for name, clip in ground_truth.items():
        path = folder / f"{name}.json"
        if not path.is_file():
            complaints.append(f"{path}: is missing; a sequence without people needs a file too")
            continue
        try:
            found = read_clip(path)
        except InputError as error:
            complaints.append(str(error))
            continue
        complaints += [f"{path}: {problem}" for problem in _complaints(clip, found)]
    strange = sorted(path.name for path in folder.glob("*") if path.stem not in ground_truth or path.suffix != ".json")
    return complaints + [f"{folder / name}: belongs to no sequence of the split" for name in strange]


def _complaints(ground_truth: Clip, found: Clip) -> Iterator[str]:
    if found.num_frames != ground_truth.num_frames:
        yield f"expected {ground_truth.num_frames} frames as in the annotation, got {found.num_frames}"
    for wanted, got in zip(ground_truth.image_names, found.image_names, strict=False):
        if wanted != got:
            yield f"frame {got}: expected {wanted} in this place"
    again = np.zeros(len(found), bool)
    order = np.lexsort((found.track_ids, found.frames))
    again[order[1:]] = (np.diff(found.frames[order]) == 0) & (np.diff(found.track_ids[order]) == 0)
    there = np.isfinite(found.keypoints).all(axis=2)
    for rows, fault in (
        (found.track_ids < 0, "a person without track_id"),
        (found.track_ids > LARGEST_TRACK_ID, f"a track_id above {LARGEST_TRACK_ID}"),
        (again, "a track_id that occurs twice"),
        (~there.any(axis=1), "a person without joints"),
        ((there & ~np.isfinite(found.keypoint_scores)).any(axis=1), "a joint without score"),
    ):
        for row in np.flatnonzero(rows):
            yield f"frame {found.image_names[found.frames[row]]}: {fault} (track_id {found.track_ids[row]})"


def _pack(folder: Path, names: Iterable[str], path: Path) -> None:
    with written_whole(path) as beside, zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in names:
            file = folder / f"{name}.json"
            if file.is_file():
                packed.writestr(
                    zipfile.ZipInfo(file.name, _ZIP_TIME), file.read_bytes(), compress_type=zipfile.ZIP_DEFLATED
                )


def has_ground_truth(ground_truth: Mapping[str, Clip]) -> bool:
    """Whether any person is annotated."""
    return any(len(clip) for clip in ground_truth.values())
