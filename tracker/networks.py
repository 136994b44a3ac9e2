"""The networks of a run, loaded as the settings name them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from core.errors import InputError
from core.people import Detector, Embedder, Estimator
from core.runtime import Runtime
from core.weights import Weights
from detectors import create_detector
from estimators import create_estimator
from estimators.appearance import create_embedder
from estimators.one_pass import OnePass
from tracker.propagation import FlowMethod, create_flow
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
        return {"mask_margin": getattr(self.estimator, "mask_margin", None)}


@contextmanager
def open_networks(settings: Settings) -> Iterator[Networks]:
    """Load the networks that the settings name; their worker threads end on leaving.

    Raises:
        InputError: an unknown name, no such device, or damaged weights.
    """
    chosen = settings.networks
    with Runtime(chosen.device, chosen.threads) as runtime:
        estimator = _estimator(chosen, runtime)
        detector = _detector(chosen, runtime, estimator)
        flow = create_flow(settings.see.flow, weights=settings.see.flow_weights, device=runtime.device)
        embedder = create_embedder(
            chosen.appearance, runtime=runtime, skeleton=estimator.skeleton, weights=chosen.appearance_weights
        )
        loaded = [network for network in (detector, estimator, flow, embedder) if network is not None]
        weights = tuple(found for network in loaded if (found := getattr(network, "weights", None)) is not None)
        yield Networks(detector, estimator, flow, weights, runtime.device, embedder)


def _estimator(chosen: NetworkSettings, runtime: Runtime) -> Estimator:
    options = _given(
        weights=chosen.weights,
        input_size=chosen.estimator_input_px,
        crop_scale=chosen.crop_scale,
        mask_margin=chosen.mask_margin,
        flip_test=chosen.flip_test or None,
        decoder=chosen.decoder,
        normalisation=chosen.normalisation,
    )
    if chosen.mask is False:
        options["mask_margin"] = None  # explicit, because an estimator may mask by itself
    estimator = create_estimator(chosen.estimator, runtime=runtime, **options)
    if chosen.mask and getattr(estimator, "mask_margin", None) is None:
        can = "; say how much to leave around the box: --mask-margin 0.2" if hasattr(estimator, "mask_margin") else ""
        raise InputError(f"mask: estimator {chosen.estimator} paints none by itself{can or '; leave --mask out'}")
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
