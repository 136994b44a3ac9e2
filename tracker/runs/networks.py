"""The networks of a run, loaded as the settings name them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from detectors import BUILT_IN as BUILT_IN_DETECTORS
from detectors import create_detector
from estimators import BOTTOM_UP, create_bottom_up, create_estimator
from estimators import BUILT_IN as BUILT_IN_ESTIMATORS
from estimators.appearance import COLOUR_LAYOUT, NO_APPEARANCE, create_embedder
from estimators.parts import Parts
from estimators.refiners import create_refiner
from estimators.trained import read_training
from posetrail.errors import InputError
from posetrail.protocols import BottomUp, Detector, Embedder, Estimator, PartEstimator, Refiner
from posetrail.published import Published
from posetrail.runtime import Runtime
from posetrail.skeletons import HAND_21, PARTS, Skeleton
from posetrail.weights import Weights
from tracker.inference.propagation import FlowMethod, create_flow
from tracker.runs.published import published_weights
from tracker.runs.record import Model
from tracker.settings import NetworkSettings, Settings

_DEFAULT_DETECTOR = "nanodet"
_WITHOUT_WEIGHTS_FILE = {*BUILT_IN_DETECTORS, *BUILT_IN_ESTIMATORS, NO_APPEARANCE, COLOUR_LAYOUT, "lk", "dis", "none"}
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Networks:
    """The networks of a run: loaded once, used for any number of clips.

    Either a detector and an estimator, or a bottom-up network, which needs no detector but can be given one.
    """

    detector: Detector | None
    estimator: Estimator | None
    flow: FlowMethod | None
    weights: tuple[Weights, ...]
    device: str
    embedder: Embedder | None = None
    bottom_up: BottomUp | None = None
    parts: PartEstimator | None = None
    refiner: Refiner | None = None
    own: Mapping[str, str] = field(default_factory=dict)
    """Names of objects that the user passed in, by their part: detector, estimator, bottom_up or refiner."""

    @property
    def models(self) -> tuple[Model, ...]:
        """What run.json and the pose log record about the networks."""
        loaded = (
            Model(name=each.name, sha256=each.sha256, licence=each.licence, precision=each.precision)
            for each in self.weights
        )
        return (*loaded, *(Model(name=name, sha256="") for name in self.own.values()))

    @property
    def skeleton(self) -> Skeleton:
        """The skeleton of the poses: of the body, with hands and faces where they are estimated."""
        return self.body if self.parts is None else self.parts.skeleton

    @property
    def body(self) -> Skeleton:
        """The skeleton of the estimator or the bottom-up network."""
        network = self.bottom_up if self.estimator is None else self.estimator
        assert network is not None
        return network.skeleton

    @property
    def applied(self) -> dict[str, Any]:
        """The values of settings that were left to a network; a `crop_mask_margin` of None means no mask."""
        return {"crop_mask_margin": getattr(self.estimator, "crop_mask_margin", None)}


@dataclass(frozen=True)
class OwnNetworks:
    """Objects of the user that replace networks of the settings."""

    detector: Detector | None = None
    estimator: Estimator | None = None
    bottom_up: BottomUp | None = None
    refiner: Refiner | None = None

    def __post_init__(self) -> None:
        if self.estimator is not None and self.bottom_up is not None:
            raise TypeError("estimator, bottom_up: expected one of them, got both; leave one out")

    @property
    def names(self) -> dict[str, str]:
        """The name under which each object is recorded: its attribute `name` if that is text, or its class."""
        given = {
            "detector": self.detector,
            "estimator": self.estimator,
            "bottom_up": self.bottom_up,
            "refiner": self.refiner,
        }
        return {part: _name_of(network) for part, network in given.items() if network is not None}


def _name_of(network: object) -> str:
    for attribute in ("name", "__name__"):  # the latter of a function
        if isinstance(name := getattr(network, attribute, None), str):
            return name
    return type(network).__name__


@contextmanager
def open_networks(
    settings: Settings, own: OwnNetworks = OwnNetworks(), make_runtime: Callable[..., Runtime] = Runtime
) -> Iterator[Networks]:
    """Load the networks that the settings name; their worker threads end on leaving.

    Args:
        settings: of the run.
        own: objects that are used instead. With an estimator or a bottom-up network of the user, the settings of the
            estimator have no effect; with a detector of the user, those of the detector.
        make_runtime: called with the arguments of Runtime, for a runtime that does more, such as recording inputs.

    Raises:
        InputError: an unknown name, no such device, damaged weights, weights for a network that takes none, or a
            library of this machine cannot be loaded.
    """
    settings = replace(settings, networks=with_network_of_weights(settings.networks))
    check_weights(settings)
    with ExitStack() as stack:
        try:
            networks = _load(settings, own, stack, make_runtime)
        except (ImportError, OSError) as error:  # such as a missing CUDA library
            why = f"{type(error).__name__}: {error}"
            raise InputError(
                f"the networks cannot be loaded on this machine ({why}); see `posetrail doctor`"
            ) from error
        names = ", ".join(each.name for each in networks.models)
        _log.info("loaded %s on %s", names or "networks without weights", networks.device)
        yield networks


def with_network_of_weights(chosen: NetworkSettings) -> NetworkSettings:
    """The settings with the estimator that the weights of `posetrail train` were trained for.

    Raises:
        InputError: another estimator was chosen.
    """
    path = chosen.estimator_weights
    training = None if path is None else read_training(path)
    if training is None or chosen.estimator == training.network:
        return chosen
    if chosen.estimator != NetworkSettings.estimator:
        raise InputError(
            f"estimator_weights: expected weights of --estimator {chosen.estimator}, got those of {training.network}; "
            "leave --estimator out"
        )
    return replace(chosen, estimator=training.network)


def check_weights(settings: Settings) -> None:
    """Check that each setting for weights comes with a network that loads them.

    Raises:
        InputError: weights are given for a network that loads none, or published weights for another network.
    """
    chosen, inference = settings.networks, settings.inference
    needs_detector = chosen.detector == "auto" and chosen.estimator not in BOTTOM_UP
    for kind, network, weights in (
        ("detector", _DEFAULT_DETECTOR if needs_detector else chosen.detector, chosen.detector_weights),
        ("estimator", chosen.estimator, chosen.estimator_weights),
        ("appearance", chosen.appearance, chosen.appearance_weights),
        ("flow", inference.flow, inference.flow_weights),
    ):
        if weights is None:
            continue
        published = None if weights.exists() else published_weights().get(str(weights))
        if published is not None and (published.kind, _name_in_settings(published)) != (kind, network):
            raise InputError(
                f"{kind}_weights: expected weights of --{kind} {network}, got {published.name}; "
                f"give --{published.kind} {_name_in_settings(published)} --{published.kind}-weights {published.name}"
            )
        if network in _WITHOUT_WEIGHTS_FILE and read_training(weights) is None:
            raise InputError(
                f"{kind}_weights: expected --{kind} NAME with --{kind}-weights {weights}, got {network}, which loads "
                f"no weights file; name the network, or leave --{kind}-weights out"
            )


def _name_in_settings(published: Published) -> str:
    """The value of the setting that chooses the network of these weights."""
    return "raft" if published.kind == "flow" else published.network


def _load(settings: Settings, own: OwnNetworks, stack: ExitStack, make_runtime: Callable[..., Runtime]) -> Networks:
    """Load the networks of the settings that the user's own do not replace."""
    chosen, inference = settings.networks, settings.inference
    runtime = stack.enter_context(make_runtime(chosen.device, chosen.threads, precision=chosen.precision))
    detector, estimator, bottom_up = own.detector, own.estimator, own.bottom_up
    if estimator is None and bottom_up is None:
        estimator, bottom_up = _pose_network(chosen, runtime)
    if detector is None:
        detector = _detector(chosen, runtime) if bottom_up is None else _detector_beside(chosen, runtime)
    poses = bottom_up if estimator is None else estimator
    assert poses is not None
    flow = create_flow(inference.flow, weights=inference.flow_weights, device=runtime.device)
    embedder = create_embedder(
        chosen.appearance, runtime=runtime, skeleton=poses.skeleton, weights=chosen.appearance_weights
    )
    hands, faces = (
        _part(name, weights, runtime)
        for name, weights in ((chosen.hands, chosen.hands_weights), (chosen.faces, chosen.faces_weights))
    )
    added = Parts(poses.skeleton, hands=hands, faces=faces) if hands or faces else None
    parts: dict[str, object] = {
        "detector": detector,
        "estimator": estimator,
        "bottom_up": bottom_up,
        "flow": flow,
        "embedder": embedder,
    }
    refiner = own.refiner
    if refiner is None and chosen.refiner is not None:
        options = _given(weights=chosen.refiner_weights, flip_test=chosen.flip_test or None)
        refiner = create_refiner(chosen.refiner, runtime=runtime, **options)
    parts |= {"hands": hands, "faces": faces, "refiner": refiner}
    loaded = {part: getattr(network, "weights", None) for part, network in parts.items() if part not in own.names}
    weights = tuple(_as_run(each, part, chosen) for part, each in loaded.items() if each is not None)
    return Networks(detector, estimator, flow, weights, runtime.device, embedder, bottom_up, added, refiner, own.names)


def _as_run(weights: Weights, part: str, chosen: NetworkSettings) -> Weights:
    """The weights with the precision in which their network runs; optical flow is always in float32."""
    if chosen.precision == "bfloat16" and part != "flow" and weights.precision:
        return replace(weights, precision=chosen.precision)
    return weights


def _pose_network(chosen: NetworkSettings, runtime: Runtime) -> tuple[Estimator | None, BottomUp | None]:
    """The estimator or the bottom-up network that the settings name; the other is None."""
    options = _estimator_options(chosen)
    if chosen.estimator in BOTTOM_UP:
        bottom_up = create_bottom_up(chosen.estimator, runtime=runtime, **options)
        _check_crop_mask(chosen, bottom_up)
        return None, bottom_up
    estimator = create_estimator(chosen.estimator, runtime=runtime, **options)
    _check_crop_mask(chosen, estimator)
    _check_is_of_bodies(chosen, estimator)
    return estimator, None


def _part(name: str | None, weights: Path | None, runtime: Runtime) -> Estimator | None:
    """The estimator of hands or of faces that the settings name."""
    return None if name is None else create_estimator(name, runtime=runtime, **_given(weights=weights))


def _check_is_of_bodies(chosen: NetworkSettings, estimator: Estimator) -> None:
    if estimator.skeleton in PARTS and chosen.detector.partition(":")[0] not in ("boxes", "onnx"):
        flag = "--hands" if estimator.skeleton is HAND_21 else "--faces"
        raise InputError(
            f"estimator: expected a network for bodies, got {chosen.estimator} for {estimator.skeleton.name}; give "
            f"{flag} {chosen.estimator}, or boxes of such parts: --detector boxes:FILE"
        )


def _estimator_options(chosen: NetworkSettings) -> dict[str, Any]:
    options = _given(
        weights=chosen.estimator_weights,
        input_size=chosen.estimator_input_px,
        crop_scale=chosen.crop_scale,
        crop_mask_margin=chosen.crop_mask_margin,
        flip_test=chosen.flip_test or None,
        decoder=chosen.decoder,
        normalisation=chosen.estimator_normalisation,
    )
    if chosen.crop_mask is False:
        options["crop_mask_margin"] = None  # given explicitly, because an estimator may mask by default
    return options


def _check_crop_mask(chosen: NetworkSettings, network: Estimator | BottomUp) -> None:
    if chosen.crop_mask and getattr(network, "crop_mask_margin", None) is None:
        if hasattr(network, "crop_mask_margin"):
            advice = "give the margin around the box: --crop-mask-margin 0.2"
        else:
            advice = "leave --crop-mask out"
        raise InputError(
            f"crop_mask: expected an estimator that masks its crops by default, got {chosen.estimator}; {advice}"
        )


def _detector(chosen: NetworkSettings, runtime: Runtime) -> Detector:
    name = _DEFAULT_DETECTOR if chosen.detector == "auto" else chosen.detector
    return create_detector(name, runtime=runtime, **_detector_options(chosen))


def _detector_beside(chosen: NetworkSettings, runtime: Runtime) -> Detector | None:
    """The detector to use with a bottom-up network; None if none was chosen."""
    if chosen.detector != "auto":
        return _detector(chosen, runtime)
    if _detector_options(chosen):
        raise InputError(
            f"detector: expected --detector NAME with options of a detector, got {chosen.estimator}, which needs no "
            "detector; name one, or leave the options out"
        )
    return None


def _detector_options(chosen: NetworkSettings) -> dict[str, Any]:
    return _given(
        weights=chosen.detector_weights,
        input_size=chosen.detector_input_px,
        normalisation=chosen.detector_normalisation,
    )


def _given(**options: Any) -> dict[str, Any]:
    """The options that are set; the others keep the defaults of the network."""
    return {name: value for name, value in options.items() if value is not None}
