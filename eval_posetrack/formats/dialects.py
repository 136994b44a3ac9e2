"""What the versions of PoseTrack files share: common fields, rounding, one record per line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import orjson

from eval_posetrack.formats.clip import NO_SCORE
from eval_posetrack.formats.columns import LARGEST_SCORE, Records

DECIMALS_PX, DECIMALS_SCORE = 3, 5


def file_names(images: Records, key: str) -> tuple[str, ...]:
    """The file name of each frame's image, which is not opened."""
    values = images.values(key)
    if not set(map(type, values)) <= {str}:
        images.fail(next(i for i, value in enumerate(values) if type(value) is not str), key, "the image's file name")
    return tuple(values)


def track_ids(people: Records) -> np.ndarray:
    """(P,) int64 track ids, -1 where there is none."""
    ids = people.integers("track_id", absent=-1)
    if (ids < -1).any():
        people.fail(int((ids < -1).argmax()), "track_id", "a whole number of at least 0")
    return ids


def times(images: Records) -> np.ndarray | None:
    """(T,) times in seconds, a field that posetrail adds; None if the file has none."""
    seconds = images.numbers("time_s", largest=LARGEST_SCORE)
    none = np.isnan(seconds)
    if none.any() and not none.all():
        images.fail(int(none.argmax()), "time_s", "a time for every frame or for none")
    return None if none.all() else seconds


def only_given(scores: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
    """Scores with NaN where the joint is missing, or where the file has the official value for no score."""
    return np.where(np.isnan(keypoints[:, :, 0]) | (scores == NO_SCORE), np.nan, scores)


def uneven_fields(records: Records, keys: Iterable[str], *, empty_counts: bool = False) -> tuple[str, ...]:
    """One note for each field that only some records have: often an error of the program that wrote the file."""
    counts = {key: int(records.given(key, empty_counts=empty_counts).sum()) for key in keys}
    return tuple(f"{n} of {len(records)} records have {key!r}" for key, n in counts.items() if 0 < n < len(records))


def rounded(values: np.ndarray, decimals: int, missing: float) -> np.ndarray:
    """The values rounded to a number of decimals, with `missing` for NaN."""
    return np.where(np.isfinite(values), np.round(values, decimals), missing)


def joined(records: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    """JSON records separated by commas, one per line."""
    between = b""
    for record in records:
        yield between + orjson.dumps(record)
        between = b",\n"
