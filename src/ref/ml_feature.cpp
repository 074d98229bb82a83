// ai.onnx.ml: encoders, scalers and other feature operators, and ZipMap.
#include "ref/convert.h"
#include "ref/dispatch.h"
#include "ref/layout.h"
#include "ref/ml.h"
#include "ref/operators.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <memory>
#include <string>

#include <fmt/format.h>

namespace mts::ref {
namespace {

Tensor strings_tensor(std::vector<std::string> values) {
  Tensor out(DType::kString, {static_cast<int64_t>(values.size())});
  out.mutable_strings() = std::move(values);
  return out;
}
Tensor ints_tensor(const std::vector<int64_t>& values) {
  return Tensor::of<int64_t>(DType::kInt64, {static_cast<int64_t>(values.size())}, values);
}
Tensor floats_tensor(const std::vector<float>& values) {
  return Tensor::of<float>(DType::kFloat32, {static_cast<int64_t>(values.size())}, values);
}

// Elements as text, so that strings, integers and floats (by their bits; every NaN is one key) have one kind
// of key.
Result<std::vector<std::string>> keys_of(const Call& c, const Tensor& x) {
  if (x.dtype() == DType::kString) return x.strings();
  std::vector<std::string> keys(static_cast<size_t>(x.element_count()));
  const bool known = visit(kNumeric, x.dtype(), [&]<class T>(Tag<T>) {
    for (size_t i = 0; i < keys.size(); ++i) {
      const T value = x.as<T>()[i];
      keys[i] = value != value ? "nan" : fmt::format("{}", value == T{0} ? T{0} : value);
    }
  });
  if (!known) return c.bad_dtype(x);
  return keys;
}

// The keys or values of LabelEncoder, from whichever attribute holds them.
std::optional<Tensor> list_of(const Call& c, const std::string& name) {
  if (auto tensor = c.tensor_attribute(name + "_tensor")) return tensor;
  if (c.node.find(name + "_strings")) return strings_tensor(c.strings(name + "_strings"));
  if (c.node.find(name + "_int64s")) return ints_tensor(c.node.ints_or(name + "_int64s", {}));
  if (c.node.find(name + "_floats")) return floats_tensor(c.floats(name + "_floats"));
  return std::nullopt;
}

Tensor default_for(const Call& c, DType dtype) {
  if (auto tensor = c.tensor_attribute("default_tensor")) return *tensor;
  if (dtype == DType::kString) return strings_tensor({c.node.string_or("default_string", "_Unused")});
  if (dtype == DType::kInt64) return ints_tensor({c.node.int_or("default_int64", -1)});
  if (dtype == DType::kFloat32) return floats_tensor({c.node.float_or("default_float", 0)});
  Tensor zero(dtype, {1});
  std::fill_n(zero.mutable_data(), zero.byte_size(), std::byte{0});
  return zero;
}

Outputs encode(const Call& c, const Tensor& keys, const Tensor& values, const Tensor& fallback) {
  const Tensor& x = c.in(0);
  if (keys.element_count() != values.element_count() || fallback.dtype() != values.dtype() ||
      fallback.element_count() != 1) {
    return c.bad("its keys, values and default do not go together");
  }
  if ((keys.dtype() == DType::kString) != (x.dtype() == DType::kString))
    return c.bad("its keys have another type than its input");
  MTS_ASSIGN(const std::vector<std::string> known, keys_of(c, keys));
  MTS_ASSIGN(const std::vector<std::string> wanted, keys_of(c, x));
  std::map<std::string, int64_t> places;
  for (size_t i = 0; i < known.size(); ++i) places.try_emplace(known[i], static_cast<int64_t>(i));
  std::vector<int64_t> index;
  for (const std::string& key : wanted) {
    const auto found = places.find(key);
    index.push_back(found == places.end() ? -1 : found->second);
  }
  return one(take(values, index, x.dims(), &fallback));
}

Outputs label_encoder(const Call& c) {
  if (c.version >= 2) {
    const std::optional<Tensor> keys = list_of(c, "keys"), values = list_of(c, "values");
    if (!keys || !values) return c.bad("its keys or values are missing");
    return encode(c, *keys, *values, default_for(c, values->dtype()));
  }
  const std::vector<std::string> classes = c.strings("classes_strings");
  std::vector<int64_t> numbers;
  for (size_t i = 0; i < classes.size(); ++i) numbers.push_back(static_cast<int64_t>(i));
  if (c.in(0).dtype() == DType::kString)
    return encode(c, strings_tensor(classes), ints_tensor(numbers), default_for(c, DType::kInt64));
  return encode(c, ints_tensor(numbers), strings_tensor(classes), default_for(c, DType::kString));
}

Outputs category_mapper(const Call& c) {
  const Tensor strings = strings_tensor(c.strings("cats_strings")),
               ints = ints_tensor(c.node.ints_or("cats_int64s", {}));
  return c.in(0).dtype() == DType::kString ? encode(c, strings, ints, default_for(c, DType::kInt64))
                                           : encode(c, ints, strings, default_for(c, DType::kString));
}

Outputs one_hot_encoder(const Call& c) {
  const Tensor& x = c.in(0);
  std::vector<std::string> categories = c.strings("cats_strings");
  std::vector<std::string> wanted;
  if (x.dtype() == DType::kString) {
    wanted = x.strings();
  } else {  // numbers are compared as integers
    for (int64_t value : c.node.ints_or("cats_int64s", {})) categories.push_back(std::to_string(value));
    MTS_ASSIGN(const std::vector<double> values, to_doubles(c, x));
    for (double value : values) wanted.push_back(std::to_string(number_cast<int64_t>(value)));
  }
  const auto width = static_cast<int64_t>(categories.size());
  Dims dims = x.dims();
  dims.push_back(width);
  MTS_ASSIGN(Tensor out, c.make(DType::kFloat32, dims));
  std::fill_n(out.mutable_as<float>(), out.element_count(), 0.0f);
  for (size_t i = 0; i < wanted.size(); ++i) {
    const auto found = std::ranges::find(categories, wanted[i]);
    if (found == categories.end()) {
      if (c.node.int_or("zeros", 1) == 0) return c.bad("an element is none of the categories");
      continue;
    }
    out.mutable_as<float>()[static_cast<int64_t>(i) * width + (found - categories.begin())] = 1;
  }
  return one(std::move(out));
}

Outputs array_feature_extractor(const Call& c) {
  const Tensor& x = c.in(0);
  MTS_ASSIGN(const std::vector<int64_t> wanted, c.ints(c.in(1)));
  if (x.dims().empty()) return c.bad("its input is a scalar");
  const int64_t columns = x.dims().back(), rows = columns == 0 ? 0 : x.element_count() / columns;
  std::vector<int64_t> index;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t column : wanted) {
      if (column < 0 || column >= columns) return c.bad(fmt::format("feature {} of {}", column, columns));
      index.push_back(row * columns + column);
    }
  }
  Dims dims = x.dims().size() == 1 ? Dims{1} : Dims(x.dims().begin(), x.dims().end() - 1);
  dims.push_back(static_cast<int64_t>(wanted.size()));
  return one(take(x, index, dims));
}

Outputs binarizer(const Call& c) {
  const Tensor& x = c.in(0);
  const double threshold = c.node.float_or("threshold", 0);
  MTS_ASSIGN(std::vector<double> values, to_doubles(c, x));
  for (double& value : values) value = value > threshold ? 1 : 0;
  MTS_ASSIGN(Tensor out, from_doubles(c, values, x.dtype(), x.dims()));
  return one(std::move(out));
}

Outputs imputer(const Call& c) {
  const Tensor& x = c.in(0);
  MTS_ASSIGN(Rows2D rows, rows_of(c, x));
  const std::vector<float> floats = c.floats("imputed_value_floats");
  const std::vector<int64_t> ints = c.node.ints_or("imputed_value_int64s", {});
  std::vector<double> values(floats.begin(), floats.end());
  if (values.empty()) values.assign(ints.begin(), ints.end());
  const double replaced = floats.empty() ? static_cast<double>(c.node.int_or("replaced_value_int64", 0))
                                         : c.node.float_or("replaced_value_float", 0);
  if (values.size() != 1 && static_cast<int64_t>(values.size()) != rows.columns)
    return c.bad("its values do not fit the columns");
  for (size_t i = 0; i < rows.values.size(); ++i) {
    double& value = rows.values[i];
    const bool missing = std::isnan(replaced) ? std::isnan(value) : value == replaced;
    if (missing) value = values[values.size() == 1 ? 0 : i % values.size()];
  }
  MTS_ASSIGN(Tensor out, from_doubles(c, rows.values, x.dtype(), x.dims()));
  return one(std::move(out));
}

Outputs scaler(const Call& c) {
  MTS_ASSIGN(const std::vector<double> values, to_doubles(c, c.in(0)));
  const std::vector<float> offset = c.floats("offset"), scale = c.floats("scale");
  const auto columns = static_cast<size_t>(c.in(0).dims().empty() ? 1 : c.in(0).dims().back());
  for (const std::vector<float>* list : {&offset, &scale}) {
    if (list->empty() || (list->size() != 1 && list->size() != columns))
      return c.bad("offset or scale does not fit the columns");
  }
  Tensor out(DType::kFloat32, c.in(0).dims());
  for (size_t i = 0; i < values.size(); ++i) {
    const size_t column = i % columns;
    const double shifted = values[i] - offset[offset.size() == 1 ? 0 : column];
    out.mutable_as<float>()[i] = static_cast<float>(shifted * scale[scale.size() == 1 ? 0 : column]);
  }
  return one(std::move(out));
}

Outputs normalizer(const Call& c) {
  MTS_ASSIGN(const Rows2D x, rows_of(c, c.in(0)));
  const std::string norm = c.node.string_or("norm", "MAX");
  if (norm != "MAX" && norm != "L1" && norm != "L2") return c.bad("norm is " + norm);
  Tensor out(DType::kFloat32, c.in(0).dims());
  for (int64_t row = 0; row < x.rows; ++row) {
    const double* from = x.values.data() + row * x.columns;
    double total = 0;
    for (int64_t i = 0; i < x.columns; ++i) {
      const double magnitude = std::fabs(from[i]);
      if (norm == "MAX") total = std::max(total, magnitude);
      if (norm == "L1") total += magnitude;
      if (norm == "L2") total += magnitude * magnitude;
    }
    if (norm == "L2") total = std::sqrt(total);
    for (int64_t i = 0; i < x.columns; ++i)
      out.mutable_as<float>()[row * x.columns + i] =
          static_cast<float>(total == 0 ? from[i] : from[i] / total);
  }
  return one(std::move(out));
}

Outputs feature_vectorizer(const Call& c) {
  const std::vector<int64_t> widths = c.node.ints_or("inputdimensions", {});
  if (widths.size() != c.inputs.size()) return c.bad("inputdimensions does not have one value an input");
  std::vector<Rows2D> parts;
  int64_t total = 0;
  for (size_t i = 0; i < widths.size(); ++i) {
    if (!c.has(i)) return c.bad("an input is missing");
    MTS_ASSIGN(Rows2D part, rows_of(c, c.in(i)));
    if (part.columns != widths[i] || part.rows != (parts.empty() ? part.rows : parts[0].rows))
      return c.bad("an input does not fit inputdimensions");
    total += part.columns;
    parts.push_back(std::move(part));
  }
  std::vector<double> values;
  for (int64_t row = 0; row < parts[0].rows; ++row) {
    for (const Rows2D& part : parts) {
      const auto from = part.values.begin() + row * part.columns;
      values.insert(values.end(), from, from + part.columns);
    }
  }
  return one(float_rows(values, parts[0].rows, total));
}

// Rows of scores -> a sequence of maps from label to score.
Outputs zip_map(const Call& c) {
  MTS_ASSIGN(const Rows2D x, rows_of(c, c.in(0)));
  const std::vector<std::string> strings = c.strings("classlabels_strings");
  const Tensor keys =
      strings.empty() ? ints_tensor(c.node.ints_or("classlabels_int64s", {})) : strings_tensor(strings);
  if (keys.element_count() != x.columns) return c.bad("its labels do not fit the scores");
  const auto scores = std::make_shared<Tensor>(float_rows(x.values, x.rows, x.columns));
  Sequence sequence;
  sequence.reserve(static_cast<size_t>(x.rows));
  for (int64_t row = 0; row < x.rows; ++row) {
    Map map{keys, {}};
    map.values.reserve(static_cast<size_t>(x.columns));
    for (int64_t i = 0; i < x.columns; ++i) {
      auto* const score = reinterpret_cast<std::byte*>(scores->mutable_as<float>() + row * x.columns + i);
      map.values.emplace_back(Tensor::borrow(DType::kFloat32, {}, score, scores));  // all of one buffer
    }
    sequence.emplace_back(std::move(map));
  }
  std::vector<Datum> result;
  result.emplace_back(std::move(sequence));
  return result;
}

constexpr Operator kTable[] = {
    {"LabelEncoder", "ai.onnx.ml", 1, kLatest, 1, kPlain, label_encoder},
    {"CategoryMapper", "ai.onnx.ml", 1, kLatest, 1, kPlain, category_mapper},
    {"OneHotEncoder", "ai.onnx.ml", 1, kLatest, 1, kPlain, one_hot_encoder},
    {"ArrayFeatureExtractor", "ai.onnx.ml", 1, kLatest, 2, kPlain, array_feature_extractor},
    {"Binarizer", "ai.onnx.ml", 1, kLatest, 1, kPlain, binarizer},
    {"Imputer", "ai.onnx.ml", 1, kLatest, 1, kPlain, imputer},
    {"Scaler", "ai.onnx.ml", 1, kLatest, 1, kPlain, scaler},
    {"Normalizer", "ai.onnx.ml", 1, kLatest, 1, kPlain, normalizer},
    {"FeatureVectorizer", "ai.onnx.ml", 1, kLatest, 1, kPlain, feature_vectorizer},
    {"ZipMap", "ai.onnx.ml", 1, kLatest, 1, kPlain, zip_map},
};

}  // namespace

std::span<const Operator> ml_feature_operators() { return kTable; }

}  // namespace mts::ref
