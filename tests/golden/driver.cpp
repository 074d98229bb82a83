#include "tests/golden/driver.h"

#include <mts/model_io.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

namespace mts::golden {
namespace {

constexpr std::string_view kAfter = "// ---- after ----\n";
constexpr std::string_view kAnd = "// ---- and ----\n";

std::string trimmed(std::string text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

std::vector<std::string> split_at(const std::string& text, std::string_view separator) {
  std::vector<std::string> parts;
  size_t from = 0;
  for (size_t at = text.find(separator); at != std::string::npos; at = text.find(separator, from)) {
    parts.push_back(text.substr(from, at - from));
    from = at + separator.size();
  }
  parts.push_back(text.substr(from));
  return parts;
}

// Separates comment lines, which may hold directives, from the model.
std::string without_comments(const std::string& text, std::map<std::string, std::string>* directives) {
  std::istringstream lines(text);
  std::string line, model;
  while (std::getline(lines, line)) {
    if (!trimmed(line).starts_with("//")) {
      model += line + "\n";
      continue;
    }
    const std::string comment = trimmed(trimmed(line).substr(2));
    const auto colon = comment.find(": ");
    if (directives != nullptr && colon != std::string::npos && comment.find(' ') > colon)
      (*directives)[comment.substr(0, colon)] = comment.substr(colon + 2);
  }
  return model;
}

std::string print_all(const std::vector<Model>& models) {
  std::string text;
  for (const Model& model : models) {
    auto printed = print_text(model);
    if (!printed) {
      ADD_FAILURE() << printed.error().to_string();
      return {};
    }
    if (!text.empty()) text += kAnd;
    text += *printed;
  }
  return text;
}

// The canonical text of a textual model, so that layout does not matter.
std::string canonical(const std::string& text) {
  auto model = parse_text(text, "expected");
  if (!model) return "(the expected model does not parse: " + model.error().to_string() + ")";
  auto printed = print_text(*model);
  return printed ? *printed : printed.error().to_string();
}

}  // namespace

std::vector<std::string> split_list(const std::string& text) {
  std::vector<std::string> items;
  for (std::string& item : split_at(text, ","))
    if (!trimmed(item).empty()) items.push_back(trimmed(item));
  return items;
}

std::vector<std::string> cases_in(const std::string& folder) {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == ".txt") paths.push_back(entry.path().generic_string());
  std::ranges::sort(paths);
  return paths;
}

void check(const std::string& path, const Transform& transform) {
  SCOPED_TRACE(path);
  std::ifstream file(path);
  std::stringstream buffer;
  buffer << file.rdbuf();
  const std::string text = buffer.str();
  const auto separator = text.find(kAfter);
  const std::string head = text.substr(0, separator);
  const std::string tail =
      separator == std::string::npos ? std::string() : text.substr(separator + kAfter.size());

  Case golden;
  golden.path = path;
  for (const std::string& part : split_at(head, kAnd)) {
    auto model = parse_text(without_comments(part, &golden.directives),
                            std::string(1, static_cast<char>('a' + golden.before.size())));
    ASSERT_TRUE(model) << model.error().to_string();
    golden.before.push_back(std::move(*model));
  }
  const std::string before = print_all(golden.before);
  const auto result = transform(golden);
  std::string actual;
  if (!result) {
    actual = "// refusal: " + result.error().to_string() + "\n";
  } else {
    actual = print_all(golden.before);
    if (actual == before) actual = "// unchanged\n";
  }

  if (const char* update = std::getenv("MTS_UPDATE_GOLDENS"); update != nullptr && *update == '1') {
    std::ofstream(path) << head << kAfter << actual;
    return;
  }
  ASSERT_NE(separator, std::string::npos) << "no expectation yet; run with MTS_UPDATE_GOLDENS=1";
  if (trimmed(tail).starts_with("// refusal:") || trimmed(tail) == "// unchanged") {
    EXPECT_EQ(trimmed(actual), trimmed(tail));
    return;
  }
  std::string expected;
  for (const std::string& part : split_at(tail, kAnd)) {
    if (!expected.empty()) expected += kAnd;
    expected += canonical(without_comments(part, nullptr));
  }
  EXPECT_EQ(actual, expected);
}

}  // namespace mts::golden
