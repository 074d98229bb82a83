"""The model sets of tests/bench/scale.py: residual convolution networks, trunk first, weights from a counter-based generator.

Equal sets on every machine. Residual blocks of channels x channels x 3 x 3 convolutions; the first ones (the trunk) are
equal in all models of a set, the others and the Gemm at the end are each model's own.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

CLASSES = 10


@dataclasses.dataclass(frozen=True)
class Set:
    """A set of models and how much they share."""

    models: int
    channels: int
    blocks: int
    trunk: int  # blocks that all models have in common
    external: bool = False  # weights in a file beside the model

    def scaled(self, models: float, bytes_: float) -> Set:
        """Fewer models, of fewer channels (weights go with their square): at least two, at least eight."""
        channels = max(8, 8 * round(self.channels * bytes_**0.5 / 8))
        return dataclasses.replace(self, models=max(2, round(self.models * models)), channels=channels)


SETS = {
    "64 x 100 MB": Set(models=64, channels=256, blocks=21, trunk=17),
    "1000 x 1 MB": Set(models=1000, channels=64, blocks=3, trunk=2),
    "2 x 3 GB, external": Set(models=2, channels=1024, blocks=40, trunk=28, external=True),
    "256 heads on one 20 MB trunk": Set(models=256, channels=256, blocks=4, trunk=4),
    "16 x 100 MB, nothing shared": Set(models=16, channels=256, blocks=21, trunk=0),
}


def content(shape: tuple[int, ...], owner: int, index: int) -> bytes:
    """Floats of either sign between 2^-7 and 2^-5: random bits under a fixed exponent, one key a weight."""
    count = int(np.prod(shape))
    bits = np.random.Philox(key=[owner, index]).random_raw((count + 1) // 2)
    bits &= np.uint64(0x80FFFFFF80FFFFFF)
    bits |= np.uint64(0x3C0000003C000000)
    return bits.view(np.float32)[:count].tobytes()


class SetWriter:
    """Writes the models of a set one by one; the trunk is drawn once."""

    def __init__(self, of: Set) -> None:
        self.of = of
        self.trunk: dict[int, bytes] = {}

    def write(self, path: Path, model: int) -> int:
        """Returns the bytes written, external data included."""
        of, c = self.of, self.of.channels
        nodes, tensors = [], []
        data = path.with_suffix(".onnx.data")
        stream = data.open("wb") if of.external else None

        def weight(shape: tuple[int, ...], shared: bool) -> str:
            index = len(tensors)
            if shared and index not in self.trunk:
                self.trunk[index] = content(shape, 0, index)
            raw = self.trunk[index] if shared else content(shape, model + 1, index)
            tensor = TensorProto(name=f"w{index}", data_type=TensorProto.FLOAT, dims=shape)
            if stream is None:
                tensor.raw_data = raw
            else:
                tensor.data_location = TensorProto.EXTERNAL
                for key, value in (("location", data.name), ("offset", stream.tell()), ("length", len(raw))):
                    tensor.external_data.add(key=key, value=str(value))
                stream.write(raw)
            tensors.append(tensor)
            return tensor.name

        def op(kind: str, inputs: list[str], output: str = "", **attributes) -> str:
            output = output or f"v{len(nodes)}"
            nodes.append(helper.make_node(kind, inputs, [output], name=f"/{kind}_{len(nodes)}", **attributes))
            return output

        def conv(x: str, shared: bool) -> str:
            return op("Conv", [x, weight((c, c, 3, 3), shared), weight((c,), shared)], pads=[1] * 4)

        x = "x"
        for block in range(of.blocks):
            shared = block < of.trunk
            y = op("Relu", [conv(x, shared)])
            x = op("Relu", [op("Add", [conv(y, shared), x])])
        x = op("Flatten", [op("GlobalAveragePool", [x])])
        op("Gemm", [x, weight((CLASSES, c), False), weight((CLASSES,), False)], "y", transB=1)
        graph = helper.make_graph(
            nodes, path.stem, [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", c, 16, 16])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", CLASSES])], tensors)  # fmt: skip
        proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        path.write_bytes(proto.SerializeToString())
        if stream is None:
            return path.stat().st_size
        stream.close()
        return path.stat().st_size + data.stat().st_size
