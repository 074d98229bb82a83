// The commands as they are meant to be used, on bundled and on tiny models.
#include "check/npy.h"
#include "tests/tools/program.h"

#include <mts/model_io.h>

#include <filesystem>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace mts::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class Commands : public ProgramTest {
 protected:
  Called good(const std::string& arguments) const {
    Called called = mts(arguments);
    EXPECT_EQ(called.code, 0) << arguments << "\n" << called.err;
    EXPECT_THAT(called.out, Not(HasSubstr("\033["))) << arguments;
    EXPECT_THAT(called.err, Not(HasSubstr("\033["))) << arguments;
    return called;
  }
  json parsed(const std::string& text) const {
    json value = json::parse(text, nullptr, false);
    EXPECT_FALSE(value.is_discarded()) << text;
    return value;
  }
  // Two small models on one trunk.
  void write_pair() const {
    write_model(
        "a.onnx",
        R"(m (float[N,2] x) => (float[N,2] y) <float[2,2] W = {1.0, 2.0, 3.0, 4.0}, float[2] B = {5.0, 6.0}>
      { h = MatMul(x, W) y = Add(h, B) })");
    write_model(
        "b.onnx",
        R"(m (float[N,2] x) => (float[N,2] y) <float[2,2] W = {1.0, 2.0, 3.0, 4.0}, float[2] B = {7.0, 8.0}>
      { h = MatMul(x, W) y = Add(h, B) })");
  }
};

TEST_F(Commands, StitchWritesAModelAndAReport) {
  write_pair();
  const Called called = good("stitch a.onnx b.onnx -o c.onnx --report r.json");
  EXPECT_THAT(called.out, AllOf(HasSubstr("c.onnx"), HasSubstr("nodes"), HasSubstr("weights")));
  EXPECT_THAT(files(), ElementsAre("a.onnx", "b.onnx", "c.onnx", "r.json"));
  const json report = parsed(read_all(folder() / "r.json"));
  EXPECT_EQ(report.at("schema_version"), 1);
  ASSERT_EQ(report.at("inputs").size(), 2u);
  for (const char* key : {"name", "path", "sha256", "nodes", "weight_bytes"})
    EXPECT_TRUE(report.at("inputs")[0].contains(key));
  for (const char* key : {"path", "sha256", "nodes", "weight_bytes"})
    EXPECT_TRUE(report.at("output").contains(key)) << key;
  for (const char* key :
       {"once", "batch", "fan_out", "group", "partition", "partial_rows", "partial_blocks", "apart"}) {
    EXPECT_TRUE(report.at("strategies").at(key).is_number_integer()) << key;
  }
  EXPECT_TRUE(report.at("refusals").is_array());
  EXPECT_TRUE(report.at("groups").is_array());
  EXPECT_TRUE(report.contains("predicted"));
  EXPECT_EQ(report.at("inputs")[0].at("sha256"), sha256_of_file((folder() / "a.onnx").string()).value());
  EXPECT_EQ(report.at("output").at("sha256"), sha256_of_file((folder() / "c.onnx").string()).value());
  EXPECT_EQ(report.at("unique_weight_bytes"), 32);  // W once, two biases
  EXPECT_EQ(report.at("inputs")[0].at("weight_bytes"), 24);
  EXPECT_LE(report.at("output").at("weight_bytes"), 32);
  EXPECT_EQ(parsed(good("stitch a.onnx b.onnx -o d.onnx --json").out).at("output").at("sha256"),
            report.at("output").at("sha256"));
  EXPECT_EQ(read_all(folder() / "c.onnx"), read_all(folder() / "d.onnx"));
}

TEST_F(Commands, QuietSaysNothing) {
  write_pair();
  EXPECT_THAT(good("-q stitch a.onnx b.onnx -o c.onnx").err, IsEmpty());
  EXPECT_THAT(good("stitch a.onnx b.onnx -o c.onnx -q").err, IsEmpty());
}

TEST_F(Commands, VerifyAcceptsWhatStitchWrites) {
  write_pair();
  for (const char* strategy : {"auto", "stitch", "concat", "netfuse"}) {
    good(std::string("stitch a.onnx b.onnx -o c.onnx --strategy ") + strategy);
    const Called called = good("verify c.onnx --against a.onnx b.onnx");
    EXPECT_THAT(called.out, HasSubstr("\nverified\n")) << strategy;
  }
  good("stitch a.onnx b.onnx -o c.onnx");
  // By content when the names are others, and in any order.
  good("verify c.onnx --against other=b.onnx b=a.onnx --device ref --dim N=3");
  const json report = parsed(good("verify c.onnx --against a.onnx b.onnx --json").out);
  EXPECT_EQ(report.at("passed"), true);
  EXPECT_GE(report.at("runs").size(), 3u);
}

TEST_F(Commands, VerifyShowsWhatDiffers) {
  write_pair();
  good("stitch a.onnx b.onnx -o c.onnx");
  write_model(
      "b.onnx",
      R"(m (float[N,2] x) => (float[N,2] y) <float[2,2] W = {1.0, 2.0, 3.0, 4.5}, float[2] B = {7.0, 8.0}>
    { h = MatMul(x, W) y = Add(h, B) })");
  const Called called = mts("verify c.onnx --against a.onnx b.onnx");
  EXPECT_EQ(called.code, 1);
  EXPECT_THAT(called.out,
              AllOf(HasSubstr("b/y"), HasSubstr("error above tolerance"), HasSubstr("NOT verified")));
  const Called machine = mts("verify c.onnx --against a.onnx b.onnx --json");
  EXPECT_EQ(machine.code, 1);
  EXPECT_EQ(parsed(machine.out).at("passed"), false);
  const Called fewer = mts("verify c.onnx --against a.onnx");
  EXPECT_EQ(fewer.code, 2);
  EXPECT_THAT(fewer.err, HasSubstr("'b'"));
}

TEST_F(Commands, BundledModelsCanBeStitchedAndVerified) {
  const std::string models = model("eight_heads/task0.onnx") + " " + model("eight_heads/task1.onnx") + " " +
                             model("eight_heads/task2.onnx");
  good("stitch " + models + " -o fused.onnx --strategy stitch");
  good("verify fused.onnx --against " + models + " --dim N=2");
  const Called shown = good("inspect fused.onnx");
  EXPECT_THAT(shown.out, AllOf(HasSubstr("3 models fused"), HasSubstr("task1/"), HasSubstr("all 3 models")));
}

TEST_F(Commands, SharedInputs) {
  write_pair();
  good("stitch a.onnx b.onnx -o c.onnx --share-input image=a:x,b:x");
  good("verify c.onnx --against a.onnx b.onnx");
  EXPECT_EQ(parsed(good("inspect c.onnx --json").out).at("inputs").size(), 1u);
}

TEST_F(Commands, RunReadsAndWritesNumPyFiles) {
  write_pair();
  const std::vector<float> values = {1, 0, 0, 1, 1, 1};
  ASSERT_TRUE(
      check::write_npy(folder() / "x.npy", Tensor::of<float>(DType::kFloat32, {3, 2}, values)).has_value());
  const Called called = good("run a.onnx --input x=x.npy --output-dir out");
  EXPECT_THAT(called.out, AllOf(HasSubstr("float32[3,2]"), HasSubstr("out/y.npy")));
  const Tensor y = check::read_npy(folder() / "out" / "y.npy").value();
  EXPECT_THAT(std::vector<float>(y.as<float>(), y.as<float>() + 6), ElementsAre(6, 8, 8, 10, 9, 12));
  good("stitch a.onnx b.onnx -o c.onnx");
  good("run c.onnx --input a/x=x.npy --random --output-dir fused");
  EXPECT_EQ(read_all(folder() / "fused" / "a__y.npy"), read_all(folder() / "out" / "y.npy"));

  ASSERT_TRUE(check::write_npy(folder() / "wide.npy", Tensor::of<float>(DType::kFloat32, {2, 3}, values))
                  .has_value());
  const Called wide = mts("run a.onnx --input x=wide.npy");
  EXPECT_EQ(wide.code, 2);
  EXPECT_THAT(wide.err, AllOf(HasSubstr("wide.npy"), HasSubstr("[2,3]"), HasSubstr("[N,2]")));
  ASSERT_TRUE(check::write_npy(folder() / "ints.npy", Tensor(DType::kInt32, {3, 2})).has_value());
  EXPECT_THAT(mts("run a.onnx --input x=ints.npy").err, HasSubstr("holds int32, the model wants float32"));
  EXPECT_EQ(mts("run a.onnx --input x=absent.npy").code, 4);
}

TEST_F(Commands, RunDrawsTheSameInputsEveryTime) {
  write_pair();
  good("run a.onnx --random --dim N=2 --output-dir one");
  good("run a.onnx --random --dim N=2 --output-dir two --device ref");
  good("run a.onnx --random --dim N=2 --output-dir three --seed 2");
  EXPECT_EQ(read_all(folder() / "one" / "y.npy"), read_all(folder() / "two" / "y.npy"));
  EXPECT_NE(read_all(folder() / "one" / "y.npy"), read_all(folder() / "three" / "y.npy"));
}

TEST_F(Commands, RunWritesSequencesAsJson) {
  write_model("s.onnx", R"(m (float[2] x) => (seq(float[2]) y) { r = Relu(x) y = SequenceConstruct(x, r) })");
  ASSERT_TRUE(
      check::write_npy(folder() / "x.npy", Tensor::of<float>(DType::kFloat32, {2}, std::vector<float>{-1, 2}))
          .has_value());
  good("run s.onnx --input x=x.npy --output-dir out --device ref");
  EXPECT_EQ(parsed(read_all(folder() / "out" / "y.json")), json::parse("[[-1.0, 2.0], [0.0, 2.0]]"));
}

TEST_F(Commands, InspectShowsWhatIsShared) {
  write_pair();
  const Called called = good("inspect a.onnx b.onnx");
  EXPECT_THAT(called.out,
              AllOf(HasSubstr("also elsewhere"), HasSubstr("16 B in 2 models"), HasSubstr("67 %")));
  const json shared = parsed(good("inspect a.onnx b.onnx --json").out);
  EXPECT_EQ(shared.at("sharing").at("unique_bytes"), 32);
  EXPECT_EQ(shared.at("sharing").at("total_bytes"), 48);
  EXPECT_EQ(shared.at("sharing").at("models")[0].at("shared_bytes"), 16);
  EXPECT_THAT(called.out, AllOf(HasSubstr("What part of each layer"), Not(HasSubstr("\x1b"))));
  const json layers = shared.at("sharing").at("layers");
  ASSERT_FALSE(layers.empty());
  EXPECT_EQ(layers[0].at("models").size(), 2u);
  EXPECT_EQ(shared.at("output").at("path"), nullptr);
  EXPECT_THAT(files(), ElementsAre("a.onnx", "b.onnx"));  // nothing written
  const json one = parsed(good("inspect a.onnx --json").out);
  EXPECT_EQ(one.at("nodes"), 2);
  EXPECT_EQ(one.at("operators").at("MatMul"), 1);
  EXPECT_FALSE(one.contains("models"));
}

TEST_F(Commands, InspectExplainsAPlan) {
  const std::string models = model("eight_heads/task0.onnx") + " " + model("eight_heads/task1.onnx");
  good("stitch " + models + " -o fused.onnx --target h200 --save-plan plan.json");
  const Called saved = good("inspect --plan plan.json");
  EXPECT_THAT(saved.out,
              AllOf(HasSubstr("1 group, predicted"), HasSubstr("at the peak"), HasSubstr("roofline"),
                    HasSubstr("otherwise"), HasSubstr("apart "), HasSubstr("Conv")));
  std::istringstream lines(saved.out);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80U) << line;
  const Called made = good("inspect --plan " + models + " --target h200");
  EXPECT_THAT(made.out, HasSubstr(saved.out.substr(0, saved.out.find('\n'))));
}

TEST_F(Commands, InspectShowsWhatIsSharedBelowTheTensor) {
  const Called called =
      good("inspect " + model("mtz_pair/objects.onnx") + " " + model("mtz_pair/scenes.onnx"));
  EXPECT_THAT(called.out, AllOf(HasSubstr("conv1 conv2 conv3"), HasSubstr("objects  100    67")));
}

TEST_F(Commands, OptPrintsTextThatCanBeReadBack) {
  write_model("a.onnx", "m (float[N] x) => (float[N] y) { h = Identity(x) y = Relu(h) }");
  const Called text = good("opt a.onnx");
  EXPECT_THAT(text.out, HasSubstr("Identity"));
  EXPECT_TRUE(parse_text(text.out).has_value());
  const Called list = good("opt --list");
  EXPECT_THAT(list.out, HasSubstr("identity"));
  std::istringstream lines(list.out);
  std::string header;
  std::getline(lines, header);
  for (std::string line; std::getline(lines, line);) {
    const std::string name = line.substr(0, line.find(' '));
    if (name.empty()) continue;  // a broken line
    const Called passed = good("opt a.onnx --passes " + name);
    EXPECT_TRUE(parse_text(passed.out).has_value()) << name;
  }
  good("opt --passes eliminate-identity,eliminate-dead a.onnx");
  good("opt a.onnx -o a.txt");
  EXPECT_EQ(read_all(folder() / "a.txt"), text.out);
}

TEST_F(Commands, BenchMeasuresAllWays) {
  write_pair();
  good("stitch a.onnx b.onnx -o c.onnx --target cpu-avx2");
  const json report =
      parsed(good("bench c.onnx --against a.onnx b.onnx --json --seconds 0.2 --threads 1").out);
  EXPECT_TRUE(report.contains("schema_version"));
  EXPECT_TRUE(report.contains("context"));
  std::vector<std::string> names;
  for (const json& row : report.at("rows")) names.push_back(row.at("name"));
  EXPECT_THAT(names, ElementsAre("fused", "sequential", "concat", "stitch", "netfuse"));
  for (const json& row : report.at("rows")) {
    EXPECT_EQ(row.at("verified"), true) << row.dump();
    EXPECT_GT(row.at("latency_ms").at("p50"), 0) << row.dump();
    EXPECT_TRUE(row.at("speedup_vs_sequential").is_number()) << row.dump();
  }
  const json& roofline = report.at("rows")[0].at("roofline");
  EXPECT_EQ(roofline.at("profile"), "cpu-avx2") << "what it was stitched for";
  EXPECT_GT(roofline.at("floor_ms"), 0);
  EXPECT_GT(roofline.at("share"), 0);
  EXPECT_FALSE(roofline.at("losses").empty());
  EXPECT_FALSE(report.at("rows")[1].contains("roofline"));
  EXPECT_THAT(good("bench a.onnx --seconds 0.1 --target cpu-avx512").out,
              AllOf(HasSubstr("% of the roofline's floor"), HasSubstr("(cpu-avx512)")));
  EXPECT_EQ(mts("bench a.onnx --seconds 0.1 --target abacus").code, 2);
  // Without originals there is nothing to compare with.
  const json alone = parsed(good("bench a.onnx --json --seconds 0.1").out);
  ASSERT_EQ(alone.at("rows").size(), 1u);
  EXPECT_EQ(alone.at("rows")[0].at("speedup_vs_sequential"), nullptr);
  EXPECT_THAT(good("bench c.onnx --against a.onnx b.onnx --seconds 0.1 --only sequential").out,
              Not(HasSubstr("netfuse")));
  const Called slow = mts("bench c.onnx --against a.onnx b.onnx --seconds 0.1 --min-speedup 1000");
  EXPECT_EQ(slow.code, 1);
  EXPECT_THAT(slow.out, HasSubstr("fused"));
}

TEST_F(Commands, BenchGivesNoSpeedupToWrongNumbers) {
  write_pair();
  good("stitch a.onnx b.onnx -o c.onnx");
  write_model(
      "b.onnx",
      R"(m (float[N,2] x) => (float[N,2] y) <float[2,2] W = {1.0, 2.0, 3.0, 4.5}, float[2] B = {7.0, 8.0}>
    { h = MatMul(x, W) y = Add(h, B) })");
  const json report =
      parsed(good("bench c.onnx --against a.onnx b.onnx --json --seconds 0.1 --only sequential").out);
  EXPECT_EQ(report.at("rows")[0].at("verified"), false);
  EXPECT_EQ(report.at("rows")[0].at("speedup_vs_sequential"), nullptr);
}

}  // namespace
}  // namespace mts::test
