"""Networks in ONNX files: exported ones give what torch gives, each kind is told by shapes, bad ones are refused."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from detectors import create_detector
from detectors import networks as detectors_networks
from detectors.onnx_file import reader_for
from estimators import NETWORKS, create_estimator
from estimators.onnx_file import recipe_for
from estimators.recipes import RECIPES, Recipe
from posetrail.errors import InputError
from posetrail.layers import FromBytes
from posetrail.onnx_trial import Limits
from posetrail.preprocessing import IMAGENET, Preprocessing, normalised
from posetrail.runtime import Runtime, _providers
from posetrail.skeletons import COCO_17, COCO_WHOLEBODY_133, HALPE_26, MPII_16
from tests.dots import BOX, DOTS, DotNetwork, picture
from tests.frames import frames_of
from tests.goldens import formula_weights, sees_people_everywhere

PATH = Path("some.onnx")
LEGACY = pytest.mark.filterwarnings(
    "ignore:.*:DeprecationWarning", "ignore::torch.jit.TracerWarning"
)  # ten times as fast


@pytest.fixture(autouse=True)
def untried(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of our own are loaded without the trial, which starts a program for each, but in tests of the trial."""
    if "limits" not in request.function.__name__:
        monkeypatch.setattr("posetrail.runtime.try_file", lambda *_: "")


def exported(network: torch.nn.Module, size: tuple[int, int], path: Path, **options: Any) -> Path:
    example = torch.zeros(1, 3, *size)
    torch.onnx.export(network.eval(), (example,), path, dynamo=False, opset_version=17, **options)
    return path


def constant_file(path: Path, shapes: list[tuple[int, ...]], *, told: str = "", inputs: int = 1) -> Path:
    """A file that answers with zeros of these shapes, whatever image of 256 x 192 it is shown."""
    shape = [1, 3, 256, 192]
    images = [helper.make_tensor_value_info(f"image{i}", TensorProto.FLOAT, shape) for i in range(inputs)]
    outputs = [helper.make_tensor_value_info(f"out{i}", TensorProto.FLOAT, each) for i, each in enumerate(shapes)]
    numbers = [numpy_helper.from_array(np.zeros(each, np.float32), f"zeros{i}") for i, each in enumerate(shapes)]
    nodes = [helper.make_node("Identity", [f"zeros{i}"], [f"out{i}"]) for i in range(len(shapes))]
    model = helper.make_model(
        helper.make_graph(nodes, "constant", images, outputs, numbers), opset_imports=[helper.make_opsetid("", 17)]
    )
    model.ir_version = 8
    if told:
        helper.set_model_props(model, {"name": told})
    onnx.save(model, path)
    return path


@LEGACY
def test_an_exported_hrnet_gives_the_joints_that_torch_gives(runtime: Runtime, tmp_path: Path) -> None:
    network = NETWORKS["hrnet_w32"]()
    shapes = {key: value.shape for key, value in network.state_dict().items()}
    network.load_state_dict({key: formula_weights(key, shape, 1.0) for key, shape in shapes.items()})
    torch.save(network.state_dict(), tmp_path / "hrnet.pth")
    path = exported(network, (256, 192), tmp_path / "hrnet.onnx")
    image = np.random.default_rng(3).integers(0, 256, (400, 300, 3), dtype=np.uint8)
    boxes = [np.array([[20.0, 30, 150, 380], [100, 50, 280, 300]])]
    [by_torch] = create_estimator("hrnet_w32", runtime=runtime, weights=tmp_path / "hrnet.pth")(
        frames_of([image]), boxes
    )
    [by_file] = create_estimator(f"onnx:{path}", runtime=runtime)(frames_of([image]), boxes)
    np.testing.assert_allclose(by_file.keypoints, by_torch.keypoints, atol=0.1)
    np.testing.assert_allclose(by_file.keypoint_scores, by_torch.keypoint_scores, atol=1e-3)


KINDS = {
    "heatmaps": (Recipe(), {}),
    "simcc": (Recipe(output="simcc"), {}),
    "coordinates": (Recipe(output="coordinates"), {}),
    "of 0..1": (Recipe(preprocessing=normalised("0..1")), {"normalisation": "0..1"}),
    "trained by UDP": (RECIPES["vitpose_s_mmpose"], {"decoder": "udp"}),
}


@LEGACY
@pytest.mark.parametrize("kind", KINDS)
def test_dots_are_found_by_a_file_of_each_kind(kind: str, runtime: Runtime, tmp_path: Path) -> None:
    recipe, options = KINDS[kind]
    path = exported(
        DotNetwork(recipe),
        (256, 192),
        tmp_path / "dots.onnx",
        dynamic_axes={"image": {0: "batch"}},
        input_names=["image"],
    )
    estimator = create_estimator(f"onnx:{path}", runtime=runtime, **options)
    many, nobody = estimator(frames_of([picture(), picture()]), [np.tile(BOX, (3, 1)), np.zeros((0, 4))])
    assert np.abs(many.keypoints - DOTS[np.arange(17) % 3]).max() < 0.5
    [alone] = estimator(frames_of([picture()]), [BOX[None]])
    assert (many.keypoints == alone.keypoints).all()
    assert len(nobody) == 0
    [flipped] = create_estimator(f"onnx:{path}", runtime=runtime, flip_test=True, **options)(
        frames_of([picture(DOTS[[1, 1, 1]])]), [BOX[None]]
    )
    assert np.abs(flipped.keypoints - DOTS[1]).max() < 0.5


@pytest.mark.parametrize(
    ("shapes", "output", "skeleton"),
    [
        ([(1, 17, 384), (1, 17, 512)], "simcc", COCO_17),
        ([(1, 133, 384), (1, 133, 512)], "simcc", COCO_WHOLEBODY_133),
        ([(1, 26, 64, 48)], "heatmaps", HALPE_26),
        ([(1, 16, 16, 12), (1, 16, 64, 48)], "heatmaps", MPII_16),
        ([(1, 8, 16, 64, 48)], "heatmaps", MPII_16),
        ([(1, 17, 4)], "coordinates", COCO_17),
    ],
)
def test_the_kind_of_an_estimator_is_recognised_by_shapes(
    shapes: list[tuple[int, ...]], output: str, skeleton: object, runtime: Runtime, tmp_path: Path
) -> None:
    recipe = recipe_for(PATH, tuple(np.zeros(shape) for shape in shapes), (192, 256))
    assert (recipe.output, recipe.skeleton) == (output, skeleton)
    estimator = create_estimator(f"onnx:{constant_file(tmp_path / 'zeros.onnx', shapes)}", runtime=runtime)
    [poses] = estimator(frames_of([picture()]), [BOX[None]])
    assert poses.keypoints.shape == (1, len(estimator.skeleton), 2)


def test_a_file_with_the_name_of_a_network_uses_its_preprocessing(runtime: Runtime, tmp_path: Path) -> None:
    path = constant_file(tmp_path / "cpn.onnx", [(1, 17, 64, 48)] * 5, told="cpn_r50_256x192")
    assert create_estimator(f"onnx:{path}", runtime=runtime).recipe == RECIPES["cpn_r50_256x192"]  # type: ignore[attr-defined]


# --- Detectors --------------------------------------------------------------------------------------------------------


def filled_detector(name: str) -> torch.nn.Module:
    network: torch.nn.Module = detectors_networks.NETWORKS[name]()
    network.load_state_dict(sees_people_everywhere(network))
    return network


class Official(torch.nn.Module):
    """YOLOX as its own export script makes it: boxes as steps within cells, with what is sure of them."""

    def __init__(self, network: torch.nn.Module, *, decoded: bool) -> None:
        super().__init__()
        self.network, self.decoded = network, decoded

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        raw, sure, pixels = self.network(images).values()
        return torch.cat([pixels if self.decoded else raw, sure], 2)


@LEGACY
@pytest.mark.parametrize("made", ["official", "decoded", "ours", "not square"])
def test_a_yolox_file_finds_what_the_network_finds(made: str, runtime: Runtime, tmp_path: Path) -> None:
    network = filled_detector("yolox_nano").eval()
    torch.save(network.state_dict(), tmp_path / "yolox.pth")
    wrapped = network if made == "ours" else Official(network, decoded=made == "decoded")
    size = (96, 128) if made == "not square" else (128, 128)
    path = exported(wrapped, size, tmp_path / "yolox.onnx")
    image = np.random.default_rng(1).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    options = {"input_size": 128, "square": made != "not square"}
    [by_torch] = create_detector("yolox_nano", runtime=runtime, weights=tmp_path / "yolox.pth", **options)(
        frames_of([image])
    )
    [by_file] = create_detector(f"onnx:{path}", runtime=runtime)(frames_of([image]))
    assert len(by_torch) > 0
    np.testing.assert_allclose(by_file.boxes, by_torch.boxes, atol=0.05)
    np.testing.assert_allclose(by_file.scores, by_torch.scores, atol=1e-3)


@LEGACY
def test_an_rtmdet_file_finds_what_the_network_finds(runtime: Runtime, tmp_path: Path) -> None:
    network = filled_detector("rtmdet_nano_person").eval()
    torch.save(network.state_dict(), tmp_path / "rtmdet.pth")
    path = exported(network, (128, 128), tmp_path / "rtmdet.onnx")
    image = np.random.default_rng(1).integers(0, 256, (128, 96, 3), dtype=np.uint8)
    [by_torch] = create_detector(
        "rtmdet_nano_person", runtime=runtime, weights=tmp_path / "rtmdet.pth", input_size=128, nms_iou=0.65
    )(frames_of([image]))
    [by_file] = create_detector(f"onnx:{path}", runtime=runtime)(frames_of([image]))
    assert len(by_torch) > 0
    np.testing.assert_allclose(by_file.boxes, by_torch.boxes, atol=0.05)


def test_boxes_after_nms_in_the_file_are_used() -> None:
    boxes = np.array([[[1, 2, 30, 40, 0.5], [5, 6, 70, 80, 0.9], [1, 1, 9, 9, 0.9], [0, 0, 0, 0, 0]]], np.float32)
    labels = np.array([[0, 0, 16, -1]])
    read, normalisation = reader_for(PATH, (boxes, labels), (640, 640))
    [(found, scores)] = read((boxes, labels), 0.05)
    assert found.tolist() == [[5, 6, 70, 80], [1, 2, 30, 40]]
    assert scores.tolist() == pytest.approx([0.9, 0.5])
    assert normalisation == "imagenet"


# --- What cannot be ---------------------------------------------------------------------------------------------------


def test_bad_files_are_refused_in_one_line(runtime: Runtime, tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.onnx"
    garbage.write_bytes(b"not an onnx file" * 9)

    def refused(path: Path, match: str, make: Callable[..., object] = create_estimator, **options: Any) -> None:
        with pytest.raises(InputError, match=match) as caught:
            make(f"onnx:{path}", runtime=runtime, **options)
        assert "\n" not in str(caught.value)

    for make in (create_estimator, create_detector):
        refused(tmp_path / "none.onnx", "no such file; give an ONNX file", make)
        refused(garbage, "cannot be read as an ONNX file", make)
        refused(constant_file(tmp_path / "two.onnx", [(1, 17, 2)], inputs=2), "expected a network for one image", make)
    fine = constant_file(tmp_path / "fine.onnx", [(1, 17, 64, 48)])
    refused(fine, r"expected YOLOX \(1, 1008, 5 \+ classes\).* got \(1, 17, 64, 48\)", create_detector)
    refused(fine, "has fixed inputs 256 high and 192 wide", create_detector, input_size=640)
    refused(fine, "unknown normalisation 'imagnet'; did you mean 'imagenet'", normalisation="imagnet")
    refused(constant_file(tmp_path / "odd.onnx", [(1, 5)]), r"for a crop of 192 x 256 got \(1, 5\)")
    refused(
        constant_file(tmp_path / "nine.onnx", [(1, 9, 64, 48)]),
        "expected the number of joints of a known skeleton .*, got 9",
    )


def written(path: Path, nodes: list[Any], *, size: tuple[object, object] = (64, 48), **graph: Any) -> Path:
    """A file of these nodes, from `image` to `out`."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, *size])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, None)
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(helper.make_graph(nodes, "hostile", [image], [out], **graph), opset_imports=opset)
    model.ir_version = 8
    path.write_bytes(model.SerializeToString())
    return path


def numbers(name: str, values: object, kind: type = np.int64) -> Any:
    return numpy_helper.from_array(np.array(values, kind), name)


def endless_loop(path: Path) -> Path:
    """A loop of 2**62 rounds that begins with the image's first number."""
    none = [helper.make_tensor_value_info("more", TensorProto.BOOL, [])]
    state = helper.make_tensor_value_info("x", TensorProto.FLOAT, None)
    after = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    rounds = helper.make_tensor_value_info("i", TensorProto.INT64, [])
    steps = [helper.make_node("Cos", ["x"], ["y"]), helper.make_node("Identity", ["more"], ["again"])]
    again = helper.make_tensor_value_info("again", TensorProto.BOOL, [])
    body = helper.make_graph(steps, "body", [rounds, *none, state], [again, after])
    loop = helper.make_node("Loop", ["rounds", "yes", "image"], ["out"], body=body)
    return written(path, [loop], initializer=[numbers("rounds", 2**62), numbers("yes", True, np.bool_)])


def huge_constant(path: Path) -> Path:
    """Four terabytes of zeros, which are constant and so computed while the file is loaded."""
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["zeros"]),
        helper.make_node("Add", ["zeros", "image"], ["out"]),
    ]
    return written(path, nodes, initializer=[numbers("shape", [1000, 1000, 1000, 1000])])


def huge_in_the_first_run(path: Path) -> Path:
    """The image, tiled to 100 GB."""
    return written(
        path,
        [helper.make_node("Tile", ["image", "times"], ["out"])],
        initializer=[numbers("times", [1, 3, 1000, 1000])],
    )


def huge_image(path: Path) -> Path:
    return written(path, [helper.make_node("Identity", ["image"], ["out"])], size=(10**5, 10**5))


def outside_data(path: Path) -> Path:
    """Numbers from a file of another folder."""
    (path.parent.parent / "canary.bin").write_bytes(np.arange(9216, dtype=np.float32).tobytes())
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1, 3, 64, 48], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="../canary.bin")
    return written(path, [helper.make_node("Add", ["w", "image"], ["out"])], initializer=[tensor])


@pytest.mark.skipif(sys.platform != "linux", reason="other systems set no limit of memory")
@pytest.mark.parametrize("make", [endless_loop, huge_constant, huge_in_the_first_run, huge_image, outside_data])
def test_files_beyond_the_limits_are_refused_in_one_line(
    make: Callable[[Path], Path], runtime: Runtime, tmp_path: Path
) -> None:
    (tmp_path / "files").mkdir()
    path = make(tmp_path / "files" / "hostile.onnx")
    limits = Limits(bytes=3 << 30, seconds=2 if make is endless_loop else 60)
    with pytest.raises(InputError, match="cannot be read as an ONNX file") as caught:
        runtime.load_file(path, limits=limits)
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 1000


def test_ordinary_files_are_within_the_limits(runtime: Runtime, tmp_path: Path) -> None:
    tile = helper.make_node("Tile", ["image", "times"], ["out"])
    for size in ((64, 48), ("H", "W")):
        honest = written(tmp_path / "fine.onnx", [tile], size=size, initializer=[numbers("times", [1, 1, 2, 2])])
        assert runtime.load_file(honest, (96, 80)).input_size == (None if "H" in size else size)


def test_a_file_is_tried_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fine, tried = constant_file(tmp_path / "fine.onnx", [(1, 17, 64, 48)]), []
    monkeypatch.setattr("posetrail.runtime.try_file", lambda *of: tried.append(of) or "")
    with Runtime("cpu", 1) as runtime:
        for _ in range(3):
            runtime.load_file(fine)
    assert len(tried) == 1


def test_files_use_an_available_execution_provider() -> None:
    everything = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    assert _providers("cuda", everything)[0][0] == "CUDAExecutionProvider"
    assert _providers("cpu", everything) == ["CPUExecutionProvider"]
    assert _providers("cuda", ["CPUExecutionProvider"]) == ["CPUExecutionProvider"]


@pytest.mark.parametrize(
    "preprocessing", [IMAGENET, normalised("imagenet", bgr=True), normalised("0..255"), Preprocessing(bgr=True)]
)
def test_preprocessing_is_the_same_in_numpy_and_torch(preprocessing: Preprocessing) -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3), dtype=np.uint8)
    np.testing.assert_allclose(
        preprocessing(images), FromBytes(torch.nn.Identity(), preprocessing)(torch.from_numpy(images)), atol=1e-6
    )
    assert np.abs(preprocessing(preprocessing.grey[None, None, None])).max() < 0.02
