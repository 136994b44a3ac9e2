"""Creates the int8 networks included in the package from the float ones.

    python -m tools.quantise_embedded

Writes detectors/nanodet_int8.onnx and estimators/movenet_thunder_int8.onnx and prints their sha256, which belong in
detectors/nanodet.py and estimators/movenet.py. Calibration uses the example clip alone (BSD-3-Clause): every fifth
frame, its people, and random changes of both. All figures about accuracy are of other clips and images.

Layers that lose most are left in float32, found by leaving out a few layers at a time: in MoveNet the first block and
everything from the neck on, in NanoDet the first two convolutions (which take longer in int8) and the last one of each
head.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnx
from onnx import helper, numpy_helper

from detectors.nanodet import NETWORK as NANODET
from detectors.nanodet import NanoDet, letterbox_of
from estimators.crops import cut, square_crops
from estimators.movenet import NETWORK as MOVENET
from posetrail.export import remove_metadata, with_weights
from posetrail.frame import Frame, Image
from posetrail.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from posetrail.quantisation import calibrate, quantised
from posetrail.runtime import Network, Runtime
from posetrail.similarity import grown_boxes
from tracker.io.video import open_source

REPOSITORY = Path(__file__).parents[1]
CLIP = REPOSITORY / "examples" / "pose2sim_cam01.mp4"
FLOAT_LAYERS = {
    "movenet_thunder": ("body.stem.", "body.blocks.0.", "neck.", "heat.", "centre.", "regress.", "offset."),
    "nanodet": ("stem.", "stages.0.enter.", "heads.0.out.", "heads.1.out.", "heads.2.out."),
}
DETECTOR_SIZES = (768, 416, 256)


def main() -> None:
    """Write both networks."""
    frames = list(open_source(CLIP, stride=5).frames())
    write(NANODET, with_dequantised_input(with_weights(NANODET)), canvases(frames))
    write(MOVENET, with_weights(MOVENET), crops(frames))


def write(network: Network, model: onnx.ModelProto, samples: list[np.ndarray]) -> None:
    """Quantise a network and write it beside its float graph."""
    name = network.weights.name
    result = quantised(calibrate(model, samples), is_float=lambda weights: weights.startswith(FLOAT_LAYERS[name]))
    remove_metadata(result)
    for key in ("name", "licence", "source"):
        result.metadata_props.add(key=key, value=getattr(network.weights, key))
    path = network.graph.with_name(f"{name}_int8.onnx")
    path.write_bytes(result.SerializeToString(deterministic=True))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    print(f"{path.relative_to(REPOSITORY)}  {path.stat().st_size} bytes  {digest}  {len(samples)} samples")


def with_dequantised_input(model: onnx.ModelProto) -> onnx.ModelProto:
    """NanoDet with its normalisation (a cast, a subtraction, a division) as one DequantizeLinear.

    That takes a third of the time. Its zero points are whole numbers; the bias of the first convolution takes up the
    rest of the means. At the border of the image, where the convolution sees padding, values differ by less than a
    hundredth.
    """
    mean, std = np.array(IMAGENET_MEAN, np.float32), np.array(IMAGENET_STD, np.float32)
    zeros = np.round(mean).astype(np.uint8)
    graph = model.graph
    stem = next(node for node in graph.node if node.op_type == "Conv")
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    weight, bias = (numpy_helper.to_array(tensors[name]) for name in stem.input[1:])
    shift = np.einsum("mchw,c->m", weight, (zeros - mean) / std)
    tensors[stem.input[2]].CopyFrom(numpy_helper.from_array((bias + shift).astype(np.float32), stem.input[2]))
    transpose, *normalisation = list(graph.node)[: list(graph.node).index(stem)]
    assert [node.op_type for node in (transpose, *normalisation)] == ["Transpose", "Cast", "Sub", "Div"]
    for node in normalisation:
        for name in node.input:
            if name in tensors:
                graph.initializer.remove(tensors[name])
        graph.node.remove(node)
    graph.initializer.extend([numpy_helper.from_array(1 / std, "scales"), numpy_helper.from_array(zeros, "zeros")])
    inputs = [transpose.output[0], "scales", "zeros"]
    graph.node.insert(1, helper.make_node("DequantizeLinear", inputs, [stem.input[0]], name="normalise", axis=1))
    onnx.checker.check_model(model)
    return model


def canvases(frames: list[Frame]) -> list[np.ndarray]:
    """Inputs (1, H, W, 3) uint8 of the detector at all sizes: the frames as they are, and changed."""
    change = changes()
    images = [image for frame in frames for image in (frame.image, change(frame.image))]
    return [letterbox_of(size).put(image)[None] for image in images for size in DETECTOR_SIZES]


def crops(frames: list[Frame]) -> list[np.ndarray]:
    """Inputs (1, 256, 256, 3) uint8 of the estimator: the detected people as in inference, and changed."""
    change, rng = changes(), np.random.default_rng(1)
    made = []
    with Runtime("cpu", precision="float32") as runtime:
        detections = NanoDet(runtime)(frames)
    for frame, found in zip(frames, detections, strict=True):
        boxes = found.boxes[found.scores >= 0.3]
        for crop, keep in zip(square_crops(boxes, 1.15), grown_boxes(boxes, 0.2), strict=True):
            made.append(cut(frame.image, crop, 256, keep))
            side = crop[2] - crop[0]
            moved = np.tile(rng.uniform(-0.15, 0.15, 2), 2) * side + crop
            moved += np.array([-1, -1, 1, 1]) * rng.uniform(-0.15, 0.2) * side
            made.append(change(cut(frame.image, moved, 256, keep if rng.random() < 0.5 else None)))
    return [each[None] for each in made]


def changes() -> Callable[[Image], Image]:
    """A function that mirrors, turns and recolours images at random, reproducibly."""
    rng = np.random.default_rng(0)

    def change(image: Image) -> Image:
        height, width, _ = image.shape
        if rng.random() < 0.5:
            image = image[:, ::-1]
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.normal(0, 15), 1.0)
        image = cv2.warpAffine(np.ascontiguousarray(image), turn, (width, height), flags=cv2.INTER_LINEAR)
        coloured = image * rng.uniform(0.5, 1.5) * rng.uniform(0.8, 1.2, 3) + rng.uniform(-40, 40)
        return np.clip(coloured, 0, 255).astype(np.uint8)

    return change


if __name__ == "__main__":
    main()
