"""The model that makes 3-D poses: a network that lifts 2-D joints, or one that finds landmarks in the clip."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from estimators import BUILT_IN, create_estimator
from estimators.lifters import LIFTERS, create_lifter
from posetrail.errors import InputError, unknown_name
from posetrail.protocols import Lifter
from posetrail.runtime import Device, Runtime
from tracker.runs.clip_landmarks import LandmarkModel

DEFAULT_LIFTER = "blazepose_full"


@dataclass(frozen=True)
class Model3D:
    """A model of one of both kinds, and what run.json records about it."""

    name: str
    lifter: Lifter | None = None
    landmarks: LandmarkModel | None = None
    weights_sha256: str = ""
    licence: str = ""
    is_metric: bool = True

    @property
    def rate_hz(self) -> float | None:
        """The frame rate to which tracks are resampled; None: that of the clip."""
        return None if self.lifter is None else self.lifter.rate_hz


def landmark_models() -> tuple[str, ...]:
    """Names of the models that find landmarks, whose weights are in the package."""
    return tuple(name for name, network in BUILT_IN.items() if hasattr(network, "landmarks"))


@contextmanager
def open_lifter(
    model: str, weights: str | Path | None, own: Any = None, *, device: Device = "auto", threads: int | None = None
) -> Iterator[Model3D]:
    """Load a model; its worker threads end on leaving.

    Args:
        model: its name.
        weights: file of its weights.
        own: an object of the user that is used instead: a `Lifter`, or a `LandmarkModel`.
        device: auto, cpu or cuda.
        threads: on the CPU; None: as many as there are cores.

    Raises:
        InputError: the name is unknown, weights are missing, damaged or not taken, or there is no such device.
    """
    if own is not None:
        name = getattr(own, "name", None) or type(own).__name__
        finds = hasattr(own, "landmarks")
        unit = getattr(own, "unit", "m")
        yield Model3D(str(name), None if finds else own, own if finds else None, is_metric=unit == "m")
        return
    with Runtime(device, threads) as runtime:
        yield _opened(model, weights, runtime)


def _opened(model: str, weights: str | Path | None, runtime: Runtime) -> Model3D:
    landmarks = landmark_models()
    if model in landmarks:
        if weights is not None:
            raise InputError(
                f"weights: expected none, because those of {model} are built in, got {weights}; name the network they "
                f"belong to as model, one of {', '.join(LIFTERS)}"
            )
        network: Any = create_estimator(model, runtime=runtime)
        return Model3D(model, None, network, network.weights.sha256, network.weights.licence)
    if model not in LIFTERS:
        raise unknown_name("lifter", model, (*landmarks, *LIFTERS))
    lifter = create_lifter(model, runtime=runtime, weights=weights)
    described = lifter.weights
    return Model3D(
        model,
        lifter,
        weights_sha256=described.sha256 if described else "",
        licence=described.licence if described else "",
        is_metric=lifter.unit == "m",
    )
