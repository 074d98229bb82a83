// What is wrong with a command line, with the flag or subcommand that was probably meant.
#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace mts::tool {

std::string usage_message(const CLI::App& program, const CLI::ParseError& error);
// The candidate nearest to `word`, when it is near enough to have been meant; empty otherwise.
std::string nearest(const std::string& word, const std::vector<std::string>& candidates);

}  // namespace mts::tool
