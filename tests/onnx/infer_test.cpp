// infer_types: types, contents of shape arithmetic, subgraphs, and what it does with operators that it does
// not know.
#include <mts/model_io.h>

#include <chrono>

#include <gtest/gtest.h>

namespace mts {
namespace {

struct Inferred {
  Model model;
  ShapeFacts facts;

  static ValueId find(const Graph& graph, const std::string& name) {
    for (size_t i = 0; i < graph.value_count(); ++i)
      if (graph.value(static_cast<ValueId>(i)).name == name) return static_cast<ValueId>(i);
    ADD_FAILURE() << "there is no value " << name;
    return ValueId{0};
  }
  std::string type(const std::string& name) const {
    return to_string(model.graph.value(find(model.graph, name)).type);
  }
  // "[N, 3, ?]", or "unknown".
  std::string content(const std::string& name) const {
    const size_t i = index(find(model.graph, name));
    if (!facts.known[i]) return "unknown";
    std::string text;
    for (const Dim& dim : facts.content[i])
      text += (text.empty() ? "[" : ", ") + (dim.is_known()      ? std::to_string(dim.value)
                                             : dim.is_symbolic() ? dim.symbol
                                                                 : "?");
    return text + "]";
  }
};

Inferred infer(const std::string& text,
               const char* header = R"(<ir_version: 8, opset_import: ["" : 17, "custom" : 1]>)") {
  auto model = parse_text(header + text);
  EXPECT_TRUE(model) << model.error().to_string();
  auto facts = infer_types(*model);
  EXPECT_TRUE(facts) << facts.error().to_string();
  EXPECT_TRUE(verify_ir(*model));
  return {std::move(*model), std::move(*facts)};
}

TEST(Infer, SymbolsPassThrough) {
  const auto m = infer(R"(g (float[N,3,H,W] x) => (float[?,?,?,?] y) <float[8,3,3,3] w> {
    w = ConstantOfShape<value = float[1] {0}>(s) s = Constant<value_ints = [8,3,3,3]>()
    c = Conv<pads = [1,1,1,1]>(x, w)
    r = Relu(c)
    y = GlobalAveragePool(r) })");
  EXPECT_EQ(m.type("w"), "float32[8,3,3,3]");
  EXPECT_EQ(m.type("r"), "float32[N,8,?,?]");  // ONNX has no expressions of symbols
  EXPECT_EQ(m.type("y"), "float32[N,8,1,1]");
}

TEST(Infer, ShapeArithmetic) {
  const auto m = infer(
      R"(g (float[N,S,64] x) => (float[] y) <int64 zero = {0}, int64 one = {1}> {
    shape = Shape(x)
    n = Gather<axis = 0>(shape, zero)
    s = Gather<axis = 0>(shape, one)
    axes = Constant<value_ints = [0]>()
    n1 = Unsqueeze(n, axes)
    s1 = Unsqueeze(s, axes)
    same = Identity(s1)
    rest = Constant<value = int64[2] {8, 8}>()
    target = Concat<axis = 0>(n1, same, rest)
    r = Reshape(x, target)
    y = Transpose<perm = [0,2,1,3]>(r) })");
  EXPECT_EQ(m.content("shape"), "[N, S, 64]");
  EXPECT_EQ(m.content("n"), "[N]");
  EXPECT_EQ(m.content("same"), "[S]");
  EXPECT_EQ(m.content("target"), "[N, S, 8, 8]");
  EXPECT_EQ(m.content("one"), "[1]");
  EXPECT_EQ(m.content("x"), "unknown");
  EXPECT_EQ(m.type("r"), "float32[N,S,8,8]");
  EXPECT_EQ(m.type("y"), "float32[N,8,S,8]");
}

TEST(Infer, DivisionAndReshapeOfShapes) {
  const auto m = infer(R"(g (float[N,12] x) => (float[] y) <int64[1] three = {3}, int64[1] flat = {-1}> {
    shape = Shape(x)
    c = Slice(shape, a, b)
    a = Constant<value_ints = [1]>()
    b = Constant<value_ints = [2]>()
    q = Div(c, three)
    q1 = Reshape(q, flat)
    n = Constant<value_ints = [0]>()
    t = Concat<axis = 0>(n, three, q1)
    y = Reshape(x, t) })");
  EXPECT_EQ(m.content("q1"), "[4]");
  EXPECT_EQ(m.type("y"), "float32[N,3,4]");
}

TEST(Infer, SliceWithUnknownBoundsIsUnknown) {
  // onnx.shape_inference takes the bound for 0 here.
  const auto m =
      infer(R"(g (float[4,N,64] x, int64[1] k) => (float[] y) <int64[1] last = {9223372036854775807}> {
    shape = Shape(x)
    part = Slice(shape, k, last)
    y = Reshape(x, part) })");
  EXPECT_EQ(m.content("part"), "unknown");
  EXPECT_EQ(m.type("y"), "float32[...]");
}

TEST(Infer, RowsAreNotElements) {
  const auto m = infer(R"(g (float[N,S] x) => (int64[] y) <int64[1] zero = {0}, int64 first = {0}> {
    shape = Shape(x)
    matrix = Unsqueeze(shape, zero)
    y = Gather<axis = 0>(matrix, first) })");
  EXPECT_EQ(m.content("matrix"), "unknown");
  EXPECT_EQ(m.content("y"), "unknown");
  EXPECT_EQ(m.type("y"), "int64[2]");
}

TEST(Infer, ExpandOfExporters) {
  // torch writes expand(x, shape) with -1 for "as it is".
  const auto m = infer(R"(g (float[N,S] x, float[1,5,32] t) => (float[] y)
    <int64 zero = {0}, int64[2] rest = {-1, -1}, int64[1] three = {3}, int64[1] minus = {-1}, int64[1] axes = {0}> {
    shape = Shape(x)
    n = Gather<axis = 0>(shape, zero)
    n1 = Unsqueeze(n, axes)
    wish = Concat<axis = 0>(n1, rest)
    ones = ConstantOfShape<value = int64[1] {1}>(three)
    negative = Mul(ones, minus)
    keep = Equal(wish, negative)
    target = Where(keep, ones, wish)
    y = Expand(t, target) })");
  EXPECT_EQ(m.content("wish"), "[N, ?, ?]");
  EXPECT_EQ(m.content("target"), "[N, 1, 1]");
  EXPECT_EQ(m.type("y"), "float32[N,5,32]");
}

TEST(Infer, SymbolsCancelInReshape) {
  const auto m = infer(R"(g (float[N,22,32] x, float[N,S,6] z) => (float[] y, float[] w)
    <int64 zero = {0}, int64[3] heads = {-1, 4, 8}, int64[4] keep = {0, -1, 2, 3}, int64[1] axes = {0}> {
    shape = Shape(x)
    n = Gather<axis = 0>(shape, zero)
    n1 = Unsqueeze(n, axes)
    target = Concat<axis = 0>(n1, heads)
    y = Reshape(x, target)
    w = Reshape(z, keep) })");
  EXPECT_EQ(m.type("y"), "float32[N,22,4,8]");
  EXPECT_EQ(m.type("w"), "float32[N,S,2,3]");
}

TEST(Infer, ProductsOfSymbolsAreUnknown) {
  const auto m = infer(
      R"(g (float[N,S,6] x) => (float[] y, float[] z) <int64[2] flat = {-1, 6}, int64[2] all = {-1, 5}> {
    y = Reshape(x, flat) z = Reshape(x, all) })");
  EXPECT_EQ(m.type("y"), "float32[?,6]");
  EXPECT_EQ(m.type("z"), "float32[?,5]");
}

TEST(Infer, RangesAndSlicesUpToASymbol) {
  const auto m = infer(R"(g (int64[N,S] ids, float[1,S,4] table) => (int64[] y, float[] z)
    <int64 zero = {0}, int64 one = {1}, int64[1] axes = {0}, int64[1] second = {1}> {
    shape = Shape(ids)
    s = Gather<axis = 0>(shape, one)
    y = Range(zero, s, one)
    s1 = Unsqueeze(s, axes)
    z = Slice(table, axes, s1, second) })");
  EXPECT_EQ(m.type("y"), "int64[S]");
  EXPECT_EQ(m.type("z"), "float32[1,S,4]");
}

TEST(Infer, ResizeToComputedSizes) {
  const auto m = infer(R"(g (float[N,8,H,W] x, float[N,4,7,9] z) => (float[] y) {
    a = Shape<end = 2>(x)
    b = Shape<start = 2>(z)
    sizes = Concat<axis = 0>(a, b)
    y = Resize(x, , , sizes) })");
  EXPECT_EQ(m.type("y"), "float32[N,8,7,9]");
}

TEST(Infer, InventedSymbolsAreUnknown) {
  const auto m = infer(R"(g (float[N] x) => (int64[A,B] y) { z = NonZero(x) y = Identity(z) })");
  EXPECT_EQ(m.type("z"), "int64[1,?]");
  EXPECT_EQ(m.type("y"), "int64[1,B]");
}

TEST(Infer, DeclaredOutputsStay) {
  const auto m = infer(R"(g (float[N,3] x) => (float[N,4] y) { y = Relu(x) })");
  EXPECT_EQ(m.type("y"), "float32[N,4]");
}

TEST(Infer, InferredGoesBeforeWhatTheFileSays) {
  const auto m = infer(
      R"(g (float[2,3] x) => (float[2,3] y) <float[2,7] t, int64[5] u> { t = Relu(x) u = Relu(t) y = Neg(u) })");
  EXPECT_EQ(m.type("t"), "float32[2,3]");
  EXPECT_EQ(m.type("u"), "float32[2,3]");
}

TEST(Infer, MorePreciseDeclarationsAreKept) {
  const auto m = infer(
      R"(g (float[N,3] x, int64[2] s) => (float[] y) <float[N,1,3] t> { t = custom.Op(x) y = Reshape(t, s) })");
  EXPECT_EQ(m.type("t"), "float32[N,1,3]");
  EXPECT_EQ(m.type("y"), "float32[?,?]");
}

TEST(Infer, UnknownOperatorsLeaveTheirOutputsOpen) {
  const auto m = infer(
      R"(g (float[N,3] x) => (float[] y) { a = custom.Unknown(x) b = Relu(a) c = Relu(x) d = Nonsense(x) y = Add(b, c) })");
  EXPECT_EQ(m.type("c"), "float32[N,3]");
  EXPECT_EQ(m.model.graph.value(Inferred::find(m.model.graph, "b")).type.kind, Type::Kind::kUnknown);
}

TEST(Infer, WrongNodesDoNotStopTheOthers) {
  const auto m = infer(R"(g (float[2,3] x, float[4,5] w) => (float[] y) {
    a = MatMul(x, w)  b = Concat(x, w)  c = Relu(x, x, x)  d = Transpose<perm = [7, 8]>(x)  y = Neg(x) })");
  EXPECT_EQ(m.type("y"), "float32[2,3]");
}

TEST(Infer, Subgraphs) {
  const auto m = infer(R"(g (bool c, float[N,4] x, int64 n) => (float[] y, float[] z, float[] all) {
    t = Relu(x)
    y = If(c) <then_branch = a () => (float[] p) { u = Neg(t) p = Abs(u) }, else_branch = b () => (float[] q) { q = Identity(x) }>
    z, all = Loop(n, c, x) <body = l (int64 i, bool k, float[] v) => (bool k2, float[] v2, float[] s) {
      k2 = Identity(k)  v2 = Add(v, t)  s = ReduceSum<keepdims = 0>(t) }> })");
  EXPECT_EQ(m.type("y"), "float32[N,4]");
  EXPECT_EQ(m.type("all"), "float32[?]");
  const Graph& graph = m.model.graph;
  for (const NodeId id : graph.order())
    if (graph.node(id).op_type == "If") {
      const Graph& branch = *graph.node(id).subgraphs()[0];
      EXPECT_EQ(to_string(branch.value(Inferred::find(branch, "u")).type), "float32[N,4]");
    }
}

TEST(Infer, SubgraphsOfUnknownOperators) {
  const auto m = infer(R"(g (float[N,4] x) => (float[] y) {
    y = custom.Call(x) <body = a (float[N,2] v) => (float[] p) { u = Neg(v) p = Add(u, x) }> })");
  const Graph& graph = m.model.graph;
  const Graph& body = *graph.node(graph.order()[0]).subgraphs()[0];
  EXPECT_EQ(to_string(body.value(Inferred::find(body, "u")).type), "float32[N,2]");
}

TEST(Infer, LoopOverAnUnknownValue) {
  const auto m = infer(R"(g (bool c, float[N,4] x, int64 n) => (float[] z) {
    u = custom.Unknown(x)
    z = Loop(n, c, u) <body = l (int64 i, bool k, float[] v) => (bool k2, float[] v2) { k2 = Identity(k)  v2 = Add(v, x) }> })");
  EXPECT_EQ(m.type("z"), "float32[...]");
}

TEST(Infer, FunctionsOfTheStandard) {
  const auto m = infer(
      R"(g (float[N,4] x, float[N,4] t) => (float[] y) { m = MeanVarianceNormalization<axes = [0]>(x) y = HardSwish(m) })");
  EXPECT_EQ(m.type("y"), "float32[N,4]");
}

TEST(Infer, LargeShapeInputsAreNotRead) {
  // A weight over 1 KB as an operand that inference would like to look into.
  auto model = parse_text(
      R"(<ir_version: 8, opset_import: ["" : 17]> g (float[N] x) => (float[] y, float[] z) <int64[1] s = {1}> {
    y = Expand(x, s) z = Relu(x) })");
  ASSERT_TRUE(model);
  const ValueId s = Inferred::find(model->graph, "s");
  model->graph.value(s).weight =
      Weight::from_bytes(DType::kInt64, {1000}, own_bytes(std::string(8000, '\1')));
  model->graph.value(s).type = Type::tensor(DType::kInt64, {Dim::known(1000)});
  auto facts = infer_types(*model);
  ASSERT_TRUE(facts) << facts.error().to_string();
  EXPECT_EQ(to_string(model->graph.value(Inferred::find(model->graph, "z")).type), "float32[N]");
}

TEST(Infer, SecondRunChangesNothing) {
  auto m = infer(R"(g (float[N,S,64] x) => (float[] y) { a = Shape(x) b = Reshape(x, a) y = Softmax(b) })");
  const std::string before = *print_text(m.model);
  ASSERT_TRUE(infer_types(m.model));
  EXPECT_EQ(*print_text(m.model), before);
}

TEST(Infer, ThreeThousandNodesInHalfASecond) {
  auto model = parse_text(
      R"(<ir_version: 8, opset_import: ["" : 17]> g (float[N,8,16,16] x) => (float[] y) { y = Relu(x) })");
  ASSERT_TRUE(model);
  Graph& graph = model->graph;
  ValueId last = graph.inputs()[0];
  const auto add = [&](const char* type, std::vector<ValueId> inputs) {
    Node node;
    node.op_type = type;
    node.inputs = std::move(inputs);
    node.outputs = {graph.add_value("", {})};
    if (node.op_type == "Conv") node.set("pads", std::vector<int64_t>{1, 1, 1, 1});
    last = node.outputs[0];
    graph.add_node(std::move(node));
  };
  for (int i = 0; i < 1000; ++i) {
    const ValueId w = graph.add_constant(
        "", Weight::from_bytes(DType::kFloat32, {8, 8, 3, 3}, own_bytes(std::string(2304, 'w'))));
    const ValueId before = last;
    add("Conv", {last, w});
    add("Relu", {last});
    add("Add", {last, before});
  }
  graph.set_output(0, last);
  const auto start = std::chrono::steady_clock::now();
  ASSERT_TRUE(infer_types(*model));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  EXPECT_EQ(to_string(graph.value(last).type), "float32[N,8,16,16]");
  RecordProperty("milliseconds", static_cast<int>(took.count() * 1000));
#ifdef NDEBUG
  EXPECT_LT(took.count(), 0.5);
#else
  EXPECT_LT(took.count(), 5.0);  // sanitizers, busy machines
#endif
}

}  // namespace
}  // namespace mts
