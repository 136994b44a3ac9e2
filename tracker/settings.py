"""All settings of the tracker. Each default is written once, here; flags, TOML files and run.json come from it.

Four frozen dataclasses: `NetworkSettings` chooses the networks and `InferenceSettings` controls what they compute; a
change of either needs the video again. `AssociationSettings` controls how poses are linked to tracks; it is applied to
the pose log, so a change takes seconds and needs neither the video nor a network. `Settings` holds one of each.

The docstring of a field is its text in `--help-all` and in the reference. Accuracy figures in them are IDF1 of people
on the synthetic suite `report`, hard noise, from `python -m benchmarks.ablation` (docs/concepts/association.md): the
default online tracker with known camera motion scores 86.5.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from posetrail.errors import InputError
from tracker.checked_settings import Range, check_fields

Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["float32", "int8", "bfloat16"]

Normalisation = Literal["imagenet", "0..1", "0..255"]

Flow = Literal["lk", "dis", "raft", "none"]
PoseNms = Literal["oks", "parametric"]
Assignment = Literal["greedy", "hungarian"]
Similarity = Literal["likelihood", "iou", "oks", "flow_oks", "multi_flow_oks"]
Smoothing = Literal["auto", "kalman", "butterworth", "one_euro", "none"]


_SMOOTHS_OFFLINE = ("kalman", "butterworth")
_SMOOTHS_ONLINE = ("one_euro",)

Count = Annotated[int, Range(1, 1000)]
Pixels = Annotated[int, Range(32, 4096)]
Share = Annotated[float, Range(0.0, 1.0)]
Margin = Annotated[float, Range(0.0, 10.0)]
Seconds = Annotated[float, Range(0.0, 86400.0)]


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """Which networks run, on which device, and how images are prepared for them."""

    detector: str = "auto"
    """Person detector: a name from `posetrail models`, onnx:FILE, or boxes:FILE for boxes from a file. auto is nanodet,
    or none for bottom-up networks."""
    detector_weights: Path | None = None
    """Weights file of the detector (.pth or .safetensors) or a name from `posetrail models`. The built-in nanodet needs
    none."""
    estimator: str = "movenet_thunder"
    """Pose estimator: a name from `posetrail models`, or onnx:FILE. Top-down networks run on a crop of each box;
    bottom-up networks run on the whole image and need no detector."""
    estimator_weights: Path | None = None
    """Weights file of the estimator (.pth or .safetensors) or a name from `posetrail models`; also --weights. A file of
    `posetrail train` names its network itself. The built-in movenet_thunder needs none."""
    hands: str | None = None
    """Estimator of hands, such as rtmpose_m_hand21 or onnx:FILE (21 joints). It runs on a square beyond each confident
    wrist, and its joints are added to those of the body. Default: none."""
    hands_weights: Path | None = None
    """Weights file of the estimator of hands, or a name from `posetrail models`."""
    faces: str | None = None
    """Estimator of faces, such as rtmpose_m_face68 or onnx:FILE (68 or 106 joints). It runs on a square around nose,
    eyes and ears, and its joints are added to those of the body. Default: none."""
    faces_weights: Path | None = None
    """Weights file of the estimator of faces, or a name from `posetrail models`."""
    refiner: str | None = None
    """Network that corrects the joints of all people by looking at the image again: posefix_r50_256x192 or
    posefix_r152_384x288. Of a person whom optical flow propagated, it gets the moved pose. Default: none."""
    refiner_weights: Path | None = None
    """Weights file of the refiner, such as one of `posetrail train`."""
    device: Device = "auto"
    """Device for the networks. auto is CUDA if it is available. Repeated runs are bit-identical on the CPU only."""
    threads: Annotated[int, Range(1, 1024)] | None = None
    """Number of network calls that run in parallel on the CPU, from 1 to 1024. Default: all available cores. Results do
    not depend on it."""
    precision: Precision | None = None
    """Precision of the networks. Default: int8 for the built-in networks on the CPU, float32 for all others and on
    CUDA. int8 takes about half the time of float32 and moves joints by 0.2 pixels of a crop of 256 (median; 90 %: 0.9).
    An ONNX file runs as it was written; `posetrail models quantise` makes int8 files. bfloat16 takes a seventh to a
    half of the time of float32 on CPUs with AMX; it needs OpenVINO there (pip install 'posetrail[openvino]'), which
    also runs ONNX files in bfloat16."""
    detector_input_px: Pixels | None = None
    """Size to which the detector's input is scaled, in pixels of its longer side. Default: the network's own, 768 for
    nanodet. 416 takes a third of the time on one core (31 instead of 99 ms), but finds 71 % instead of 93 % of the
    people whose height is an eighth of the image's longer side."""
    estimator_input_px: Pixels | None = None
    """Height of the estimator's input crop, in pixels, for weights trained at another size. For bottom-up networks, the
    size to which the image is scaled. Default: the network's own."""
    crop_scale: Annotated[float, Range(0.1, 10.0)] | None = None
    """Size of the crop relative to the person's box. Default: the network's own, 1.25 for most, 1.15 for
    movenet_thunder."""
    decoder: str | None = None
    """How joints are read from heatmaps: argmax, quarter, dark, udp and others. Default: as the network was trained."""
    estimator_normalisation: Normalisation | None = None
    """Pixel normalisation of an estimator given as an ONNX file. Default: imagenet (mean and deviation)."""
    detector_normalisation: Normalisation | None = None
    """Pixel normalisation of a detector given as an ONNX file. Default: 0..255 for YOLOX outputs, imagenet for
    RTMDet outputs."""
    crop_mask: bool | None = None
    """Paint the crop grey outside the person's box, so that joints of a neighbour are not taken. Default: on for
    movenet_thunder, where it reduces joints on another person from 8.9 to 5.9 % (49 people in 20 annotated images); off
    for the others."""
    crop_mask_margin: Margin | None = None
    """Margin around the box that is left unpainted by crop_mask, relative to the box's sides. Default: 0.2 for
    movenet_thunder."""
    flip_test: bool = False
    """Also run the estimator and the refiner on the mirrored crop and average the results, as papers report scores.
    Doubles their time."""
    appearance: str = "none"
    """Appearance embedding for re-identification, written to the pose log: none, colour_layout, or a network such as
    osnet_x1_0. See appearance_share for its use."""
    appearance_weights: Path | None = None
    """Weights file of the appearance network. Default: those fetched by `posetrail models fetch`."""

    def __post_init__(self) -> None:
        check_fields(self)
        for part, name, weights in (
            ("hands", self.hands, self.hands_weights),
            ("faces", self.faces, self.faces_weights),
            ("refiner", self.refiner, self.refiner_weights),
        ):
            if name is None and weights is not None:
                raise InputError(f"{part}_weights: expected --{part} NAME with --{part}-weights {weights}; add it")
        if self.crop_mask is False and self.crop_mask_margin is not None:
            raise InputError(
                "crop_mask_margin: expected none without a crop mask, "
                f"got {self.crop_mask_margin:g}; leave out --crop-mask-margin or --no-crop-mask"
            )


@dataclass(frozen=True, kw_only=True)
class InferenceSettings:
    """What is computed for each frame: boxes, joints, poses propagated by optical flow, camera motion."""

    detection_interval_s: Seconds | None = None
    """Longest time between two frames that the detector searches, in seconds. In between, people are propagated by
    optical flow, and the detector runs at once where one is lost or the scene changes, and on regions in which
    something moves. 0 searches every frame. Default: 0.1 for detectors of `posetrail models` and ONNX files, 0 for
    boxes from a file and for bottom-up networks."""
    detect_every: Count | None = None
    """Search every n-th frame instead, from 1 to 1000, whatever happens in between. 1 searches every frame."""
    max_flow_error: Share = 0.05
    """Between detections, a person whose joints were last estimated this near to where optical flow had moved them,
    relative to the size of their box (0..1), is not estimated again for up to two frames: optical flow moves the
    joints. 0 estimates all people in every frame. If every frame is searched, it has no effect."""
    min_box_score: Share = 0.25
    """Detected boxes with a lower score are ignored (0..1). Low scores continue tracks; see new_track_score for what
    starts one."""
    propagate: bool = True
    """Estimate poses also where optical flow predicts people of the last frame that have no detection in this one."""
    flow: Flow = "lk"
    """Optical flow: lk (sparse Lucas-Kanade at the joints, about 1 ms a frame), dis (dense inverse search), raft (a
    network; needs weights), or none (people stay where they were)."""
    flow_weights: Path | None = None
    """Weights file for raft: torchvision's raft_small or raft_large. Default: raft_small, if it was fetched by
    `posetrail models fetch`."""
    propagated_box_margin: Margin = 0.15
    """Margin of a propagated box around its joints, relative to the bounding box's sides (0..10)."""
    box_nms_iou: Share = 0.5
    """A propagated person counts as detected if a detection overlaps their box by more than this (IoU, 0..1) and
    passes min_propagation_oks."""
    min_propagation_oks: Share = 0.3
    """Lowest similarity of poses in propagation (OKS, 0..1): between a propagated pose and the detection that replaces
    it, and between the predicted joints and the pose estimated there. A less similar pose is dropped."""
    min_propagated_score: Share = 0.2
    """A propagated pose whose mean joint score is lower is dropped (0..1)."""
    max_shared_joints: Share = 0.2
    """Share of a pose's joint scores that may lie on the joints of more confident people whose boxes overlap (0..1).
    Beyond it, the joints are estimated again with those people painted out, and the estimate with more joints of its
    own is kept. 1 estimates none again, which saves about a tenth of the time of inference in clips with two or three
    people. Bottom-up networks do not use it."""
    pose_nms: PoseNms = "oks"
    """Pose NMS: oks drops a duplicate, parametric merges it, joint by joint, into the pose that stays (RMPE, learnt for
    the 17 joints of COCO; it does not use pose_nms_oks)."""
    pose_nms_oks: Share = 0.7
    """Pose NMS: of two poses in a frame that are more similar than this, the one with the lower quality is dropped
    (OKS, 0..1). 1 keeps all. The dropped pose is not in the pose log; see track_nms_oks."""
    min_propagated_joint_score: Share = 0.1
    """Joints with a lower score are not propagated, and not compared in pose NMS (0..1)."""
    queue_frames: Count = 1
    """Number of past frames whose poses are propagated into the next one, from 1 to 1000. Similarity multi_flow_oks
    compares with all of them; the others use the last."""
    estimate_camera_motion: bool = True
    """Estimate camera motion from the background (translation, rotation, scale) and write it to the pose log. Costs
    about 2 ms a frame."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.detect_every is not None and self.detection_interval_s is not None:
            raise InputError(
                f"detect_every: expected none with detection_interval_s {self.detection_interval_s:g}, got "
                f"{self.detect_every}; leave one of them out"
            )


@dataclass(frozen=True, kw_only=True)
class AssociationSettings:
    """How the poses of a frame are matched with tracks, and how tracks are linked, interpolated and smoothed."""

    similarity: Similarity = "likelihood"
    """How a pose and a track are compared: likelihood (log odds of motion, shape and box), or as in the literature: iou
    (boxes alone; IDF1 85.7 instead of 86.5), oks (with the motion model's prediction), flow_oks (with joints propagated
    by optical flow; 84.9), multi_flow_oks (best of queue_frames frames)."""
    box_iou_share: Share = 0.35
    """Weight of the box IoU in the OKS similarities (0..1); OKS has the rest. Poses without joints are compared by IoU
    alone. likelihood does not use it."""
    assignment: Assignment = "hungarian"
    """How pairs are chosen: hungarian maximises the sum of similarities, greedy takes the most similar pair first (IDF1
    86.1 instead of 86.5)."""
    min_match_similarity: Share = 0.15
    """A pose is matched with a track only from this similarity on (0..1). likelihood does not use it."""
    min_match_box_iou: Share = 0.3
    """Lowest box IoU of a match where joints cannot be compared (0..1). likelihood does not use it."""
    min_match_joint_score: Share = 0.1
    """Joints with a lower score are not compared in matching (0..1)."""
    min_output_joint_score: Share = 0.0
    """Joints with a lower score are left out of the result files (0..1). The default 0 keeps all, which AP needs; MOTA
    is higher with a threshold, which `posetrail eval --sweep` finds."""
    new_track_score: Share = 0.42
    """A detected pose starts a track from this quality on: sqrt(box score x mean joint score), 0..1. Poses of lower
    quality, and propagated ones, only continue tracks. With 0, every detected pose may start one (MOTA 63.3 instead of
    66.2)."""
    calibrate_scores: bool = True
    """Rescale new_track_score to the scores of confident poses in the clip, because networks differ in their range of
    scores."""
    confirmation_evidence: Annotated[float, Range(-1000.0, 1000.0)] = 0.2
    """A new track gets its id when the evidence of its poses adds up to this: for each pose, its quality minus 0.66 x
    new_track_score. A person seen clearly gets it in their first frame. 0 confirms every track at once (MOTA 66.0
    instead of 66.2)."""
    track_nms_oks: Share = 0.6
    """Pose NMS at association: of two poses in a frame that are more similar than this, the one of lower quality is
    ignored (OKS, 0..1). 1 keeps all (MOTA 65.9 instead of 66.2). See also pose_nms_oks."""
    new_track_max_oks: Share = 0.3
    """A pose starts no track if its joints coincide with those of matched people at least this well (mean over its
    joints, OKS, 0..1). Rejects poses merged from several people. 1 rejects none (IDF1 85.6 instead of 86.5)."""
    track_buffer_s: Seconds = 2.0
    """How long a track without a match is kept, in seconds (the maximum age of other trackers). With 0, a track ends
    with its first missed frame: IDF1 falls from 86.5 to 44.3."""
    motion_model: bool = True
    """Predict positions by a Kalman filter with decaying velocity. Without it, tracks stay where they were last seen
    (IDF1 83.0 instead of 86.5)."""
    camera_motion_compensation: bool = True
    """Move tracks by the camera motion in the pose log. It matters where the camera moves fast, as in few of the worlds
    (no difference in IDF1)."""
    common_motion_compensation: bool = True
    """Move unmatched tracks by the median residual motion of the matched ones, and find a common shift if most tracks
    are lost at once, as when the camera jerks. It matters where the camera motion is unknown (else no difference)."""
    appearance_share: Share = 0.3
    """Highest weight of the appearance embedding in matching (0..1). It applies to tracks unseen for about half a
    second or longer, and only if the pose log has embeddings; see appearance."""
    max_reid_gap_s: Seconds = 0.0
    """Longest time after which a person who left and returns gets the same id by appearance alone (re-identification),
    in seconds. Needs embeddings in the pose log; see appearance. Online, a new track may get its id up to 1 s later. 0
    joins no such tracks."""
    offline: bool = True
    """Link tracklets over the whole clip before ids are given. IDF1 88.5 instead of 86.5 online, 94.1 with
    interpolation and smoothing. Takes 2.5 times as long as online, smoothing not counted. --online or --no-offline
    gives each frame's ids at once."""

    max_link_gap_s: Seconds = 3.0
    """Offline: longest gap between two tracklets of one track, in seconds."""
    max_interpolation_gap_s: Seconds = 0.2
    """Offline: longest gap in a track that is filled by linear interpolation, in seconds. Such poses are marked
    `interpolated`. 0 interpolates none (IDF1 88.5 instead of 94.0)."""
    min_track_evidence: Annotated[float, Range(-1000.0, 1000.0)] = 1.0
    """Offline: tracks with less evidence are dropped as false positives. Each pose adds its quality minus 0.66
    x new_track_score, so short tracks of low quality are dropped first (-1000..1000). Clips of up to ten frames need
    less in proportion."""
    smooth: Smoothing = "auto"
    """Smoothing of joints and boxes: kalman or butterworth (offline), one_euro (online), none. auto is kalman offline
    and none online. On hard synthetic noise kalman raises MOTA from 73.2 to 81.9; on easy noise it lowers HOTA from
    89.5 to 86.6."""
    smooth_hz: Annotated[float, Range(0.01, 1000.0)] = 6.0
    """Cut-off frequency of the Butterworth filter, in Hz (0.01..1000)."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.smooth in _SMOOTHS_ONLINE and self.offline:
            raise InputError(
                f"smooth: expected auto, kalman, butterworth or none in offline association, got {self.smooth}; "
                "choose one of them, or online association (--online, offline=False)"
            )
        if self.smooth in _SMOOTHS_OFFLINE and not self.offline:
            raise InputError(
                f"smooth: expected auto, one_euro or none in online association, got {self.smooth}, which needs the "
                "whole clip; choose one of them, or leave out --online (offline=False)"
            )
        if self.smooth_hz != AssociationSettings.smooth_hz and self.smooth != "butterworth":
            raise InputError(
                f"smooth_hz: expected smooth butterworth with a cut-off frequency, got smooth {self.smooth}; "
                "add --smooth butterworth, or leave out --smooth-hz"
            )

    @property
    def smoothing(self) -> Smoothing:
        """The smoothing in effect: `smooth` with "auto" resolved."""
        if self.smooth != "auto":
            return self.smooth
        return "kalman" if self.offline else "none"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings of a run."""

    networks: NetworkSettings = field(default_factory=NetworkSettings)
    """Networks and device."""
    inference: InferenceSettings = field(default_factory=InferenceSettings)
    """From images to poses."""
    association: AssociationSettings = field(default_factory=AssociationSettings)
    """From poses to tracks."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.association.max_reid_gap_s > 0 and self.networks.appearance == "none":
            raise InputError(
                "max_reid_gap_s: expected an appearance embedding, got appearance none; "
                "add --appearance colour_layout, or leave out --max-reid-gap-s"
            )


SECTIONS = {
    "detector": "Networks",
    "detector_input_px": "Networks: input and decoding",
    "appearance": "Networks: appearance",
    "detection_interval_s": "Inference",
    "similarity": "Association",
    "offline": "Association: offline",
    "smooth": "Association: smoothing",
}
"""Headings of the settings in help and reference, by the first field under each; fields are in the classes' order."""

# Xiao, Wu, Wei, Simple Baselines for Human Pose Estimation and Tracking, ECCV 2018, section 3 (propagation by flow,
# greedy matching by OKS after flow over a queue of frames) and section 4.3 (boxes below 0.5 and joints below 0.4 are
# dropped). Propagated boxes compete with detected ones in box NMS alone, and an unmatched track ends when it leaves
# the queue.
_SIMPLE_BASELINES = Settings(
    networks=NetworkSettings(crop_mask=False, flip_test=True),
    inference=InferenceSettings(
        detect_every=1,
        min_box_score=0.5,
        min_propagation_oks=0.0,
        min_propagated_score=0.0,
        max_shared_joints=1.0,
        pose_nms_oks=1.0,
        min_propagated_joint_score=0.4,
        queue_frames=5,
        estimate_camera_motion=False,
    ),
    association=AssociationSettings(
        similarity="multi_flow_oks",
        assignment="greedy",
        min_match_similarity=0.3,
        min_match_joint_score=0.4,
        min_output_joint_score=0.4,
        new_track_score=0.0,
        confirmation_evidence=0.0,
        box_iou_share=0.0,
        calibrate_scores=False,
        track_nms_oks=1.0,
        new_track_max_oks=1.0,
        track_buffer_s=0.0,
        motion_model=False,
        camera_motion_compensation=False,
        common_motion_compensation=False,
        appearance_share=0.0,
        offline=False,
        smooth="none",
    ),
)

# Zhang et al., ByteTrack, ECCV 2022, section 3 and algorithm 1: boxes alone, predicted by a Kalman filter; boxes with
# scores from 0.6 are matched first, lower ones continue tracks. A track is confirmed by its second box and kept for one
# second without a match.
_BYTETRACK = Settings(
    inference=InferenceSettings(detect_every=1),
    association=AssociationSettings(
        similarity="iou",
        min_match_similarity=0.2,
        new_track_score=0.6,
        calibrate_scores=False,
        track_nms_oks=1.0,
        new_track_max_oks=1.0,
        track_buffer_s=1.0,
        camera_motion_compensation=False,
        common_motion_compensation=False,
        appearance_share=0.0,
        offline=False,
        smooth="none",
    ),
)

PRESETS = {"default": Settings(), "simple-baselines": _SIMPLE_BASELINES, "bytetrack": _BYTETRACK}
"""Named sets of settings for --preset: the default, and those of two papers."""
