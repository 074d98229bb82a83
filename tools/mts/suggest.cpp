#include "suggest.h"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

namespace mts::tool {
namespace {

// Insertions, deletions, substitutions (Levenshtein).
size_t distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t substituted = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({substituted, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

void add_flags(const CLI::App& app, std::vector<std::string>& names) {
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
}

}  // namespace

std::string nearest(const std::string& word, const std::vector<std::string>& candidates) {
  std::string best;
  size_t least = std::max<size_t>(1, word.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    const size_t steps = distance(word, candidate);
    if (steps < least) {
      least = steps;
      best = candidate;
    }
  }
  return best;
}

std::string usage_message(const CLI::App& program, const CLI::ParseError& error) {
  const std::vector<const CLI::App*> chosen = [&] {
    std::vector<const CLI::App*> apps;
    for (CLI::App* app : const_cast<CLI::App&>(program).get_subcommands()) apps.push_back(app);
    return apps;
  }();
  const std::string help =
      chosen.empty() ? "mts --help" : fmt::format("mts {} --help", chosen.front()->get_name());
  for (const std::string& word : program.remaining(true)) {
    std::vector<std::string> candidates;
    const bool flag = word.starts_with('-');
    if (flag) {
      add_flags(program, candidates);
      if (!chosen.empty()) add_flags(*chosen.front(), candidates);
    } else if (chosen.empty()) {
      for (const CLI::App* app :
           const_cast<CLI::App&>(program).get_subcommands([](const CLI::App*) { return true; })) {
        candidates.push_back(app->get_name());
      }
    }
    const std::string meant = nearest(word.substr(0, word.find('=')), candidates);
    const char* const kind = flag ? "flag" : chosen.empty() ? "command" : "argument";
    return fmt::format("there is no {} '{}'{} ({} shows what there is)", kind, word,
                       meant.empty() ? "" : fmt::format("; did you mean {}?", meant), help);
  }
  return fmt::format("{} ({} says more)", error.what(), help);
}

}  // namespace mts::tool
