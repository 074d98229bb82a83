// Reading what the user typed: models, dimensions, ranges, and the paths that are written.
#pragma once

#include "command.h"

#include <mts/error.h>
#include <mts/executor.h>
#include <mts/graph.h>
#include <mts/recover.h>
#include <mts/stitch.h>
#include <mts/verify.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace mts::tool {

// "path" (named after the file's stem) or "name=path".
struct ModelArgument {
  std::string text;  // as given
  std::string name;
  std::string path;
};
Result<ModelArgument> parse_model_argument(const std::string& text);
// kUsage when two have one name; the message holds the command that names them apart.
Result<std::vector<ModelArgument>> parse_model_arguments(const std::vector<std::string>& texts,
                                                         const Invocation& invocation);
// With progress and a line on the log for each.
Result<std::vector<Model>> load_models(const std::vector<ModelArgument>& arguments,
                                       const Invocation& invocation);

// "N=4" ...; the symbol may hold anything but must not be empty, the size is not negative.
Result<std::map<std::string, int64_t>> parse_dims(const std::vector<std::string>& texts);
// "ids=0:100" ...: from 0 up to, but without, 100.
Result<std::map<std::string, std::pair<double, double>>> parse_ranges(const std::vector<std::string>& texts);
// "near=1e-6,scaled,lowrank=1e-5": kinds with their bounds, in (0, 0.01]; 1e-6, 1e-6 and 1e-5 when not given.
Result<RecoverOptions> parse_recover(const std::string& text);
// "x=x.npy" ...
Result<std::map<std::string, std::string>> parse_inputs(const std::vector<std::string>& texts);

// kUsage when `output` is one of `inputs` (by name, link or hard link); kIo when its folder is not there or
// it is one.
Result<void> check_output_path(const std::string& output, const std::vector<std::string>& inputs);

// Errors of sessions know nodes, but not which file they come from.
template <class T>
Result<T> in_file(Result<T> result, const Model& model) {
  if (result || !result.error().where.file.empty()) return result;
  Error error = std::move(result).error();
  error.where.file = model.path.empty() ? model.name : model.path;
  return tl::unexpected(std::move(error));
}

// Makes the check one of the executor's precision: originals in float32, and the precision's tolerance.
void set_precision(VerifyOptions& verify, const ExecutorOptions& executor);

// --device, --threads, --tf32, --fp16, --bf16.
void add_executor_flags(CLI::App& command, ExecutorOptions& options);
// --target, with the names of the device profiles.
void add_target_flag(CLI::App& command, std::string& target);
// --strategy.
void add_strategy_flag(CLI::App& command, StitchOptions::Strategy& strategy);
// --groups, --memory-budget, --latency-budget.
void add_group_flags(CLI::App& command, StitchOptions& options);
// --recover; parse_recover() reads it.
void add_recover_flag(CLI::App& command, std::optional<std::string>& recover);
void add_dim_flag(CLI::App& command, std::vector<std::string>& dims, const std::string& otherwise);
// --range, --inputs, --seed: what the inputs are.
void add_input_flags(CLI::App& command, std::vector<std::string>& ranges, std::string& directory,
                     uint64_t& seed);

}  // namespace mts::tool
