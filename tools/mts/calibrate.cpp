#include "bench/calibrate.h"

#include "arguments.h"
#include "check/file.h"
#include "command.h"
#include "progress.h"

#include <memory>

#include <fmt/format.h>

namespace mts::tool {
namespace {

struct Flags {
  std::string output;
  CalibrateOptions calibrate;
};

Result<Outcome> run(const Flags& flags, const Invocation& invocation) {
  if (!flags.output.ends_with(".json"))
    return fail(ErrorCode::kUsage, "a profile's name ends in .json: --target takes it by that",
                {flags.output, {}, {}});
  MTS_TRY(check_output_path(flags.output, {}));
  CalibrateOptions options = flags.calibrate;
  Progress progress("calibrating", invocation.quiet);
  options.progress = [&](const std::string& what, size_t done, size_t total) {
    progress.set("measuring " + what, done, total);
  };
  MTS_ASSIGN(const DeviceProfile profile, calibrate(options));
  MTS_TRY(check::write_file(flags.output, to_json(profile)));
  return Outcome{
      fmt::format("{}: {:.0f} GFLOP/s, {:.1f} GB/s from memory, {:.2f} us a step\n"
                  "stitch for it: mts stitch --target {} ...\n",
                  flags.output, profile.flops_of(DType::kFloat32) / 1e9,
                  profile.memory_bandwidth.streaming / 1e9, profile.dispatch_seconds * 1e6, flags.output),
      true};
}

}  // namespace

void add_calibrate(CLI::App& program, Invocation& invocation) {
  CLI::App* command =
      program.add_subcommand("calibrate", "Measures this machine and writes a profile for stitch --target");
  const auto flags = std::make_shared<Flags>();
  command->add_option("-o,--output", flags->output, "the profile, a JSON file")
      ->required()
      ->type_name("FILE.json");
  command->add_option("--seconds", flags->calibrate.seconds, "time for measuring, about")
      ->check(CLI::PositiveNumber.description(""))
      ->type_name("S")
      ->capture_default_str();
  add_executor_flags(*command, flags->calibrate.executor);
  command->callback(
      [flags, &invocation] { invocation.action = [flags, &invocation] { return run(*flags, invocation); }; });
}

}  // namespace mts::tool
