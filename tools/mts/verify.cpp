#include "arguments.h"
#include "base/log.h"
#include "command.h"
#include "progress.h"
#include "report.h"
#include "terminal.h"

#include <mts/executor.h>
#include <mts/model_io.h>
#include <mts/verify.h>

#include <cmath>
#include <memory>

#include <fmt/format.h>

namespace mts::tool {
namespace {

using Json = nlohmann::ordered_json;

struct Flags {
  std::string fused;
  std::vector<std::string> originals, dims, ranges;
  VerifyOptions verify;
  ExecutorOptions executor;
  bool json = false;
};

std::string binding_text(const std::map<std::string, int64_t>& binding) {
  std::vector<std::string> parts;
  for (const auto& [symbol, size] : binding) parts.push_back(fmt::format("{}={}", symbol, size));
  return parts.empty() ? "as declared" : fmt::format("{}", fmt::join(parts, " "));
}

std::string number_text(double value) { return std::isinf(value) ? "-" : fmt::format("{:.1e}", value); }

Json report_json(const VerifyReport& report) {
  Json json = {{"schema_version", 1}, {"passed", report.passed()}};
  json["structural"] = Json::array();
  for (const auto& check : report.structural) {
    json["structural"].push_back({{"check", check.check},
                                  {"passed", check.passed},
                                  {"enforced", check.enforced},
                                  {"detail", check.detail}});
  }
  json["runs"] = Json::array();
  for (const auto& run : report.runs) {
    Json outputs = Json::array();
    for (const OutputDifference& output : run.outputs) {
      outputs.push_back({{"output", output.output},
                         {"passed", output.passed},
                         {"error", std::isinf(output.error) ? Json() : Json(output.error)},
                         {"tolerance", output.tolerance},
                         {"reason", output.reason}});
    }
    json["runs"].push_back({{"binding", run.binding}, {"outputs", std::move(outputs)}});
  }
  json["warnings"] = report.warnings;
  return json;
}

std::string report_text(const VerifyReport& report, size_t width) {
  Table checks({{"check"}, {""}, {""}});
  for (const auto& check : report.structural) {
    checks.add({check.check, check.passed ? "ok" : check.enforced ? "FAILED" : "noted", check.detail});
  }
  std::string text = checks.render(width) + "\n";

  Table runs({{"sizes"},
              {"outputs", Table::Align::kRight},
              {"worst error", Table::Align::kRight},
              {"tolerance", Table::Align::kRight},
              {""}});
  Table different({{"differs"}, {"sizes"}, {"error", Table::Align::kRight}, {"why"}});
  for (const auto& run : report.runs) {
    const OutputDifference* worst = nullptr;
    size_t failed = 0;
    for (const OutputDifference& output : run.outputs) {
      // The one that comes nearest to its tolerance, or exceeds it most.
      const auto share = [](const OutputDifference& o) {
        return o.tolerance > 0 ? o.error / o.tolerance : o.error;
      };
      if (worst == nullptr || share(output) > share(*worst)) worst = &output;
      if (output.passed) continue;
      ++failed;
      different.add({output.output, binding_text(run.binding), number_text(output.error), output.reason});
    }
    runs.add({binding_text(run.binding), fmt::format("{}", run.outputs.size()),
              worst != nullptr ? number_text(worst->error) : "",
              worst != nullptr ? number_text(worst->tolerance) : "",
              failed == 0 ? "ok" : fmt::format("{} FAILED", failed)});
  }
  text += runs.render(width);
  if (!different.empty()) text += "\n" + different.render(width);
  return text + (report.passed() ? "\nverified\n" : "\nNOT verified\n");
}

Result<Outcome> run(Flags& flags, const Invocation& invocation) {
  MTS_ASSIGN(flags.verify.dims, parse_dims(flags.dims));
  MTS_ASSIGN(flags.verify.ranges, parse_ranges(flags.ranges));
  MTS_ASSIGN(const std::vector<ModelArgument> arguments, parse_model_arguments(flags.originals, invocation));
  MTS_ASSIGN(const Model fused, load_model(flags.fused, "fused"));
  MTS_ASSIGN(const std::vector<Model> originals, load_models(arguments, invocation));
  set_precision(flags.verify, flags.executor);
  Progress progress("running", invocation.quiet);
  const auto sessions = [&](const Model& model) {
    return in_file(create_session(model, flags.executor), model);
  };
  MTS_ASSIGN(const VerifyReport report, verify(fused, originals, sessions, flags.verify));
  for (const std::string& warning : report.warnings) log::warn("{}", warning);
  return Outcome{flags.json ? dump(report_json(report)) : report_text(report, stdout_width()),
                 report.passed()};
}

}  // namespace

void add_verify(CLI::App& program, Invocation& invocation) {
  CLI::App* command =
      program.add_subcommand("verify", "Proves that a fused model computes what its originals compute");
  const auto flags = std::make_shared<Flags>();
  command->add_option("fused", flags->fused, "the fused model")->required()->type_name("FUSED");
  command->add_option("--against", flags->originals, "its originals, as PATH or NAME=PATH")
      ->required()
      ->type_name("MODEL ...");
  add_dim_flag(*command, flags->dims, "several are tried by default");
  add_input_flags(*command, flags->ranges, flags->verify.inputs_directory, flags->verify.seed);
  add_executor_flags(*command, flags->executor);
  command->add_flag("--json", flags->json, "for machines");
  command->callback(
      [flags, &invocation] { invocation.action = [flags, &invocation] { return run(*flags, invocation); }; });
}

}  // namespace mts::tool
