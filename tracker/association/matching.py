"""Matching of tracks with the poses of a frame: a gain for every plausible pair, then an assignment in rounds."""

from __future__ import annotations

import numpy as np

from posetrail.assignment import associate_pairs
from posetrail.similarity import covered_share, joint_similarity, mean_joint_similarity, median_offsets, paired_box_iou
from tracker.association.candidates import Candidates
from tracker.association.gating import gated_pairs
from tracker.association.likelihood import (
    LAST_CHANCE,
    Pairs,
    appearance_log_odds,
    appearance_weights,
    density_of_others,
    last_chance,
    log_odds,
)
from tracker.association.motion import Tracks
from tracker.frames import PoseFrame, PropagatedPoses
from tracker.settings import AssociationSettings


def match(tracks: Tracks, candidates: Candidates, settings: AssociationSettings) -> np.ndarray:
    """The row of the track that each pose (N,) belongs to, -1 for none.

    Confident poses are matched first and the others with the tracks that remain, as in ByteTrack (Zhang et al., ECCV
    2022, algorithm 1). With log odds, confident poses that no track explains continue at last the tracks of the last
    frames that are left over nearby: a tumble or a jump is more probable than that a person leaves and another one
    appears beside.
    """
    track_of_pose = np.full(len(candidates.boxes), -1)
    if not len(tracks) or not len(track_of_pose):
        return track_of_pose
    rows, columns, gains = plausible_pairs(tracks, candidates, settings)
    confident = candidates.confident[columns]
    free = np.ones(len(tracks), bool)

    def assign(chosen: np.ndarray, gains: np.ndarray) -> None:
        left = np.flatnonzero(chosen & (gains >= 0) & free[rows] & (track_of_pose[columns] < 0))
        pairs = left[associate_pairs(rows[left], columns[left], gains[left], settings.assignment)]
        track_of_pose[columns[pairs]] = rows[pairs]
        free[rows[pairs]] = False

    assign(confident, gains)
    assign(~confident, gains)
    left = confident & free[rows] & (track_of_pose[columns] < 0)
    if settings.similarity == "likelihood" and left.any():
        unseen_s = candidates.frame.time_s - tracks.seen_s
        hidden = covered_share(tracks.boxes, candidates.boxes[track_of_pose >= 0])
        assign(left, gains + last_chance(unseen_s, hidden)[rows])
    return track_of_pose


def plausible_pairs(
    tracks: Tracks, candidates: Candidates, settings: AssociationSettings
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of a track and a usable pose that may be matched: tracks (P,), poses (P,), and gains (P,) of matching them.

    The gain is the similarity above the lowest one of a match, or the log odds; negative log odds are for the last
    round.
    """
    keypoints, boxes = _predictions(tracks, candidates.frame.propagated, settings)
    position_std = np.sqrt(tracks.position_var) if settings.motion_model else np.zeros(len(tracks))
    rows, columns = gated_pairs(boxes, tracks.size, position_std, candidates.boxes)
    usable = candidates.usable[columns]
    rows, columns = rows[usable], columns[usable]
    if settings.similarity == "likelihood":
        gains = _log_odds(tracks, candidates, rows, columns, keypoints[0], boxes, settings)
        possible = gains >= -LAST_CHANCE
    else:
        similarity = _similarity(tracks, candidates, rows, columns, keypoints, boxes, settings)
        gains = similarity - settings.min_match_similarity
        possible = (gains >= 0) & (similarity > 0)
    return rows[possible], columns[possible], gains[possible]


def _similarity(
    tracks: Tracks,
    candidates: Candidates,
    rows: np.ndarray,
    columns: np.ndarray,
    predicted_keypoints: list[np.ndarray],
    predicted_boxes: np.ndarray,
    settings: AssociationSettings,
) -> np.ndarray:
    """Similarity (P,), 0..1, of pairs of a track and a pose: box IoU, or a weighted mean of box IoU and OKS.

    The uncertainty of a track's position widens the OKS. Appearance is mixed in for tracks that were without poses for
    some time.
    """
    values = paired_box_iou(predicted_boxes[rows], candidates.boxes[columns])
    if settings.similarity != "iou" and settings.box_iou_share < 1:
        position_var = tracks.position_var[rows, None] if settings.motion_model else 0.0
        areas, variances = (tracks.size**2)[rows], candidates.joint_variances + position_var
        weights = candidates.frame.poses.keypoint_scores[columns].astype(float)
        oks = np.full(len(rows), np.nan)
        for predicted in predicted_keypoints:
            of_joints = joint_similarity(candidates.keypoints[columns] - predicted[rows], areas, variances)
            oks = np.fmax(oks, mean_joint_similarity(of_joints, weights))
        mixed = settings.box_iou_share * values + (1 - settings.box_iou_share) * oks
        boxes_alone = np.where(values >= settings.min_match_box_iou, values, 0.0)
        values = np.where(np.isnan(oks), boxes_alone, mixed)
    if settings.appearance_share > 0 and tracks.appearance.shape[1]:
        values = _with_appearance(values, tracks, candidates.frame, rows, columns, settings.appearance_share)
    return values


def _log_odds(
    tracks: Tracks,
    candidates: Candidates,
    rows: np.ndarray,
    columns: np.ndarray,
    predicted_keypoints: np.ndarray,
    predicted_boxes: np.ndarray,
    settings: AssociationSettings,
) -> np.ndarray:
    """Log odds (P,) that the poses continue the tracks."""
    frame = candidates.frame
    unseen_s = frame.time_s - tracks.seen_s[rows]
    pairs = Pairs(
        sizes=tracks.size[rows],
        position_var=tracks.position_var[rows],
        others=density_of_others(predicted_boxes, tracks.size)[rows],
        unseen_s=unseen_s,
        predicted_boxes=predicted_boxes[rows],
        predicted_keypoints=predicted_keypoints[rows],
        boxes=candidates.boxes[columns],
        keypoints=candidates.keypoints[columns],
        joint_scores=frame.poses.keypoint_scores[columns],
    )
    values = log_odds(pairs, candidates.joint_variances)
    if settings.appearance_share > 0 and tracks.appearance.shape[1]:
        of_poses = frame.appearance[columns].astype(float)
        values += appearance_log_odds(tracks.appearance[rows], of_poses, unseen_s, settings.appearance_share)
    return values


def _predictions(
    tracks: Tracks, propagated: PropagatedPoses, settings: AssociationSettings
) -> tuple[list[np.ndarray], np.ndarray]:
    """Where the tracks are expected in this frame: one or more predictions of keypoints (T, K, 2); boxes (T, 4).

    Poses propagated by optical flow are used where there are any, the motion model elsewhere.
    """
    by_motion, boxes = tracks.keypoints, tracks.boxes
    if settings.similarity in ("iou", "oks") or not len(propagated):
        return [by_motion], boxes
    newest_only = settings.similarity != "multi_flow_oks"
    by_flow, found = _propagated_poses(tracks.sources[:, :1] if newest_only else tracks.sources, propagated)
    without_flow = ~found.any(axis=1)
    by_flow[without_flow, 0] = by_motion[without_flow]
    shifts, _ = median_offsets(by_flow[:, 0] - by_motion)
    return list(by_flow.swapaxes(0, 1)), boxes + np.tile(np.nan_to_num(shifts), 2)


def _propagated_poses(sources: np.ndarray, propagated: PropagatedPoses) -> tuple[np.ndarray, np.ndarray]:
    """Where optical flow moved the poses `sources` (T, Q, 2).

    Returns:
        (T, Q, K, 2) pixels, NaN where flow lost the pose or the joint; (T, Q) bool, whether the pose was propagated.
    """
    places = zip(propagated.source_frames.tolist(), propagated.source_rows.tolist(), strict=True)
    row_of_place = {place: row for row, place in enumerate(places)}
    rows = np.array([row_of_place.get((frame, row), -1) for frame, row in sources.reshape(-1, 2).tolist()], int)
    rows = rows.reshape(sources.shape[:2])
    keypoints = propagated.keypoints[rows].astype(float)
    keypoints[rows < 0] = np.nan
    return keypoints, rows >= 0


def _with_appearance(
    values: np.ndarray, tracks: Tracks, frame: PoseFrame, rows: np.ndarray, columns: np.ndarray, max_share: float
) -> np.ndarray:
    """Similarities (P,) in which the cosine of embeddings has a share that grows with the time without poses."""
    of_tracks, of_poses = tracks.appearance[rows], frame.appearance[columns].astype(float)
    share = appearance_weights(of_tracks, of_poses, frame.time_s - tracks.seen_s[rows], max_share)
    cosine = np.maximum(np.einsum("pe,pe->p", of_tracks, of_poses), 0)
    return (1 - share) * values + share * cosine * (values > 0)
