"""The systems that the documents at the project's origin name: where each is here, and what is left open.

This table has what cannot be read from code; tools/literature.py adds the networks, recipes and tests that exist.
"""

# ruff: noqa: E501 - sentences of a table

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Row:
    """One system."""

    system: str
    networks: tuple[str, ...] = ()
    """Names in `estimators.NETWORKS` or `detectors.NETWORKS`, with the wildcards of `fnmatch`; all must exist."""
    run: str = ""
    """A command or a function; by default `posetrail track` with the first network."""
    tests: tuple[str, ...] = ()
    """Files under tests/; all must exist."""
    open: str = ""
    """A sentence that says what is missing and why; empty if nothing is."""
    untrained: str = ""
    """Why there is no recipe, if there is none."""


_HOURGLASS, _RESNET = "estimators/test_networks_hourglass.py", "estimators/test_networks_resnet.py"
_HRNET, _TOKENS = "estimators/test_networks_hrnet.py", "estimators/test_networks_tokens.py"
_OPENPOSE = "estimators/test_networks_openpose.py"
_HISTORY = "Left out: the paper's network is of historical interest, its weights and code are not available, and a "
_NO_CODE = "Left out: no code or weights were published or can be reached, "

SECTIONS: dict[str, tuple[Row, ...]] = {
    "Single person": (
        Row(system="Pose Machines, CPM (2016)", networks=("cpm_mmpose", "caffe_cpm_*"), tests=(_HOURGLASS,)),
        Row(system="Stacked Hourglass (2016)", networks=("hourglass_*stack",), tests=(_HOURGLASS,)),
        Row(system="PyraNet (2017)", networks=("pyranet_*",), tests=(_HOURGLASS,)),
        Row(system="Multi-context attention (2017)", networks=("pose_attention_8stack",), tests=(_HOURGLASS,)),
        Row(system="Cascaded Inception of Inception (2018)", networks=("cascaded_ioi_mpii",), tests=(_HOURGLASS,)),
        Row(
            system="Deeply learned compositional model (2018)",
            open=_NO_CODE + "so nothing could be compared with the paper's 92.3 PCKh.",
        ),
        Row(
            system="CPF and PGNN (2019)",
            open=_NO_CODE
            + "and the sizes of its kernels, the loopy edges and the number of steps are not in the paper's notes.",
        ),
        Row(
            system="Cascade feature aggregation (2019)",
            open=_NO_CODE + "and three ResNets in a row, trained on stick figures, would show little of its gain.",
        ),
        Row(system="Soft-gated skips (2020)", networks=("softgated_4stack",), tests=(_HOURGLASS,)),
        Row(system="Jain et al. (2014)", open=_HISTORY + "window classifier of 64 pixels would be a toy beside CPM."),
        Row(
            system="DeepPose (2014)",
            networks=("deeppose_r50*",),
            tests=(_RESNET, "estimators/test_feedback.py"),
        ),
        Row(
            system="Iterative error feedback (2016)",
            run="`estimators.refiners`",
            tests=("estimators/test_feedback.py",),
            open="The loop with any network; the authors' networks are not in their repository, so their 81.3 PCKh was not compared.",
        ),
        Row(
            system="Dual-source CNN (2015)",
            open=_HISTORY + "pair of AlexNets over part proposals serves no input of today.",
        ),
        Row(
            system="CNN with a graphical model (2014)",
            open="Left out: no weights exist, and the pairwise terms need a trained network behind them to show a gain; "
            "the graph partition of DeeperCut is the graphical model here.",
        ),
        Row(
            system="Points of faces",
            networks=("rtmpose_*_face*", "openpose_face70"),
            run="`posetrail track CLIP --faces rtmpose_m_face68 --faces-weights FILE`",
            tests=(_TOKENS, "estimators/test_parts.py"),
            untrained="No recipe has these names; the recipes of body networks train on the joints that the annotations have.",
        ),
    ),
    "Top-down, many people": (
        Row(
            system="RMPE, AlphaPose (2017)",
            networks=("fastpose_*",),
            tests=(
                _RESNET,
                "posetrail/test_nms.py",
                "training/test_proposals.py",
                "estimators/test_sstn.py",
            ),
            open="Parametric pose NMS is a setting (`--pose-nms parametric`), and the last stage of the recipes trains in "
            "proposal boxes, with AlphaPose's one Gaussian, because the paper's mixtures for clusters of poses were not published. The symmetric "
            "spatial transformer with its frozen branch (`estimators.networks.sstn`, `training.objectives.sstn_objective`) is for "
            "training in Python: no recipe has it, since it needs the weights of a second, trained network.",
        ),
        Row(
            system="Mask R-CNN keypoints (2017)",
            run="`posetrail track CLIP --estimator torchvision:keypointrcnn_resnet50_fpn`",
            tests=("estimators/test_bottom_up.py",),
            open="Runs with torchvision's weights; training is torchvision's own and not repeated here.",
        ),
        Row(
            system="G-RMI (2017)",
            networks=("simplebaseline_*_offsets",),
            tests=(
                "estimators/test_heatmaps.py",
                "estimators/test_offset_recipes.py",
                "training/test_targets_kinds.py",
                "training/test_recipes.py",
            ),
            open="Its maps and votes on the network of Simple Baselines; the authors' atrous ResNet-101 of stride 8 and its weights were not published.",
        ),
        Row(system="CPN with OHKM (2018)", networks=("cpn_*",), tests=(_RESNET,)),
        Row(system="MSPN (2019)", networks=("mspn_*",), tests=(_RESNET,)),
        Row(
            system="Spatial shortcut network (2019)",
            open=_NO_CODE
            + "and the abstract does not say which shifts it uses, what form the attention has or where it sits.",
        ),
        Row(system="HRNet (2019)", networks=("hrnet_*",), tests=(_HRNET,)),
        Row(
            system="Learning to refine (2018), PoseFix (2019)",
            networks=("posefix_*",),
            run="`posetrail track CLIP --refiner posefix_r50_256x192 --refiner-weights FILE`",
            tests=("estimators/test_refiners.py", "training/test_error_synthesis.py", "training/test_refining.py"),
        ),
        Row(
            system="Simple Baselines, and their tracking (2018)",
            networks=("simplebaseline_r*",),
            tests=(_RESNET, "tracker/runs/test_run.py"),
        ),
    ),
    "Bottom-up, whole body": (
        Row(
            system="OpenPose (2017)",
            networks=("caffe_openpose_*", "openpose_body25"),
            tests=(_OPENPOSE, "training/test_bottom_up.py"),
        ),
        Row(
            system="Associative embedding (2017), HigherHRNet (2020)",
            networks=("ae_hourglass_4stack", "higherhrnet_w32"),
            tests=(_HOURGLASS, _HRNET, "estimators/test_grouping.py", "training/test_bottom_up.py"),
        ),
        Row(
            system="DeepCut, DeeperCut (2016)",
            networks=("deepercut_r101_*",),
            tests=("estimators/test_graph_partition.py",),
            untrained="No training recipe: the pairwise terms would need the authors' statistics and regressions, which are downloads out of reach.",
        ),
        Row(
            system="Single-network whole body (2019)",
            networks=("openpose_body135", "rtmpose_m_wholebody", "rtmw_*"),
            tests=(_OPENPOSE, _TOKENS),
            untrained="BODY_135 is not trained here; top-down recipes train on the 133 joints of COCO-WholeBody.",
        ),
    ),
    "Decoding": (
        Row(
            system="DARK (2020)",
            run="`posetrail train --recipe hrnet_w32_dark`",
            tests=("estimators/test_heatmaps.py", "training/test_targets.py"),
        ),
        Row(
            system="UDP (2020)",
            run="`posetrail train --recipe hrnet_w32_udp`",
            tests=("estimators/test_crops.py", "training/test_targets_kinds.py", "estimators/test_offset_recipes.py"),
        ),
    ),
    "Detection, tracking, 3-D": (
        Row(
            system="ThunderNet (2019)",
            networks=("thundernet_*",),
            run="`posetrail track CLIP --detector thundernet_snet146 --detector-weights FILE`",
            tests=("detectors/test_thundernet.py",),
            untrained="No detector is trained here; `posetrail train` is for poses.",
        ),
        Row(
            system="Joint action recognition and pose from video (2015)",
            open="Left out: an and-or graph over hand-made features that recognises actions; no code, and not a tracker of poses.",
        ),
        Row(
            system="VideoPose3D (2019)",
            networks=("videopose3d_*",),
            run="`posetrail lift RUN --lifter videopose3d_243 --weights FILE`",
            tests=("estimators/test_networks_lifting.py", "estimators/test_lifters.py"),
            untrained="`benchmarks.lifting` trains a small one from motion capture; the semi-supervised training is not built.",
        ),
        Row(
            system="Li and Chan, two tasks (2014)",
            run="`training.two_task_losses`",
            tests=("training/test_two_task_losses.py",),
            open="Normalisation, relative joints and losses equal recorded numbers; the network is left out, because its "
            "widths and weights were not published.",
        ),
        Row(
            system="4D association (2020)",
            run="`posetrail export RUN --to multiview`",
            tests=("tracker/runs/test_handover.py", "posetrail/test_ray_association.py"),
            open="Hand-over of one camera's joints and the edges between views; the graph over cameras is that system's own.",
        ),
        Row(
            system="VIBE (2020) and its successors",
            run="`posetrail export RUN --to vibe`",
            tests=("tracker/runs/test_handover.py",),
            open="Hand-over of tracks, boxes and crops; the body model SMPL and the weights are for registered, "
            "non-commercial use and cannot travel.",
        ),
    ),
    "Metrics": (
        Row(
            system="PCK and PCKh with curves and AUC, PDJ, PCP",
            run="`benchmarks.estimators`",
            tests=("eval_posetrack/test_single_person.py", "benchmarks/test_estimators.py"),
        ),
        Row(system="AP with OKS", run="`benchmarks.estimators`", tests=("benchmarks/test_estimators.py",)),
        Row(
            system="CrowdPose by crowdedness",
            run="`benchmarks.estimators`",
            tests=("eval_posetrack/test_single_person.py",),
        ),
        Row(
            system="MOTA, HOTA and AP of PoseTrack",
            run="`posetrail eval TRUTH PREDICTIONS`",
            tests=("eval_posetrack/test_mota.py",),
        ),
        Row(
            system="MPJPE and its variants",
            run="`posetrail eval3d TRUTH TRACKS`",
            tests=("eval_posetrack/test_eval3d.py",),
        ),
    ),
    "Data sets": (
        Row(
            system="COCO, MPII, LSP, FLIC, AI Challenger, CrowdPose, PoseTrack",
            run="`posetrail data check FILE`",
            tests=("training/data/test_readers.py",),
        ),
        Row(
            system="Human3.6M, HumanEva",
            run="`posetrail eval3d TRUTH TRACKS`",
            tests=("eval_posetrack/test_mocap_3d.py",),
            open="Read as ground truth of 3-D joints; the data sets themselves are for registered users and were not here.",
        ),
        Row(system="DensePose", open="Left out: correspondences of surfaces are no task of joints."),
    ),
}
