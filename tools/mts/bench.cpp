#include "arguments.h"
#include "base/log.h"
#include "check/file.h"
#include "check/mapping.h"
#include "command.h"
#include "competitors.h"
#include "plan/profile.h"
#include "progress.h"

#include <mts/bench.h>
#include <mts/device_session.h>
#include <mts/model_io.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace mts::tool {
namespace {

struct Flags {
  std::string fused;
  std::vector<std::string> originals, dims, ranges;
  CompetitionOptions competition;
  BenchOptions bench;
  double min_speedup = 0;
  bool json = false;
  bool csv = false;
  std::string profile;
  std::string target;
};

// A file that was planned for another kind of device than it runs on.
void warn_about_target(const std::string& target, const std::string& device) {
  const bool for_cpu = target.starts_with("cpu");
  const bool on_cpu = device != "cuda";
  if (target.empty() || for_cpu == on_cpu) return;
  log::warn("the model was stitched for the target {}, but runs on {}: mts stitch --target {} plans for it",
            target, on_cpu ? "a CPU" : "a GPU", on_cpu ? "cpu-avx2 or cpu-avx512" : "generic-gpu");
}

Result<bool> is_fast_enough(const BenchReport& report, double wanted) {
  const BenchRow* const fused = report.find("fused");
  if (wanted <= 0) return true;
  if (fused == nullptr || !fused->speedup_vs_sequential) {
    log::error("--min-speedup {}: the fused model has no verified speed-up", wanted);
    return false;
  }
  if (*fused->speedup_vs_sequential >= wanted) return true;
  log::error("the speed-up {:.2f} is below --min-speedup {}", *fused->speedup_vs_sequential, wanted);
  return false;
}

// The fused model's steps as a Chrome trace: each at its own time, one behind the other on its stream.
Result<void> write_trace(const Competition& competition, const std::string& path) {
  constexpr int kRepeats = 20;
  const Competitor& fused = competition.competitors().front();
  MTS_ASSIGN(const std::vector<StepTime> steps,
             time_steps(*fused.sessions.front(), fused.inputs.front(), kRepeats));
  nlohmann::ordered_json events = nlohmann::ordered_json::array();
  std::map<int32_t, double> end;  // microseconds, by stream
  for (const StepTime& step : steps) {
    double& at = end[step.stream];
    const double duration = step.milliseconds * 1e3;
    events.push_back(
        {{"name", step.name}, {"ph", "X"}, {"pid", 0}, {"tid", step.stream}, {"ts", at}, {"dur", duration}});
    at += duration;
  }
  const nlohmann::ordered_json trace = {{"traceEvents", std::move(events)}, {"displayTimeUnit", "ms"}};
  return check::write_file(
      path, trace.dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
}

bool is_known_profile(std::string_view name) {
  return std::ranges::find(profile_names(), name) != profile_names().end();
}

// Whose figures the roofline has: those of the GPU by its name, of a CPU by what the model was stitched for,
// or by its instructions.
std::string roofline_target(const Flags& flags, const std::string& target, Session& session) {
  if (!flags.target.empty()) return flags.target;
  if (DeviceSession* const device = as_device(session)) {
    std::string name = device->device_name();
    std::ranges::transform(name, name.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    for (const std::string_view known : profile_names())
      if (name.find(known) != std::string::npos) return std::string(known);
    return is_known_profile(target) && !target.starts_with("cpu") ? target : "generic-gpu";
  }
  if (is_known_profile(target) && target.starts_with("cpu")) return target;
  return __builtin_cpu_supports("avx512f") != 0 ? "cpu-avx512" : "cpu-avx2";
}

Result<void> add_roofline(BenchReport& report, const Flags& flags, const Competition& competition,
                          const std::string& target) {
  const Competitor& fused = competition.competitors().front();
  BenchRow& row = report.rows.front();
  if (!row.error.empty() || fused.sessions.size() != 1) return {};
  Result<Roofline> roofline = measure_roofline(fused, roofline_target(flags, target, *fused.sessions.front()),
                                               flags.competition.executor, row.latency_ms.p50);
  if (roofline) row.roofline = std::move(*roofline);
  if (!roofline && roofline.error().code != ErrorCode::kUnsupported) return tl::unexpected(roofline.error());
  return {};
}

Result<Outcome> run(Flags& flags, const Invocation& invocation) {
  MTS_ASSIGN(flags.competition.dims, parse_dims(flags.dims));
  MTS_ASSIGN(flags.competition.ranges, parse_ranges(flags.ranges));
  MTS_ASSIGN(const std::vector<ModelArgument> arguments, parse_model_arguments(flags.originals, invocation));
  if (flags.min_speedup > 0 && arguments.empty()) {
    return fail(ErrorCode::kUsage, "--min-speedup needs the originals: --against");
  }
  if (!flags.target.empty()) MTS_TRY(load_profile(flags.target));
  MTS_ASSIGN(const Model fused, load_model(flags.fused, "fused"));
  MTS_ASSIGN(const std::vector<Model> originals, load_models(arguments, invocation));
  const std::string* const target = check::find_metadata(fused.metadata, "mts.target");
  warn_about_target(target != nullptr ? *target : "", flags.competition.executor.device);

  Progress progress("preparing and verifying", invocation.quiet);
  MTS_ASSIGN(const Competition competition,
             in_file(Competition::create(fused, originals, flags.competition), fused));
  progress.set("measuring");
  const bool on_device = flags.competition.executor.device == "cuda";
  MTS_ASSIGN(BenchReport report,
             (on_device ? bench_on_device : bench)(competition.competitors(), flags.bench));
  MTS_TRY(add_roofline(report, flags, competition, target != nullptr ? *target : ""));
  if (!flags.profile.empty()) MTS_TRY(write_trace(competition, flags.profile));
  report.context = bench_context(flags.competition.executor);
  report.context.target = target != nullptr ? *target : "";
  if (flags.competition.executor.precision != Precision::kStrict) {
    VerifyOptions check;
    set_precision(check, flags.competition.executor);
    report.context.precision = name_of(flags.competition.executor.precision);
    report.context.tolerance = check.tolerance;
  }
  MTS_ASSIGN(const bool passed, is_fast_enough(report, flags.min_speedup));
  std::string text = flags.json ? to_json(report) : flags.csv ? to_csv(report) : to_table(report);
  if (!text.ends_with('\n')) text += '\n';
  return Outcome{std::move(text), passed};
}

}  // namespace

void add_bench(CLI::App& program, Invocation& invocation) {
  CLI::App* command =
      program.add_subcommand("bench", "Measures a model against its originals and other ways of fusing them");
  const auto flags = std::make_shared<Flags>();
  command->add_option("model", flags->fused, "an ONNX file, fused or not")->required()->type_name("MODEL");
  command
      ->add_option("--against", flags->originals,
                   "its originals, as PATH or NAME=PATH: run one after another, and fused as concat, stitch "
                   "and netfuse")
      ->type_name("MODEL ...");
  command->add_option("--only", flags->competition.only, "of the baselines, those of these names")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(
          CLI::IsMember({"fused", "sequential", "streams", "concat", "stitch", "netfuse"}).description(""))
      ->type_name("A,B");
  command->add_option("--seconds", flags->bench.seconds, "time for measuring, over all rows")
      ->check(CLI::PositiveNumber.description(""))
      ->type_name("S")
      ->capture_default_str();
  command
      ->add_option("--min-speedup", flags->min_speedup,
                   "fail when the fused model is not this much faster than sequential")
      ->check(CLI::PositiveNumber.description(""))
      ->type_name("X");
  command->add_flag("--cold", flags->bench.cold, "on a GPU: also with cold caches");
  command->add_option("--profile", flags->profile, "write the time of each step of MODEL as a Chrome trace")
      ->type_name("FILE.json");
  command
      ->add_option("--target", flags->target,
                   "the device whose roofline counts: a profile's name or file; by default the one at hand")
      ->type_name("NAME|FILE.json");
  add_dim_flag(*command, flags->dims, "1 by default");
  add_input_flags(*command, flags->ranges, flags->competition.inputs_directory, flags->competition.seed);
  add_executor_flags(*command, flags->competition.executor);
  CLI::Option* json = command->add_flag("--json", flags->json, "for machines");
  command->add_flag("--csv", flags->csv, "for spreadsheets")->excludes(json);
  command->callback(
      [flags, &invocation] { invocation.action = [flags, &invocation] { return run(*flags, invocation); }; });
}

}  // namespace mts::tool
