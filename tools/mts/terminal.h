// The terminal, if there is one.
#pragma once

#include <string>
#include <vector>

namespace mts::tool {

bool stdout_is_terminal();
bool stderr_is_terminal();
bool stdout_takes_colour();  // a terminal, and the user did not set NO_COLOR
size_t stdout_width();       // columns; 0 when standard output is no terminal: nothing is shortened then

// "1.5 MB": three digits, decimal units.
std::string human_bytes(double bytes);
// As a shell reads it back: quoted where needed.
std::string shell_quote(const std::string& word);
size_t display_width(const std::string& text);  // code points of UTF-8

// Columns of text. Numbers are right-aligned; the widest text column gives way when the terminal is too
// narrow.
class Table {
 public:
  enum class Align { kLeft, kRight };
  struct Column {
    std::string title;
    Align align = Align::kLeft;
  };
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  bool empty() const { return rows_.empty(); }
  // With a trailing newline. `width` 0: as wide as it is.
  std::string render(size_t width) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// Exactly `width` columns: padded, or cut with an ellipsis at its end.
std::string fit(const std::string& text, size_t width, Table::Align align = Table::Align::kLeft);

}  // namespace mts::tool
