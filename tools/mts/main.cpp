#include "base/log.h"
#include "command.h"
#include "exit_codes.h"
#include "formatter.h"
#include "suggest.h"
#include "terminal.h"

#include <mts/version.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

namespace mts::tool {
namespace {

void set_up_log(const Invocation& invocation) {
  auto logger = spdlog::stderr_color_mt("mts");  // colours on a terminal only
  // A progress line may stand where the message goes.
  logger->set_pattern(stderr_is_terminal() ? "\r\033[Kmts: %^%l%$: %v" : "mts: %l: %v");
  logger->set_level(invocation.quiet           ? spdlog::level::err
                    : invocation.verbosity > 0 ? spdlog::level::debug
                                               : spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
}

// Standard output, at once, and noticed when it cannot be written.
bool print(const std::string& text) {
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  return std::fflush(stdout) == 0 && written;
}

int run(int argc, char** argv) {
  CLI::App program("Stitches neural networks that share weights into one ONNX model.");
  Invocation invocation;
  invocation.arguments.assign(argv + std::min(argc, 1), argv + argc);
  program.name("mts");
  program.set_version_flag("--version", "mts " + std::string(version()));
  program.add_flag("-v,--verbose", invocation.verbosity, "say more on standard error");
  program.add_flag("-q,--quiet", invocation.quiet, "say nothing but errors on standard error");
  program.require_subcommand(1);
  program.fallthrough();
  program.formatter(std::make_shared<Formatter>());
  add_stitch(program, invocation);
  add_verify(program, invocation);
  add_run(program, invocation);
  add_bench(program, invocation);
  add_calibrate(program, invocation);
  add_inspect(program, invocation);
  add_opt(program, invocation);
  program.footer(exit_code_table() + "\n" +
                 tolerance_table());  // of the program only: subcommands do not inherit it now

  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success))
      return program.exit(error);  // --help, --version
    set_up_log(invocation);
    log::error("{}", usage_message(program, error));
    return exit_code(ErrorCode::kUsage);
  }
  set_up_log(invocation);
  const Result<Outcome> outcome = invocation.action();
  if (!outcome) {
    log::error("{}", outcome.error().to_string());
    return exit_code(outcome.error().code);
  }
  if (!print(outcome->out)) {
    log::error("standard output cannot be written");
    return exit_code(ErrorCode::kIo);
  }
  return outcome->passed ? kDone : exit_code(ErrorCode::kCheckFailed);
}

}  // namespace
}  // namespace mts::tool

int main(int argc, char** argv) {
  try {
    return mts::tool::run(argc, argv);
  } catch (const std::exception& error) {
    // Nothing of mts throws across a folder: what arrives here is a defect, or memory ran out.
    std::fprintf(stderr, "mts: error: %s\n", error.what());
    return mts::tool::exit_code(mts::ErrorCode::kInternal);
  }
}
