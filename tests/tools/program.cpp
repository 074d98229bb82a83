#include "tests/tools/program.h"

#include <mts/model_io.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include <sys/wait.h>
#include <unistd.h>

namespace mts::test {

namespace fs = std::filesystem;

std::string quoted(const std::string& word) {
  std::string out = "'";
  for (const char c : word) c == '\'' ? out += "'\\''" : out += c;
  return out + "'";
}

std::string read_all(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void ProgramTest::SetUp() {
  const auto* const info = testing::UnitTest::GetInstance()->current_test_info();
  const fs::path base =
      fs::temp_directory_path() / ("mts_cli_" + std::to_string(::getpid()) + "_" + info->name());
  folder_ = base / "work";
  logs_ = base / "logs";
  source_ = fs::current_path();
  fs::remove_all(base);
  fs::create_directories(folder_);
  fs::create_directories(logs_);
  ASSERT_NE(std::getenv("MTS_PROGRAM"), nullptr) << "ctest sets MTS_PROGRAM to the program's path";
}

void ProgramTest::TearDown() { fs::remove_all(folder_.parent_path()); }

Called ProgramTest::mts(const std::string& arguments) const { return shell("mts " + arguments); }

Called ProgramTest::shell(const std::string& command) const {
  const fs::path out = logs_ / "out";
  const fs::path err = logs_ / "err";
  const std::string line = "cd " + quoted(folder_.string()) + " && mts() { " +
                           quoted(std::getenv("MTS_PROGRAM")) + " \"$@\"; }; { " + command + "\n} >" +
                           quoted(out.string()) + " 2>" + quoted(err.string());
  const int status = std::system(line.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_all(out), read_all(err)};
}

void ProgramTest::write_model(const std::string& name, std::string_view text) const {
  const Result<Model> parsed = parse_text(
      "<ir_version: 8, opset_import: [\"\" : 17, \"com.example\" : 1]>\n" + std::string(text), "m");
  ASSERT_TRUE(parsed.has_value()) << (parsed ? "" : parsed.error().to_string());
  const Result<SavedModel> saved = save_model(*parsed, (folder_ / name).string());
  ASSERT_TRUE(saved.has_value()) << (saved ? "" : saved.error().to_string());
}

std::vector<std::string> ProgramTest::files() const {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder_)) names.push_back(entry.path().filename().string());
  std::ranges::sort(names);
  return names;
}

}  // namespace mts::test
