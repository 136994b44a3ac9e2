"""Every switch of the tracker, each default written once: flags, the TOML file and run.json all come from here.

Three frozen dataclasses: `NetworkSettings` chooses the networks, `InferenceSettings` decides what is seen with them -
when either changes, pixels are needed again - and `AssociationSettings` decides who is who, replayed from the pose log
at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from posetrail.errors import InputError
from tracker.checked_settings import Range, check_fields

Device = Literal["auto", "cpu", "cuda"]

Normalisation = Literal["imagenet", "0..1", "0..255"]

Flow = Literal["lk", "dis", "raft", "none"]
Assignment = Literal["greedy", "hungarian"]
Similarity = Literal["iou", "oks", "flow_oks", "multi_flow_oks"]
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
    """Which networks look, where they run, and how they are shown the image."""

    detector: str = "auto"
    """Finds the person boxes: a name of `posetrail models`, or onnx:FILE; auto is nanodet, or the estimator itself
    where it finds people too."""
    detector_weights: Path | None = None
    """File of the detector's weights, where it travels without."""
    estimator: str = "movenet_thunder"
    """Places the joints in a box: a name of `posetrail models`, or onnx:FILE."""
    estimator_weights: Path | None = None
    """File of the estimator's weights, where it travels without."""
    device: Device = "auto"
    """Where the networks run; auto takes CUDA where there is one."""
    threads: Annotated[int, Range(1, 1024)] | None = None
    """Networks running at a time on the CPU; all cores if not given. Changes the speed alone."""
    detector_input_px: Pixels | None = None
    """Long side of the image the detector is shown, in pixels; the detector's own default if not given."""
    estimator_input_px: Pixels | None = None
    """Height of a crop, in pixels, for weights of another size than the estimator's own; of estimators that find people
    too, the side of the image that they scale to a length."""
    crop_scale: Annotated[float, Range(0.1, 10.0)] | None = None
    """Side of a crop per side of the box that it fits; the estimator's own default if not given."""
    decoder: str | None = None
    """How joints are read off heatmaps: argmax, quarter, dark, udp, ...; the estimator's own way if not given."""
    estimator_normalisation: Normalisation | None = None
    """What an estimator's ONNX file is fed; imagenet if not given."""
    detector_normalisation: Normalisation | None = None
    """What a detector's ONNX file is fed; that usual for its kind if not given."""
    crop_mask: bool | None = None
    """Paint the crop grey outside the person's box, so that a neighbour's joints are not taken; the estimator's own way
    if not given ..."""
    crop_mask_margin: Margin | None = None
    """... leaving so much around it, as a share of its sides; the estimator's own default if not given."""
    flip_test: bool = False
    """Place joints in the mirrored crop as well and average the heatmaps: a little better, half as fast."""
    appearance: str = "none"
    """Tell how people look: colour_layout, or a re-identification network such as osnet_x1_0; none does not."""
    appearance_weights: Path | None = None
    """File of that network's weights; those in the store when not given."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.crop_mask is False and self.crop_mask_margin is not None:
            raise InputError(
                "crop_mask_margin: does nothing without a mask; leave out either --crop-mask-margin or --no-crop-mask"
            )


@dataclass(frozen=True, kw_only=True)
class InferenceSettings:
    """What is seen in each frame: boxes, propagated boxes, joints."""

    detect_every: Count = 1
    """Run the detector on every n-th frame; propagated boxes bridge the frames between."""
    min_box_score: Share = 0.25
    """Detected boxes below this score are not looked at (0..1); see also new_track_score."""
    propagate: bool = True
    """Look for joints, too, where optical flow says that people whom no detection explains are now."""
    flow: Flow = "lk"
    """Optical flow: Lucas-Kanade on the joints, dense DIS, RAFT (needs weights), or none."""
    flow_weights: Path | None = None
    """File of torchvision's raft_small or raft_large weights; raft_small's in the store when not given."""
    propagated_box_margin: Margin = 0.15
    """A propagated box is the bounding box of the moved joints, its sides enlarged by this share."""
    box_nms_iou: Share = 0.5
    """A detection explains a propagated person if their boxes overlap more than this (IoU, 0..1) ..."""
    min_propagation_oks: Share = 0.3
    """... and their poses are at least so alike (OKS, 0..1); a propagated pose less like the last one is dropped."""
    min_propagated_score: Share = 0.2
    """A propagated person whose mean joint score falls below this is no longer seen (0..1)."""
    pose_nms_oks: Share = 0.7
    """Of two poses more alike than this only the surer stays (OKS, 0..1)."""
    min_propagated_joint_score: Share = 0.1
    """A joint below this score is neither propagated nor compared (0..1)."""
    queue_frames: Count = 1
    """Poses of so many last frames are propagated into the next one; similarity multi_flow_oks compares with all."""
    estimate_camera_motion: bool = True
    """Find how the camera moved, from what stands still behind the people."""

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, kw_only=True)
class AssociationSettings:
    """Who is who: how the poses of a frame are matched with the people known so far."""

    similarity: Similarity = "flow_oks"
    """Box IoU, OKS, OKS after flow, or the best OKS after flow over the queue of the last frames."""
    box_iou_share: Share = 0.35
    """How much the boxes' IoU counts in any similarity by OKS (0..1); it is all that counts without joints."""
    assignment: Assignment = "hungarian"
    """Greedy takes the most alike pair first; Hungarian the best sum of all pairs (lap)."""
    min_match_similarity: Share = 0.15
    """A pose less alike to a person than this is somebody else (0..1)."""
    min_match_box_iou: Share = 0.3
    """Where no joints can be compared, boxes less alike than this are somebody else's (IoU, 0..1)."""
    min_match_joint_score: Share = 0.1
    """A joint below this score is not compared (0..1)."""
    min_output_joint_score: Share = 0.0
    """A joint below this score is left out of the tracks (0..1); 0 keeps all, so that scoring can choose."""
    new_track_score: Share = 0.42
    """A detected pose starts a person from this quality on, sqrt(box score x mean joint score); a lower one, or a
    propagated one, only continues (0..1)."""
    calibrate_scores: bool = True
    """Take scores relative to those of the clip's sure people: networks differ in what they call sure."""
    confirmation_s: Seconds = 0.05
    """A new person gets an id once seen for so long, in seconds; in a clip's first frame at once."""
    track_nms_oks: Share = 0.5
    """A pose more like a better one of its frame than this is a second look at somebody, and left out (OKS, 0..1)."""
    new_track_max_oks: Share = 0.3
    """A pose explained so well by the joints of people already followed in this frame starts nobody (OKS, 0..1)."""
    track_buffer_s: Seconds = 2.0
    """A person unseen is remembered so long, in seconds; 0: until the next frame."""
    motion_model: bool = True
    """A person is expected where their motion leads, within a reach that widens while they are unseen."""
    camera_motion_compensation: bool = True
    """Move everybody with the camera, where the log says how it moved."""
    common_motion_compensation: bool = True
    """Move people unseen as those seen moved beyond their own motion: what a camera's motion does to all."""
    appearance_share: Share = 0.3
    """How much looking alike counts for people long unseen, where the log knows what they look like (0..1)."""
    offline: bool = True
    """Use associate_offline over the whole clip: give ids after reading it all; --online gives each frame's at once."""

    max_link_gap_s: Seconds = 3.0
    """Offline: somebody unseen for longer than this is somebody new, in seconds."""
    max_interpolation_gap_s: Seconds = 0.2
    """Offline: who was missed for no longer than this is put back in between, and marked, in seconds; 0: nobody."""
    min_track_evidence: Annotated[float, Range(-1000.0, 1000.0)] = 1.0
    """Offline: a person whose poses exceed doubtful quality by less than this, all together, was nobody."""
    smooth: Smoothing = "auto"
    """How joints and boxes are smoothed: kalman or butterworth offline, one_euro online; auto is kalman offline and
    none online."""
    smooth_hz: Annotated[float, Range(0.01, 1000.0)] = 6.0
    """Cut-off of the Butterworth filter, in Hz."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.smooth in _SMOOTHS_ONLINE and self.offline:
            raise InputError(
                f"smooth: {self.smooth} smooths online only; "
                f"take kalman or butterworth, or go online (--online, offline=False)"
            )
        if self.smooth in _SMOOTHS_OFFLINE and not self.offline:
            raise InputError(
                f"smooth: {self.smooth} needs the whole clip and does nothing online; "
                f"take one_euro, auto or none, or stay offline"
            )
        if self.smooth_hz != AssociationSettings.smooth_hz and self.smooth != "butterworth":
            raise InputError(
                f"smooth_hz: is the cut-off of butterworth and does nothing with smooth {self.smooth}; "
                "take --smooth butterworth, or leave it out"
            )

    @property
    def smoothing(self) -> Smoothing:
        """The smoothing that `smooth` comes to, never "auto"."""
        if self.smooth != "auto":
            return self.smooth
        return "kalman" if self.offline else "none"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings of a run."""

    networks: NetworkSettings = field(default_factory=NetworkSettings)
    inference: InferenceSettings = field(default_factory=InferenceSettings)
    association: AssociationSettings = field(default_factory=AssociationSettings)

    def __post_init__(self) -> None:
        check_fields(self)


# Xiao, Wu, Wei, ECCV 2018, sections 3 and 4.3: boxes under 0.5 and joints under 0.4 are dropped, propagated boxes join
# the detected ones in box NMS alone, greedy matching by OKS after flow over a queue, no memory beyond it.
_SIMPLE_BASELINES = Settings(
    networks=NetworkSettings(crop_mask=False, flip_test=True),
    inference=InferenceSettings(
        min_box_score=0.5,
        min_propagation_oks=0.0,
        min_propagated_score=0.0,
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
        confirmation_s=0.0,
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

# Zhang et al., ECCV 2022: boxes alone, where a Kalman filter expects them; scores from 0.6 choose first, lower ones
# continue; somebody is confirmed by their second box and remembered for a second.
_BYTETRACK = Settings(
    association=AssociationSettings(
        similarity="iou",
        min_match_similarity=0.2,
        new_track_score=0.6,
        calibrate_scores=False,
        confirmation_s=0.01,
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
