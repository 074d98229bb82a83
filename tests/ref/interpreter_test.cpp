// Whole models: captures, lifetimes, errors.
#include "ref/interpreter.h"

#include "tests/ref/run_node.h"

#include <mts/model_io.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include <gmock/gmock.h>

namespace mts::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Result<std::vector<Datum>> run_text(std::string_view text, std::vector<Datum> inputs) {
  MTS_ASSIGN(const Model model, parse_text(text));
  return interpret(model, inputs);
}

std::vector<float> first_floats(const Result<std::vector<Datum>>& result) {
  if (!result) {
    ADD_FAILURE() << result.error().to_string();
    return {};
  }
  return values<float>(*(*result)[0].tensor());
}

TEST(Interpreter, RunsNodesWithConstants) {
  const auto result = run_text(R"(
      <ir_version: 8, opset_import: ["": 17]>
      g (float[2] x) => (float[2] y) <float[2] w = {10, 20}> {
        a = Add(x, w)
        y = Mul(a, a)
      })",
                               {floats({2}, {1, 2})});
  EXPECT_THAT(first_floats(result), ElementsAre(121, 484));
}

TEST(Interpreter, IfReadsOuterValuesThroughTwoLevels) {
  constexpr std::string_view text = R"(
      <ir_version: 8, opset_import: ["": 17]>
      g (bool c, float[1] x) => (float[1] y) {
        y = If (c) <
          then_branch = outer () => (float[1] t) {
            t = If (c) <
              then_branch = inner () => (float[1] u) { u = Add(x, x) },
              else_branch = inner2 () => (float[1] v) { v = Identity(x) }
            >
          },
          else_branch = other () => (float[1] e) { e = Neg(x) }
        >
      })";
  EXPECT_THAT(first_floats(run_text(text, {bools({}, {1}), floats({1}, {3})})), ElementsAre(6));
  EXPECT_THAT(first_floats(run_text(text, {bools({}, {0}), floats({1}, {3})})), ElementsAre(-3));
}

TEST(Interpreter, LoopCarriesAndCollects) {
  const auto result = run_text(R"(
      <ir_version: 8, opset_import: ["": 17]>
      g (int64 n, float[1] x) => (float[1] last, float[k,1] all) {
        t = Constant <value = bool {1}> ()
        zero = Constant <value = float[1] {0}> ()
        last, all = Loop (n, t, zero) <
          body = b (int64 i, bool go, float[1] sum) => (bool go2, float[1] sum2, float[1] seen) {
            go2 = Identity(go)
            sum2 = Add(sum, x)
            seen = Identity(sum)
          }
        >
      })",
                               {int64s({}, {3}), floats({1}, {2})});
  EXPECT_THAT(first_floats(result), ElementsAre(6));
  EXPECT_EQ((*result)[1].tensor()->dims(), (Dims{3, 1}));
  EXPECT_THAT(values<float>(*(*result)[1].tensor()), ElementsAre(0, 2, 4));
}

// Exporters write the largest trip count for "while"; without any count and condition it would run forever.
TEST(Interpreter, AnEndlessLoopIsAnError) {
  const auto loop = [](const std::string& operands) {
    return R"(
      <ir_version: 8, opset_import: ["": 17]>
      g (float[1] x) => (float[1] y) {
        most = Constant <value = int64 {9223372036854775807}> ()
        t = Constant <value = bool {1}> ()
        y = Loop ()" +
           operands + R"(, x) <
          body = b (int64 i, bool go, float[1] a) => (bool go2, float[1] b) {
            go2 = Identity(t)
            b = Neg(a)
          }
        >
      })";
  };
  for (const char* operands : {"most, t", "most, \"\"", "\"\", t", "\"\", \"\""}) {
    SCOPED_TRACE(operands);
    const auto model = parse_text(loop(operands));
    ASSERT_TRUE(model) << model.error().to_string();
    Env env;
    env.opset = 17;
    env.most_iterations = 100;
    const auto result = interpret(model->graph, std::vector<Datum>{floats({1}, {1})}, env);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::kUnsupported);
    EXPECT_THAT(result.error().to_string(), HasSubstr("does not end within 100 iterations"));
  }
}

TEST(Interpreter, ScanGoesBackwards) {
  const auto result = run_text(R"(
      <ir_version: 8, opset_import: ["": 17]>
      g (float[1] start, float[3,1] x) => (float[1] end, float[3,1] all) {
        end, all = Scan <
          num_scan_inputs = 1, scan_input_directions = [1],
          body = b (float[1] s, float[1] e) => (float[1] s2, float[1] o) {
            s2 = Add(s, e)
            o = Identity(s2)
          }
        > (start, x)
      })",
                               {floats({1}, {0}), floats({3, 1}, {1, 2, 4})});
  EXPECT_THAT(first_floats(result), ElementsAre(7));
  EXPECT_THAT(values<float>(*(*result)[1].tensor()), ElementsAre(4, 6, 7));
}

TEST(Interpreter, FreesValuesAfterTheirLastUse) {
  // A chain of eight tensors of 4 KB: at most a few live at a time.
  std::string body;
  for (int i = 0; i < 8; ++i) body += "v" + std::to_string(i + 1) + " = Neg(v" + std::to_string(i) + ")\n";
  const auto model = parse_text(
      "<ir_version: 8, opset_import: [\"\": 17]> g (float[1024] v0) => (float[1024] v8) {" + body + "}");
  ASSERT_TRUE(model) << model.error().to_string();
  auto session = make_reference_session(*model);
  ASSERT_TRUE(session) << session.error().to_string();
  ASSERT_TRUE((*session)->run(std::vector<Datum>{floats({1024}, std::vector<float>(1024, 1))}));
  EXPECT_LE((*session)->memory().arena, 3u * 4096);
  EXPECT_GE((*session)->memory().arena, 2u * 4096);
}

TEST(Interpreter, NamesTheNodeThatFails) {
  const auto result = run_text(R"(
      <ir_version: 8, opset_import: ["": 17]>
      g (float[N] x, float[M] y) => (float[K] z) { z = Add(x, y) })",
                               {floats({2}, {1, 2}), floats({3}, {1, 2, 3})});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kModel);
  EXPECT_THAT(result.error().where.node, HasSubstr("Add"));
}

TEST(Interpreter, ChecksInputs) {
  constexpr std::string_view text = R"(
      <ir_version: 8, opset_import: ["": 17]>
      g (float[2] x) => (float[2] y) { y = Neg(x) })";
  EXPECT_EQ(run_text(text, {}).error().code, ErrorCode::kModel);
  EXPECT_EQ(run_text(text, {int64s({2}, {1, 2})}).error().code, ErrorCode::kUsage);
  EXPECT_EQ(run_text(text, {floats({3}, {1, 2, 3})}).error().code, ErrorCode::kUsage);
}

TEST(Interpreter, SessionRefusesUnknownOperatorsAtOnce) {
  const auto model = parse_text(R"(
      <ir_version: 8, opset_import: ["": 17, "some.domain": 1]>
      g (float[2] x) => (float[2] y) { y = some.domain.Strange(x) })");
  ASSERT_TRUE(model) << model.error().to_string();
  const auto session = make_reference_session(*model);
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(session.error().to_string(), HasSubstr("some.domain.Strange"));
}

// src/ref/operators.md is generated: MTS_UPDATE_GOLDENS=1 rewrites it.
TEST(Interpreter, SupportedOperatorsTableIsUpToDate) {
  const std::string text =
      "# Operators of the reference evaluator\n\nGenerated from the tables in `src/ref`; the device `ref` "
      "runs these.\n\n" +
      supported_operators_markdown();
  EXPECT_THAT(text, HasSubstr("| ai.onnx | Conv | 1+ |"));
  EXPECT_THAT(text, HasSubstr("| ai.onnx | Upsample | 7-9 |"));
  const char* path = "src/ref/operators.md";
  if (std::getenv("MTS_UPDATE_GOLDENS")) std::ofstream(path) << text;
  std::ifstream file(path);
  const std::string committed{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(committed, text) << "run this test with MTS_UPDATE_GOLDENS=1";
}

}  // namespace
}  // namespace mts::test
