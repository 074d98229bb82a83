"""`--objective latency`, piece by piece: a layer that is faster in parts comes apart, its neighbours stay whole."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from cli import mts
from onnx import TensorProto, helper, numpy_helper
from oracle import Family, Reference

MODELS, CHANNELS, HIDDEN = 4, 16, 2048
LEVEL = [{"channels": 1, "efficiency": 1}]
# A device where steps are dear and DRAM is slow, whatever the profiles that mts ships say.
PROFILE = {
    "schema_version": 1,
    "name": "cpu-test",
    "kind": "cpu",
    "sources": ["made up"],
    "flops": {"float32": 150e9},
    "memory": [
        {"name": "L2", "bytes": 4e6, "bytes_per_second": 100e9, "reuse_bytes_per_second": 100e9},
        {"name": "DRAM", "bytes_per_second": 20e9, "reuse_bytes_per_second": 20e9},
    ],
    "cores": 2,
    "core_elements": 500,
    "parallel_steps": 1,
    "dispatch_seconds": 3e-6,
    "view_seconds": 3e-7,
    "copy_efficiency": 1,
    "run_seconds": 2e-6,
    "overlap": 0,
    "fuses_elementwise": "any",
    "joins_in_place": True,
    "channels_last": True,
    "skip_normalization_seconds": 0,
    "packs_group_weights": False,
    "convolution_blocks": {"inputs": 1, "outputs": 1},
    "strided_groups": 1,
    "efficiency": {name: LEVEL for name in ("matmul", "convolution", "grouped_convolution", "recurrent")},
}


def block(shape: tuple[int, ...], rows: int, columns: int, seed: int, own: int) -> np.ndarray:
    """A weight whose first `rows` x `columns` are equal for every `own`."""
    scale = np.float32(1 / np.sqrt(np.prod(shape[1:])))
    common = np.random.default_rng(seed).standard_normal(shape, np.float32) * scale
    weight = np.random.default_rng([seed, own]).standard_normal(shape, np.float32) * scale
    weight[:rows, :columns] = common[:rows, :columns]
    return weight


@pytest.fixture(scope="module")
def pieces(tmp_path_factory) -> Family:
    """Two small convolutions and a large fully connected layer, all shared in part."""
    folder = tmp_path_factory.mktemp("pieces")
    features = CHANNELS * 64
    for own in range(1, MODELS + 1):
        weights = {
            "w0": block((CHANNELS, 3, 3, 3), CHANNELS // 2, 3, 1, own),
            "w1": block((CHANNELS, CHANNELS, 3, 3), CHANNELS // 2, CHANNELS // 2, 2, own),
            "w2": block((HIDDEN, features), HIDDEN * 9 // 10, features // 2, 3, own),
            "w3": block((10, HIDDEN), 0, 0, 4, own),
        }
        nodes = [
            helper.make_node("Conv", ["x", "w0"], ["a"], "/conv0", pads=[1] * 4),
            helper.make_node("Relu", ["a"], ["b"], "/relu0"),
            helper.make_node("Conv", ["b", "w1"], ["c"], "/conv1", pads=[1] * 4),
            helper.make_node("Relu", ["c"], ["d"], "/relu1"),
            helper.make_node("Flatten", ["d"], ["e"], "/flatten"),
            helper.make_node("Gemm", ["e", "w2"], ["f"], "/fc", transB=1),
            helper.make_node("Relu", ["f"], ["g"], "/relu2"),
            helper.make_node("Gemm", ["g", "w3"], ["y"], "/classifier", transB=1),
        ]
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 8, 8])
        y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 10])
        graph = helper.make_graph(nodes, "g", [x], [y], [numpy_helper.from_array(w, name) for name, w in weights.items()])
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / f"m{own}.onnx")
    models = [folder / f"m{own}.onnx" for own in range(1, MODELS + 1)]
    return Family(name="pieces", models=models, share_inputs=[], ranges={}, dims={"N": [1, 2, 3]})


def test_only_the_large_layer_comes_apart(pieces: Family, tmp_path):
    output, plan = tmp_path / "fused.onnx", tmp_path / "plan.json"
    profile = tmp_path / "profile.json"
    profile.write_text(json.dumps(PROFILE))
    flags = ["--objective=latency", f"--target={profile}"]
    done = mts("stitch", *pieces.models, "-o", output, "--json", f"--save-plan={plan}", *flags)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert json.loads(plan.read_text())["partial"].startswith("layers ")
    assert report["partial"]["chosen"] and not report["partial"]["everything"]
    assert (report["partial"]["row_splits"], report["partial"]["block_splits"]) == (0, 1)
    # Both choices are priced, and what was chosen is the faster one.
    assert report["partial"]["predicted_latency_us"] < report["whole"]["predicted_latency_us"]
    whole = {tuple(w.dims) for w in onnx.load(output).graph.initializer}
    assert any(dims[-2:] == (3, 3) and CHANNELS in dims[:2] for dims in whole), "convolutions are not in pieces"
    assert not Reference(pieces).differences(output)
    again = tmp_path / "again.onnx"
    done = mts("stitch", *pieces.models, "-o", again, f"--plan={plan}")
    assert done.returncode == 0, done.stderr
    assert again.read_bytes() == output.read_bytes()
    assert "left whole" not in done.stdout, "a replay prices nothing"
