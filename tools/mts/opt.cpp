#include "arguments.h"
#include "base/log.h"
#include "check/file.h"
#include "command.h"
#include "terminal.h"

#include <mts/canonicalise.h>
#include <mts/graph.h>
#include <mts/model_io.h>

#include <memory>

#include <fmt/format.h>

namespace mts::tool {
namespace {

struct Flags {
  std::string model;
  std::vector<std::string> passes;
  std::string output;
  bool list = false;
};

std::string pass_list() {
  Table table({{"pass"}, {"does"}});
  for (const Pass& pass : passes()) table.add({std::string(pass.name), std::string(pass.summary)});
  return table.render(stdout_width());
}

Result<Outcome> run(const Flags& flags) {
  if (flags.list) return Outcome{pass_list(), true};
  if (flags.model.empty()) return fail(ErrorCode::kUsage, "which model? (or --list)");
  std::vector<const Pass*> chosen;
  for (const std::string& name : flags.passes) {
    if (name.empty()) continue;
    chosen.push_back(find_pass(name));
    if (chosen.back() == nullptr) {
      return fail(ErrorCode::kUsage, fmt::format("there is no pass '{}'; mts opt --list shows them", name));
    }
  }
  MTS_ASSIGN(const ModelArgument argument, parse_model_argument(flags.model));
  if (!flags.output.empty()) MTS_TRY(check_output_path(flags.output, {argument.path}));
  MTS_ASSIGN(Model model, load_model(argument.path, argument.name));
  for (const Pass* pass : chosen) {
    MTS_ASSIGN(const bool changed, pass->run(model));
    log::info("{}: {}", pass->name, changed ? "changed" : "no change");
    if (Result<void> verified = verify_ir(model); !verified) {
      Error error = std::move(verified).error();
      error.code = ErrorCode::kInternal;
      error.message = fmt::format("pass {} left a broken graph: {}", pass->name, error.message);
      return tl::unexpected(std::move(error));
    }
  }
  MTS_ASSIGN(std::string text, print_text(model));
  if (!text.ends_with('\n')) text += '\n';
  if (flags.output.empty()) return Outcome{std::move(text), true};
  MTS_TRY(check::write_file(flags.output, text));
  return Outcome{};
}

}  // namespace

void add_opt(CLI::App& program, Invocation& invocation) {
  CLI::App* command =
      program.add_subcommand("opt", "For debugging: runs passes on a model and prints it as textual ONNX");
  const auto flags = std::make_shared<Flags>();
  command->add_option("model", flags->model, "an ONNX file")->type_name("MODEL");
  command->add_option("--passes", flags->passes, "names, in the order in which they run")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("A,B");
  command->add_option("-o,--output", flags->output, "file for the text (standard output by default)")
      ->type_name("FILE");
  command->add_flag("--list", flags->list,
                    "show the passes in the order in which canonicalisation runs them");
  command->callback([flags, &invocation] { invocation.action = [flags] { return run(*flags); }; });
}

}  // namespace mts::tool
