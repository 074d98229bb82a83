#include "inspect.h"

#include "arguments.h"
#include "base/log.h"
#include "check/file.h"
#include "check/stored.h"
#include "command.h"
#include "plan_view.h"
#include "progress.h"
#include "report.h"
#include "sharing_matrix.h"
#include "terminal.h"

#include <mts/model_io.h>
#include <mts/stitch.h>

#include <map>
#include <memory>
#include <optional>

#include <fmt/format.h>

namespace mts::tool {

Sharing sharing_of(const std::vector<Model>& models) {
  Sharing result;
  result.bytes_in.resize(models.size() + 1);
  std::vector<check::Contents> contents;
  std::map<Digest, size_t> owners;
  check::Contents all;
  for (const Model& model : models) {
    contents.push_back(check::contents_of(check::stored_in(model.graph)));
    for (const auto& [digest, bytes] : contents.back()) {
      ++owners[digest];
      all.emplace(digest, bytes);
    }
  }
  for (size_t m = 0; m < models.size(); ++m) {
    Sharing::One one{models[m].name, check::node_count(models[m].graph), 0, 0};
    for (const auto& [digest, bytes] : contents[m]) {
      one.weight_bytes += bytes;
      if (owners.at(digest) > 1) one.shared_bytes += bytes;
    }
    result.total_bytes += one.weight_bytes;
    result.models.push_back(std::move(one));
  }
  for (const auto& [digest, bytes] : all) result.bytes_in[owners.at(digest)] += bytes;
  result.unique_bytes = check::total(all);
  return result;
}

namespace {

using Json = nlohmann::ordered_json;

struct Flags {
  std::vector<std::string> models;
  StitchOptions stitch;
  std::optional<std::string> recover;
  bool nodes = false;
  bool plan = false;
  bool json = false;
};

std::string sharing_text(const Sharing& sharing, size_t width) {
  Table models({{"model"},
                {"nodes", Table::Align::kRight},
                {"weights", Table::Align::kRight},
                {"also elsewhere", Table::Align::kRight},
                {"", Table::Align::kRight}});
  for (const Sharing::One& one : sharing.models) {
    const double share = one.weight_bytes > 0 ? 100.0 * static_cast<double>(one.shared_bytes) /
                                                    static_cast<double>(one.weight_bytes)
                                              : 0;
    models.add({one.name, fmt::format("{}", one.nodes), human_bytes(static_cast<double>(one.weight_bytes)),
                human_bytes(static_cast<double>(one.shared_bytes)), fmt::format("{:.0f} %", share)});
  }
  std::string text = models.render(width);
  text += fmt::format(
      "\n{} of weights, {} when each is stored once:", human_bytes(static_cast<double>(sharing.total_bytes)),
      human_bytes(static_cast<double>(sharing.unique_bytes)));
  for (size_t k = sharing.bytes_in.size(); k-- > 1;) {
    if (sharing.bytes_in[k] == 0) continue;
    text += fmt::format(" {} in {},", human_bytes(static_cast<double>(sharing.bytes_in[k])),
                        k == 1 ? "one model" : fmt::format("{} models", k));
  }
  text.back() = '\n';
  return text;
}

Json sharing_json(const Sharing& sharing) {
  Json json = {{"total_bytes", sharing.total_bytes}, {"unique_bytes", sharing.unique_bytes}};
  json["models"] = Json::array();
  for (const Sharing::One& one : sharing.models) {
    json["models"].push_back({{"name", one.name},
                              {"nodes", one.nodes},
                              {"weight_bytes", one.weight_bytes},
                              {"shared_bytes", one.shared_bytes}});
  }
  json["bytes_by_model_count"] = Json::array();
  for (size_t k = 1; k < sharing.bytes_in.size(); ++k) {
    json["bytes_by_model_count"].push_back({{"models", k}, {"bytes", sharing.bytes_in[k]}});
  }
  return json;
}

// With the models it is replayed, and must fit them; without, the file speaks for itself.
Result<Outcome> run_plan(const Flags& flags, const Invocation& invocation, StitchOptions options) {
  options.explain = true;
  std::vector<std::string> names = flags.models;
  if (names.front().ends_with(".json")) {
    options.plan_file = names.front();
    MTS_ASSIGN(options.plan, check::read_file(names.front()));
    names.erase(names.begin());
  }
  StitchReport report;
  if (names.empty()) {
    MTS_ASSIGN(report, explain_plan(options.plan, options.plan_file));
  } else {
    MTS_ASSIGN(const std::vector<ModelArgument> arguments, parse_model_arguments(names, invocation));
    MTS_ASSIGN(std::vector<Model> models, load_models(arguments, invocation));
    MTS_ASSIGN(Stitched stitched, stitch(std::move(models), options));
    report = std::move(stitched.report);
  }
  if (!flags.json) return Outcome{plan_text(report, stdout_width()), true};
  Json json = report_json(report, "", {});
  json["regions"] = plan_json(report);
  return Outcome{dump(json), true};
}

Result<Outcome> run(const Flags& flags, const Invocation& invocation) {
  StitchOptions options = flags.stitch;
  if (flags.recover) {
    MTS_ASSIGN(options.recover, parse_recover(*flags.recover));
  }
  if (flags.plan) return run_plan(flags, invocation, options);
  MTS_ASSIGN(const std::vector<ModelArgument> arguments, parse_model_arguments(flags.models, invocation));
  MTS_ASSIGN(std::vector<Model> models, load_models(arguments, invocation));
  const size_t width = stdout_width();
  if (models.size() == 1) {
    MTS_ASSIGN(const View view, view_file(models.front(), flags.nodes, width));
    return Outcome{flags.json ? dump(view.json) : view.text, true};
  }
  Progress progress("comparing", invocation.quiet);
  const Sharing sharing = sharing_of(models);
  // Comparing layers and stitching both rewrite the models.
  MTS_ASSIGN(std::vector<Model> again, load_models(arguments, invocation));
  MTS_ASSIGN(const std::vector<share::LayerSharing> layers, layers_of(std::move(again)));
  progress.set("stitching");
  std::vector<std::string> names;
  for (const Model& model : models) names.push_back(model.name);
  MTS_ASSIGN(const Stitched stitched, stitch(std::move(models), options));
  for (const std::string& assumption : stitched.report.assumptions) log::warn("assumed: {}", assumption);
  if (flags.json) {
    Json json = report_json(stitched.report, "", {});
    json["sharing"] = sharing_json(sharing);
    json["sharing"]["layers"] = matrix_json(names, layers);
    return Outcome{dump(json), true};
  }
  const std::string matrix = matrix_text(names, layers, width, stdout_takes_colour());
  return Outcome{sharing_text(sharing, width) + (matrix.empty() ? "" : "\n" + matrix) +
                     "\nStitched, this would be:\n\n" + report_text(stitched.report, "", width),
                 true};
}

}  // namespace

void add_inspect(CLI::App& program, Invocation& invocation) {
  CLI::App* command = program.add_subcommand(
      "inspect", "Shows what models share and what would be stitched; or what is in one file");
  const auto flags = std::make_shared<Flags>();
  command
      ->add_option("models", flags->models,
                   "ONNX files, as PATH or NAME=PATH; with --plan, a plan's .json before or instead")
      ->required()
      ->type_name("MODEL");
  command->add_option("--share-input", flags->stitch.share_inputs, "as for mts stitch")
      ->type_name("NAME")
      ->allow_extra_args(false);
  command->add_flag("--independent-dims", flags->stitch.independent_dims, "as for mts stitch");
  add_recover_flag(*command, flags->recover);
  add_strategy_flag(*command, flags->stitch.strategy);
  add_target_flag(*command, flags->stitch.target);
  add_group_flags(*command, flags->stitch);
  command->add_flag(
      "--plan", flags->plan,
      "region by region how the models would run, what else they could, and what each is predicted to cost; "
      "the first argument may be a plan that stitch --save-plan wrote: with what was measured for it");
  command->add_flag("--nodes", flags->nodes, "of one file: every node and where it came from");
  command->add_flag("--json", flags->json, "for machines");
  command->callback(
      [flags, &invocation] { invocation.action = [flags, &invocation] { return run(*flags, invocation); }; });
}

}  // namespace mts::tool
