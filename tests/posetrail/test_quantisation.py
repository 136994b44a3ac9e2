"""Networks in int8: outputs near those in float32, layers in float32 where chosen, no sum that overflows 16 bits."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from onnx import helper, numpy_helper

from posetrail.errors import InputError
from posetrail.float_layers import choose_float_layers, cost, groups_of
from posetrail.int8_scales import enlargement
from posetrail.quantisation import Layer, calibrate, float_nodes, quantised
from tests.dots import picture
from tests.onnx_networks import dot_heatmaps, model_of


def outputs(model: onnx.ModelProto, sample: np.ndarray) -> list[np.ndarray]:
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: sample})


def dots(count: int, seed: int = 0) -> list[np.ndarray]:
    """Inputs (1, 3, 256, 192) with three dots at random places, about -2..2."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        image = np.zeros((256, 192, 3), np.float32)
        image[:200] = picture(rng.uniform(40, 150, (3, 2)))[:, :192]
        made.append((image / 64 - 2).transpose(2, 0, 1)[None])
    return made


def stored(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def dense(seed: int, *, transposed: bool = False) -> onnx.ModelProto:
    """The image, flattened, through MatMul, Relu and Gemm with large neighbouring weights."""
    rng = np.random.default_rng(seed)
    weights = {
        "shape": np.array([1, -1]),
        "first": np.abs(rng.normal(0, 1, (3 * 4 * 4, 8))).astype(np.float32),
        "second": np.abs(rng.normal(0, 1, (5, 8) if transposed else (8, 5))).astype(np.float32),
        "bias": rng.normal(0, 1, 5).astype(np.float32),
    }
    nodes = [
        helper.make_node("Reshape", ["image", "shape"], ["flat"]),
        helper.make_node("MatMul", ["flat", "first"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Gemm", ["b", "second", "bias"], ["out"], transB=int(transposed)),
    ]
    return model_of(nodes, weights, [1, 3, 4, 4])


# --- The network ------------------------------------------------------------------------------------------------------


def test_outputs_in_int8_are_those_in_float32_within_two_percent() -> None:
    model = dot_heatmaps()
    in_int8 = quantised(calibrate(model, dots(12)))
    assert any(node.op_type == "QuantizeLinear" for node in in_int8.graph.node)
    for sample in dots(3, seed=1):
        [exact], [found] = outputs(model, sample), outputs(in_int8, sample)
        assert np.abs(exact - found).max() < 0.02 * np.ptp(exact)


@pytest.mark.parametrize("opset", [11, 17])
def test_files_of_older_opsets_are_quantised_per_channel(opset: int) -> None:
    in_int8 = quantised(calibrate(dot_heatmaps(opset=opset), dots(8)))
    assert stored(in_int8)["spread_scale"].shape == (12,)


def test_the_same_samples_give_the_same_bytes() -> None:
    one, other = (quantised(calibrate(dot_heatmaps(), dots(8))) for _ in range(2))
    assert one.SerializeToString(deterministic=True) == other.SerializeToString(deterministic=True)


def test_a_calibrated_network_can_be_quantised_several_times() -> None:
    calibrated = calibrate(dot_heatmaps(), dots(8))
    before = calibrated.model.SerializeToString(deterministic=True)
    first = quantised(calibrated).SerializeToString(deterministic=True)
    quantised(calibrated, is_float=lambda name: name == "blur")
    assert quantised(calibrated).SerializeToString(deterministic=True) == first
    assert calibrated.model.SerializeToString(deterministic=True) == before


def test_layers_have_the_multiply_adds_of_one_sample() -> None:
    layers = calibrate(dot_heatmaps(), dots(1)).layers
    assert layers == (
        Layer("spread", 128 * 96 * 12 * 3 * 25),
        Layer("blur", 64 * 48 * 12 * 12 * 25),
        Layer("mix", 64 * 48 * 17 * 12),
    )
    samples = [np.ones((1, 3, 4, 4), np.float32)]
    for transposed in (False, True):
        assert calibrate(dense(0, transposed=transposed), samples).layers == (Layer("first", 384), Layer("second", 40))


def test_chosen_layers_stay_in_float32() -> None:
    calibrated = calibrate(dot_heatmaps(), dots(8))
    weights = stored(quantised(calibrated, is_float=lambda name: name == "blur"))
    assert weights["blur"].dtype == np.float32
    assert weights["spread_quantized"].dtype == weights["mix_quantized"].dtype == np.int8
    assert not any(name.endswith("_quantized") for name in stored(quantised(calibrated, is_float=lambda _: True)))


def test_operations_without_weights_stay_in_float32_after_layers_in_float32_and_after_the_last_layer() -> None:
    nodes = [
        helper.make_node("Conv", ["image", "one"], ["a"], name="float conv"),
        helper.make_node("Relu", ["a"], ["b"], name="relu after float"),
        helper.make_node("Conv", ["image", "two"], ["c"], name="int8 conv"),
        helper.make_node("Add", ["b", "c"], ["d"], name="sum of both"),
        helper.make_node("Add", ["b", "a"], ["e"], name="sum of floats"),
        helper.make_node("MatMul", ["b", "e"], ["f"], name="product of floats"),
        helper.make_node("MatMul", ["four", "d"], ["g"], name="weights on the left"),
        helper.make_node("Concat", ["f", "d"], ["h"], name="float and int8", axis=1),
        helper.make_node("Conv", ["h", "three"], ["i"], name="last conv"),
        helper.make_node("Mul", ["i", "i"], ["out"], name="after the last layer"),
    ]
    weights = {name: np.ones((1, 3, 1, 1), np.float32) for name in ("one", "two")}
    weights |= {"three": np.ones((1, 2, 1, 1), np.float32), "four": np.eye(4)}
    graph = model_of(nodes, weights, [1, 3, 4, 4]).graph
    assert float_nodes(graph, lambda name: name == "one") == [
        "float conv",
        "relu after float",
        "sum of floats",
        "product of floats",
        "weights on the left",
        "after the last layer",
    ]
    assert float_nodes(graph, lambda _: False) == ["weights on the left", "after the last layer"]


def test_operations_after_a_matrix_product_stay_in_float32() -> None:
    nodes = [
        helper.make_node("Conv", ["image", "kernel"], ["a"], name="conv"),
        helper.make_node("Relu", ["a"], ["b"], name="relu"),
        helper.make_node("MatMul", ["b", "square"], ["c"], name="product"),
        helper.make_node("Add", ["b", "c"], ["d"], name="residual"),
        helper.make_node("MatMul", ["d", "c"], ["e"], name="of activations"),
        helper.make_node("Conv", ["e", "kernel"], ["f"], name="next conv"),
        helper.make_node("Relu", ["f"], ["g"], name="next relu"),
        helper.make_node("MatMul", ["g", "square"], ["out"], name="next product"),
    ]
    weights = {"kernel": np.ones((3, 3, 1, 1), np.float32), "square": np.eye(4, dtype=np.float32)}
    graph = model_of(nodes, weights, [1, 3, 4, 4]).graph
    assert float_nodes(graph, lambda _: False) == ["residual", "of activations"]


def test_a_network_in_int8_is_refused() -> None:
    with pytest.raises(InputError, match=r"expected a float32 network, got one in int8 \(.*QuantizeLinear\)"):
        calibrate(quantised(calibrate(dot_heatmaps(), dots(8))), dots(1))


def test_without_samples_nothing_is_quantised() -> None:
    with pytest.raises(InputError, match="expected samples for calibration, got none"):
        calibrate(dot_heatmaps(), [])


def test_without_onnx_the_extra_to_install_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("posetrail.quantisation.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"quantise: needs onnx; pip install 'posetrail\[export\]'"):
        calibrate(dot_heatmaps(), dots(1))


# --- Scales ----------------------------------------------------------------------------------------------------------


def pair_sums(rows: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Largest absolute sum of two neighbouring int8 weights in each row (M, n)."""
    whole = np.clip(np.round(rows / scales[:, None]), -127, 127)[:, : rows.shape[1] // 2 * 2]
    return np.abs(whole.reshape(len(rows), -1, 2).sum(axis=2)).max(axis=1, initial=0)


ROWS = st.tuples(st.integers(1, 5), st.integers(1, 9)).flatmap(
    lambda shape: arrays(np.float32, shape, elements=st.floats(-4, 4, width=32))
)


@given(ROWS)
def test_enlarged_scales_rule_out_an_overflow_and_never_shrink(rows: np.ndarray) -> None:
    scales = np.maximum(np.abs(rows).max(axis=1), np.float32(1e-6)) / np.float32(127)
    factors = enlargement(rows, scales)
    assert ((factors >= 1) & (factors < 2)).all()
    assert (pair_sums(rows, scales * factors) <= 128).all()
    fine = pair_sums(rows, scales) <= 128
    assert (factors[fine] == 1).all()


def test_only_channels_with_two_large_neighbours_are_enlarged() -> None:
    rows = np.array([[127, 127, 0, 0], [127, 0, 127, 0], [127, -127, 3, 4], [127, 1, 64, 64]], np.float32)
    factors = enlargement(rows, np.ones(4, np.float32))
    assert factors[0] == pytest.approx(1.97, abs=0.02)
    assert (factors[1:] == 1).all()


@pytest.mark.parametrize("transposed", [False, True])
def test_no_layer_of_a_quantised_network_can_overflow(transposed: bool) -> None:
    samples = [np.random.default_rng(i).random((1, 3, 4, 4), np.float32) for i in range(8)]
    model = dense(0, transposed=transposed)
    in_int8 = quantised(calibrate(model, samples))
    weights = stored(in_int8)
    first, second = weights["first_quantized"], weights["second_quantized"]
    for rows in (first.T, second if transposed else second.T):
        assert pair_sums(rows, np.ones(len(rows))).max() <= 128
    [exact], [found] = outputs(model, samples[0]), outputs(in_int8, samples[0])
    np.testing.assert_allclose(found, exact, atol=0.03 * np.abs(exact).max())
    assert weights["bias_quantized_scale"] == pytest.approx(weights["b_scale"] * weights["second_scale"], rel=1e-6)


def test_biases_of_layers_that_share_weights_are_rescaled_together() -> None:
    rng = np.random.default_rng(0)
    weights = {
        "shared": np.abs(rng.normal(0, 1, (3, 3, 3, 3))).astype(np.float32),
        "bias1": rng.normal(0, 9, 3).astype(np.float32),
        "bias2": rng.normal(0, 9, 3).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["image", "shared", "bias1"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["a", "shared", "bias2"], ["out"], pads=[1, 1, 1, 1]),
    ]
    model = model_of(nodes, weights, [1, 3, 8, 8])
    samples = [rng.random((1, 3, 8, 8), np.float32) for _ in range(8)]
    in_int8 = quantised(calibrate(model, samples))
    found = stored(in_int8)
    for bias, entry in (("bias1", "image"), ("bias2", "a")):
        expected = found[f"{entry}_scale"] * found["shared_scale"]
        np.testing.assert_allclose(found[f"{bias}_quantized_scale"], expected, rtol=1e-6)
        np.testing.assert_allclose(found[f"{bias}_quantized"] * expected, weights[bias], atol=0.01)


def test_a_channel_without_weights_keeps_its_bias() -> None:
    kernel = np.zeros((3, 3, 1, 1), np.float32)
    kernel[0, 0] = 1
    weights = {"kernel": kernel, "bias": np.array([0.3, 0.4, -0.5], np.float32)}
    model = model_of([helper.make_node("Conv", ["image", "kernel", "bias"], ["out"])], weights, [1, 3, 4, 4])
    samples = [100 * np.random.default_rng(i).random((1, 3, 4, 4), np.float32) - 50 for i in range(8)]
    found = stored(quantised(calibrate(model, samples)))
    np.testing.assert_allclose(found["bias_quantized"] * found["bias_quantized_scale"], weights["bias"], atol=0.002)


# --- Layers in float32 ------------------------------------------------------------------------------------------------


def test_groups_are_contiguous_and_of_similar_cost() -> None:
    layers = [Layer(f"w{i}", 1 + (i % 7) * 10) for i in range(100)]
    groups = groups_of(layers)
    assert [layer for group in groups for layer in group] == layers
    assert len(groups) == 12
    assert max(map(cost, groups)) < 2 * min(map(cost, groups))
    assert groups_of(layers[:3]) == [[layer] for layer in layers[:3]]
    assert groups_of([]) == []


def kept_in_float(model: onnx.ModelProto) -> set[str]:
    return {"spread", "blur", "mix"} & stored(model).keys()


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ({"spread": 0.0, "blur": 0.0, "mix": 1.0}, {"mix"}),  # the cheap last layer loses all
        ({"spread": 1.0, "blur": 0.0, "mix": 0.0}, set()),  # half of the multiply-adds
        ({"spread": 0.0, "blur": 0.0, "mix": 0.01}, {"mix"}),
        ({"spread": 0.0, "blur": 0.0, "mix": 0.0}, set()),
    ],
)
def test_layers_that_lose_most_are_chosen_within_a_quarter_of_the_cost(
    loss: dict[str, float], expected: set[str]
) -> None:
    calibrated = calibrate(dot_heatmaps(), dots(8))
    choice = choose_float_layers(
        calibrated, lambda model: sum(loss[name] for name in loss.keys() - kept_in_float(model))
    )
    assert choice.weights == expected
    assert choice.error <= choice.int8_error
    assert choice.cost_share <= 0.25
