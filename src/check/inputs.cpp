#include "check/inputs.h"

#include "check/compare.h"
#include "check/npy.h"
#include "onnx/tensor_pb.h"

#include <algorithm>
#include <cctype>
#include <filesystem>

#include <fmt/format.h>

namespace mts::check {
namespace {

bool names(const InputSpec& spec, const std::string& name) {
  return spec.name == name || std::ranges::find(spec.aliases, name) != spec.aliases.end();
}

// "attention_mask", "src_key_padding_mask": 0 and 1, with something left to attend to.
bool is_mask(const InputSpec& spec) {
  std::string lower = spec.name;
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
  return lower.find("mask") != std::string::npos;
}

// Same bits under the element type that the model declares.
bool is_carrier(DType held, DType declared) {
  if (bit_width(held) != bit_width(declared)) return false;
  return (held == DType::kUint16 && (declared == DType::kBfloat16 || declared == DType::kFloat16)) ||
         (held == DType::kUint8 && is_float(declared));
}

Result<void> note_sizes(const std::string& input, const Type& type, const Tensor& tensor, Binding& binding) {
  for (size_t axis = 0; type.has_rank() && axis < type.rank(); ++axis) {
    const Dim& dim = (*type.shape)[axis];
    if (dim.is_known()) continue;
    const int64_t size = tensor.dims()[axis];
    const auto [at, fresh] = binding.emplace(symbol_of(input, axis, dim), size);
    if (!fresh && at->second != size) {
      return fail(
          ErrorCode::kUsage,
          fmt::format("dimension {} ({}) is {} here and {} elsewhere", axis, at->first, size, at->second),
          {{}, {}, input});
    }
  }
  return {};
}

}  // namespace

namespace {

Result<Tensor> fit(Tensor tensor, const std::string& path, const std::string& input, const Type& declared) {
  if (tensor.dtype() != declared.dtype) {
    if (!is_carrier(tensor.dtype(), declared.dtype)) {
      return fail(
          ErrorCode::kUsage,
          fmt::format("holds {}, the model wants {}", name_of(tensor.dtype()), name_of(declared.dtype)),
          {path, {}, input});
    }
    const auto owner = std::make_shared<Tensor>(tensor);
    tensor = Tensor::borrow(declared.dtype, tensor.dims(), owner->mutable_data(), owner);
  }
  if (!declared.has_rank()) return tensor;
  bool fits = tensor.dims().size() == declared.rank();
  for (size_t axis = 0; fits && axis < declared.rank(); ++axis) {
    const Dim& dim = (*declared.shape)[axis];
    fits = !dim.is_known() || dim.value == tensor.dims()[axis];
  }
  if (fits) return tensor;
  return fail(ErrorCode::kUsage,
              fmt::format("has shape {}, the model wants {}", to_string(tensor.dims()), to_string(declared)),
              {path, {}, input});
}

}  // namespace

Result<Datum> load_input(const std::string& path, const std::string& input, const Type& declared) {
  if (path.ends_with(".pb") && !declared.is_tensor()) return load_datum_pb(path, declared);
  if (path.ends_with(".pb")) {
    MTS_ASSIGN(Tensor tensor, load_tensor_pb(path));
    return fit(std::move(tensor), path, input, declared);
  }
  if (!path.ends_with(".npy")) return fail(ErrorCode::kUsage, "is neither .npy nor .pb", {path, {}, input});
  if (!declared.is_tensor()) {
    return fail(ErrorCode::kUsage, "is a tensor, the model wants something else; give it as .pb",
                {path, {}, input});
  }
  MTS_ASSIGN(Tensor tensor, read_npy(path));
  return fit(std::move(tensor), path, input, declared);
}

std::string file_stem(const std::string& name) {
  std::string stem;
  for (const char c : name) c == '/' ? stem += "__" : stem += c;
  return stem;
}

std::optional<std::string> find_input_file(const std::string& directory, const std::string& name) {
  for (const char* extension : {".npy", ".pb"}) {
    const std::filesystem::path path = std::filesystem::path(directory) / (file_stem(name) + extension);
    std::error_code ignored;
    if (std::filesystem::exists(path, ignored)) return path.string();
  }
  return std::nullopt;
}

Result<InputSource> InputSource::open(std::vector<InputSpec> specs, const InputOptions& options) {
  InputSource source;
  source.seed_ = options.seed;
  source.ranges_.resize(specs.size());
  source.loaded_.resize(specs.size());
  for (const auto& [name, range] : options.ranges) {
    bool found = false;
    for (size_t i = 0; i < specs.size(); ++i) {
      if (!names(specs[i], name)) continue;
      source.ranges_[i] = range;
      found = true;
    }
    if (!found) {
      std::vector<std::string> known;
      for (const InputSpec& spec : specs) known.push_back(spec.name);
      return fail(ErrorCode::kUsage,
                  fmt::format("--range {}: no such input; there are {}", name, fmt::join(known, ", ")));
    }
  }
  if (!options.directory.empty() && !std::filesystem::is_directory(options.directory)) {
    return fail(ErrorCode::kIo, "is no folder", {options.directory, {}, {}});
  }
  for (size_t i = 0; i < specs.size(); ++i) {
    const InputSpec& spec = specs[i];
    std::optional<std::string> path;
    if (const auto file = options.files.find(spec.name); file != options.files.end()) {
      path = file->second;
    } else if (!options.directory.empty()) {
      path = find_input_file(options.directory, spec.name);
      for (size_t alias = 0; !path && alias < spec.aliases.size(); ++alias) {
        path = find_input_file(options.directory, spec.aliases[alias]);
      }
    }
    if (path) {
      MTS_ASSIGN(Datum datum, load_input(*path, spec.name, spec.type));
      if (const Tensor* tensor = datum.tensor()) {
        MTS_TRY(note_sizes(spec.name, spec.type, *tensor, source.fixed_));
      }
      source.loaded_[i] = std::move(datum);
    } else if (!spec.type.is_tensor()) {
      return fail(ErrorCode::kUsage, "is no tensor and cannot be drawn", {{}, {}, spec.name});
    } else if (!spec.type.has_rank()) {
      return fail(ErrorCode::kUsage,
                  fmt::format("has no declared rank; give its value as {}.npy with --inputs DIR",
                              file_stem(spec.name)),
                  {{}, {}, spec.name});
    }
  }
  source.specs_ = std::move(specs);
  return source;
}

std::vector<std::string> InputSource::symbols() const {
  std::vector<NamedType> all;
  for (const InputSpec& spec : specs_) all.push_back({spec.name, spec.type});
  return symbols_of(all);
}

std::vector<NamedType> InputSource::undrawn() const {
  std::vector<NamedType> result;
  for (size_t i = 0; i < specs_.size(); ++i) {
    if (!loaded_[i]) result.push_back({specs_[i].name, specs_[i].type});
  }
  return result;
}

Result<std::vector<Datum>> InputSource::make(const Binding& binding, int draw) const {
  std::vector<Datum> data;
  for (size_t i = 0; i < specs_.size(); ++i) {
    if (loaded_[i]) {
      data.emplace_back(*loaded_[i]);
      continue;
    }
    const InputSpec& spec = specs_[i];
    MTS_ASSIGN(Dims dims, bind(spec.name, spec.type, binding));
    Drawing drawing{spec.type.dtype, std::move(dims), spec.usage, ranges_[i]};
    drawing.shift = draw < 2 ? 0 : draw % 2 == 0 ? -2 : 2;
    drawing.mask = !is_float(drawing.dtype) && is_mask(spec);
    data.emplace_back(check::draw(drawing, seed_ + static_cast<uint64_t>(draw), spec.name));
  }
  return data;
}

std::vector<InputSpec> specs_of(const Graph& graph) {
  std::vector<InputSpec> specs;
  for (const ValueId input : graph.inputs()) {
    const Value& value = graph.value(input);
    specs.push_back({value.name, {}, value.type, usage_of(graph, input)});
  }
  return specs;
}

}  // namespace mts::check
