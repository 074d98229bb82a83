// Files that must be refused with a reason, and damaged ones that must not crash.
#include <mts/model_io.h>

#include <fstream>
#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>

namespace mts {
namespace {

using testing::HasSubstr;

constexpr const char* kText = R"(<ir_version: 8, opset_import: ["" : 17]>
  g (bool c, float[2] x) => (float[2] y) <float[2] w = {1, 2}> {
    [one] t = Add(x, w)
    [two] y = If(c) <then_branch = a () => (float[2] p) { [in] p = Mul(t, w) }, else_branch = b () => (float[2] q) { q = Neg(t) }>
  })";

onnx::ModelProto base() {
  onnx::ModelProto proto;
  auto model = parse_text(kText);
  EXPECT_TRUE(model) << model.error().to_string();
  EXPECT_TRUE(proto.ParseFromString(*to_bytes(*model)));
  return proto;
}

struct Case {
  const char* name;
  std::function<void(onnx::ModelProto&)> damage;
  std::vector<std::string> says;
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class Malformed : public testing::TestWithParam<Case> {};

TEST_P(Malformed, IsRefused) {
  onnx::ModelProto proto = base();
  GetParam().damage(proto);
  auto model = from_bytes(proto.SerializeAsString(), "bad.onnx");
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().code, ErrorCode::kModel);
  EXPECT_THAT(model.error().to_string(), HasSubstr("bad.onnx"));
  for (const std::string& words : GetParam().says) EXPECT_THAT(model.error().to_string(), HasSubstr(words));
}

onnx::TensorProto& weight(onnx::ModelProto& m) { return *m.mutable_graph()->mutable_initializer(0); }
onnx::NodeProto& node(onnx::ModelProto& m, int i) { return *m.mutable_graph()->mutable_node(i); }

using M = onnx::ModelProto;
INSTANTIATE_TEST_SUITE_P(
    Models, Malformed,
    testing::Values(
        Case{"no_graph", [](M& m) { m.clear_graph(); }, {"no graph"}},
        Case{"no_ir_version", [](M& m) { m.clear_ir_version(); }, {"IR version 0", "3 to 14"}},
        Case{"future_ir_version", [](M& m) { m.set_ir_version(15); }, {"IR version 15"}},
        Case{"old_opset", [](M& m) { m.mutable_opset_import(0)->set_version(6); }, {"opset 6", "7 to 28"}},
        Case{"future_opset", [](M& m) { m.mutable_opset_import(0)->set_version(29); }, {"opset 29"}},
        Case{"no_opset", [](M& m) { m.clear_opset_import(); }, {"ai.onnx", "one (Add)"}},
        Case{"two_opsets",
             [](M& m) {
               *m.add_opset_import() = m.opset_import(0);
               m.mutable_opset_import(1)->set_version(16);
             },
             {"two versions"}},
        Case{"unknown_domain", [](M& m) { node(m, 0).set_domain("com.other"); }, {"com.other", "one"}},
        Case{"undefined_input", [](M& m) { node(m, 0).set_input(1, "nowhere"); }, {"one (Add)", "nowhere"}},
        Case{"undefined_in_subgraph",
             [](M& m) {
               node(m, 1).mutable_attribute(0)->mutable_g()->mutable_node(0)->set_input(0, "nowhere");
             },
             {"in (Mul)", "nowhere"}},
        Case{"undefined_output",
             [](M& m) { m.mutable_graph()->mutable_output(0)->set_name("z"); },
             {"z", "output"}},
        Case{"produced_twice", [](M& m) { node(m, 0).set_output(0, "y"); }, {"two values", "y"}},
        Case{"produces_an_input", [](M& m) { node(m, 0).set_output(0, "x"); }, {"two values", "x"}},
        Case{"two_initializers",
             [](M& m) { *m.mutable_graph()->add_initializer() = weight(m); },
             {"two values", "w"}},
        Case{"two_inputs",
             [](M& m) { *m.mutable_graph()->add_input() = m.graph().input(1); },
             {"two graph inputs", "x"}},
        Case{"cycle", [](M& m) { node(m, 0).set_input(1, "y"); }, {"cycle", "one"}},
        Case{"no_op_type", [](M& m) { node(m, 0).clear_op_type(); }, {"operator type"}},
        Case{"attribute_twice",
             [](M& m) { *node(m, 1).add_attribute() = node(m, 1).attribute(0); },
             {"twice", "two (If)"}},
        Case{"attribute_reference",
             [](M& m) {
               auto& a = *node(m, 0).add_attribute();
               a.set_name("k");
               a.set_ref_attr_name("q");
             },
             {"not in a function", "one"}},
        Case{"too_little_data", [](M& m) { weight(m).set_raw_data("abc"); }, {"w", "3 bytes", "need 8"}},
        Case{"too_much_data",
             [](M& m) { weight(m).set_raw_data(std::string(12, 'a')); },
             {"w", "more than 8"}},
        Case{"no_data", [](M& m) { weight(m).clear_raw_data(); }, {"w", "0 bytes", "need 8"}},
        Case{"wrong_field",
             [](M& m) {
               weight(m).clear_raw_data();
               weight(m).add_int64_data(1);
               weight(m).add_int64_data(1);
             },
             {"w"}},
        Case{"negative_dim", [](M& m) { weight(m).set_dims(0, -2); }, {"w", "negative"}},
        Case{"overflow",
             [](M& m) {
               weight(m).set_dims(0, 1LL << 62);
               weight(m).add_dims(4);
             },
             {"w", "overflows"}},
        Case{"huge", [](M& m) { weight(m).set_dims(0, 1LL << 55); }, {"w", "need"}},
        Case{"unknown_dtype", [](M& m) { weight(m).set_data_type(99); }, {"w", "99", "not known"}},
        Case{"undefined_dtype", [](M& m) { weight(m).set_data_type(0); }, {"w", "not known"}},
        Case{"segment", [](M& m) { weight(m).mutable_segment()->set_begin(0); }, {"w", "segment"}},
        Case{"string_in_raw", [](M& m) { weight(m).set_data_type(8); }, {"w", "string_data"}},
        Case{"external_in_memory",
             [](M& m) {
               weight(m).clear_raw_data();
               weight(m).set_data_location(onnx::TensorProto::EXTERNAL);
               auto& e = *weight(m).add_external_data();
               e.set_key("location");
               e.set_value("x.data");
             },
             {"w", "x.data"}},
        Case{"recursive_function",
             [](M& m) {
               auto& f = *m.add_functions();
               f.set_name("f");
               f.set_domain("d");
               auto& call = *f.add_node();
               call.set_op_type("f");
               call.set_domain("d");
             },
             {"inlined"}},
        Case{"function_of_another_version",
             [](M& m) {
               auto& import = *m.add_opset_import();
               import.set_domain("other");
               import.set_version(1);
               auto& f = *m.add_functions();
               f.set_name("f");
               f.set_domain("d");
               auto& second = *f.add_opset_import();
               second.set_domain("other");
               second.set_version(2);
             },
             {"d::f", "version 2", "other"}},
        Case{"exploding_functions",
             [](M& m) {
               for (int i = 0; i < 40; ++i) {
                 auto& f = *m.add_functions();
                 f.set_name("f" + std::to_string(i));
                 f.set_domain("d");
                 f.add_input("a");
                 f.add_output("b");
                 for (int k = 0; k < 2; ++k) {
                   auto& call = *f.add_node();
                   call.set_op_type(i == 39 ? "Relu" : "f" + std::to_string(i + 1));
                   call.set_domain(i == 39 ? "" : "d");
                   call.add_input(k == 0 ? "a" : "t");
                   call.add_output(k == 0 ? "t" : "b");
                 }
               }
               node(m, 0).set_op_type("f0");
               node(m, 0).set_domain("d");
               node(m, 0).mutable_input()->RemoveLast();
             },
             {"expand to more than"}}),
    [](const auto& test) { return std::string(test.param.name); });

// A model with tensors over 1 KB in every place where they can be, typed and raw.
std::string rich_model() {
  onnx::ModelProto proto = base();
  const auto fill = [](onnx::TensorProto& t, int kind) {
    t.clear_raw_data();
    t.clear_dims();
    t.add_dims(600);
    for (int i = 0; i < 600; ++i) {
      if (kind == 0) t.add_float_data(static_cast<float>(i));
      if (kind == 1) t.add_int64_data(i * 1000003LL - 5);
      if (kind == 2) t.add_int32_data(i - 300);
    }
    t.set_data_type(kind == 0 ? 1 : kind == 1 ? 7 : 3);
    if (kind == 2) t.set_data_type(5);
    if (kind == 3) {
      t.set_data_type(1);
      t.set_raw_data(std::string(2400, 'r'));
    }
  };
  for (int kind = 0; kind < 4; ++kind) {
    auto& t = *proto.mutable_graph()->add_initializer();
    t.set_name("w" + std::to_string(kind));
    fill(t, kind);
    auto& constant = *proto.mutable_graph()->add_node();
    constant.set_op_type("Constant");
    constant.add_output("c" + std::to_string(kind));
    auto& a = *constant.add_attribute();
    a.set_name("value");
    a.set_type(onnx::AttributeProto::TENSOR);
    fill(*a.mutable_t(), kind);
    auto& inner = *node(proto, 1).mutable_attribute(0)->mutable_g()->add_initializer();
    inner.set_name("i" + std::to_string(kind));
    fill(inner, kind);
  }
  return proto.SerializeAsString();
}

// Reads, and does with what was read what the program does; no outcome but a crash is wrong.
void exercise(std::string bytes) {
  auto model = from_bytes(std::move(bytes));
  if (!model) {
    EXPECT_EQ(model.error().code, ErrorCode::kModel) << model.error().to_string();
    return;
  }
  EXPECT_TRUE(verify_ir(*model));
  (void)infer_types(*model);
  auto written = to_bytes(*model);
  ASSERT_TRUE(written) << written.error().to_string();
  auto again = from_bytes(*written);
  EXPECT_TRUE(again) << again.error().to_string();
}

TEST(Damaged, TheIntactModelIsRead) {
  auto model = from_bytes(rich_model());
  ASSERT_TRUE(model) << model.error().to_string();
  exercise(rich_model());
}

TEST(Damaged, EmptyAndGarbage) {
  EXPECT_EQ(from_bytes("").error().code, ErrorCode::kModel);
  EXPECT_EQ(from_bytes("this is not a model").error().code, ErrorCode::kModel);
  EXPECT_EQ(from_bytes(std::string(4096, '\0')).error().code, ErrorCode::kModel);
  EXPECT_EQ(from_bytes(std::string(4096, '\xff')).error().code, ErrorCode::kModel);
  EXPECT_EQ(load_model("/nonexistent/model.onnx", "m").error().code, ErrorCode::kIo);
  EXPECT_EQ(load_model(testing::TempDir(), "m").error().code, ErrorCode::kIo);
}

TEST(Damaged, TruncatedEverywhere) {
  const std::string bytes = rich_model();
  for (size_t size = 0; size < bytes.size(); size += 1 + size / 97) exercise(bytes.substr(0, size));
}

TEST(Damaged, FlippedBits) {
  const std::string bytes = rich_model();
  uint64_t random = 88172645463325252ULL;  // xorshift
  for (int round = 0; round < 3000; ++round) {
    std::string copy = bytes;
    for (int flips = 0; flips < 1 + round % 3; ++flips) {
      random ^= random << 13;
      random ^= random >> 7;
      random ^= random << 17;
      copy[random % copy.size()] ^= static_cast<char>(1U << ((random >> 32) % 8));
    }
    exercise(std::move(copy));
  }
}

// Every byte of the small parts replaced by values that matter in the wire format.
TEST(Damaged, ReplacedBytes) {
  onnx::ModelProto proto = base();
  const std::string bytes = proto.SerializeAsString();
  for (size_t i = 0; i < bytes.size(); ++i)
    for (const char value : {'\0', '\x01', '\x7f', '\x80', '\xff'}) {
      std::string copy = bytes;
      copy[i] = value;
      exercise(std::move(copy));
    }
}

TEST(Damaged, DeepNesting) {
  onnx::ModelProto proto = base();
  onnx::GraphProto* graph = proto.mutable_graph();
  for (int depth = 0; depth < 200; ++depth) {
    auto& deeper = *graph->add_node();
    deeper.set_op_type("If");
    auto& a = *deeper.add_attribute();
    a.set_name("then_branch");
    a.set_type(onnx::AttributeProto::GRAPH);
    graph = a.mutable_g();
    graph->set_doc_string(std::string(2000, 'd'));
  }
  auto model = from_bytes(proto.SerializeAsString());
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().code, ErrorCode::kModel);
}

}  // namespace
}  // namespace mts
