#include "arguments.h"

#include "base/log.h"
#include "base/parallel.h"
#include "check/stored.h"
#include "plan/profile.h"
#include "progress.h"
#include "terminal.h"

#include <mts/model_io.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <filesystem>
#include <set>

#include <fmt/format.h>

namespace mts::tool {
namespace {

namespace fs = std::filesystem;

auto usage(std::string message) { return fail(ErrorCode::kUsage, std::move(message)); }

// Splits at the last '='; sizes and ranges hold none.
std::optional<std::pair<std::string, std::string>> split(const std::string& text) {
  const size_t at = text.rfind('=');
  if (at == std::string::npos || at == 0 || at + 1 == text.size()) return std::nullopt;
  return std::pair(text.substr(0, at), text.substr(at + 1));
}

template <class T>
std::optional<T> number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Names that tell models of one stem apart: by their folders where these differ, else by number.
std::vector<std::string> distinct_names(const std::vector<ModelArgument>& models) {
  std::set<std::string> taken;
  std::map<std::string, int> count;
  for (const ModelArgument& model : models) {
    taken.insert(model.name);
    ++count[model.name];
  }
  std::set<std::string> folders;
  bool by_folder = true;
  for (const ModelArgument& model : models) {
    if (count[model.name] < 2) continue;
    const std::string folder = fs::path(model.path).parent_path().filename().string();
    by_folder &= !folder.empty() && folder != "." && folder != ".." &&
                 folder.find('=') == std::string::npos && !taken.contains(folder) &&
                 folders.insert(folder).second;
  }
  std::vector<std::string> names;
  std::map<std::string, int> next;
  for (const ModelArgument& model : models) {
    std::string name = model.name;
    if (count[model.name] >= 2) {
      if (by_folder) {
        name = fs::path(model.path).parent_path().filename().string();
      } else {
        do name = fmt::format("{}_{}", model.name, ++next[model.name]);
        while (!taken.insert(name).second);
      }
    }
    names.push_back(std::move(name));
  }
  return names;
}

// The command as it was given, with names for the models.
std::string renamed_command(const std::vector<ModelArgument>& models, const Invocation& invocation) {
  const std::vector<std::string> names = distinct_names(models);
  std::string command = "mts";
  size_t at = 0;
  for (const std::string& argument : invocation.arguments) {
    const bool is_model = at < models.size() && argument == models[at].text;
    command += ' ' + shell_quote(is_model && names[at] != models[at].name ? names[at] + "=" + models[at].path
                                                                          : argument);
    if (is_model) ++at;
  }
  return command;
}

}  // namespace

Result<ModelArgument> parse_model_argument(const std::string& text) {
  ModelArgument result{text, {}, text};
  std::error_code ignored;
  const size_t equals = text.find('=');
  // A file whose name holds '=' needs no second name.
  if (equals != std::string::npos && !fs::exists(text, ignored)) {
    result.name = text.substr(0, equals);
    result.path = text.substr(equals + 1);
    if (result.name.empty() || result.path.empty()) {
      return usage(fmt::format("'{}' is neither a file nor NAME=PATH", text));
    }
  } else {
    result.name = fs::path(text).stem().string();
  }
  if (result.name.find('/') != std::string::npos) {
    return usage(fmt::format(
        "'{}': a model's name must not hold '/', which separates it from those of its inputs", text));
  }
  if (result.name.empty()) return usage(fmt::format("'{}' names no file", text));
  return result;
}

Result<std::vector<ModelArgument>> parse_model_arguments(const std::vector<std::string>& texts,
                                                         const Invocation& invocation) {
  std::vector<ModelArgument> models;
  for (const std::string& text : texts) {
    MTS_ASSIGN(models.emplace_back(), parse_model_argument(text));
  }
  for (size_t a = 0; a < models.size(); ++a) {
    for (size_t b = a + 1; b < models.size(); ++b) {
      if (models[a].name != models[b].name) continue;
      return usage(fmt::format("{} and {} are both called '{}'; this names them apart:\n  {}", models[a].path,
                               models[b].path, models[a].name, renamed_command(models, invocation)));
    }
  }
  return models;
}

Result<std::vector<Model>> load_models(const std::vector<ModelArgument>& arguments,
                                       const Invocation& invocation) {
  Progress progress("reading", invocation.quiet);
  std::vector<Model> models(arguments.size());
  std::atomic<size_t> done = 0;
  const auto load = [&](size_t m) -> Result<void> {
    const ModelArgument& argument = arguments[m];
    progress.set("reading " + argument.name, done, arguments.size());
    MTS_ASSIGN(models[m], load_model(argument.path, argument.name));
    ++done;
    log::debug("{}: {} nodes, opset {}", argument.path, check::node_count(models[m].graph),
               models[m].opset());
    return {};
  };
  MTS_TRY(try_each_parallel(arguments.size(), load));
  return models;
}

Result<std::map<std::string, int64_t>> parse_dims(const std::vector<std::string>& texts) {
  std::map<std::string, int64_t> dims;
  for (const std::string& text : texts) {
    const auto parts = split(text);
    const std::optional<int64_t> size = parts ? number<int64_t>(parts->second) : std::nullopt;
    if (!size || *size < 0)
      return usage(fmt::format("--dim '{}' is not of the form SYMBOL=SIZE, like N=4", text));
    if (!dims.emplace(parts->first, *size).second)
      return usage(fmt::format("--dim {} is given twice", parts->first));
  }
  return dims;
}

Result<std::map<std::string, std::pair<double, double>>> parse_ranges(const std::vector<std::string>& texts) {
  std::map<std::string, std::pair<double, double>> ranges;
  for (const std::string& text : texts) {
    const auto parts = split(text);
    const size_t colon = parts ? parts->second.find(':') : std::string::npos;
    std::optional<double> low;
    std::optional<double> high;
    if (colon != std::string::npos) {
      low = number<double>(parts->second.substr(0, colon));
      high = number<double>(parts->second.substr(colon + 1));
    }
    if (!low || !high || *low >= *high) {
      return usage(fmt::format("--range '{}' is not of the form INPUT=LOW:HIGH, like ids=0:100", text));
    }
    if (!ranges.emplace(parts->first, std::pair(*low, *high)).second) {
      return usage(fmt::format("--range {} is given twice", parts->first));
    }
  }
  return ranges;
}

Result<RecoverOptions> parse_recover(const std::string& text) {
  RecoverOptions options;
  std::set<std::string> given;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const std::string entry = text.substr(begin, end - begin);
    begin = end + 1;
    const size_t equals = std::min(entry.find('='), entry.size());
    const std::string kind = entry.substr(0, equals);
    double* bound = kind == "near"      ? &options.near
                    : kind == "scaled"  ? &options.scaled
                    : kind == "lowrank" ? &options.lowrank
                                        : nullptr;
    if (bound == nullptr)
      return usage(fmt::format("--recover '{}': there is near, scaled and lowrank, not '{}'", text, kind));
    if (!given.insert(kind).second) return usage(fmt::format("--recover names {} twice", kind));
    *bound = kind == "lowrank" ? 1e-5 : 1e-6;
    if (equals == entry.size()) continue;
    const std::optional<double> value = number<double>(std::string_view(entry).substr(equals + 1));
    if (!value || !(*value > 0) || *value > 1e-2)
      return usage(
          fmt::format("--recover '{}': the bound of {} is a number above 0, at most 0.01", text, kind));
    *bound = *value;
  }
  return options;
}

Result<std::map<std::string, std::string>> parse_inputs(const std::vector<std::string>& texts) {
  std::map<std::string, std::string> inputs;
  for (const std::string& text : texts) {
    const size_t at = text.find('=');
    if (at == std::string::npos || at == 0 || at + 1 == text.size()) {
      return usage(fmt::format("--input '{}' is not of the form INPUT=FILE, like x=x.npy", text));
    }
    if (!inputs.emplace(text.substr(0, at), text.substr(at + 1)).second) {
      return usage(fmt::format("--input {} is given twice", text.substr(0, at)));
    }
  }
  return inputs;
}

Result<void> check_output_path(const std::string& output, const std::vector<std::string>& inputs) {
  std::error_code ignored;
  const auto whole = [&](const std::string& path) {
    return fs::weakly_canonical(fs::absolute(path, ignored), ignored);
  };
  for (const std::string& input : inputs) {
    // Files are compared as such (links), names only where there is no file yet.
    const bool same =
        fs::exists(output, ignored) ? fs::equivalent(output, input, ignored) : whole(output) == whole(input);
    if (same) {
      return fail(ErrorCode::kUsage, fmt::format("would be overwritten, but is an input ({})", input),
                  {output, {}, {}});
    }
  }
  if (fs::is_directory(output, ignored)) return fail(ErrorCode::kIo, "is a folder", {output, {}, {}});
  const fs::path folder = fs::path(output).parent_path();
  if (!folder.empty() && !fs::is_directory(folder, ignored)) {
    return fail(ErrorCode::kIo, fmt::format("there is no folder {}", folder.string()), {output, {}, {}});
  }
  return {};
}

void set_precision(VerifyOptions& verify, const ExecutorOptions& executor) {
  if (executor.precision == Precision::kStrict) return;
  verify.tolerance =
      tolerance_of(executor.precision == Precision::kBfloat16 ? DType::kBfloat16 : DType::kFloat16);
  ExecutorOptions strict = executor;
  strict.precision = Precision::kStrict;
  verify.original_sessions = [strict](const Model& model) {
    return in_file(create_session(model, strict), model);
  };
}

void add_executor_flags(CLI::App& command, ExecutorOptions& options) {
  command.add_option("--device", options.device, "cpu, cuda, or ref (plain loops)")
      ->check(CLI::IsMember({"cpu", "cuda", "ref"}))
      ->type_name("NAME")
      ->capture_default_str();
  const auto precision = [&](const char* flag, Precision value, const char* what) {
    return command.add_flag_callback(
        flag, [&options, value] { options.precision = value; }, what);
  };
  CLI::Option* const tf32 = precision("--tf32", Precision::kTf32,
                                      "on a GPU: products with operands rounded to 10 bits (tolerance 5e-3)");
  CLI::Option* const fp16 =
      precision("--fp16", Precision::kFloat16,
                "on a GPU: float32 weights and activations held as float16 (tolerance 5e-3)");
  CLI::Option* const bf16 =
      precision("--bf16", Precision::kBfloat16, "the same as bfloat16 (tolerance 2e-2)");
  fp16->excludes(tf32);
  bf16->excludes(tf32)->excludes(fp16);
  command.add_option("--threads", options.threads, "threads on the CPU; 0: one a core")
      ->check(CLI::NonNegativeNumber)
      ->type_name("N")
      ->capture_default_str();
}

void add_target_flag(CLI::App& command, std::string& target) {
  command
      .add_option("--target", target,
                  fmt::format("device for which to plan: {}, or a profile that mts calibrate wrote",
                              fmt::join(profile_names(), ", ")))
      ->type_name("NAME|FILE.json")
      ->capture_default_str();
}

void add_strategy_flag(CLI::App& command, StitchOptions::Strategy& strategy) {
  const std::map<std::string, StitchOptions::Strategy> strategies = {
      {"auto", StitchOptions::Strategy::kAuto},
      {"stitch", StitchOptions::Strategy::kStitch},
      {"netfuse", StitchOptions::Strategy::kNetfuse},
      {"concat", StitchOptions::Strategy::kConcat}};
  command
      .add_option("--strategy", strategy,
                  "auto: what is predicted to be fastest without duplicating a weight; stitch: wherever "
                  "legal; netfuse: "
                  "grouped with duplicated weights (the baseline); concat: side by side, deduplicated")
      ->transform(CLI::CheckedTransformer(strategies, CLI::ignore_case).description(""))
      ->type_name("auto|stitch|netfuse|concat");
}

void add_group_flags(CLI::App& command, StitchOptions& options) {
  command
      .add_option_function<std::string>(
          "--groups",
          [&options](const std::string& text) {
            if (text == "auto") return;
            options.groups = std::stoll(text);
          },
          "how many groups of models run one after another; auto: as many as are predicted to be fastest")
      ->check(CLI::Validator(
          [](std::string& text) -> std::string {
            return text == "auto" ? "" : CLI::Range(int64_t{1}, int64_t{1'000'000})(text);
          },
          "", "GROUPS"))
      ->type_name("N|auto");
  command
      .add_option("--memory-budget", options.memory_budget,
                  "weights and activations that the bundled executor may hold: the fastest plan within it")
      ->transform(CLI::AsSizeValue(true).description(""))
      ->type_name("BYTES|512MB|1GiB");
  command
      .add_option("--latency-budget", options.latency_budget,
                  "predicted latency that may be reached: the plan of the least memory within it")
      ->transform(CLI::AsNumberWithUnit(std::map<std::string, double>{{"s", 1.0}, {"ms", 1e-3}, {"us", 1e-6}},
                                        CLI::AsNumberWithUnit::UNIT_REQUIRED)
                      .description(""))
      ->type_name("5ms|800us")
      ->excludes("--memory-budget");
}

void add_recover_flag(CLI::App& command, std::optional<std::string>& recover) {
  command
      .add_option(
          "--recover", recover,
          "approximate sharing, each kind with its largest relative error: near=1e-6 (equal but for "
          "rounding), scaled=1e-6 (but for a factor per channel), lowrank=1e-5 (but for a low-rank term)")
      ->type_name("KIND[=BOUND],...");
}

void add_dim_flag(CLI::App& command, std::vector<std::string>& dims, const std::string& otherwise) {
  command.add_option("--dim", dims, "size of a dynamic dimension, like N=4 (" + otherwise + ")")
      ->type_name("SYMBOL=SIZE")
      ->allow_extra_args(false);
}

void add_input_flags(CLI::App& command, std::vector<std::string>& ranges, std::string& directory,
                     uint64_t& seed) {
  command.add_option("--range", ranges, "draw an input from LOW up to, but without, HIGH, like ids=0:100")
      ->type_name("INPUT=LOW:HIGH")
      ->allow_extra_args(false);
  command.add_option("--inputs", directory, "real inputs: x.npy or x.pb for input x ('/' as '__')")
      ->type_name("DIR");
  command.add_option("--seed", seed, "of the drawn inputs")->type_name("N")->capture_default_str();
}

}  // namespace mts::tool
