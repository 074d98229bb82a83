// The plugin as a user meets it: it loads wherever it was built, and what is missing is said in one line,
// exit code 5.
#include "tests/tools/program.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mts::test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

class CudaPlugin : public ProgramTest {
 protected:
  void expect_device_error(const Called& called, const testing::Matcher<std::string>& what) const {
    EXPECT_EQ(called.code, 5) << called.err;
    EXPECT_THAT(called.err, what);
    EXPECT_EQ(std::count(called.err.begin(), called.err.end(), '\n'), 1) << called.err;
    EXPECT_TRUE(called.out.empty()) << called.out;
  }
  static bool has_driver() {
    void* const driver = dlopen("libcuda.so.1", RTLD_LAZY);
    if (driver != nullptr) dlclose(driver);
    return driver != nullptr;
  }
  std::string digit() const { return model("digits_heads/digit.onnx"); }
  std::string plugin() const { return std::getenv("MTS_CUDA_PLUGIN_FILE"); }
};

TEST_F(CudaPlugin, LoadsAndReportsThatThereIsNoDriver) {
  if (has_driver()) GTEST_SKIP() << "this machine has a driver";
  const Called stitched =
      mts("stitch " + digit() + " " + model("digits_heads/parity.onnx") + " -o fused.onnx");
  ASSERT_EQ(stitched.code, 0) << stitched.err;
  const std::string against = " --against " + digit() + " " + model("digits_heads/parity.onnx");
  for (const std::string& command :
       {"run " + digit() + " --random", "bench fused.onnx" + against, "verify fused.onnx" + against}) {
    expect_device_error(mts(command + " --quiet --device cuda"), HasSubstr("no NVIDIA driver is installed"));
  }
}

TEST_F(CudaPlugin, ExportsItsEntryAndNothingElse) {
  const Called called = shell("nm -D --defined-only " + quoted(plugin()) + " | grep -v ' [wVu] '");
  EXPECT_EQ(std::count(called.out.begin(), called.out.end(), '\n'), 1) << called.out;
  EXPECT_THAT(called.out, HasSubstr("mts_cuda_plugin"));
}

TEST_F(CudaPlugin, SaysThatItIsMissing) {
  expect_device_error(
      shell("MTS_CUDA_PLUGIN=/nowhere/x.so mts run " + digit() + " --random --quiet --device cuda"),
      HasSubstr("is not beside the program"));
}

TEST_F(CudaPlugin, SaysWhichLibraryIsMissing) {
  // A library that needs one that is not there.
  const Called built = shell(
      "printf '' > e.c && cc -shared -o libgone.so e.c && printf 'int f(void){return 0;}' > f.c && "
      "cc -shared -Wl,--no-as-needed -o needs.so f.c -L. -lgone && rm libgone.so");
  if (built.code != 0) GTEST_SKIP() << "no C compiler here: " << built.err;
  expect_device_error(
      shell("MTS_CUDA_PLUGIN=$PWD/needs.so mts run " + digit() + " --random --quiet --device cuda"),
      AllOf(HasSubstr("cannot be loaded"), HasSubstr("libgone.so")));
}

TEST_F(CudaPlugin, RefusesThatOfAnotherBuild) {
  const Called built = shell("printf 'int f(void){return 0;}' > f.c && cc -shared -o other.so f.c");
  if (built.code != 0) GTEST_SKIP() << "no C compiler here: " << built.err;
  expect_device_error(
      shell("MTS_CUDA_PLUGIN=$PWD/other.so mts run " + digit() + " --random --quiet --device cuda"),
      HasSubstr("belongs to another build"));
}

}  // namespace
}  // namespace mts::test
