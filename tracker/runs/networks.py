"""The networks of a run, loaded as the settings name them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from detectors import DETECTORS, create_detector
from estimators import BOTTOM_UP, ESTIMATORS, create_estimator
from estimators.appearance import COLOUR_LAYOUT, NO_APPEARANCE, create_embedder
from estimators.one_pass import OnePass
from posetrail.errors import InputError
from posetrail.protocols import Detector, Embedder, Estimator
from posetrail.runtime import Runtime
from posetrail.weights import Weights
from tracker.inference.propagation import FlowMethod, create_flow
from tracker.settings import NetworkSettings, Settings

_USUAL_DETECTOR = "nanodet"


@dataclass(frozen=True)
class Networks:
    """What looks at the frames: loaded once, used for any number of clips."""

    detector: Detector
    estimator: Estimator
    flow: FlowMethod | None
    weights: tuple[Weights, ...]
    device: str
    embedder: Embedder | None = None

    @property
    def applied(self) -> dict[str, Any]:
        """What the settings that leave a choice to a network came to; a margin of None is no mask."""
        return {"crop_mask_margin": getattr(self.estimator, "crop_mask_margin", None)}


@contextmanager
def open_networks(settings: Settings) -> Iterator[Networks]:
    """Load the networks that the settings name; their worker threads end on leaving.

    Raises:
        InputError: an unknown name, no such device, damaged weights, weights for a network that takes none, or a
            library of this machine cannot be loaded.
    """
    refuse_unused_weights(settings)
    with ExitStack() as stack:
        try:
            networks = _load(settings, stack)
        except (ImportError, OSError) as error:  # such as a missing CUDA library
            why = f"{type(error).__name__}: {error}"
            raise InputError(
                f"the networks cannot be loaded on this machine ({why}); see `posetrail doctor`"
            ) from error
        yield networks


def refuse_unused_weights(settings: Settings) -> None:
    """Weights go with a network that takes them; each flag of weights has one that names the network.

    Raises:
        InputError: weights are given, and no such network.
    """
    chosen, see = settings.networks, settings.inference
    detector = _USUAL_DETECTOR if chosen.detector == "auto" else chosen.detector
    no_detector = detector in DETECTORS and chosen.estimator not in BOTTOM_UP  # else another line says what is wrong
    own = "comes with its own weights"
    for weights, flag, is_useless, why in (
        (chosen.detector_weights, "detector", no_detector, f"it is {detector}, which {own}"),
        (
            chosen.estimator_weights,
            "estimator",
            chosen.estimator in ESTIMATORS,
            f"it is {chosen.estimator}, which {own}",
        ),
        (see.flow_weights, "flow", see.flow != "raft", f"it is {see.flow}, and only raft has weights"),
        (
            chosen.appearance_weights,
            "appearance",
            chosen.appearance in (NO_APPEARANCE, COLOUR_LAYOUT),
            f"it is {chosen.appearance}, which has no weights; networks are osnet_x1_0 and others",
        ),
    ):
        if weights is not None and is_useless:
            with_weights = "--estimator-weights" if flag == "estimator" else f"--{flag}-weights"
            raise InputError(f"expected --{flag} NAME with {with_weights} {weights}; without it {why}")


def _load(settings: Settings, stack: ExitStack) -> Networks:
    chosen = settings.networks
    runtime = stack.enter_context(Runtime(chosen.device, chosen.threads))
    estimator = _estimator(chosen, runtime)
    detector = _detector(chosen, runtime, estimator)
    flow = create_flow(settings.inference.flow, weights=settings.inference.flow_weights, device=runtime.device)
    embedder = create_embedder(
        chosen.appearance, runtime=runtime, skeleton=estimator.skeleton, weights=chosen.appearance_weights
    )
    loaded = [network for network in (detector, estimator, flow, embedder) if network is not None]
    weights = tuple(found for network in loaded if (found := getattr(network, "weights", None)) is not None)
    return Networks(detector, estimator, flow, weights, runtime.device, embedder)


def _estimator(chosen: NetworkSettings, runtime: Runtime) -> Estimator:
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
        options["crop_mask_margin"] = None  # explicit, because an estimator may mask by itself
    estimator = create_estimator(chosen.estimator, runtime=runtime, **options)
    if chosen.crop_mask and getattr(estimator, "crop_mask_margin", None) is None:
        can = (
            "; say how much to leave around the box: --crop-mask-margin 0.2"
            if hasattr(estimator, "crop_mask_margin")
            else ""
        )
        raise InputError(
            f"crop_mask: estimator {chosen.estimator} paints none by itself{can or '; leave --crop-mask out'}"
        )
    return estimator


def _detector(chosen: NetworkSettings, runtime: Runtime, estimator: Estimator) -> Detector:
    options = _given(
        weights=chosen.detector_weights,
        input_size=chosen.detector_input_px,
        normalisation=chosen.detector_normalisation,
    )
    if chosen.detector != "auto":
        return create_detector(chosen.detector, runtime=runtime, **options)
    if not isinstance(estimator, OnePass):
        return create_detector(_USUAL_DETECTOR, runtime=runtime, **options)
    if options:
        raise InputError(f"{chosen.estimator} finds people by itself: give --detector NAME, or nothing for a detector")
    return estimator.detect


def _given(**options: Any) -> dict[str, Any]:
    """The options that are set; the others are left to the network's own defaults."""
    return {name: value for name, value in options.items() if value is not None}
