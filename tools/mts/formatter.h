// CLI11's help, broken into lines of 80 columns.
#pragma once

#include <string>

#include <CLI/CLI.hpp>

namespace mts::tool {

class Formatter : public CLI::Formatter {
 public:
  Formatter() { column_width(kIndent); }
  std::string make_option(const CLI::Option* option, bool is_positional) const override;
  std::string make_subcommand(const CLI::App* command) const override;

 private:
  static constexpr size_t kIndent = 26;
};

// `name` in a column of `indent`, `text` beside it (below it when the name is too long) in lines of at most
// `width`.
std::string two_columns(const std::string& name, const std::string& text, size_t indent, size_t width);

}  // namespace mts::tool
