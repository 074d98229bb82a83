// Textual models through print_text, to_bytes, save_model and back.
#include "tests/onnx/compare.h"

#include <mts/model_io.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>

namespace mts {
namespace {

using testing::HasSubstr;

Model parse(const std::string& text) {
  auto model = parse_text(text);
  EXPECT_TRUE(model) << model.error().to_string();
  if (!model) return {};
  EXPECT_TRUE(verify_ir(*model)) << verify_ir(*model).error().to_string();
  return std::move(*model);
}

Model reread(const Model& model) {
  auto bytes = to_bytes(model);
  EXPECT_TRUE(bytes) << bytes.error().to_string();
  auto again = from_bytes(*bytes, model.name);
  if (!again) {
    ADD_FAILURE() << again.error().to_string();
    return {};
  }
  return std::move(*again);
}

ValueId find(const Graph& graph, const std::string& name) {
  for (size_t i = 0; i < graph.value_count(); ++i)
    if (graph.value(static_cast<ValueId>(i)).name == name) return static_cast<ValueId>(i);
  return kNoValue;
}

const Node& only_node(const Graph& graph, const std::string& type) {
  for (const NodeId id : graph.order())
    if (graph.node(id).op_type == type) return graph.node(id);
  ADD_FAILURE() << "there is no " << type;
  return graph.node(graph.order().front());
}

constexpr const char* kHeader = R"(<ir_version: 8, opset_import: ["" : 17, "custom" : 1]>)";

struct TextCase {
  const char* name;
  std::string text;
};
void PrintTo(const TextCase& c, std::ostream* out) { *out << c.name; }

class RoundTrip : public testing::TestWithParam<TextCase> {};

TEST_P(RoundTrip, WriteOfReadIsTheSame) {
  const Model model = parse(GetParam().text);
  EXPECT_EQ(test::difference(model, reread(model)), "");
  auto printed = print_text(model);
  ASSERT_TRUE(printed) << printed.error().to_string();
  EXPECT_EQ(test::difference(model, parse(*printed)), "") << *printed;
  const std::string path = testing::TempDir() + "text_case.onnx";
  ASSERT_TRUE(save_model(model, path));
  auto loaded = load_model(path, model.name);
  ASSERT_TRUE(loaded) << loaded.error().to_string();
  EXPECT_EQ(test::difference(model, *loaded), "");
  if (GetParam().text.find("custom") == std::string::npos) {
    auto checked = check_file(path);
    EXPECT_TRUE(checked) << checked.error().to_string();
  }
  Model typed = reread(model);
  auto inferred = infer_types(typed);
  EXPECT_TRUE(inferred) << inferred.error().to_string();
  EXPECT_TRUE(verify_ir(typed));
  EXPECT_EQ(test::difference(typed, reread(typed)), "");
}

INSTANTIATE_TEST_SUITE_P(
    Text, RoundTrip,
    testing::Values(
        TextCase{"plain", std::string(kHeader) + R"(g (float[N,3] x) => (float[N,3] y) { y = Relu(x) })"},
        TextCase{"odd_names", std::string(kHeader) +
                                  R"(g (float[N,3] "a/b::c.0 d") => (float[N,3] "größe é") {
            "t/0" = Relu("a/b::c.0 d")
            "größe é" = Sigmoid("t/0") })"},
        TextCase{"initializers", std::string(kHeader) + R"(g (float[N,2] x) => (float[N,2] y)
            <float[2,2] w = {1.5, -2, 3e-8, 4}, int64[1] s = {-1}, bool[2] b = {1, 0}, double[1] d = {0.1},
             int8[3] i = {-1, 127, -128}, uint8[2] u = {0, 255}, uint64[1] big = {18446744073709551615},
             float16[2] h = {15360, 65535}, bfloat16[1] bf = {16256}, string[2] text = {"a", "ü"}, int32[0] none = {}> {
            m = MatMul(x, w)
            y = custom.Use(m, s, b, d, i, u, big, h, bf, text, none) })"},
        TextCase{"optional_operands", std::string(kHeader) + R"(g (float[N,4] x, float m) => (float[N,4] y) {
            c = Clip(x, , m)
            y, mask = Dropout(c) })"},
        TextCase{"skipped_output",
                 std::string(kHeader) +
                     R"(g (float[S,B,4] x, float[1,12,4] w, float[1,12,4] r) => (float[1,B,4] h) {
            "", h = GRU<hidden_size = 4>(x, w, r) })"},
        TextCase{"all_attributes", std::string(kHeader) + R"(g (float[N] x) => (float[N] y) {
            y = custom.Op<i = 1, f = 2.5, s = "text \"quoted\"", ints = [1, 2], floats = [0.5, 1e30], strings = ["a", ""],
                          t = int64[2] {7, 8}, none: ints = []>(x) })"},
        TextCase{"input_is_output",
                 std::string(kHeader) + R"(g (float[N] x) => (float[N] x, float[N] y) { y = Relu(x) })"},
        TextCase{"output_twice",
                 std::string(kHeader) + R"(g (float[N] x) => (float[N] y, float[N] y) { y = custom.Op(x) })"},
        TextCase{"initializer_is_output",
                 std::string(kHeader) +
                     R"(g (float[2] x) => (float[2] w, float[2] y) <float[2] w = {1, 2}> { y = Add(x, w) })"},
        TextCase{"value_info", std::string(kHeader) + R"(g (float[N,3] x) => (float[N,3] y) <float[N,3] t> {
            t = Relu(x) y = Relu(t) })"},
        TextCase{"scalars_and_unknown",
                 std::string(kHeader) + R"(g (float x, float[] y, float[?,2] z) => (float[] o) {
            t = Add(x, y) o = Add(t, z) })"},
        TextCase{"sequence", std::string(kHeader) +
                                 R"(g (seq(float[N]) s, int64 i) => (float[M] o) { o = SequenceAt(s, i) })"},
        TextCase{
            "map_and_optional",
            std::string(R"(<ir_version: 8, opset_import: ["" : 17, "custom" : 1]>)") +
                R"(g (map(int64, float[N]) m, optional(seq(float[2])) o) => (float[N] y) { y = custom.Pick(m, o) })"},
        TextCase{"metadata",
                 R"(<ir_version: 10, opset_import: ["" : 21, "ai.onnx.ml" : 3], producer_name: "p",
            producer_version: "1", domain: "d", model_version: 7, doc_string: "doc",
            metadata_props: ["k1": "v1", "k2": "{\"a\": 1}"]> g (float[N] x) => (float[N] y) { y = Relu(x) })"},
        TextCase{"if", std::string(kHeader) + R"(g (bool c, float[N] x) => (float[N] y) <float[1] w = {2}> {
            t = Relu(x)
            y = If(c) <then_branch = t1 () => (float[N] a) { a = Mul(t, w) },
                       else_branch = t2 () => (float[N] b) { u = Add(t, t)  b = Identity(u) }> })"},
        TextCase{"nested_if", std::string(kHeader) + R"(g (bool c, bool d, float[N] x) => (float[N] y) {
            y = If(c) <then_branch = t1 () => (float[N] a) {
                         a = If(d) <then_branch = t3 () => (float[N] p) { p = Relu(x) },
                                    else_branch = t4 () => (float[N] q) { q = Neg(x) }> },
                       else_branch = t2 () => (float[N] b) { b = Identity(x) }> })"},
        TextCase{"loop",
                 std::string(kHeader) + R"(g (int64 n, bool c, float[N] x) => (float[N] y, float[K,N] all) {
            y, all = Loop(n, c, x) <body = b (int64 i, bool k, float[N] v) => (bool k2, float[N] v2, float[N] s)
              <float[1] one = {1}> { k2 = Identity(k)  v2 = Add(v, one)  s = Mul(v2, x) }> })"},
        TextCase{"same_names_in_branches", std::string(kHeader) + R"(g (bool c, float[N] x) => (float[N] y) {
            y = If(c) <then_branch = t1 () => (float[N] a) { t = Relu(x) a = Neg(t) },
                       else_branch = t2 () => (float[N] a) { t = Neg(x) a = Relu(t) }> })"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(Text, FunctionsAreInlined) {
  const Model model = parse(R"(<ir_version: 8, opset_import: ["" : 17, "local" : 1]>
    g (float[N] x, bool c) => (float[N] y, float[N] z) {
      y = local.twice<k = 3.0>(x)
      z = If(c) <then_branch = t () => (float[N] a) { a = local.twice(x) }, else_branch = e () => (float[N] b) { b = local.plain(x) }>
    }
    <domain: "local", opset_import: ["" : 17, "local" : 1]>
    twice <k: float = 2.0> (a) => (b) { c = Constant<value_float: float = @k>() d = local.plain(a) b = Mul(c, d) }
    <domain: "local", opset_import: ["" : 17]>
    plain (a) => (b) { t = Relu(a) b = Neg(t) })");
  EXPECT_EQ(model.opsets, (std::map<std::string, int64_t>{{"", 17}}));
  ASSERT_EQ(model.graph.order().size(), 5U);
  EXPECT_EQ(only_node(model.graph, "Constant").float_or("value_float", 0), 3.0F);
  const auto branches = only_node(model.graph, "If").subgraphs();
  ASSERT_EQ(branches.size(), 2U);
  EXPECT_EQ(only_node(*branches[0], "Constant").float_or("value_float", 0), 2.0F);
  EXPECT_EQ(branches[1]->order().size(), 2U);
  EXPECT_EQ(test::difference(model, reread(model)), "");
}

TEST(Text, OverloadsAreInlined) {
  const Model model = parse(R"(<ir_version: 10, opset_import: ["" : 21, "local" : 1]>
    g (float[N] x) => (float[N] y) { t = local.f:a(x) y = local.f:b(t) }
    <domain: "local", overload: "a", opset_import: ["" : 21]> f (a) => (b) { b = Relu(a) }
    <domain: "local", overload: "b", opset_import: ["" : 21]> f (a) => (b) { b = Neg(a) })");
  ASSERT_EQ(model.graph.order().size(), 2U);
  EXPECT_EQ(model.graph.node(model.graph.order()[0]).op_type, "Relu");
  EXPECT_EQ(model.graph.node(model.graph.order()[1]).op_type, "Neg");
}

TEST(Text, FunctionOfAnOlderOpsetIsConverted) {
  // ReduceSum takes its axes as an input since opset 13.
  const Model model = parse(R"(<ir_version: 8, opset_import: ["" : 17, "local" : 1]>
    g (float[2,3] x) => (float[2] y) { y = local.f(x) }
    <domain: "local", opset_import: ["" : 11]> f (a) => (b) { b = ReduceSum<axes = [1], keepdims = 0>(a) })");
  const Node& sum = only_node(model.graph, "ReduceSum");
  ASSERT_EQ(sum.inputs.size(), 2U);
  EXPECT_EQ(sum.find("axes"), nullptr);
}

TEST(Text, CapturesAreExplicit) {
  const Model model = parse(std::string(kHeader) + R"(g (bool c, bool d, float[N] x) => (float[N] y) {
            t = Relu(x)
            y = If(c) <then_branch = t1 () => (float[N] a) {
                         a = If(d) <then_branch = t3 () => (float[N] p) { p = Add(t, x) },
                                    else_branch = t4 () => (float[N] q) { q = Neg(t) }> },
                       else_branch = t2 () => (float[N] b) { b = Identity(x) }> })");
  const Graph& graph = model.graph;
  const auto outer = only_node(graph, "If").subgraphs();
  ASSERT_EQ(outer[0]->captures().size(), 3U);  // t and x through the intermediate graph, and d
  ASSERT_EQ(outer[1]->captures().size(), 1U);
  EXPECT_EQ(outer[1]->captures()[0].outer, find(graph, "x"));
  const auto inner = only_node(*outer[0], "If").subgraphs();
  EXPECT_EQ(inner[0]->captures().size(), 2U);
  ASSERT_EQ(inner[1]->captures().size(), 1U);
  EXPECT_EQ(inner[1]->captures()[0].outer, find(*outer[0], "t"));
}

TEST(Text, ShadowedNamesMeanTheInnerValue) {
  // The branch reads the outer t, and then makes a t of its own.
  const Model model = parse(std::string(kHeader) + R"(g (bool c, float[N] x) => (float[N] y) {
            t = Relu(x)
            y = If(c) <then_branch = t1 () => (float[N] a) { u = Neg(t)  t = Sigmoid(u)  a = Tanh(t) },
                       else_branch = t2 () => (float[N] b) { b = Identity(t) }> })");
  const Graph& branch = *only_node(model.graph, "If").subgraphs()[0];
  ASSERT_EQ(branch.captures().size(), 1U);
  EXPECT_EQ(only_node(branch, "Neg").inputs[0], branch.captures()[0].inner);
  EXPECT_EQ(only_node(branch, "Tanh").inputs[0], only_node(branch, "Sigmoid").outputs[0]);
  // Written, no name of an outer graph is used again.
  const Model again = reread(model);
  const Graph& written = *only_node(again.graph, "If").subgraphs()[0];
  EXPECT_NE(written.value(only_node(written, "Sigmoid").outputs[0]).name, "t");
  EXPECT_EQ(only_node(written, "Neg").inputs[0], written.captures()[0].inner);
}

TEST(Text, UnsortedGraphsAreSorted) {
  const Model model =
      parse(std::string(kHeader) + R"(g (float[N] x) => (float[N] y) { y = Neg(t)  t = Relu(x) })");
  EXPECT_EQ(model.graph.node(model.graph.order()[0]).op_type, "Relu");
}

TEST(Text, InitializersThatAreInputsBecomeConstants) {
  onnx::ModelProto proto;
  const Model source = parse(std::string(kHeader) +
                             R"(g (float[2] x) => (float[2] y) <float[2] w = {1, 2}> { y = Add(x, w) })");
  ASSERT_TRUE(proto.ParseFromString(*to_bytes(source)));
  auto& input = *proto.mutable_graph()->add_input();
  input = proto.graph().input(0);
  input.set_name("w");
  auto model = from_bytes(proto.SerializeAsString());
  ASSERT_TRUE(model) << model.error().to_string();
  EXPECT_EQ(test::difference(source, *model), "");
  EXPECT_EQ(model->graph.inputs().size(), 1U);
}

TEST(Text, LargeContentIsLeftOutOfTheText) {
  Model model = parse(std::string(kHeader) +
                      R"(g (float[N,256] x) => (float[N,256] y) <float[1] w = {1}> { y = Mul(x, w) })");
  model.graph.value(find(model.graph, "w")).weight =
      Weight::from_bytes(DType::kFloat32, {256, 256}, own_bytes(std::string(256 * 256 * 4, 'a')));
  auto printed = print_text(model);
  ASSERT_TRUE(printed);
  EXPECT_THAT(*printed, HasSubstr("left out"));
  EXPECT_LT(printed->size(), 2000U);
  auto parsed = parse_text(*printed);
  ASSERT_FALSE(parsed);
  EXPECT_THAT(parsed.error().to_string(), HasSubstr("(left out)"));
}

// What the message says that the textual form cannot.
TEST(Bytes, UnknownThingsSurvive) {
  onnx::ModelProto proto;
  ASSERT_TRUE(proto.ParseFromString(*to_bytes(parse(R"(<ir_version: 10, opset_import: ["" : 21]>
      g (float[2] x) => (float[2] y) <float[2] w = {1, 2}> { [n] t = Add(x, w)  y = Relu(t) })"))));
  auto& graph = *proto.mutable_graph();
  auto& node = *graph.mutable_node(0);
  node.mutable_unknown_fields()->AddVarint(1000, 5);
  node.add_device_configurations()->set_configuration_id("conf");
  node.set_doc_string("node doc");
  auto& entry = *node.add_metadata_props();
  entry.set_key("stack");
  entry.set_value("trace");
  graph.mutable_unknown_fields()->AddLengthDelimited(1001, "graph");
  graph.add_quantization_annotation()->set_tensor_name("w");
  graph.set_doc_string("graph doc");
  *graph.add_metadata_props() = entry;
  graph.mutable_initializer(0)->set_doc_string("weight doc");
  *graph.mutable_initializer(0)->add_metadata_props() = entry;
  graph.mutable_input(0)->set_doc_string("input doc");
  *graph.mutable_input(0)->add_metadata_props() = entry;
  auto& info = *graph.add_value_info();
  info.set_name("t");
  info.set_doc_string("value doc");
  proto.mutable_unknown_fields()->AddVarint(1002, 7);
  proto.add_configuration()->set_name("conf");
  proto.add_training_info()->mutable_algorithm()->set_name("training");
  auto& sparse = *node.add_attribute();
  sparse.set_name("sparse");
  sparse.set_type(onnx::AttributeProto::SPARSE_TENSOR);
  sparse.mutable_sparse_tensor()->add_dims(9);
  auto& type = *node.add_attribute();
  type.set_name("type");
  type.set_type(onnx::AttributeProto::TYPE_PROTO);
  type.mutable_tp()->mutable_tensor_type()->set_elem_type(1);
  node.set_domain("custom");
  auto& import = *proto.add_opset_import();
  import.set_domain("custom");
  import.set_version(1);
  auto model = from_bytes(proto.SerializeAsString());
  ASSERT_TRUE(model) << model.error().to_string();
  EXPECT_EQ(test::proto_difference(proto.SerializeAsString(), *to_bytes(*model)), "");
  EXPECT_EQ(test::difference(*model, reread(*model)), "");
}

TEST(Bytes, SparseInitializersBecomeConstantNodes) {
  onnx::ModelProto proto;
  ASSERT_TRUE(proto.ParseFromString(
      *to_bytes(parse(std::string(kHeader) +
                      R"(g (float[4] x) => (float[4] y) <float[4] w = {0, 0, 5, 0}> { y = Add(x, w) })"))));
  proto.mutable_graph()->clear_initializer();
  auto& sparse = *proto.mutable_graph()->add_sparse_initializer();
  sparse.add_dims(4);
  sparse.mutable_values()->set_name("w");
  sparse.mutable_values()->set_data_type(1);
  sparse.mutable_values()->add_dims(1);
  sparse.mutable_values()->add_float_data(5);
  sparse.mutable_indices()->set_data_type(7);
  sparse.mutable_indices()->add_dims(1);
  sparse.mutable_indices()->add_int64_data(2);
  auto model = from_bytes(proto.SerializeAsString());
  ASSERT_TRUE(model) << model.error().to_string();
  EXPECT_TRUE(verify_ir(*model));
  const Node& constant = only_node(model->graph, "Constant");
  EXPECT_EQ(constant.outputs[0], find(model->graph, "w"));
  EXPECT_EQ(to_string(model->graph.value(constant.outputs[0]).type), "float32[4]");
  const std::string path = testing::TempDir() + "sparse.onnx";
  ASSERT_TRUE(save_model(*model, path));
  EXPECT_TRUE(check_file(path)) << check_file(path).error().to_string();
}

TEST(Bytes, OldDomainNameIsTheStandardOne) {
  onnx::ModelProto proto;
  ASSERT_TRUE(proto.ParseFromString(
      *to_bytes(parse(std::string(kHeader) + R"(g (float[N] x) => (float[N] y) { y = Relu(x) })"))));
  proto.mutable_opset_import(0)->set_domain("ai.onnx");
  proto.mutable_graph()->mutable_node(0)->set_domain("ai.onnx");
  auto model = from_bytes(proto.SerializeAsString());
  ASSERT_TRUE(model);
  EXPECT_EQ(model->opset(), 17);
  EXPECT_TRUE(only_node(model->graph, "Relu").is("Relu"));
}

}  // namespace
}  // namespace mts
