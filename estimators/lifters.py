"""Lifters: from sequences of one person's 2-D joints to 3-D joints, each according to the recipe of its network.

A recipe says which 2-D joints a network takes and in what form, how many frames it sees, and what its numbers mean. A
lifter cuts each sequence into windows on its own, so that its answer for one sequence does not depend on the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from estimators import makers
from estimators.lifter_inputs import Normalisation, network_input
from estimators.lifter_windows import Cut, Window, blended, cut
from estimators.published import PUBLISHED
from posetrail.checkpoints import given_weights, load_checkpoint, load_into, load_part
from posetrail.errors import InputError, unknown_name
from posetrail.poses3d import PoseSequence
from posetrail.runtime import Run, Runtime
from posetrail.skeletons import COCO_17, H36M_17, HUMANEVA_15, Skeleton
from posetrail.weights import Weights

if TYPE_CHECKING:
    from torch import nn

_ROOT = "pelvis"
_BATCH = 16  # windows at a time


@dataclass(frozen=True, kw_only=True)
class LifterRecipe:
    """How a lifter is used: joints, normalisation, windows, unit."""

    make: Callable[[], nn.Module]
    """Builds the network with random weights."""
    frames: int
    """Frames that a pose depends on (`cut` "valid"), or of a window."""
    cut: Cut = "valid"
    """How sequences become windows; see `lifter_windows.cut`."""
    causal: bool = False
    """Whether a pose depends on frames before it only."""
    source: Skeleton = H36M_17
    skeleton: Skeleton = H36M_17
    normalisation: Normalisation = "width"
    confidence: Literal["none", "scores", "presence"] = "none"
    """Third number of each joint: none, its score, or 1 where it is present and 0 where it is missing."""
    rate_hz: float | None = 50.0
    """Frames per second of the data it was trained on; None for networks that see one frame."""
    unit: Literal["m", "px"] = "m"
    """Unit of the answer, metres or pixels. Pixels: x and y as in the image and z in the same scale; the size of
    the person is unknown."""
    make_trajectory: Callable[[], nn.Module] | None = None
    """Builds the network of the root's place in the camera, of checkpoints that may have one."""


def _videopose3d(
    widths: tuple[int, ...], *, joints: int = 17, joints_out: int = 17, causal: bool = False
) -> Callable[[], nn.Module]:
    return partial(makers.videopose3d, widths, joints=joints, joints_out=joints_out, causal=causal)


def _zscored() -> nn.Module:
    from estimators.networks.simplebaseline3d import ZScored

    return ZScored(makers.videopose3d_mmpose((1, 1, 1), joints_out=16, dropout=0.5))


_27, _81, _243, _1 = (3,) * 3, (3,) * 4, (3,) * 5, (1,) * 5
_RECIPE_27 = LifterRecipe(make=_videopose3d(_27), frames=27, make_trajectory=_videopose3d(_27, joints_out=1))
_RECIPE_243 = LifterRecipe(make=_videopose3d(_243), frames=243, make_trajectory=_videopose3d(_243, joints_out=1))
_MOTIONBERT = LifterRecipe(
    make=partial(makers.motionbert, 512, 2),
    frames=243,
    cut="at_most",
    normalisation="square",
    confidence="scores",
    unit="px",
)

LIFTERS: dict[str, LifterRecipe] = {
    # Apache-2.0
    "videopose3d_243_mmpose": LifterRecipe(make=partial(makers.videopose3d_mmpose, _243), frames=243),
    "videopose3d_81_mmpose": LifterRecipe(make=partial(makers.videopose3d_mmpose, _81), frames=81),
    "videopose3d_27_mmpose": LifterRecipe(make=partial(makers.videopose3d_mmpose, _27), frames=27),
    "videopose3d_1_mmpose": LifterRecipe(make=partial(makers.videopose3d_mmpose, _1), frames=1, rate_hz=None),
    "simplebaseline3d_mmpose": LifterRecipe(make=_zscored, frames=1, normalisation="box", rate_hz=None),
    "motionbert_mmpose": replace(
        _MOTIONBERT, make=makers.motionbert_mmpose, normalisation="width", confidence="presence"
    ),
    "motionbert": _MOTIONBERT,
    "motionbert_lite": replace(_MOTIONBERT, make=partial(makers.motionbert, 256, 4)),
    "motionagformer_xs": replace(
        _MOTIONBERT, make=partial(makers.motionagformer, 12, 64, 27), frames=27, cut="exactly"
    ),
    # Published weights are for non-commercial use
    "videopose3d_243_coco": replace(_RECIPE_243, source=COCO_17),
    "videopose3d_243": _RECIPE_243,
    "videopose3d_27_humaneva15_coco": replace(
        _RECIPE_27,
        make=_videopose3d(_27, joints=17, joints_out=15),
        source=COCO_17,
        skeleton=HUMANEVA_15,
        rate_hz=60.0,
    ),
    # No published weights
    "videopose3d_81": LifterRecipe(make=_videopose3d(_81), frames=81, make_trajectory=_videopose3d(_81, joints_out=1)),
    "videopose3d_27": _RECIPE_27,
    "videopose3d_27_causal": replace(
        _RECIPE_27,
        make=_videopose3d(_27, causal=True),
        causal=True,
        make_trajectory=_videopose3d(_27, joints_out=1, causal=True),
    ),
    "videopose3d_27_humaneva15": replace(
        _RECIPE_27,
        make=_videopose3d(_27, joints=15, joints_out=15),
        source=HUMANEVA_15,
        skeleton=HUMANEVA_15,
        rate_hz=60.0,
        make_trajectory=_videopose3d(_27, joints=15, joints_out=1),
    ),
}
"""Recipes by name, those whose published weights allow commercial use first; `estimators.published_lifters` has the
weights of the same names, their licences and scores."""


class NetworkLifter:
    """A posetrail.protocols.Lifter with a network.

    Args:
        run: maps normalised joints (B, L, K, 2 or 3) to 3-D joints (B, L', M, 3) as the recipe says.
        recipe: how the network is used.
        run_trajectory: maps the same joints to the root (B, L', 1, 3), metres; None if there is no such network.
        weights: description for the record of a run.
        flip_test: average with the mirrored sequence; takes twice the time.
    """

    def __init__(
        self,
        run: Run,
        recipe: LifterRecipe,
        *,
        run_trajectory: Run | None = None,
        weights: Weights | None = None,
        flip_test: bool = True,
    ) -> None:
        self._run, self._run_trajectory = run, run_trajectory
        self.recipe, self.weights, self.flip_test = recipe, weights, flip_test

    @property
    def source(self) -> Skeleton:
        """The 2-D joints it takes."""
        return self.recipe.source

    @property
    def skeleton(self) -> Skeleton:
        """The 3-D joints it returns."""
        return self.recipe.skeleton

    @property
    def rate_hz(self) -> float | None:
        """Frames per second of the sequences it was trained with; None: any."""
        return self.recipe.rate_hz

    @property
    def unit(self) -> Literal["m", "px"]:
        """Unit of the 3-D joints: metres or pixels."""
        return self.recipe.unit

    def __call__(self, sequences: Sequence[PoseSequence]) -> list[np.ndarray]:
        """3-D joints (T, K, 3) float32 per sequence relative to the root; NaN for a sequence without any joint."""
        mirror, root = self.skeleton.mirror, self.skeleton.index(_ROOT)
        answers = []
        for joints, scale in self._answers(sequences, self._run, len(self.skeleton), mirror):
            relative = joints - joints[:, root : root + 1]
            answers.append((relative * scale if self.unit == "px" else relative).astype(np.float32))
        return answers

    def trajectories(self, sequences: Sequence[PoseSequence]) -> list[np.ndarray] | None:
        """The root (T, 3) float32 in the camera, metres, per sequence; None if the weights have no trajectory model."""
        if self._run_trajectory is None:
            return None
        answers = self._answers(sequences, self._run_trajectory, 1, np.zeros(1, int))
        return [root[:, 0].astype(np.float32) for root, _ in answers]

    def _answers(
        self, sequences: Sequence[PoseSequence], run: Run, joints: int, mirror: np.ndarray
    ) -> list[tuple[np.ndarray, float]]:
        """Of each sequence the outputs (T, joints, 3), and pixels per unit of its normalised joints."""
        recipe = self.recipe
        for sequence in sequences:
            if sequence.keypoints.shape[1] != len(self.source):
                raise ValueError(
                    f"sequences: expected {len(self.source)} joints of {self.source.name}, "
                    f"got {sequence.keypoints.shape[1]}; map them with posetrail.h36m_joints"
                )
        given = [network_input(each, recipe.normalisation, recipe.confidence) for each in sequences]
        windows = [
            cut(len(each), recipe.frames, recipe.cut, causal=recipe.causal) if each.present.any() else []
            for each in sequences
        ]
        outputs = self._of_windows([each.values for each in given], windows, run, mirror)
        return [
            (blended(len(each), joints, of_one, made), inputs.pixels_per_unit)
            for each, inputs, of_one, made in zip(sequences, given, windows, outputs, strict=True)
        ]

    def _of_windows(
        self, values: Sequence[np.ndarray], windows: Sequence[Sequence[Window]], run: Run, mirror: np.ndarray
    ) -> list[list[np.ndarray]]:
        """Outputs of all windows of all sequences; windows of one length are computed together."""
        outputs: list[list[np.ndarray]] = [[np.zeros(0)] * len(each) for each in windows]
        places = [(s, w) for s, of_one in enumerate(windows) for w in range(len(of_one))]
        places.sort(key=lambda place: len(windows[place[0]][place[1]].frames))
        while places:
            length = len(windows[places[0][0]][places[0][1]].frames)
            together = [place for place in places[:_BATCH] if len(windows[place[0]][place[1]].frames) == length]
            batch = np.stack([values[s][windows[s][w].frames] for s, w in together])
            for (s, w), output in zip(together, self._with_mirrored(batch, run, mirror), strict=True):
                outputs[s][w] = output
            places = places[len(together) :]
        return outputs

    def _with_mirrored(self, batch: np.ndarray, run: Run, mirror: np.ndarray) -> np.ndarray:
        [answer] = run(batch)
        if not self.flip_test:
            return answer
        mirrored = batch[:, :, self.source.mirror].copy()
        mirrored[..., 0] *= -1
        [other] = run(mirrored)
        other = other[:, :, mirror].copy()
        other[..., 0] *= -1
        return (answer + other) / 2


def create_lifter(
    name: str,
    *,
    runtime: Runtime,
    weights: Path | str | None = None,
    flip_test: bool = True,
    normalisation: Literal["width", "square"] | None = None,
) -> NetworkLifter:
    """Create a lifter by its name in LIFTERS.

    >>> lifter = create_lifter("videopose3d_243_mmpose", runtime=runtime, weights="videopose_h36m_243frames.pth")

    Args:
        name: of its recipe.
        runtime: where the network runs.
        weights: a file, or a name in `estimators.published`; by default the fetched file of the lifter's name.
        flip_test: average with the mirrored sequence.
        normalisation: of MotionBERT and MotionAGFormer: by the width of the image, or by the square around all joints
            of the sequence, which is better for people who are small in the image; the recipe's by default.

    Raises:
        InputError: the name is unknown, an option is unusable, or the weights are missing, damaged or of another
            network.
    """
    if name not in LIFTERS:
        raise unknown_name("lifter", name, LIFTERS)
    recipe = LIFTERS[name]
    if normalisation is not None and recipe.unit != "px":
        raise InputError(f"normalisation: expected none for {name}, which has one only, got {normalisation!r}")
    known = given_weights(name, weights, source="its authors' page", table=PUBLISHED)
    network = recipe.make()
    inner = getattr(network, "network", network)
    load_into(inner, load_part(known.path, "model_pos") or load_checkpoint(known.path), known.path)
    run_trajectory = None
    if recipe.make_trajectory is not None and (state := load_part(known.path, "model_traj")):
        trajectory = recipe.make_trajectory()
        load_into(trajectory, state, known.path)
        run_trajectory = runtime.load_module(trajectory)
    return NetworkLifter(
        runtime.load_module(network),
        replace(recipe, normalisation=normalisation or recipe.normalisation),
        run_trajectory=run_trajectory,
        weights=known,
        flip_test=flip_test,
    )
