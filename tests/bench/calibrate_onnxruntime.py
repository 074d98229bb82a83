"""Measures a device profile of ONNX Runtime on this CPU, for `mts stitch --target profile.json`.

    python tests/bench/calibrate_onnxruntime.py [--name cpu-onnxruntime] [--threads 1] [--seconds 0.15] -o profile.json

Out: the fields of src/plan/profiles/README.md. `mts calibrate` measures the bundled executor; ONNX Runtime, whose layouts,
grouped convolutions and copies cost something else, is measured here, from outside. What a step costs inside a graph
is the slope between a short and a long chain of it, so that the run's own cost and the change of layout at the graph's ends
cancel out. Chains are run alternately; the least time of each counts. Chains of one operator flatter the dispatch, so that
is measured on the layers of a tiny transformer.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime as ort
from mtz import processor, publish
from onnx import TensorProto, helper
from sweep_models import Network, bert

SHORT, LONG = 2, 10  # steps of a chain
LAYER_STEPS = 16  # of a layer of bert(): 8 products, 5 Transposes, 2 LayerNormalizations, Softmax; the rest is fused or a view
BLOCK = 16  # channels that convolutions compute together: the floats of a vector of AVX-512
Step = Callable[[Network, str], str]  # appends one step of the chain to a network


class Calibration:
    def __init__(self, threads: int, seconds: float) -> None:
        self.settings = ort.SessionOptions()
        self.settings.intra_op_num_threads = threads
        self.seconds = seconds

    def load(self, model: str | bytes, feeds: dict[str, np.ndarray]) -> Callable[[], None]:
        session = ort.InferenceSession(model, self.settings, providers=["CPUExecutionProvider"])
        return lambda: session.run(None, feeds)

    def session(self, shape: list[int], step: Step, steps: int) -> Callable[[], None]:
        net = Network()
        x = "x"
        for _ in range(steps):
            x = step(net, x)
        net.nodes.append(helper.make_node("Identity", [x], ["y"]))
        given = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
        found = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
        graph = helper.make_graph(net.nodes, "chain", [given], [found], net.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        return self.load(model.SerializeToString(), {"x": np.random.default_rng(0).standard_normal(shape, np.float32)})

    def least(self, runs: list[Callable[[], None]]) -> list[float]:
        """Seconds of each, run in turns."""
        times = [[] for _ in runs]
        end = time.perf_counter() + self.seconds
        while time.perf_counter() < end or len(times[0]) < 8:
            for run, own in zip(runs, times, strict=True):
                start = time.perf_counter()
                run()
                own.append(time.perf_counter() - start)
        return [min(own) for own in times]

    def slope(self, shape: list[int], step: Step) -> float:
        """Seconds that one more step costs."""
        short, long = self.least([self.session(shape, step, SHORT), self.session(shape, step, LONG)])
        return max(long - short, 1e-9) / (LONG - SHORT)

    def dispatch(self) -> float:
        """Seconds that a step costs when it has next to nothing to do."""
        with tempfile.TemporaryDirectory() as folder:
            runs = []
            for layers in (SHORT, LONG):
                path = Path(folder) / f"{layers}.onnx"
                bert(path, 0, 4, 16, layers)
                runs.append(self.load(str(path), {"ids": np.zeros((1, 4), np.int64)}))
            short, long = self.least(runs)
        return (long - short) / (LONG - SHORT) / LAYER_STEPS

    def difference(self, shape: list[int], one: Step, other: Step) -> float:
        """Seconds that a step of `other` costs more than one of `one`."""
        first, second = self.least([self.session(shape, one, LONG), self.session(shape, other, LONG)])
        return max(second - first, 1e-9) / LONG


# ---- steps -------------------------------------------------------------------------------------------------------


def convolution(channels: int, kernel: int, groups: int = 1) -> Step:
    def step(net: Network, x: str) -> str:
        weight = net.weight((channels, channels // groups, kernel, kernel), 0)
        y = net.op("Conv", [x, weight, net.weight((channels,), 0)], group=groups, pads=[kernel // 2] * 4)
        return net.op("Relu", [y])

    return step


def stem(inputs: int, outputs: int, groups: int, stride: int = 1) -> Step:
    """A convolution of the graph's input, averaged over its pixels: steps side by side, since it changes the channels."""

    def step(net: Network, x: str) -> str:
        weight = net.weight((outputs * groups, inputs, 3, 3), 0)
        bias = net.weight((outputs * groups,), 0)
        y = net.op("Conv", ["x", weight, bias], group=groups, pads=[1] * 4, strides=[stride] * 2)
        mean = net.op("GlobalAveragePool", [net.op("Relu", [y])])
        return mean if x == "x" else net.op("Add", [mean, x])

    return step


def batched_product(models: int, width: int) -> Step:
    return lambda net, x: net.op("MatMul", [x, net.weight((models, width, width), 0)])


def product(width: int) -> Step:
    return lambda net, x: net.op("MatMul", [x, net.weight((width, width), 0)])


def recurrent(hidden: int) -> Step:
    def step(net: Network, x: str) -> str:
        weights = [net.weight((1, 4 * hidden, hidden), 0), net.weight((1, 4 * hidden, hidden), 0)]
        return net.op("Squeeze", [net.op("LSTM", [x, *weights], hidden_size=hidden), net.constant(np.array([1]))])

    return step


def sigmoid(net: Network, x: str) -> str:
    return net.op("Sigmoid", [x])


def two_sigmoids(net: Network, x: str) -> str:
    return sigmoid(net, sigmoid(net, x))


def two_sigmoids_and_views(net: Network, x: str) -> str:
    turned = net.op("Reshape", [sigmoid(net, x), net.constant(np.array([8, 1]))])
    return net.op("Reshape", [sigmoid(net, turned), net.constant(np.array([1, 8]))])


def add(net: Network, x: str) -> str:
    return net.op("Add", [x, "x"])


def split_and_join(net: Network, x: str) -> str:
    """Moves all elements twice."""
    left, right = net.ops("Split", [x], 2, axis=1)
    return net.op("Concat", [right, left], axis=1)


def conv_and_reshape(channels: int, pixels: int) -> Step:
    convolve = convolution(channels, 1)

    def step(net: Network, x: str) -> str:
        folded = net.op("Reshape", [convolve(net, x), net.constant(np.array([1, -1, pixels, pixels]))])
        return net.op("Reshape", [net.op("Sigmoid", [folded]), net.constant(np.array([-1, channels, pixels, pixels]))])

    return step


def conv_and_sigmoid(channels: int) -> Step:
    return lambda net, x: sigmoid(net, convolution(channels, 1)(net, x))


def sum_and_normalise(net: Network, x: str) -> str:
    """With three axes one SkipLayerNormalization, with four two steps."""
    return net.op("LayerNormalization", [add(net, x), net.weight((256,), 0)])


# ---- what is measured --------------------------------------------------------------------------------------------


def cache_sizes() -> list[tuple[str, int]]:
    """Levels above the first that a core reaches, from the smallest to the largest, bytes."""
    sizes = []
    for level in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        if (level / "level").read_text().strip() != "1":
            text = (level / "size").read_text().strip()
            sizes.append((f"L{(level / 'level').read_text().strip()}", int(text[:-1]) * {"K": 1 << 10, "M": 1 << 20}[text[-1]]))
    return sizes or [("L2", 1 << 20)]


def measure(calibration: Calibration, options: argparse.Namespace) -> dict:
    dispatch = calibration.dispatch()
    least_step = calibration.slope([1, 8], sigmoid)
    short = calibration.least([calibration.session([1, 8], sigmoid, SHORT)])[0]
    sizes = [*cache_sizes(), ("DRAM", 4 * cache_sizes()[-1][1])]
    memory = []
    for name, size in sizes:
        elements = size * 3 // 4 // 12  # three arrays; a bit is left for others
        streaming = 12 * elements / (calibration.slope([1, elements], add) - least_step)
        memory.append({"name": name, "bytes": size, "bytes_per_second": streaming})
    del memory[-1]["bytes"]
    for upper, lower in zip(memory, memory[1:]):  # a level is no slower than the next
        upper["bytes_per_second"] = max(upper["bytes_per_second"], lower["bytes_per_second"])
    # What a byte costs a convolution more than in the first level: all else that it does is the same.
    channels, first = 16, 0.0
    for entry, (_, size) in zip(memory, sizes, strict=True):
        side = int((size * 3 / 4 / (8 * channels)) ** 0.5)
        seconds = calibration.slope([1, channels, side, side], convolution(channels, 3)) - least_step
        byte = seconds / (8 * channels * side * side)
        first = first or byte - 1 / entry["bytes_per_second"]
        entry["reuse_bytes_per_second"] = min(entry["bytes_per_second"], 1 / max(byte - first, 1e-13))

    def moving(size: float, field: str = "bytes_per_second") -> float:
        level = next((m for m in memory[:-1] if size <= m["bytes"]), memory[-1])
        return size / level[field]

    def rate(shape: list[int], step: Step, flops: float, weights: float) -> float:
        """FLOP/s of a step, without its dispatch and the bytes that it moves."""
        seconds = calibration.slope(shape, step)
        own = seconds - least_step - moving(8 * float(np.prod(shape)) + 4 * weights)
        return flops / max(own, seconds / 4)

    def convolutions(channels: list[int], groups: Callable[[int], int]) -> list[tuple[int, float]]:
        points = []
        for c in channels:
            each = 32 if c == 3 else c  # three channels: the first layer of a network
            pixels = 16 if c * groups(c) > 64 else 28
            taps = 9 * c * each * groups(c)
            computed = 1 if groups(c) > 1 else -(-each // BLOCK) * BLOCK / each
            step = convolution(c * groups(c), 3, groups(c)) if each == c else stem(c, each, groups(c))
            points.append((c, rate([1, c * groups(c), pixels, pixels], step, 2 * taps * pixels * pixels * computed, taps)))
        return points

    dense = convolutions([3, 8, 16, 32, 64, 128], lambda c: 1)
    # Groups of whole blocks of channels have kernels of their own.
    widths = [1, 2, 4, 6, 8, 12, 15, 16, 17, 24, 31, 32, 33, 40, 47, 48, 64]
    grouped = convolutions(widths, lambda c: 4 if c > 1 else 64)
    # A group is no better than a convolution of its own: where it was, that is noise.
    grouped = [(c, min(own, dict(dense).get(c, own))) for c, own in grouped]
    few = [1, 48, 32, 32]
    dense_pixels, strided_pixels = (calibration.slope(few, stem(12, 12, 4, stride)) - 2 * least_step for stride in (1, 2))
    heads = 16  # of attention: many small products
    small = rate([heads, 8, 4], lambda net, x: net.op("MatMul", [x, net.weight((heads, 4, 4), 0)]), 2 * heads * 8 * 16, heads * 16)
    products = [(4, small)]
    products += [(w, rate([64, w], product(w), 2 * 64 * w * w, w * w)) for w in (8, 32, 64, 128, 256)]
    recurrences = [(h, rate([8, 1, h], recurrent(h), 2 * 8 * 8 * h * h, 8 * h * h)) for h in (16, 64)]
    peak = max(rate for _, rate in [*dense, *grouped, *products])

    def curve(points: list[tuple[int, float]]) -> list[dict]:
        return [{"channels": c, "efficiency": float(f"{min(r / peak, 1):.3g}")} for c, r in points]

    few_rows, width, models = 8, 256, 4
    apart = models * calibration.slope([few_rows, width], product(width))
    batched = calibration.slope([models, few_rows, width], batched_product(models, width))
    weights = 4 * models * width * width
    rows = 64
    skips = [calibration.slope(shape, sum_and_normalise) for shape in ([1, 1, rows, width], [1, rows, width])]
    image = [8, 64, 16, 16]
    size = 4 * float(np.prod(image))
    copies = calibration.slope(image, split_and_join) - 2 * least_step
    turned = calibration.difference(image, conv_and_sigmoid(64), conv_and_reshape(64, 16))
    views = calibration.difference([1, 8], two_sigmoids, two_sigmoids_and_views)
    return {
        "schema_version": 1,
        "name": options.name,
        "kind": "cpu",
        "sources": [
            f"tests/bench/calibrate_onnxruntime.py: ONNX Runtime {ort.__version__}, {processor()}, threads: {options.threads}.",
            "overlap, fuses_elementwise, joins_in_place, core_elements: set, as ONNX Runtime works; convolution_blocks: with AVX-512.",
        ],
        "flops": {"float32": float(f"{peak:.4g}")},
        "memory": [{k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in m.items()} for m in memory],
        "cores": options.threads,
        "core_elements": 500,
        "parallel_steps": 1,
        "dispatch_seconds": float(f"{dispatch:.3g}"),
        "view_seconds": float(f"{max(views / 2, 0.0):.3g}"),
        "copy_efficiency": float(f"{min(1.0, 2 * moving(2 * size) / max(copies, 1e-9)):.3g}"),
        "run_seconds": float(f"{max(short - SHORT * least_step, 1e-6):.3g}"),
        "overlap": 0,
        "fuses_elementwise": "convolution",
        "joins_in_place": False,
        # Convolutions block channels, so that a Reshape of their results costs a change of layout there and back.
        "channels_last": bool(turned > moving(2 * size)),
        "skip_normalization_seconds": float(f"{max(skips[1] - skips[0], 0.0) / (rows * width):.3g}"),
        "packs_group_weights": bool(batched - apart > moving(weights)),
        "convolution_blocks": {"inputs": BLOCK, "outputs": BLOCK},
        "strided_groups": float(f"{min(1.0, dense_pixels / 4 / max(strided_pixels, 1e-9)):.2g}"),
        "efficiency": {
            "matmul": curve(products),
            "convolution": curve(dense),
            "grouped_convolution": curve(grouped),
            "recurrent": curve(recurrences),
        },
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", default="cpu-onnxruntime", help="begins with cpu")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--seconds", type=float, default=0.3, help="for each pair of chains")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    text = json.dumps(measure(Calibration(options.threads, options.seconds), options), indent=2) + "\n"
    publish(text, options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
