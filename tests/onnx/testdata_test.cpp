// Round trips of ONNX's own test models (Debian's libonnx-testdata, and the newer ones of the PyPI sdist
// where the build has fetched them), of the bundled families, and of any folder of models named in
// MTS_MORE_MODELS. Models older than opset 7 must be refused with that reason.
#include "tests/onnx/compare.h"

#include <mts/model_io.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <gtest/gtest.h>

namespace mts {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> models_under(const fs::path& folder) {
  std::vector<std::string> paths;
  std::error_code missing;
  for (const auto& entry : fs::recursive_directory_iterator(folder, missing))
    if (entry.path().extension() == ".onnx") paths.push_back(entry.path().string());
  std::ranges::sort(paths);
  return paths;
}

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Reads, writes, re-reads; empty when all is well.
std::string round_trip(const std::string& path, bool compare_protos, bool check) {
  auto model = load_model(path, "m");
  if (!model) return "load: " + model.error().to_string();
  if (auto sound = verify_ir(*model); !sound) return "verify: " + sound.error().to_string();
  const std::string out = testing::TempDir() + "round_trip.onnx";
  auto saved = save_model(*model, out);
  if (!saved) return "save: " + saved.error().to_string();
  auto again = load_model(out, "m");
  if (!again) return "reload: " + again.error().to_string();
  std::string difference = test::difference(*model, *again);
  if (!difference.empty()) return "re-read: " + difference;
  if (compare_protos) difference = test::proto_difference(content_of(path), content_of(out));
  if (!difference.empty()) return "proto: " + difference;
  if (check)
    if (auto checked = check_file(out); !checked && check_file(path))
      return "checker: " + checked.error().to_string();
  auto bytes = to_bytes(*model);
  if (!bytes || *bytes != content_of(out)) return "to_bytes differs from save_model";
  if (auto inferred = infer_types(*again); !inferred) return "infer: " + inferred.error().to_string();
  if (auto sound = verify_ir(*again); !sound) return "verify after inference: " + sound.error().to_string();
  return {};
}

// At least so many models must make it.
void run_all(const std::vector<std::string>& paths, size_t at_least) {
  if (paths.empty()) GTEST_SKIP() << "the models are not installed";
  size_t failures = 0, refused = 0;
  for (const std::string& path : paths) {
    const bool external = fs::exists(path + ".data") || path.find("external") != std::string::npos;
    const bool functions = path.find("function") != std::string::npos;
    const std::string problem = round_trip(path, !external && !functions, true);
    if (problem.find("is outside of 7 to 28") != std::string::npos) {
      ++refused;
    } else if (!problem.empty() && ++failures < 30) {
      ADD_FAILURE() << path << ": " << problem;
    }
  }
  EXPECT_EQ(failures, 0U) << "of " << paths.size();
  EXPECT_GE(paths.size() - refused, at_least);
  testing::Test::RecordProperty("models", static_cast<int>(paths.size()));
  testing::Test::RecordProperty("too_old", static_cast<int>(refused));
}

const fs::path kDebian = "/usr/share/libonnx-testdata/data";
const fs::path kSdist = MTS_ONNX_TESTS;

TEST(Testdata, DebianNodes) { run_all(models_under(kDebian / "node"), 900); }
TEST(Testdata, DebianGraphs) {
  run_all(models_under(kDebian / "simple"), 20);
  run_all(models_under(kDebian / "pytorch-converted"), 0);
  run_all(models_under(kDebian / "pytorch-operator"), 0);
}
TEST(Testdata, SdistNodes) { run_all(models_under(kSdist / "node"), 1600); }
TEST(Testdata, SdistGraphs) {
  run_all(models_under(kSdist / "light"), 9);
  run_all(models_under(kSdist / "simple"), 20);
}
TEST(Testdata, BundledFamilies) { run_all(models_under("models"), 0); }
TEST(Testdata, MoreModels) {
  const char* folder = std::getenv("MTS_MORE_MODELS");
  if (folder == nullptr) GTEST_SKIP() << "MTS_MORE_MODELS is not set";
  run_all(models_under(folder), 1);
}

}  // namespace
}  // namespace mts
