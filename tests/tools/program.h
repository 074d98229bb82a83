// Calls the mts program as a user does: through a shell, in a folder of its own.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace mts::test {

struct Called {
  int code = -1;
  std::string out, err;
};

std::string quoted(const std::string& word);
std::string read_all(const std::filesystem::path& path);

class ProgramTest : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  // `arguments` is a piece of shell: "stitch a.onnx b.onnx -o c.onnx"; the working directory is folder().
  Called mts(const std::string& arguments) const;
  Called shell(const std::string& command) const;  // "mts" in it is the program

  const std::filesystem::path& folder() const { return folder_; }
  std::filesystem::path source() const { return source_; }  // root of the source tree
  std::string model(const std::string& path) const { return quoted((source_ / "models" / path).string()); }
  // Writes textual ONNX as a model; a header is added.
  void write_model(const std::string& name, std::string_view text) const;
  std::vector<std::string> files() const;  // in folder(), sorted

 private:
  std::filesystem::path folder_, logs_, source_;
};

}  // namespace mts::test
