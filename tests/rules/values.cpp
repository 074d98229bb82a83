#include "tests/rules/values.h"

#include <mts/model_io.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <random>

#include <gtest/gtest.h>

namespace mts::testing {
namespace {

template <class T>
void fill(Tensor& tensor, double low, double high, std::mt19937& random) {
  for (int64_t i = 0; i < tensor.element_count(); ++i) {
    const double unit = static_cast<double>(random()) / 4294967296.0;
    const double value =
        std::is_integral_v<T> ? std::floor(low + unit * (high - low + 1)) : low + unit * (high - low);
    tensor.mutable_as<T>()[i] = static_cast<T>(value);
  }
}

template <class T>
std::string compare_as(const Tensor& actual, const Tensor& expected, double tolerance) {
  double scale = 0;
  for (int64_t i = 0; i < expected.element_count(); ++i) {
    const auto e = static_cast<double>(expected.as<T>()[i]);
    if (std::isfinite(e)) scale = std::max(scale, std::fabs(e));
  }
  for (int64_t i = 0; i < expected.element_count(); ++i) {
    const auto e = static_cast<double>(expected.as<T>()[i]), a = static_cast<double>(actual.as<T>()[i]);
    if (e == a || (std::isnan(e) && std::isnan(a))) continue;
    if (std::fabs(e - a) <= tolerance * scale) continue;
    return "element " + std::to_string(i) + " is " + std::to_string(a) + " instead of " + std::to_string(e);
  }
  return {};
}

}  // namespace

Tensor random_tensor(DType dtype, const Dims& dims, double low, double high, uint32_t seed) {
  Tensor tensor(dtype, dims);
  std::mt19937 random(seed);
  switch (dtype) {
    case DType::kFloat32:
      fill<float>(tensor, low, high, random);
      break;
    case DType::kFloat64:
      fill<double>(tensor, low, high, random);
      break;
    case DType::kInt64:
      fill<int64_t>(tensor, low, high, random);
      break;
    case DType::kInt32:
      fill<int32_t>(tensor, low, high, random);
      break;
    case DType::kUint32:
      fill<uint32_t>(tensor, low, high, random);
      break;
    case DType::kUint8:
      fill<uint8_t>(tensor, low, high, random);
      break;
    case DType::kInt8:
      fill<int8_t>(tensor, low, high, random);
      break;
    case DType::kBool:
      fill<uint8_t>(tensor, 0, 1, random);
      break;
    default:
      ADD_FAILURE() << "no random values of " << name_of(dtype);
  }
  return tensor;
}

WeightPtr weight_of(const Tensor& tensor) {
  std::string bytes(reinterpret_cast<const char*>(tensor.data()), tensor.byte_size());
  return Weight::from_bytes(tensor.dtype(), tensor.dims(), own_bytes(std::move(bytes)));
}

std::string compare(const Tensor& actual, const Tensor& expected, double tolerance) {
  if (actual.dtype() != expected.dtype()) return "the element types differ";
  if (actual.dims() != expected.dims())
    return "the sizes are " + ::testing::PrintToString(actual.dims()) + " instead of " +
           ::testing::PrintToString(expected.dims());
  switch (expected.dtype()) {
    case DType::kFloat32:
      return compare_as<float>(actual, expected, tolerance);
    case DType::kFloat64:
      return compare_as<double>(actual, expected, tolerance);
    default:
      return std::memcmp(actual.data(), expected.data(), expected.byte_size()) == 0 ? std::string()
                                                                                    : "the values differ";
  }
}

void dump_model(Model& model, const std::string& name, int64_t opset) {
  static int count = 0;
  const char* folder = std::getenv("MTS_DUMP_RULES");
  if (folder == nullptr) return;
  model.ir_version = 10;
  model.opsets[""] = opset;
  model.graph.name = name;
  const auto saved =
      save_model(model, std::string(folder) + "/" + name + "_" + std::to_string(count++) + ".onnx");
  ASSERT_TRUE(saved) << saved.error().to_string();
}

}  // namespace mts::testing
