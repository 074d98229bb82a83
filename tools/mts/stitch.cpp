#include "arguments.h"
#include "base/log.h"
#include "check/file.h"
#include "command.h"
#include "kept_files.h"
#include "progress.h"
#include "report.h"
#include "terminal.h"
#include "tuner.h"

#include <mts/model_io.h>
#include <mts/stitch.h>

#include <cstdio>
#include <map>
#include <memory>
#include <optional>

#include <fmt/format.h>

namespace mts::tool {
namespace {

struct Flags {
  std::vector<std::string> models;
  std::string output;
  std::string report;
  std::string plan, save_plan;
  std::string tune;  // the device; empty: not asked for
  TunerOptions tuner;
  std::vector<std::string> dims;
  StitchOptions stitch;
  std::optional<std::string> recover;
  SaveOptions save;
  bool json = false;
};

const std::map<std::string, StitchOptions::Objective> kObjectives = {
    {"bytes", StitchOptions::Objective::kBytes}, {"latency", StitchOptions::Objective::kLatency}};
const std::map<std::string, SaveOptions::External> kExternal = {{"auto", SaveOptions::External::kAuto},
                                                                {"never", SaveOptions::External::kNever},
                                                                {"always", SaveOptions::External::kAlways}};

Result<void> check_paths(const Flags& flags, const std::vector<ModelArgument>& models) {
  std::vector<std::string> inputs;
  for (const ModelArgument& model : models) {
    inputs.push_back(model.path);
    inputs.push_back(model.path + ".data");  // where external weights usually lie
  }
  MTS_TRY(check_output_path(flags.output, inputs));
  MTS_TRY(check_output_path(flags.output + ".data", inputs));
  inputs.push_back(flags.output);
  inputs.push_back(flags.output + ".data");
  for (const std::string& path : {flags.report, flags.save_plan}) {
    if (path.empty()) continue;
    MTS_TRY(check_output_path(path, inputs));
    inputs.push_back(path);
  }
  return {};
}

Result<Outcome> run(const Flags& flags, const Invocation& invocation) {
  StitchOptions options = flags.stitch;
  if (flags.recover) {
    MTS_ASSIGN(options.recover, parse_recover(*flags.recover));
  }
  MTS_ASSIGN(const std::vector<ModelArgument> arguments, parse_model_arguments(flags.models, invocation));
  MTS_TRY(check_paths(flags, arguments));
  MTS_ASSIGN(std::vector<Model> models, load_models(arguments, invocation));
  if (!flags.plan.empty()) {
    MTS_ASSIGN(options.plan, check::read_file(flags.plan));
    options.plan_file = flags.plan;
  }
  options.explain = !flags.save_plan.empty();
  Progress progress("stitching", invocation.quiet);
  Tuner tuner;
  if (!flags.tune.empty()) {
    TunerOptions tuner_options = flags.tuner;
    tuner_options.executor.device = flags.tune;
    MTS_ASSIGN(tuner_options.dims, parse_dims(flags.dims));
    tuner_options.progress = [&](size_t measured) {
      progress.set(fmt::format("tuning, {} layers and plans measured", measured));
    };
    tuner = make_tuner(tuner_options);
    options.tuner = &tuner;
  }
  MTS_ASSIGN(Stitched stitched, stitch(std::move(models), options));
  progress.set("writing " + flags.output);
  // All files or none: when one cannot be written, the others hold what they held before.
  std::vector<std::string> paths{flags.output, flags.output + ".data"};
  for (const std::string& path : {flags.report, flags.save_plan})
    if (!path.empty()) paths.push_back(path);
  MTS_ASSIGN(KeptFiles kept, KeptFiles::keep(paths));
  SaveOptions save = flags.save;
  save.digest = flags.json || !flags.report.empty();  // nothing else says it
  const Result<SavedModel> written = save_model(stitched.model, flags.output, save);
  if (!written) {
    kept.restore();
    return tl::unexpected(written.error());
  }
  const SavedModel& saved = *written;
  stitched.report.output_weight_bytes = saved.weight_bytes;
  for (const std::string& assumption : stitched.report.assumptions) log::warn("assumed: {}", assumption);

  const nlohmann::ordered_json json = report_json(stitched.report, flags.output, saved);
  for (const auto& [path, text] :
       {std::pair(flags.report, dump(json)), std::pair(flags.save_plan, stitched.plan)}) {
    if (path.empty()) continue;
    const Result<void> reported = check::write_file(path, text);
    if (!reported) {
      kept.restore();
      return tl::unexpected(reported.error());
    }
  }
  return Outcome{flags.json ? dump(json) : report_text(stitched.report, flags.output, stdout_width()), true};
}

}  // namespace

void add_stitch(CLI::App& program, Invocation& invocation) {
  CLI::App* command =
      program.add_subcommand("stitch", "Rewrites models that share weights into one ONNX model");
  const auto flags = std::make_shared<Flags>();
  command->add_option("models", flags->models, "ONNX files, as PATH or NAME=PATH")
      ->required()
      ->type_name("MODEL");
  command->add_option("-o,--output", flags->output, "the fused model")->required()->type_name("FILE");
  command->add_option("--report", flags->report, "what was done, as JSON")->type_name("FILE");
  add_strategy_flag(*command, flags->stitch.strategy);
  command
      ->add_option(
          "--objective", flags->stitch.objective,
          "bytes: no weight twice; latency: parts of tensors may be stored twice where that is faster")
      ->transform(CLI::CheckedTransformer(kObjectives, CLI::ignore_case).description(""))
      ->type_name("bytes|latency");
  command
      ->add_option(
          "--share-input", flags->stitch.share_inputs,
          "one input for all models that have one of this name, or image=a:x,b:input.1 for different names")
      ->type_name("NAME")
      ->allow_extra_args(false);
  command->add_flag("--independent-dims", flags->stitch.independent_dims,
                    "equal symbols of different models (batch sizes, ...) may differ at run time");
  command->add_flag("--keep-metadata", flags->stitch.keep_metadata,
                    "keep the exporters' metadata and documentation");
  add_recover_flag(*command, flags->recover);
  add_target_flag(*command, flags->stitch.target);
  add_group_flags(*command, flags->stitch);
  command->add_option("--save-plan", flags->save_plan, "the plan, as JSON that --plan replays")
      ->type_name("FILE");
  command
      ->add_option(
          "--plan", flags->plan,
          "replays a plan that --save-plan wrote: the same bytes from the same models on every machine")
      ->type_name("FILE");
  command
      ->add_option(
          "--tune", flags->tune,
          "measures plans on the device and takes the fastest; with --save-plan other machines can replay it")
      ->check(CLI::IsMember({"cpu", "cuda"}).description(""))
      ->type_name("cpu|cuda");
  command
      ->add_option("--threads", flags->tuner.executor.threads,
                   "for --tune: threads on the CPU; 0: one a core")
      ->check(CLI::NonNegativeNumber.description(""))
      ->type_name("N");
  command
      ->add_option("--tune-seconds", flags->tuner.budget,
                   "for --tune: about how long it may measure; what is known from before takes none of it")
      ->check(CLI::PositiveNumber.description(""))
      ->capture_default_str()
      ->type_name("SECONDS");
  add_dim_flag(*command, flags->dims, "for --tune; 1 by default");
  command
      ->add_option("--external-data", flags->save.external,
                   "weights in FILE.data: auto (above 1.8 GB), never, always")
      ->transform(CLI::CheckedTransformer(kExternal, CLI::ignore_case).description(""))
      ->type_name("auto|never|always");
  command->add_flag("--json", flags->json, "the report on standard output instead of the summary");
  command->callback([flags, command, &invocation] {
    // Not as CLI::Option::excludes: --help would name them all in one line.
    const auto excludes = [&](const char* one, std::initializer_list<const char*> others) {
      for (const char* other : others)
        if (command->count(one) > 0 && command->count(other) > 0) throw CLI::ExcludesError(one, other);
    };
    excludes("--plan", {"--strategy", "--objective", "--target", "--groups", "--memory-budget",
                        "--latency-budget", "--tune"});
    excludes("--tune", {"--strategy", "--groups", "--latency-budget"});
    invocation.action = [flags, &invocation] { return run(*flags, invocation); };
  });
}

}  // namespace mts::tool
