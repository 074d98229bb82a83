"""A plain Python merge with deduplication: the suite's stand-in for mts, used to show that the oracle can fail.

It prefixes every name with the model's, stores equal initializers once, and stitches nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnx


def merge(models: Sequence[Path], share_inputs: Sequence[str] = ()) -> onnx.ModelProto:
    """Main graphs only (no subgraph captures, no local functions), equal opsets."""
    nodes, inputs, outputs, weights = [], {}, [], {}
    for path in models:
        model = onnx.load(path)
        rename = {"": ""}
        for tensor in model.graph.initializer:
            array = onnx.numpy_helper.to_array(tensor)
            key = (tensor.data_type, tuple(tensor.dims), array.tobytes())
            if key not in weights:
                weights[key] = onnx.numpy_helper.from_array(array, f"weight{len(weights)}")
            rename[tensor.name] = weights[key].name
        for value in model.graph.input:
            if value.name not in rename:
                rename[value.name] = value.name if value.name in share_inputs else f"{path.stem}/{value.name}"
                copy = onnx.ValueInfoProto()
                copy.CopyFrom(value)
                copy.name = rename[value.name]
                inputs.setdefault(copy.name, copy)
        for node in model.graph.node:
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            copy.name = f"{path.stem}/{len(nodes)}"
            del copy.input[:], copy.output[:]
            copy.input.extend(rename.setdefault(n, f"{path.stem}/{n}") for n in node.input)
            copy.output.extend(rename.setdefault(n, f"{path.stem}/{n}") for n in node.output)
            nodes.append(copy)
        for value in model.graph.output:
            copy = onnx.ValueInfoProto()
            copy.CopyFrom(value)
            copy.name = f"{path.stem}/{value.name}"
            outputs.append(copy)
        opsets, version = model.opset_import, model.ir_version
    graph = onnx.helper.make_graph(nodes, "merged", list(inputs.values()), outputs, list(weights.values()))
    return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=max(version, 4))
