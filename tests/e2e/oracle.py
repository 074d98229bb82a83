"""Runs models in ONNX Runtime and says whether a fused model computes what its originals compute.

In: original files, a fused file, how inputs are drawn. Out: a list of differences; empty when the fused file keeps the
contract's numbers and names. Nothing here calls mts or shares code with it.
"""

from __future__ import annotations

import dataclasses
import itertools
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto

ort.set_default_logger_severity(3)

TOLERANCES = {"float64": 1e-4, "float32": 1e-4, "float16": 5e-3, "bfloat16": 2e-2}
QUANTISED_TOLERANCE = 2e-2
QUANTISED_OPERATORS = {
    "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "MatMulInteger", "ConvInteger", "QLinearConv", "QLinearMatMul",
}  # fmt: skip


@dataclasses.dataclass
class Family:
    """Models that are stitched together, and how to feed them. `share_inputs` holds plain input names only."""

    name: str
    models: list[Path]
    share_inputs: list[str] = dataclasses.field(default_factory=list)
    dims: dict[str, list[int]] = dataclasses.field(default_factory=dict)
    ranges: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    notes: str = ""

    @classmethod
    def from_json(cls, entry: Mapping, root: Path) -> Family:
        return cls(**{**entry, "models": [root / m for m in entry["models"]]})

    def bindings(self) -> list[dict[str, int]]:
        """Values of all symbols at once; the first symbol (the batch) also takes the number of models."""
        dims = {k: list(v) for k, v in self.dims.items()}
        if dims:
            batch = next(iter(dims.values()))
            if len(self.models) not in batch:
                batch.append(len(self.models))
        count = max((len(v) for v in dims.values()), default=1)
        return [{k: v[i % len(v)] for k, v in dims.items()} for i in range(count)]


# ---- running -----------------------------------------------------------------------------------------------------


def session(path: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _dimension(dim: int | str | None, binding: Mapping[str, int]) -> int:
    if isinstance(dim, int) and dim > 0:
        return dim
    if isinstance(dim, str) and dim in binding:
        return binding[dim]
    return next(iter(binding.values()), 2)  # a dimension without a name goes with the batch


def draw(
    node: ort.NodeArg,
    binding: Mapping[str, int],
    ranges: Mapping[str, Sequence[float]],
    random: np.random.Generator,
) -> np.ndarray:
    """A random value of an input's declared type and shape; integers within `ranges` (low inclusive, high exclusive)."""
    if not node.type.startswith("tensor("):
        raise ValueError(f"{node.name}: no random value of type {node.type}")
    shape = [_dimension(d, binding) for d in node.shape]
    kind = node.type[len("tensor(") : -1]
    if kind in ("float", "double", "float16"):
        low, high = ranges.get(node.name, (None, None))
        values = random.standard_normal(shape) if low is None else random.uniform(low, high, shape)
        return values.astype({"float": np.float32, "double": np.float64, "float16": np.float16}[kind])
    if kind == "bool":
        return random.random(shape) < 0.5
    if kind == "string":
        return random.choice(np.array(["monday", "Tuesday", "ünbekannt", ""], dtype=object), shape)
    low, high = ranges.get(node.name, (0, 2))
    return random.integers(int(low), int(high), shape).astype(kind)


def inputs_of(
    family: Family, binding: Mapping[str, int], sessions: Mapping[str, ort.InferenceSession]
) -> dict[str, dict[str, np.ndarray]]:
    """Random inputs for each model; those of a shared input are one array."""
    random = np.random.default_rng(zlib.crc32(f"{family.name}{sorted(binding.items())}".encode()))
    shared: dict[str, np.ndarray] = {}
    feeds: dict[str, dict[str, np.ndarray]] = {}
    for model, runner in sessions.items():
        feeds[model] = {}
        for node in runner.get_inputs():
            value = shared.get(node.name) if node.name in family.share_inputs else None
            if value is None:
                value = draw(node, binding, family.ranges, random)
                shared[node.name] = value
            feeds[model][node.name] = value
    return feeds


def fused_name(model: str, value: str, shared: Sequence[str] = ()) -> str:
    return value if value in shared else f"{model}/{value}"


class Reference:
    """The originals' outputs for every binding, computed once however many fused files are compared."""

    def __init__(self, family: Family):
        self.family = family
        self.sessions = {path.stem: session(path) for path in family.models}
        self.quantised = {path.stem: is_quantised(path) for path in family.models}
        self.runs: list[tuple[dict, dict, dict]] = []
        for binding in family.bindings():
            feeds = inputs_of(family, binding, self.sessions)
            outputs = {
                model: dict(
                    zip([o.name for o in runner.get_outputs()], runner.run(None, feeds[model]), strict=True)
                )
                for model, runner in self.sessions.items()
            }
            self.runs.append((binding, feeds, outputs))

    def input_names(self) -> set[str]:
        return {
            fused_name(m, i.name, self.family.share_inputs)
            for m, s in self.sessions.items()
            for i in s.get_inputs()
        }

    def output_names(self) -> set[str]:
        return {fused_name(m, o.name) for m, s in self.sessions.items() for o in s.get_outputs()}

    def differences(self, fused: Path) -> list[str]:
        """What is wrong with the names and the numbers of `fused`; empty when nothing is."""
        runner = session(fused)
        have_inputs, have_outputs = (
            {i.name for i in runner.get_inputs()},
            {o.name for o in runner.get_outputs()},
        )
        wrong = [f"input {n}: missing" for n in sorted(self.input_names() - have_inputs)]
        wrong += [f"input {n}: unexpected" for n in sorted(have_inputs - self.input_names())]
        wrong += [f"output {n}: missing" for n in sorted(self.output_names() - have_outputs)]
        wrong += [f"output {n}: unexpected" for n in sorted(have_outputs - self.output_names())]
        if wrong:
            return wrong
        for binding, feeds, references in self.runs:
            feed = {
                fused_name(m, n, self.family.share_inputs): v
                for m, values in feeds.items()
                for n, v in values.items()
            }
            names = [o.name for o in runner.get_outputs()]
            try:
                got = dict(zip(names, runner.run(None, feed), strict=True))
            except Exception as error:  # noqa: BLE001  ONNX Runtime raises its own hierarchy; any of it is a finding
                wrong.append(f"{binding}: does not run: {str(error)[:400]}")
                continue
            for model, outputs in references.items():
                for name, reference in outputs.items():
                    problem = difference(reference, got[fused_name(model, name)], self.quantised[model])
                    if problem:
                        wrong.append(f"{binding} output {fused_name(model, name)}: {problem}")
        return wrong


# ---- comparing ---------------------------------------------------------------------------------------------------


def is_quantised(path: Path) -> bool:
    model = onnx.load(path, load_external_data=False)
    return any(node.op_type in QUANTISED_OPERATORS for node in all_nodes(model))


def difference(reference, got, quantised: bool = False) -> str:
    """Why `got` does not stand for `reference` by the contract's tolerances; empty when it does."""
    if isinstance(reference, dict):
        if not isinstance(got, dict) or list(reference) != list(got):
            return "other keys"
        return next(
            (
                p
                for k in reference
                if (p := difference(np.asarray(reference[k]), np.asarray(got[k]), quantised))
            ),
            "",
        )
    if isinstance(reference, (list, tuple)):
        if not isinstance(got, (list, tuple)) or len(reference) != len(got):
            return "another length of the sequence"
        return next(
            (p for r, g in zip(reference, got, strict=True) if (p := difference(r, g, quantised))), ""
        )
    if reference is None or got is None:
        return "" if reference is got else "only one of the two is absent"
    reference, got = np.asarray(reference), np.asarray(got)
    if reference.dtype != got.dtype:
        return f"type {got.dtype} instead of {reference.dtype}"
    if reference.shape != got.shape:
        return f"shape {got.shape} instead of {reference.shape}"
    if reference.dtype.name not in TOLERANCES:
        unequal = int((reference != got).sum())
        return f"{unequal} of {reference.size} values differ" if unequal else ""
    limit = max(TOLERANCES[reference.dtype.name], QUANTISED_TOLERANCE if quantised else 0)
    reference, got = reference.astype(np.float64), got.astype(np.float64)
    for what, test in (("NaN", np.isnan), ("+inf", np.isposinf), ("-inf", np.isneginf)):
        if (test(reference) != test(got)).any():
            return f"{what} at other places"
    finite = np.isfinite(reference)
    if not finite.any():
        return ""
    scale = np.abs(reference[finite]).max()
    error = np.abs(reference[finite] - got[finite]).max() / (scale if scale > 0 else 1.0)
    return f"error {error:.2e} of the largest magnitude, {limit:.0e} allowed" if error > limit else ""


# ---- structure ---------------------------------------------------------------------------------------------------


def all_graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for child in ([attribute.g] if attribute.HasField("g") else []) + list(attribute.graphs):
                yield from all_graphs(child)


def all_nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """Every node of the main graph, of subgraphs and of local functions."""
    yield from itertools.chain.from_iterable(g.node for g in all_graphs(model.graph))
    for function in model.functions:
        for node in function.node:
            yield node
            for attribute in node.attribute:
                if attribute.HasField("g"):
                    yield from itertools.chain.from_iterable(g.node for g in all_graphs(attribute.g))


def domains(model: onnx.ModelProto) -> set[str]:
    """Domains of the nodes that are really there; the domains of local functions do not count."""
    own = {f.domain for f in model.functions}
    return {"" if n.domain == "ai.onnx" else n.domain for n in all_nodes(model)} - own


def count(model: onnx.ModelProto, operator: str) -> int:
    return sum(node.op_type == operator for node in all_nodes(model))


# ---- weights -----------------------------------------------------------------------------------------------------

SHAPES = {TensorProto.INT64, TensorProto.BOOL, TensorProto.STRING}
GENERATED_LIMIT = 1024


@dataclasses.dataclass(frozen=True)
class Stored:
    """One stored tensor: its content, and whether a rewriter may have made it up (small, all elements equal)."""

    name: str
    dtype: int
    data: bytes
    fill: bool

    @property
    def content(self) -> tuple[int, bytes]:
        return self.dtype, self.data


def stored_weights(model: onnx.ModelProto) -> list[Stored]:
    """Float and quantised tensors as they lie in the file: initializers and Constant nodes, subgraphs and functions."""
    tensors = [t for graph in all_graphs(model.graph) for t in graph.initializer]
    for node in all_nodes(model):
        if node.op_type == "Constant" and node.domain in ("", "ai.onnx"):
            tensors += [a.t for a in node.attribute if a.name == "value"]
    result = []
    for tensor in tensors:
        if tensor.data_type in SHAPES:
            continue
        array = onnx.numpy_helper.to_array(tensor)
        fill = (
            array.nbytes <= GENERATED_LIMIT and len(set(array.reshape(-1).astype(np.float64).tolist())) <= 1
        )
        result.append(Stored(tensor.name, tensor.data_type, array.tobytes(), fill))
    return result


def unique_bytes(models: Sequence[onnx.ModelProto]) -> int:
    return sum(len(data) for _, data in {w.content for m in models for w in stored_weights(m)})


LARGEST_GENERATED = 1024  # bytes of a generated constant


def duplicated(originals: Sequence[onnx.ModelProto], fused: onnx.ModelProto) -> list[str]:
    """Breaches of "no shared weight twice": one content stored twice, or more bytes than the originals' unique content.

    Small tensors that repeat one value count as generated (zero biases, ones, scalars) and are exempt. So is new content of
    at most 1 KB: the contract lets constants be folded up to that size (attention masks, rotary frequencies).
    """
    weights = [w for w in stored_weights(fused) if not w.fill]
    problems, seen = [], {}
    for weight in weights:
        if weight.content in seen:
            problems.append(
                f"{weight.name} ({len(weight.data)} bytes) is stored again as {seen[weight.content]}"
            )
        seen.setdefault(weight.content, weight.name)
    known = {w.content for model in originals for w in stored_weights(model)}
    kept = [w for w in weights if w.content in known or len(w.data) > LARGEST_GENERATED]
    total, allowed = sum(len(w.data) for w in kept), unique_bytes(originals)
    if total > allowed:
        problems.append(f"{total} weight bytes stored, {allowed} unique in the originals")
    return problems
