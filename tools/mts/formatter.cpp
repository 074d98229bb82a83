#include "formatter.h"

#include <sstream>

namespace mts::tool {
namespace {

constexpr size_t kWidth = 80;

}  // namespace

std::string two_columns(const std::string& name, const std::string& text, size_t indent, size_t width) {
  std::string out = "  " + name;
  size_t column = out.size();
  const auto new_line = [&] {
    out += '\n';
    out.append(indent, ' ');
    column = indent;
  };
  if (column + 2 > indent) {
    new_line();
  } else {
    out.append(indent - column, ' ');
    column = indent;
  }
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (column > indent && column + 1 + word.size() > width) new_line();
    if (column > indent) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
  }
  return out + "\n";
}

std::string Formatter::make_option(const CLI::Option* option, bool is_positional) const {
  return two_columns(make_option_name(option, is_positional) + make_option_opts(option),
                     make_option_desc(option), kIndent, kWidth);
}

std::string Formatter::make_subcommand(const CLI::App* command) const {
  return two_columns(command->get_name(), command->get_description(), 2 + 10, kWidth);
}

}  // namespace mts::tool
