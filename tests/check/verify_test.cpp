#include "check/npy.h"
#include "ref/interpreter.h"

#include <mts/executor.h>
#include <mts/model_io.h>
#include <mts/verify.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace mts {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Model parse(std::string name, std::string_view body,
            std::string_view header = R"(ir_version: 8, opset_import: ["" : 17])") {
  Result<Model> model = parse_text("<" + std::string(header) + ">\n" + std::string(body), name);
  EXPECT_TRUE(model.has_value()) << (model ? "" : model.error().to_string());
  return model ? std::move(*model) : Model();
}

Model head(const std::string& name, const std::string& bias) {
  return parse(name,
               "head (float[N,2] x) => (float[N,2] y) <float[2,2] W = {1.0, 2.0, 3.0, 4.0}, float[2] B = {" +
                   bias + "}> { h = MatMul(x, W) y = Add(h, B) }");
}

// One trunk, two heads, as mts writes it.
constexpr const char* kFused = R"(
fused (float[N,2] "a/x", float[N,2] "b/x") => (float[N,2] "a/y", float[N,2] "b/y")
  <float[2,2] W = {1.0, 2.0, 3.0, 4.0}, float[2] A = {5.0, 6.0}, float[2] B = {7.0, 8.0}> {
  h = MatMul("a/x", W)
  "a/y" = Add(h, A)
  g = MatMul("b/x", W)
  "b/y" = Add(g, B)
})";

void add_origins(Model& model) {
  for (const NodeId id : model.graph.order()) model.graph.node(id).metadata.emplace_back("mts.origin", "a:n");
}

nlohmann::json entry(const std::string& name, const std::string& input, const std::string& fused_input,
                     const std::string& output) {
  return {{"name", name},
          {"sha256", ""},
          {"inputs", {{input, fused_input}}},
          {"outputs", {{output, name + "/" + output}}},
          {"nodes", 2},
          {"weight_bytes", 24}};
}

Model fused(std::string_view text = kFused) {
  Model model = parse("fused", text);
  const nlohmann::json models = {entry("a", "x", "a/x", "y"), entry("b", "x", "b/x", "y")};
  model.metadata = {{"mts.version", "1"}, {"mts.models", models.dump()}};
  add_origins(model);
  return model;
}

std::vector<Model> originals() {
  std::vector<Model> models;
  models.push_back(head("a", "5.0, 6.0"));
  models.push_back(head("b", "7.0, 8.0"));
  return models;
}

VerifyReport report_of(const Model& model, const std::vector<Model>& against,
                       const VerifyOptions& options = {}) {
  Result<VerifyReport> report = verify(model, against, make_reference_session, options);
  EXPECT_TRUE(report.has_value()) << (report ? "" : report.error().to_string());
  return report ? std::move(*report) : VerifyReport();
}

VerifyReport::Structural check_of(const VerifyReport& report, const std::string& name) {
  const auto found = std::ranges::find(report.structural, name, &VerifyReport::Structural::check);
  EXPECT_NE(found, report.structural.end()) << name;
  return found != report.structural.end() ? *found : VerifyReport::Structural{};
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(Verify, PassesWhatIsRight) {
  const VerifyReport report = report_of(fused(), originals());
  for (const auto& check : report.structural) {
    EXPECT_TRUE(check.passed || !check.enforced) << check.check << ": " << check.detail;
  }
  EXPECT_TRUE(report.passed());
  EXPECT_THAT(report.warnings, IsEmpty());
  ASSERT_EQ(report.runs.size(), 3u);  // N = 1, 2, 3
  EXPECT_EQ(report.runs[0].binding.at("N"), 1);
  EXPECT_EQ(report.runs[2].binding.at("N"), 3);
  for (const auto& run : report.runs) EXPECT_EQ(run.outputs.size(), 2u);
}

// The two mistakes a stitcher makes most easily must not pass: a wrong weight, and models mixed up.
TEST(Verify, FailsOnAWrongWeight) {
  const VerifyReport report = report_of(fused(replaced(kFused, "{7.0, 8.0}", "{7.0, 8.1}")), originals());
  EXPECT_FALSE(report.passed());
  for (const auto& run : report.runs) {
    EXPECT_TRUE(run.outputs[0].passed);
    EXPECT_FALSE(run.outputs[1].passed);
    EXPECT_EQ(run.outputs[1].output, "b/y");
    EXPECT_THAT(run.outputs[1].reason, HasSubstr("error above tolerance"));
  }
}

// A fused model that is run in less precision than its originals.
TEST(Verify, LessPrecisionHasItsToleranceAndTheOriginalsTheirOwnSessions) {
  const Model off = fused(replaced(kFused, "{7.0, 8.0}", "{7.0, 8.02}"));
  int of_originals = 0;
  VerifyOptions options;
  options.tolerance = tolerance_of(DType::kFloat16);
  options.original_sessions = [&](const Model& model) {
    ++of_originals;
    return make_reference_session(model);
  };
  EXPECT_FALSE(report_of(off, originals()).passed());
  const VerifyReport report = report_of(off, originals(), options);
  EXPECT_TRUE(std::ranges::all_of(report.runs, [](const VerifyReport::Run& run) {
    return run.outputs[1].passed && run.outputs[1].tolerance == 5e-3;
  }));
  EXPECT_EQ(of_originals, 2);
  EXPECT_FALSE(report_of(fused(replaced(kFused, "{7.0, 8.0}", "{7.0, 8.5}")), originals(), options).passed());
}

TEST(Verify, FailsWhenModelsAreMixedUp) {
  std::string text = replaced(kFused, R"(MatMul("a/x", W))", R"(MatMul("_", W))");
  text = replaced(text, R"(MatMul("b/x", W))", R"(MatMul("a/x", W))");
  text = replaced(text, R"(MatMul("_", W))", R"(MatMul("b/x", W))");
  const VerifyReport report = report_of(fused(text), originals());
  for (const auto& run : report.runs) {
    EXPECT_FALSE(run.outputs[0].passed);
    EXPECT_FALSE(run.outputs[1].passed);
  }
}

// Right for N = 1 only.
TEST(Verify, FindsWhatIsWrongForSomeSizesOnly) {
  const std::string text = replaced(
      kFused, R"("a/y" = Add(h, A))",
      R"(first = Constant<value_ints = [0]>() r = Gather(h, first) e = Sub(h, r) z = Add(h, e) "a/y" = Add(z, A))");
  const VerifyReport report = report_of(fused(text), originals());
  EXPECT_TRUE(report.runs[0].outputs[0].passed);
  EXPECT_FALSE(report.runs[1].outputs[0].passed);
  EXPECT_FALSE(report.passed());
}

TEST(Verify, ReportsAFusedModelThatDoesNotRun) {
  const std::string text =
      replaced(kFused, R"("a/y" = Add(h, A))",
               R"(s = Constant<value_ints = [1, 2]>() r = Reshape(h, s) "a/y" = Add(r, A))");
  const VerifyReport report = report_of(fused(text), originals());
  EXPECT_TRUE(report.runs[0].outputs[0].passed);
  EXPECT_THAT(report.runs[1].outputs[0].reason, HasSubstr("does not run"));
}

TEST(Verify, CountsDuplicatedWeights) {
  const std::string text =
      replaced(replaced(kFused, "float[2,2] W =", "float[2,2] V = {1.0, 2.0, 3.0, 4.0}, float[2,2] W ="),
               R"(MatMul("b/x", W))", R"(MatMul("b/x", V))");
  Model model = fused(text);
  const VerifyReport report = report_of(model, originals());
  const auto check = check_of(report, "no duplicated weight");
  EXPECT_FALSE(check.passed);
  EXPECT_TRUE(check.enforced);
  EXPECT_THAT(check.detail, HasSubstr("48 bytes stored, 32 unique"));
  EXPECT_FALSE(report.passed());
  // --strategy netfuse
  model.metadata.emplace_back("mts.duplicates", "allowed");
  const VerifyReport allowed = report_of(model, originals());
  EXPECT_FALSE(check_of(allowed, "no duplicated weight").passed);
  EXPECT_TRUE(allowed.passed());
}

TEST(Verify, CountsWeightsInConstantNodes) {
  const std::string text =
      replaced(kFused, R"(g = MatMul("b/x", W))",
               R"(w = Constant<value = float[2,2] {1.0, 2.0, 3.0, 4.0}>() g = MatMul("b/x", w))");
  EXPECT_FALSE(check_of(report_of(fused(text), originals()), "no duplicated weight").passed);
}

// 16 bytes in another shape are no weight stored twice, 1,280 are.
TEST(Verify, CountsOtherShapesUnlessTheyAreSmall) {
  const std::string small =
      replaced(kFused, R"(g = MatMul("b/x", W))",
               R"(v = Constant<value = float[4] {1.0, 2.0, 3.0, 4.0}>() s = Constant<value_ints = [2, 2]>()
                                        w = Reshape(v, s) g = MatMul("b/x", w))");
  const auto check = check_of(report_of(fused(small), originals()), "no duplicated weight");
  EXPECT_TRUE(check.passed) << check.detail;
  EXPECT_THAT(check.detail, HasSubstr("16 generated"));

  std::string values = "1.0";
  for (int i = 1; i < 320; ++i) values += ", " + std::to_string(i) + ".0";
  std::vector<Model> models;
  models.push_back(
      parse("a", "m (float[320] x) => (float[320] y) <float[320] W = {" + values + "}> { y = Add(x, W) }"));
  const Model twice = parse("fused", R"(m (float[320] "a/x") => (float[320] "a/y") <float[320] W = {)" +
                                         values + "}, float[1,320] V = {" + values + R"(}> {
      z = Add("a/x", W) u = Sub(V, V) s = Constant<value_ints = [320]>() r = Reshape(u, s) "a/y" = Add(z, r) })");
  const auto large = check_of(report_of(twice, models), "no duplicated weight");
  EXPECT_FALSE(large.passed);
  EXPECT_THAT(large.detail, HasSubstr("2560 bytes stored, 1280 unique"));
}

// Concatenating shared weights into a bigger one duplicates them, too.
TEST(Verify, CountsAssembledWeights) {
  std::string values = "1.0";
  for (int i = 1; i < 320; ++i) values += ", 1.0";
  const std::string text =
      replaced(replaced(kFused, "float[2] A =", "float[320] big = {" + values + "}, float[2] A ="),
               R"("a/y" = Add(h, A))",
               R"(z = ReduceMin<keepdims = 0>(big) o = Div(z, z) p = Mul(h, o) "a/y" = Add(p, A))");
  const auto check = check_of(report_of(fused(text), originals()), "no duplicated weight");
  EXPECT_FALSE(check.passed);
  EXPECT_THAT(check.detail, HasSubstr("1312 bytes stored"));
}

TEST(Verify, GeneratedConstantsAreReported) {
  const std::string text = replaced(replaced(kFused, "float[2] A =", "float one = {1.0}, float[2] A ="),
                                    R"("a/y" = Add(h, A))", R"(p = Mul(h, one) "a/y" = Add(p, A))");
  const auto check = check_of(report_of(fused(text), originals()), "no duplicated weight");
  EXPECT_TRUE(check.passed);
  EXPECT_THAT(check.detail, HasSubstr("4 generated"));
}

TEST(Verify, ChecksDomains) {
  Model model = fused();
  model.opsets["com.example"] = 1;
  const auto check = check_of(report_of(model, originals()), "standard domains");
  EXPECT_FALSE(check.passed);
  EXPECT_THAT(check.detail, HasSubstr("com.example"));
  std::vector<Model> with = originals();
  with[0].opsets["com.example"] = 1;
  EXPECT_TRUE(check_of(report_of(model, with), "standard domains").passed);
}

TEST(Verify, ChecksNamesAndOrder) {
  Model model = fused(
      replaced(kFused, R"((float[N,2] "a/x", float[N,2] "b/x"))", R"((float[N,2] "b/x", float[N,2] "a/x"))"));
  const VerifyReport report = report_of(model, originals());
  EXPECT_FALSE(check_of(report, "names and order").passed);
  EXPECT_THAT(check_of(report, "names and order").detail, HasSubstr("'b/x' instead of 'a/x'"));
  for (const auto& run : report.runs)
    EXPECT_TRUE(run.outputs[0].passed);  // the numbers are right all the same
}

// The order is that of the fused model, however the originals are given.
TEST(Verify, OriginalsMayComeInAnyOrder) {
  std::vector<Model> reversed = originals();
  std::swap(reversed[0], reversed[1]);
  EXPECT_TRUE(report_of(fused(), reversed).passed());
}

TEST(Verify, ChecksTypes) {
  const VerifyReport report =
      report_of(fused(replaced(kFused, R"((float[N,2] "a/x")", R"((float[2,2] "a/x")")), originals(),
                {.bindings = {}, .dims = {{"N", 2}}, .ranges = {}, .inputs_directory = {}});
  EXPECT_FALSE(check_of(report, "types and shapes").passed);
  EXPECT_THAT(check_of(report, "types and shapes").detail, HasSubstr("not dynamic any more"));
  const VerifyReport lost =
      report_of(fused(replaced(kFused, R"(float[N,2] "b/y")", R"(float[N,M] "b/y")")), originals());
  EXPECT_FALSE(check_of(lost, "types and shapes").passed);
}

// Exporters declare the batch that they traced of an output that follows the input: the symbol is the truth.
TEST(Verify, AnOutputMayFollowAnInputWhereItsOriginalDeclaresANumber) {
  std::vector<Model> traced = originals();
  Type& type = traced[0].graph.value(traced[0].graph.outputs()[0]).type;
  (*type.shape)[0] = Dim::known(2);
  EXPECT_TRUE(check_of(report_of(fused(), traced), "types and shapes").passed);
}

TEST(Verify, ChecksOrigins) {
  Model model = fused();
  model.graph.node(model.graph.order()[1]).metadata.clear();
  EXPECT_FALSE(check_of(report_of(model, originals()), "origin of nodes").passed);
}

TEST(Verify, RunsTheOnnxCheckerOnTheFile) {
  const std::filesystem::path path = std::filesystem::path(testing::TempDir()) / "mts_verify_fused.onnx";
  ASSERT_TRUE(save_model(fused(), path).has_value());
  const Model loaded = load_model(path, "fused").value();
  EXPECT_TRUE(check_of(report_of(loaded, originals()), "onnx checker").passed);
  EXPECT_FALSE(check_of(report_of(fused(), originals()), "onnx checker").enforced);
}

TEST(Verify, SharedInputsFeedAllTheirReaders) {
  Model model = parse("fused", R"(
    fused (float[N,2] x) => (float[N,2] "a/y", float[N,2] "b/y")
      <float[2,2] W = {1.0, 2.0, 3.0, 4.0}, float[2] A = {5.0, 6.0}, float[2] B = {7.0, 8.0}> {
      h = MatMul(x, W)
      "a/y" = Add(h, A)
      "b/y" = Add(h, B)
    })");
  model.metadata = {
      {"mts.models", nlohmann::json({entry("a", "x", "x", "y"), entry("b", "x", "x", "y")}).dump()}};
  add_origins(model);
  EXPECT_TRUE(report_of(model, originals()).passed());
  // By names alone when there is no metadata.
  model.metadata.clear();
  EXPECT_TRUE(report_of(model, originals()).passed());
}

TEST(Verify, SaysWhichModelIsMissing) {
  std::vector<Model> one;
  one.push_back(head("a", "5.0, 6.0"));
  const Result<VerifyReport> fewer = verify(fused(), one, make_reference_session);
  ASSERT_FALSE(fewer.has_value());
  EXPECT_EQ(fewer.error().code, ErrorCode::kUsage);
  EXPECT_THAT(fewer.error().message, HasSubstr("also holds model 'b'"));
  one[0].name = "c";
  const Result<VerifyReport> other = verify(fused(), one, make_reference_session);
  ASSERT_FALSE(other.has_value());
  EXPECT_THAT(other.error().message, HasSubstr("holds no model 'c', only a, b"));
}

TEST(Verify, RefusesUnknownDimsAndRanges) {
  VerifyOptions options;
  options.dims = {{"M", 3}};
  EXPECT_THAT(verify(fused(), originals(), make_reference_session, options).error().message,
              HasSubstr("there are: N"));
  options.dims = {{"N", 4}};
  EXPECT_EQ(report_of(fused(), originals(), options).runs.size(), 1u);
  options.ranges = {{"ids", {0, 1}}};
  EXPECT_EQ(verify(fused(), originals(), make_reference_session, options).error().code, ErrorCode::kUsage);
  options.ranges = {{"x", {0, 1}}};  // the originals' name for both
  EXPECT_TRUE(report_of(fused(), originals(), options).passed());
}

// A check that cannot fail is none.
TEST(Verify, WarnsAboutOutputsThatProveNothing) {
  std::vector<Model> twins;
  twins.push_back(parse("a", "m (float[4] x) => (float[4] y) { z = Sub(x, x) y = Relu(z) }"));
  Model model = parse("fused", R"(m (float[4] "a/x") => (float[4] "a/y") { "a/y" = Sub("a/x", "a/x") })");
  add_origins(model);
  EXPECT_THAT(report_of(model, twins).warnings, Contains(HasSubstr("output a/y is 0 everywhere")));

  std::vector<Model> same;
  same.push_back(parse("a", "m (float[4] x) => (float[4] y) { y = Relu(x) }"));
  same.push_back(parse("b", "m (float[4] x) => (float[4] y) { y = Relu(x) }"));
  Model shared = parse(
      "fused", R"(m (float[4] x) => (float[4] "a/y", float[4] "b/y") { "a/y" = Relu(x) "b/y" = Relu(x) })");
  EXPECT_THAT(report_of(shared, same).warnings, Contains(HasSubstr("outputs a/y and b/y are equal")));
}

TEST(Verify, TriesOtherSizesWhenTheOriginalDoesNotRun) {
  // N and M must be equal, which the declaration does not say.
  std::vector<Model> models;
  models.push_back(parse("a", "m (float[N,2] x, float[M,2] z) => (float[N,2] y) { y = Sub(x, z) }"));
  Model model =
      parse("fused",
            R"(m (float[N,2] "a/x", float[M,2] "a/z") => (float[N,2] "a/y") { "a/y" = Sub("a/x", "a/z") })");
  const VerifyReport report = report_of(model, models);
  ASSERT_EQ(report.runs.size(), 3u);
  EXPECT_EQ(report.runs[1].binding.at("N"), report.runs[1].binding.at("M"));
}

constexpr const char* kBranching = R"(m (float[4] x) => (float[4] y) <float limit = {%s}> {
    s = ReduceSum<keepdims = 0>(x) c = Greater(s, limit)
    y = If(c) <then_branch = t () => (float[4] a) { a = Relu(x) }, else_branch = e () => (float[4] b) { b = Neg(x) }> })";

// A branch that the first inputs do not take is reached by others, or said to be unproven.
TEST(Verify, TriesToReachEveryBranch) {
  std::vector<Model> models;
  models.push_back(parse("a", replaced(kBranching, "%s", "2.5")));
  std::string text = replaced(replaced(kBranching, "%s", "2.5"), "(float[4] x) => (float[4] y)",
                              R"((float[4] "a/x") => (float[4] "a/y"))");
  for (const char* from : {"0>(x)", "Relu(x)", "Neg(x)"}) {
    std::string to = from;
    to.replace(to.find("(x)"), 3, "(\"a/x\")");
    text = replaced(text, from, to);
  }
  text = replaced(text, "    y = If", "    \"a/y\" = If");
  const VerifyReport right = report_of(parse("fused", text), models);
  EXPECT_TRUE(right.passed());
  EXPECT_THAT(right.warnings, IsEmpty());
  EXPECT_FALSE(report_of(parse("fused", replaced(text, "Relu(", "Neg(")), models).passed());
  EXPECT_FALSE(report_of(parse("fused", replaced(text, "Neg(", "Abs(")), models).passed());

  std::vector<Model> unreachable;
  unreachable.push_back(parse("a", replaced(kBranching, "%s", "1000.0")));
  const VerifyReport partly = report_of(parse("fused", replaced(text, "2.5", "1000.0")), unreachable);
  EXPECT_THAT(partly.warnings, Contains(HasSubstr("the then branch never ran")));
}

TEST(Verify, DrawsIndicesThatExist) {
  std::vector<Model> models;
  models.push_back(parse("a",
                         "m (int64[N] ids) => (float[N,2] y) <float[3,2] T = {1.0, 2.0, 3.0, 4.0, 5.0, 6.0}> "
                         "{ y = Gather(T, ids) }"));
  Model model = parse(
      "fused",
      R"(m (int64[N] "a/ids") => (float[N,2] "a/y") <float[3,2] T = {1.0, 2.0, 3.0, 4.0, 5.0, 6.0}> { "a/y" = Gather(T, "a/ids") })");
  EXPECT_TRUE(report_of(model, models).passed());
}

TEST(Verify, ReadsRealInputs) {
  const std::filesystem::path folder = std::filesystem::path(testing::TempDir()) / "mts_verify_inputs";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  const std::vector<float> values = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  ASSERT_TRUE(
      check::write_npy(folder / "a__x.npy", Tensor::of<float>(DType::kFloat32, {5, 2}, values)).has_value());
  VerifyOptions options;
  options.inputs_directory = folder;
  const VerifyReport report = report_of(fused(), originals(), options);
  EXPECT_TRUE(report.passed());
  ASSERT_EQ(report.runs.size(), 1u);  // a/x says how large N is
  EXPECT_EQ(report.runs[0].binding.at("N"), 5);
  ASSERT_TRUE(
      check::write_npy(folder / "b__x.npy", Tensor::of<float>(DType::kFloat32, {2, 5}, values)).has_value());
  const Result<VerifyReport> wrong = verify(fused(), originals(), make_reference_session, options);
  ASSERT_FALSE(wrong.has_value());
  EXPECT_THAT(wrong.error().to_string(), HasSubstr("b__x.npy: b/x: has shape [2,5]"));
}

// ArgMax may choose otherwise where the values tie.
TEST(Verify, IndicesMayDifferAtTies) {
  constexpr const char* kOriginal =
      "m (float[N,3] x) => (int64[N] y) { d = Sub(x, x) y = ArgMax<axis = 1, keepdims = 0>(d) }";
  std::vector<Model> models;
  models.push_back(parse("a", kOriginal));
  const Model ties = parse("fused", R"(m (float[N,3] "a/x") => (int64[N] "a/y") {
      d = Sub("a/x", "a/x") "a/y" = ArgMax<axis = 1, keepdims = 0, select_last_index = 1>(d) })");
  EXPECT_TRUE(report_of(ties, models).passed());
  models.clear();
  models.push_back(parse("a", "m (float[N,3] x) => (int64[N] y) { y = ArgMax<axis = 1, keepdims = 0>(x) }"));
  const Model wrong =
      parse("fused",
            R"(m (float[N,3] "a/x") => (int64[N] "a/y") { "a/y" = ArgMin<axis = 1, keepdims = 0>("a/x") })");
  EXPECT_FALSE(report_of(wrong, models).passed());
}

}  // namespace
}  // namespace mts
