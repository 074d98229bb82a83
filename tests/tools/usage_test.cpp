// What happens when the command line is wrong: exit code, what stderr says, that nothing is written.
#include "tests/tools/program.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mts::test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr const char* kHead =
    R"(m (float[N,2] x) => (float[N,2] y) <float[2,2] W = {1.0, 2.0, 3.0, 4.0}, float[2] B = {5.0, 6.0}>
  { h = MatMul(x, W) y = Add(h, B) })";

class Usage : public ProgramTest {
 protected:
  void expect(const std::string& arguments, int code, const testing::Matcher<std::string>& err) const {
    const Called called = mts(arguments);
    EXPECT_EQ(called.code, code) << arguments << "\n" << called.err;
    EXPECT_THAT(called.err, err) << arguments;
    EXPECT_THAT(called.out, IsEmpty()) << arguments;
    EXPECT_THAT(called.err, Not(HasSubstr("\033["))) << arguments;
  }
};

TEST_F(Usage, HelpShowsExitCodesAndTolerances) {
  const Called help = mts("--help");
  EXPECT_EQ(help.code, 0);
  for (const char* text : {"stitch", "verify", "run", "bench", "inspect", "opt", "70", "0.005", "bfloat16"}) {
    EXPECT_THAT(help.out, HasSubstr(text));
  }
  for (const char* command : {"stitch", "verify", "run", "bench", "calibrate", "inspect", "opt"}) {
    const Called called = mts(std::string(command) + " --help");
    EXPECT_EQ(called.code, 0) << command;
    size_t longest = 0;
    std::istringstream lines(called.out);
    for (std::string line; std::getline(lines, line);) longest = std::max(longest, line.size());
    EXPECT_LE(longest, 80u) << command;
  }
  EXPECT_THAT(mts("stitch --help").out, HasSubstr("cpu-avx2"));
  EXPECT_THAT(mts("--version").out, HasSubstr("mts "));
}

TEST_F(Usage, WrongFlagsAndCommandsGetASuggestion) {
  expect("", 2, HasSubstr("mts --help"));
  expect("stich a.onnx", 2, HasSubstr("did you mean stitch?"));
  expect("stitch a.onnx -o b.onnx --stratgy auto", 2, HasSubstr("did you mean --strategy?"));
  expect("stitch a.onnx", 2, HasSubstr("--output"));
  expect("stitch a.onnx -o b.onnx --strategy fast", 2, HasSubstr("--strategy"));
  expect("verify a.onnx", 2, HasSubstr("--against"));
  expect("run a.onnx --device tpu", 2, HasSubstr("--device"));
  expect("bench a.onnx --device cuda --fp16 --bf16", 2, HasSubstr("--fp16"));
  write_model("a.onnx", kHead);
  expect("run a.onnx --random --fp16 --quiet", 2, HasSubstr("float16 needs the device cuda"));
  expect("run a.onnx --threads -1", 2, HasSubstr("--threads"));
}

TEST_F(Usage, MalformedValuesAreRefused) {
  write_model("a.onnx", kHead);
  expect("run a.onnx --random --dim N", 2, HasSubstr("like N=4"));
  expect("run a.onnx --random --dim N=x", 2, HasSubstr("'N=x'"));
  expect("run a.onnx --random --dim N=-1", 2, HasSubstr("'N=-1'"));
  expect("run a.onnx --random --dim N=1 --dim N=2", 2, HasSubstr("twice"));
  expect("run a.onnx --random --dim M=1", 2, HasSubstr("there are: N"));
  expect("run a.onnx --random --range x=1", 2, HasSubstr("like ids=0:100"));
  expect("run a.onnx --random --range x=2:1", 2, HasSubstr("'x=2:1'"));
  expect("run a.onnx --random --range z=0:1", 2, HasSubstr("no such input"));
  expect("run a.onnx --input x", 2, HasSubstr("like x=x.npy"));
  expect("run a.onnx --input z=z.npy --random", 2, HasSubstr("there are: x"));
  expect("run a.onnx", 2, AllOf(HasSubstr("a.onnx"), HasSubstr("--input x=FILE")));
  expect("opt a.onnx --passes no-such-pass", 2, HasSubstr("--list"));
  EXPECT_THAT(files(), ElementsAre("a.onnx"));
}

TEST_F(Usage, TargetsAreProfilesByNameOrFile) {
  write_model("a.onnx", kHead);
  write_model("b.onnx", kHead);
  expect("stitch a.onnx b.onnx -o c.onnx --target abacus", 2,
         AllOf(HasSubstr("generic-gpu"), HasSubstr("jetson-orin")));
  expect("stitch a.onnx b.onnx -o c.onnx --target none.json", 4, HasSubstr("none.json"));
  shell("echo '{\"schema_version\": 1}' > short.json");
  expect("stitch a.onnx b.onnx -o c.onnx --target short.json", 2,
         AllOf(HasSubstr("short.json"), HasSubstr("name")));
  expect("calibrate", 2, HasSubstr("--output"));
  expect("calibrate -o profile.txt", 2, HasSubstr(".json"));
  expect("calibrate -o no/folder.json", 4, HasSubstr("no/folder.json"));
  expect("calibrate -o p.json --device ref", 2, HasSubstr("ref"));
  EXPECT_THAT(files(), ElementsAre("a.onnx", "b.onnx", "short.json"));
  const Called called = mts("calibrate -o p.json --seconds 0.1 --threads 1");
  EXPECT_EQ(called.code, 0) << called.err;
  EXPECT_EQ(mts("stitch a.onnx b.onnx -o c.onnx --target p.json").code, 0);
  EXPECT_THAT(mts("inspect c.onnx").out, HasSubstr("cpu-calibrated"));
}

TEST_F(Usage, BadBoundsOfRecoveryAreRefused) {
  write_model("a.onnx", kHead);
  write_model("b.onnx", kHead);
  for (const char* command :
       {"stitch a.onnx b.onnx -o c.onnx --recover ", "inspect a.onnx b.onnx --recover "}) {
    const std::string with = command;
    expect(with + "nearly", 2, AllOf(HasSubstr("near, scaled and lowrank"), HasSubstr("'nearly'")));
    expect(with + "''", 2, HasSubstr("near, scaled and lowrank"));
    expect(with + "near,", 2, HasSubstr("near, scaled and lowrank"));
    expect(with + "near,scaled,near=1e-6", 2, HasSubstr("near twice"));
    for (const char* bound : {"", "x", "0", "-1e-6", "nan", "inf", "0.011", "1e-6x"})
      expect(with + "scaled=" + bound, 2, AllOf(HasSubstr("the bound of scaled"), HasSubstr("0.01")));
    EXPECT_EQ(mts(with + "near=1e-6,scaled,lowrank=0.01").code, 0);
  }
  EXPECT_THAT(files(), ElementsAre("a.onnx", "b.onnx", "c.onnx"));
}

TEST_F(Usage, MissingAndBrokenFilesAreNamed) {
  write_model("a.onnx", kHead);
  fs::copy_file(folder() / "a.onnx", folder() / "short.onnx");
  fs::resize_file(folder() / "short.onnx", fs::file_size(folder() / "a.onnx") - 20);
  shell("echo 'this is no model' > text.onnx; : > empty.onnx; mkdir folder.onnx");
  for (const char* command : {"stitch a.onnx %s -o out.onnx --report r.json", "verify %s --against a.onnx",
                              "run %s --random", "inspect %s", "opt %s", "bench %s"}) {
    const auto with = [&](const std::string& file) {
      std::string line = command;
      return line.replace(line.find("%s"), 2, file);
    };
    expect(with("absent.onnx"), 4, AllOf(HasSubstr("absent.onnx"), HasSubstr("No such file")));
    expect(with("folder.onnx"), 4, HasSubstr("folder.onnx"));
    expect(with("short.onnx"), 3, HasSubstr("short.onnx"));
    expect(with("text.onnx"), 3, HasSubstr("text.onnx"));
    expect(with("empty.onnx"), 3, HasSubstr("empty.onnx"));
  }
  EXPECT_THAT(files(), ElementsAre("a.onnx", "empty.onnx", "folder.onnx", "short.onnx", "text.onnx"));
}

TEST_F(Usage, TwoModelsOfOneNameAreRefusedWithACommandThatWorks) {
  shell("mkdir left right");
  write_model("left/head.onnx", kHead);
  write_model("right/head.onnx", kHead);
  const Called refused = mts("stitch left/head.onnx right/head.onnx -o out.onnx --strategy concat");
  EXPECT_EQ(refused.code, 2);
  EXPECT_THAT(
      refused.err,
      HasSubstr("mts stitch left=left/head.onnx right=right/head.onnx -o out.onnx --strategy concat"));
  EXPECT_THAT(files(), ElementsAre("left", "right"));
  const Called pasted = shell(refused.err.substr(refused.err.find("\n  mts ") + 3));
  EXPECT_EQ(pasted.code, 0) << pasted.err;
  EXPECT_THAT(files(), ElementsAre("left", "out.onnx", "right"));
  // Without folders that differ, numbers do it; and blanks are quoted.
  write_model("one two.onnx", kHead);
  const Called twice = mts("stitch 'one two.onnx' 'one two.onnx' -o out2.onnx");
  EXPECT_EQ(twice.code, 2);
  EXPECT_THAT(twice.err, HasSubstr("'one two_1=one two.onnx' 'one two_2=one two.onnx'"));
  EXPECT_EQ(shell(twice.err.substr(twice.err.find("\n  mts ") + 3)).code, 0);
  expect("stitch a/b=left/head.onnx right/head.onnx -o x.onnx", 2, HasSubstr("must not hold '/'"));
}

TEST_F(Usage, AnOutputThatIsAnInputIsRefused) {
  write_model("a.onnx", kHead);
  write_model("b.onnx", kHead);
  const std::string before = read_all(folder() / "a.onnx");
  shell("ln -s a.onnx link.onnx; ln a.onnx hard.onnx; mkdir sub; ln -s .. sub/up");
  for (const char* output :
       {"a.onnx", "./a.onnx", "link.onnx", "hard.onnx", "sub/up/a.onnx", "sub/../b.onnx"}) {
    expect(std::string("stitch a.onnx b.onnx -o ") + output, 2,
           AllOf(HasSubstr(output), HasSubstr("is an input")));
  }
  expect("stitch a.onnx b.onnx -o c.onnx --report a.onnx", 2, HasSubstr("a.onnx"));
  expect("stitch a.onnx b.onnx -o c.onnx --report ./c.onnx", 2, HasSubstr("c.onnx"));
  expect("opt a.onnx -o hard.onnx", 2, HasSubstr("is an input"));
  EXPECT_EQ(read_all(folder() / "a.onnx"), before);
  EXPECT_THAT(files(), ElementsAre("a.onnx", "b.onnx", "hard.onnx", "link.onnx", "sub"));
}

TEST_F(Usage, OutputsThatCannotBeWrittenLeaveNothingBehind) {
  write_model("a.onnx", kHead);
  write_model("b.onnx", kHead);
  shell("mkdir taken");
  expect("stitch a.onnx b.onnx -o nowhere/c.onnx", 4, HasSubstr("nowhere"));
  expect("stitch a.onnx b.onnx -o taken", 4, HasSubstr("taken"));
  expect("stitch a.onnx b.onnx -o c.onnx --report nowhere/r.json", 4, HasSubstr("nowhere"));
  expect("stitch a.onnx b.onnx -o c.onnx --report taken", 4, HasSubstr("taken"));
  // The report fails only after the model was written: both or none.
  expect("stitch a.onnx b.onnx -o c.onnx --report /dev/full", 4, HasSubstr("/dev/full"));
  expect("run a.onnx --random --output-dir a.onnx", 4, HasSubstr("a.onnx"));
  expect("opt a.onnx -o nowhere/a.txt", 4, HasSubstr("nowhere"));
  EXPECT_THAT(files(), ElementsAre("a.onnx", "b.onnx", "taken"));
  const Called full = shell("mts inspect a.onnx > /dev/full");
  EXPECT_EQ(full.code, 4);
  EXPECT_THAT(full.err, HasSubstr("standard output"));
}

TEST_F(Usage, WhatCouldNotBeReplacedStaysAsItWas) {
  write_model("a.onnx", kHead);
  write_model("b.onnx", kHead);
  shell("echo older > c.onnx; echo data > c.onnx.data; echo linked > d.onnx; ln d.onnx e.onnx");
  // The report fails only after the model was written.
  for (const char* flags : {"", " --external-data always"}) {
    SCOPED_TRACE(flags);
    expect(std::string("stitch a.onnx b.onnx -o c.onnx --report /dev/full") + flags, 4,
           HasSubstr("/dev/full"));
    EXPECT_EQ(read_all(folder() / "c.onnx"), "older\n");
    EXPECT_EQ(read_all(folder() / "c.onnx.data"), "data\n");
  }
  EXPECT_EQ(mts("stitch a.onnx b.onnx -o d.onnx --report r.json").code, 0);
  EXPECT_NE(read_all(folder() / "d.onnx"), "linked\n");
  EXPECT_EQ(read_all(folder() / "e.onnx"), "linked\n") << "another name of the older file";
  EXPECT_THAT(shell("ls -A").out, Not(HasSubstr(".old"))) << "nothing is left behind";
  EXPECT_THAT(files(),
              ElementsAre("a.onnx", "b.onnx", "c.onnx", "c.onnx.data", "d.onnx", "e.onnx", "r.json"));
}

TEST_F(Usage, BadSharedInputsAreRefused) {
  write_model("a.onnx", kHead);
  write_model("b.onnx",
              R"(m (float[N,3] x, float[N] z) => (float[N,3] y, float[N] w) { y = Relu(x) w = Relu(z) })");
  expect("stitch a.onnx b.onnx -o c.onnx --share-input nothing", 2, HasSubstr("nothing"));
  expect("stitch a.onnx b.onnx -o c.onnx --share-input z", 2, HasSubstr("z"));
  expect("stitch a.onnx b.onnx -o c.onnx --share-input x", 2, HasSubstr("x"));  // [N,2] and [N,3]
  expect("stitch a.onnx b.onnx -o c.onnx --share-input image=a:x,q:z", 2, HasSubstr("q"));
  EXPECT_THAT(files(), ElementsAre("a.onnx", "b.onnx"));
}

TEST_F(Usage, AnOperatorThatCannotRunIsNamed) {
  write_model("a.onnx", R"(m (float[N] x) => (float[N] y) { h = Relu(x) y = com.example.Mystery(h) })");
  expect("run a.onnx --random", 6, AllOf(HasSubstr("a.onnx"), HasSubstr("Mystery")));
  expect("verify a.onnx --against a.onnx", 2, HasSubstr("a.onnx"));  // no fused model of a
}

TEST_F(Usage, AMissingDeviceIsSaid) {
  write_model("a.onnx", kHead);
  const Called called = mts("run a.onnx --random --device cuda");
  if (called.code == 0) GTEST_SKIP() << "there is a GPU";
  EXPECT_EQ(called.code, 5) << called.err;
  EXPECT_THAT(called.err, testing::AnyOf(HasSubstr("CUDA"), HasSubstr("NVIDIA")));
}

}  // namespace
}  // namespace mts::test
