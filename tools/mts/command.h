// What the subcommands have in common: each adds its flags to the program and, when it is chosen, leaves an
// action.
#pragma once

#include <mts/error.h>

#include <functional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace mts::tool {

// What a command that came to its end has to say. Standard output is written at the very end, so that it
// stays empty when something fails on the way.
struct Outcome {
  std::string out;
  bool passed = true;  // false: a check failed (exit code 1)
};
using Action = std::function<Result<Outcome>()>;

struct Invocation {
  std::vector<std::string> arguments;  // as given, without the program's name
  bool quiet = false;
  int verbosity = 0;
  Action action;  // of the chosen subcommand
};

void add_stitch(CLI::App& program, Invocation& invocation);
void add_verify(CLI::App& program, Invocation& invocation);
void add_run(CLI::App& program, Invocation& invocation);
void add_bench(CLI::App& program, Invocation& invocation);
void add_calibrate(CLI::App& program, Invocation& invocation);
void add_inspect(CLI::App& program, Invocation& invocation);
void add_opt(CLI::App& program, Invocation& invocation);

}  // namespace mts::tool
