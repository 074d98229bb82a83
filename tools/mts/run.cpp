#include "arguments.h"
#include "check/compare.h"
#include "check/file.h"
#include "check/inputs.h"
#include "check/npy.h"
#include "command.h"
#include "progress.h"
#include "report.h"
#include "terminal.h"

#include <mts/executor.h>
#include <mts/model_io.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <set>

#include <fmt/format.h>

namespace mts::tool {
namespace {

using Json = nlohmann::ordered_json;

struct Flags {
  std::string model;
  std::vector<std::string> inputs, dims, ranges;
  std::string output_directory;
  bool random = false;
  uint64_t seed = 1;
  ExecutorOptions executor;
  bool json = false;
};

// Inputs from files in the order of the graph; with --random the others are drawn.
Result<std::vector<Datum>> gather_inputs(const Model& model, const Flags& flags) {
  MTS_ASSIGN(const auto files, parse_inputs(flags.inputs));
  MTS_ASSIGN(const check::Binding dims, parse_dims(flags.dims));
  MTS_ASSIGN(const auto ranges, parse_ranges(flags.ranges));
  std::vector<check::InputSpec> specs = check::specs_of(model.graph);
  std::vector<std::string> names;
  for (const check::InputSpec& spec : specs) {
    names.push_back(spec.name);
    if (flags.random || files.contains(spec.name)) continue;
    return fail(ErrorCode::kUsage,
                fmt::format("has no value; give it with --input {}=FILE, or --random for a drawn one",
                            shell_quote(spec.name)),
                {model.path, {}, spec.name});
  }
  for (const auto& [name, path] : files) {
    if (std::ranges::find(names, name) != names.end()) continue;
    return fail(ErrorCode::kUsage,
                fmt::format("has no input '{}'; there are: {}", name, fmt::join(names, ", ")),
                {model.path, {}, {}});
  }
  MTS_ASSIGN(const check::InputSource source,
             check::InputSource::open(std::move(specs), {ranges, files, {}, flags.seed}));
  MTS_ASSIGN(check::Binding binding, check::resolve_dims(dims, source.symbols()));
  for (const auto& [symbol, size] : source.fixed()) binding[symbol] = size;
  for (const std::string& symbol : source.symbols()) binding.emplace(symbol, 1);
  return source.make(binding);
}

// JSON has no NaN and no infinities.
Json number_json(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  return value;
}

Json datum_json(const Datum& datum);

Json elements_json(const Tensor& tensor) {
  std::vector<Json> elements;
  if (tensor.dtype() == DType::kString) {
    for (const std::string& text : tensor.strings()) elements.emplace_back(text);
  } else if (is_integer(tensor.dtype())) {
    const Bytes bytes{nullptr, std::span(tensor.data(), tensor.byte_size())};
    for (const int64_t x : Weight::from_bytes(tensor.dtype(), tensor.dims(), bytes)->as_int64s())
      elements.emplace_back(x);
  } else {
    for (const double x : check::doubles_of(tensor)) {
      elements.push_back(tensor.dtype() == DType::kBool ? Json(x != 0) : number_json(x));
    }
  }
  // Innermost axis first.
  for (size_t axis = tensor.dims().size(); axis-- > 0;) {
    const auto size = static_cast<size_t>(tensor.dims()[axis]);
    std::vector<Json> rows;
    for (size_t at = 0; size > 0 && at < elements.size(); at += size) {
      Json row = Json::array();
      for (size_t i = 0; i < size; ++i) row.push_back(std::move(elements[at + i]));
      rows.push_back(std::move(row));
    }
    elements = std::move(rows);
  }
  return elements.empty() ? Json::array() : std::move(elements.front());
}

Json datum_json(const Datum& datum) {
  if (const auto* tensor = std::get_if<Tensor>(&datum.value)) return elements_json(*tensor);
  if (const auto* sequence = std::get_if<Sequence>(&datum.value)) {
    Json json = Json::array();
    for (const Datum& each : *sequence) json.push_back(datum_json(each));
    return json;
  }
  if (const auto* map = std::get_if<Map>(&datum.value)) {
    Json json = Json::object();
    const Json keys = elements_json(map->keys);
    for (size_t i = 0; i < map->values.size(); ++i) {
      json[keys[i].is_string() ? keys[i].get<std::string>() : keys[i].dump()] = datum_json(map->values[i]);
    }
    return json;
  }
  return {};
}

struct Output {
  std::string name;
  std::string type;   // "float32[2,10]", "sequence", "map"
  std::string range;  // of numbers
  std::string file;
};

std::string range_of(const Tensor& tensor) {
  const std::vector<double> values = check::doubles_of(tensor);
  if (values.empty()) return "";
  const auto [low, high] = std::ranges::minmax(values);
  return fmt::format("{:.6g} .. {:.6g}", low, high);
}

Output describe(const std::string& name, const Datum& datum) {
  Output output{name, {}, {}, {}};
  if (const Tensor* tensor = datum.tensor()) {
    output.type = fmt::format("{}{}", name_of(tensor->dtype()), check::to_string(tensor->dims()));
    output.range = range_of(*tensor);
  } else {
    static constexpr const char* kKinds[] = {"nothing", "tensor", "sequence", "map"};
    output.type = kKinds[datum.value.index()];
  }
  return output;
}

Result<void> write_outputs(std::vector<Output>& outputs, const std::vector<Datum>& data,
                           const std::string& directory) {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::create_directories(directory, error);
  if (error)
    return fail(ErrorCode::kIo, fmt::format("cannot be made: {}", error.message()), {directory, {}, {}});
  std::vector<std::string> written;
  for (size_t i = 0; i < outputs.size(); ++i) {
    const Tensor* tensor = data[i].tensor();
    const std::string extension = tensor != nullptr ? ".npy" : ".json";
    outputs[i].file = (fs::path(directory) / (check::file_stem(outputs[i].name) + extension)).string();
    const Result<void> done = tensor != nullptr
                                  ? check::write_npy(outputs[i].file, *tensor)
                                  : check::write_file(outputs[i].file, dump(datum_json(data[i])));
    if (!done) {
      for (const std::string& path : written) fs::remove(path, error);
      return tl::unexpected(done.error());
    }
    written.push_back(outputs[i].file);
  }
  return {};
}

Result<Outcome> run(const Flags& flags, const Invocation& invocation) {
  MTS_ASSIGN(const ModelArgument argument, parse_model_argument(flags.model));
  MTS_ASSIGN(const Model model, load_model(argument.path, argument.name));
  MTS_ASSIGN(const std::vector<Datum> inputs, gather_inputs(model, flags));
  Progress progress("running", invocation.quiet);
  MTS_ASSIGN(const std::unique_ptr<Session> session, in_file(create_session(model, flags.executor), model));
  MTS_ASSIGN(const std::vector<Datum> data, in_file(session->run(inputs), model));
  std::vector<Output> outputs;
  for (size_t i = 0; i < data.size(); ++i) {
    outputs.push_back(describe(model.graph.value(model.graph.outputs()[i]).name, data[i]));
  }
  if (!flags.output_directory.empty()) MTS_TRY(write_outputs(outputs, data, flags.output_directory));
  if (flags.json) {
    Json json = {{"schema_version", 1}, {"outputs", Json::array()}};
    for (const Output& output : outputs) {
      json["outputs"].push_back({{"name", output.name},
                                 {"type", output.type},
                                 {"file", output.file.empty() ? Json() : Json(output.file)}});
    }
    return Outcome{dump(json), true};
  }
  Table table({{"output"}, {"type"}, {"values"}, {"file"}});
  for (const Output& output : outputs) table.add({output.name, output.type, output.range, output.file});
  return Outcome{table.render(stdout_width()), true};
}

}  // namespace

void add_run(CLI::App& program, Invocation& invocation) {
  CLI::App* command = program.add_subcommand("run", "Runs a model and writes its outputs");
  command->footer(
      "Outputs are written as DIR/NAME.npy ('/' in names as '__'); sequences and maps\n"
      "as DIR/NAME.json: arrays, and objects whose keys are the map's. bfloat16 is\n"
      "written as uint16, float8 as uint8 (same bits).");
  const auto flags = std::make_shared<Flags>();
  command->add_option("model", flags->model, "an ONNX file")->required()->type_name("MODEL");
  command->add_option("--input", flags->inputs, "an input's value: a .npy file or a TensorProto (.pb)")
      ->type_name("INPUT=FILE")
      ->allow_extra_args(false);
  command
      ->add_option("--output-dir", flags->output_directory, "where the outputs are written; made if needed")
      ->type_name("DIR");
  command->add_flag("--random", flags->random, "draw the inputs that are not given");
  add_dim_flag(*command, flags->dims, "1 by default; for drawn inputs");
  command->add_option("--range", flags->ranges, "draw an input from LOW up to, but without, HIGH")
      ->type_name("INPUT=LOW:HIGH")
      ->allow_extra_args(false);
  command->add_option("--seed", flags->seed, "of the drawn inputs")->type_name("N")->capture_default_str();
  add_executor_flags(*command, flags->executor);
  command->add_flag("--json", flags->json, "for machines");
  command->callback(
      [flags, &invocation] { invocation.action = [flags, &invocation] { return run(*flags, invocation); }; });
}

}  // namespace mts::tool
