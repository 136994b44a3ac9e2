"""Re-identification: which tracks are joined by their appearance, and which must not be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posetrail.errors import InputError
from posetrail.poses import Poses, TrackedPoses
from tests.pose_frames import OFFLINE, ids_of_walkers, missed_in, pose_frames, tracked_offline
from tests.worlds import Walker, World, line
from tracker.association.gallery import AppearanceRecorder, TrackParts, reidentify
from tracker.association.tracker import associate_online
from tracker.frames import PoseFrame, PropagatedPoses
from tracker.settings import AssociationSettings, NetworkSettings, Settings

SIZE = 32
Stay = tuple[str, float, float]
"""Who is seen, from when to when, in seconds."""


def people(names: str, *, separation: float = 1.0, seed: int = 0) -> dict[str, np.ndarray]:
    """An embedding for each person; with separation 0 all are the same."""
    random = np.random.default_rng(seed)
    common = random.normal(size=SIZE)
    return {name: common + separation * random.normal(size=SIZE) for name in names}


def identities(
    stays: list[Stay],
    appearance: dict[str, np.ndarray],
    *,
    noise: float = 0.2,
    poses: int = 40,
    max_gap_s: float = 300.0,
) -> list[int]:
    """The identity of each stay, whose embeddings are drawn around the person's."""
    random = np.random.default_rng(1)
    rows = [
        (track, 10 * (appearance[name] + noise * random.normal(size=SIZE) / np.sqrt(2)), poses // 4)
        for track, (name, _, _) in enumerate(stays)
        for _ in range(4)
    ]
    tracks, embeddings, counts = zip(*rows, strict=True)
    parts = TrackParts(np.array(tracks), np.array(embeddings), np.array(counts))
    first_s, last_s = (np.array([stay[i] for stay in stays], float) for i in (1, 2))
    return reidentify(parts, first_s, last_s, max_gap_s).tolist()


TOGETHER: list[Stay] = [(name, 0.0, 20.0) for name in "abcdef"]
"""Six people who are seen together: fifteen pairs of different people."""


def test_people_who_return_are_joined_with_their_earlier_tracks() -> None:
    stays = [*TOGETHER, ("b", 60, 80), ("a", 70, 90), ("a", 200, 220)]
    assert identities(stays, people("abcdef")) == [0, 1, 2, 3, 4, 5, 1, 0, 0]


def test_a_newcomer_is_not_joined() -> None:
    assert identities([*TOGETHER, ("n", 60, 80)], people("abcdefn")) == list(range(7))


def test_a_person_away_for_longer_than_allowed_is_new() -> None:
    stays = [*TOGETHER, ("b", 60, 80), ("b", 115, 120)]
    appearance = people("abcdef")
    assert identities(stays, appearance, max_gap_s=40) == [0, 1, 2, 3, 4, 5, 1, 1]
    assert identities(stays, appearance, max_gap_s=39) == [0, 1, 2, 3, 4, 5, 6, 6]


def test_people_who_look_alike_are_not_joined() -> None:
    appearance = people("abcdef")
    shirts = {name: appearance["a" if name in "abc" else "d"] + 0.02 * appearance[name] for name in appearance}
    stays = [*TOGETHER, ("b", 60, 80), ("d", 60, 80), ("a", 100, 120)]
    assert identities(stays, shirts) == list(range(9))


def test_one_of_two_people_who_return_together_and_fit_equally_well_is_not_chosen() -> None:
    appearance = people("abcdef")
    appearance["twin"] = appearance["a"]
    assert identities([*TOGETHER, ("a", 60, 80), ("twin", 60, 80)], appearance) == list(range(8))


def test_nothing_is_joined_where_only_one_person_is_seen_at_a_time() -> None:
    assert identities([("a", 0, 20), ("a", 60, 80), ("b", 100, 120)], people("ab")) == [0, 1, 2]


def test_tracks_with_few_clean_poses_are_not_compared() -> None:
    stays = [*TOGETHER, ("b", 60, 80)]
    assert identities(stays, people("abcdef"), poses=4) == list(range(7))


stays_of_people = st.lists(
    st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 100), st.integers(1, 40)), min_size=2, max_size=20
)


def as_stays(drawn: list[tuple[str, int, int]]) -> list[Stay]:
    return [(name, float(first), float(first + length)) for name, first, length in drawn]


@settings(max_examples=60, deadline=None)
@given(stays_of_people, st.floats(0, 3), st.floats(0, 1), st.integers(0, 120))
def test_tracks_of_an_identity_never_overlap_in_time_and_are_no_further_apart_than_allowed(
    drawn: list[tuple[str, int, int]], separation: float, noise: float, max_gap_s: int
) -> None:
    stays = as_stays(drawn)
    found = identities(stays, people("abcdefgh", separation=separation), noise=noise, max_gap_s=max_gap_s)
    for identity in set(found):
        mine = sorted(stays[track][1:] for track in range(len(stays)) if found[track] == identity)
        assert all(0 < later[0] - earlier[1] <= max_gap_s for earlier, later in pairwise(mine))
        assert identity == found.index(identity)


@settings(max_examples=600, deadline=None)
@given(stays_of_people, st.integers(0, 2**32 - 1))
def test_the_order_of_tracks_changes_nothing(drawn: list[tuple[str, int, int]], seed: int) -> None:
    stays, appearance = as_stays(drawn), people("abcdefgh")
    order = np.random.default_rng(seed).permutation(len(stays)).tolist()
    found, shuffled = identities(stays, appearance, noise=0), identities([stays[i] for i in order], appearance, noise=0)
    place = {track: row for row, track in enumerate(order)}
    for a, b in combinations(range(len(stays)), 2):
        assert (found[a] == found[b]) == (shuffled[place[a]] == shuffled[place[b]])


@pytest.mark.parametrize("seed", range(20))
def test_embeddings_without_information_join_nothing(seed: int) -> None:
    random = np.random.default_rng(seed)
    stays = [("a", first, first + random.uniform(5, 30)) for first in random.uniform(0, 300, 30)]
    assert identities(stays, people("a", seed=seed), noise=1.0) == list(range(30))


def frame(index: int, boxes: list[list[float]], embeddings: np.ndarray, *, propagated: bool = False) -> PoseFrame:
    N = len(boxes)
    poses = Poses(np.zeros((N, 17, 2)), np.ones((N, 17)), np.array(boxes), np.ones(N), np.full(N, propagated))
    return PoseFrame(index, index / 10, "", poses, PropagatedPoses.empty(17), appearance=embeddings)


def test_only_clean_poses_are_recorded() -> None:
    recorder = AppearanceRecorder()
    one, other = np.eye(2, dtype=np.float32)
    alone, covered, near = [0.0, 0.0, 40.0, 100.0], [200.0, 0.0, 240.0, 100.0], [215.0, 0.0, 255.0, 100.0]
    recorder.add(frame(0, [alone, covered, near], np.stack([one, other, other])), np.array([3, 1, 2]), np.ones(3) > 0)
    recorder.add(frame(1, [alone], one[None], propagated=True), np.array([3]), np.ones(1) > 0)
    recorder.add(frame(2, [alone], one[None]), np.array([3]), np.zeros(1) > 0)
    recorder.add(frame(3, [alone], 0 * one[None]), np.array([3]), np.ones(1) > 0)
    recorder.add(frame(4, [alone], one[None]), np.array([-1]), np.ones(1) > 0)
    parts = recorder.parts()
    assert (parts.tracks.tolist(), parts.counts.tolist(), parts.embeddings.tolist()) == ([3], [1], [[1, 0]])


def test_a_long_track_is_recorded_in_few_parts_of_equal_length_and_in_order() -> None:
    recorder = AppearanceRecorder()
    for t in range(600):
        recorder.add(frame(t, [[0, 0, 40, 100]], np.array([[1, t]])), np.array([0]), np.ones(1) > 0)
    parts = recorder.parts()
    assert len(parts.counts) <= 8
    assert parts.counts.sum() == 600
    assert len(set(parts.counts[:-1].tolist())) == 1
    assert (np.diff(parts.embeddings[:, 1] / parts.counts) > 0).all()


def six_walkers() -> tuple[World, list[PoseFrame]]:
    """Six people of different appearance; two leave and return with exchanged places."""
    away = missed_in((60, 150))
    walkers = [Walker(line((20 + 100 * i, 60), (0, 0))) for i in range(4)]
    first = [Walker(line((420, 200), (0, 0)), missed=away), Walker(line((520, 200), (0, 0)), missed=away)]
    world = World((*walkers, *first), num_frames=240, fps=10)
    embeddings = np.eye(6, 8, dtype=np.float32)
    frames = []
    for each in pose_frames(world):
        appearance = (
            embeddings[: len(each.poses)] if each.index < 60 else embeddings[[0, 1, 2, 3, 5, 4]][: len(each.poses)]
        )
        frames.append(replace(each, appearance=appearance))
    return world, frames


def test_offline_association_joins_people_who_return_elsewhere() -> None:
    world, frames = six_walkers()
    ids = ids_of_walkers(world, enumerate(tracked_offline(frames, OFFLINE, max_reid_gap_s=60)))
    assert ids[0] == {0: 1, 1: 2, 2: 3, 3: 4, 4: 5, 5: 6}
    assert ids[-1] == {0: 1, 1: 2, 2: 3, 3: 4, 4: 6, 5: 5}
    without = ids_of_walkers(world, enumerate(tracked_offline(frames, OFFLINE)))
    assert without[-1] == {0: 1, 1: 2, 2: 3, 3: 4, 4: 7, 5: 8}


def tracked_online(frames: list[PoseFrame], max_reid_gap_s: float) -> list[TrackedPoses]:
    settings = AssociationSettings(offline=False, max_reid_gap_s=max_reid_gap_s)
    return [tracked for _, tracked in associate_online(frames, settings)]


def test_online_association_gives_people_who_return_their_ids_once_they_are_seen_well() -> None:
    world, frames = six_walkers()
    ids = ids_of_walkers(world, enumerate(tracked_online(frames, 60)))
    assert ids[-1] == {0: 1, 1: 2, 2: 3, 3: 4, 4: 6, 5: 5}
    assert [set(frame) for frame in ids[150:158]] == [{0, 1, 2, 3}] * 7 + [{0, 1, 2, 3, 4, 5}]
    without = ids_of_walkers(world, enumerate(tracked_online(frames, 0)))
    assert without[-1] == {0: 1, 1: 2, 2: 3, 3: 4, 4: 7, 5: 8}


def test_online_an_id_is_given_at_most_once_per_frame_and_never_taken_back() -> None:
    _, frames = six_walkers()
    tracked = tracked_online(frames, 60)
    assert all(len(set(frame.track_ids.tolist())) == len(frame) for frame in tracked)
    cut = tracked_online(frames[:200], 60)
    assert [frame.track_ids.tolist() for frame in cut] == [frame.track_ids.tolist() for frame in tracked[:200]]


def test_online_people_away_for_too_long_are_forgotten() -> None:
    world, frames = six_walkers()
    ids = ids_of_walkers(world, enumerate(tracked_online(frames, 5)))
    assert ids[-1] == {0: 1, 1: 2, 2: 3, 3: 4, 4: 7, 5: 8}


def test_online_people_of_the_same_appearance_get_new_ids() -> None:
    world, frames = six_walkers()
    same = [replace(each, appearance=np.ones((len(each.poses), 8)) / np.sqrt(8)) for each in frames]
    ids = ids_of_walkers(world, enumerate(tracked_online(same, 60)))
    assert ids[-1] == {0: 1, 1: 2, 2: 3, 3: 4, 4: 7, 5: 8}


@pytest.mark.parametrize("track", [partial(tracked_offline, settings=OFFLINE), tracked_online])
def test_poses_without_embeddings_are_refused(track: Callable[..., object]) -> None:
    _, frames = six_walkers()
    frames = [replace(each, appearance=np.zeros((0, 0))) for each in frames]
    with pytest.raises(InputError, match="max_reid_gap_s: expected poses with appearance embeddings, got none"):
        track(frames, max_reid_gap_s=60)


def test_a_run_without_an_appearance_network_is_refused_at_its_start() -> None:
    reidentifying = replace(OFFLINE, max_reid_gap_s=60.0)
    with pytest.raises(InputError, match="max_reid_gap_s: expected an appearance embedding, got appearance none"):
        Settings(association=reidentifying)
    Settings(association=reidentifying, networks=NetworkSettings(appearance="colour_layout"))
