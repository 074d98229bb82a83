// Values at run time: dense tensors on the host, and the sequences, maps and optionals that some models pass
// around.
#pragma once

#include <mts/dtype.h>
#include <mts/weight.h>

#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace mts {

// A dense row-major tensor. Copies share the buffer; `mutable_*` is for whoever has just made it.
class Tensor {
 public:
  Tensor() = default;
  Tensor(DType dtype, Dims dims);  // uninitialised, 64-byte aligned; string tensors hold empty strings
  static Tensor from_weight(const Weight& weight);  // copies
  // Borrows `data`, which `owner` keeps alive.
  static Tensor borrow(DType dtype, Dims dims, std::byte* data, std::shared_ptr<const void> owner);
  template <class T>
  static Tensor of(DType dtype, Dims dims, std::span<const T> values);

  DType dtype() const { return dtype_; }
  const Dims& dims() const { return dims_; }
  int64_t element_count() const { return mts::element_count(dims_); }
  size_t byte_size() const { return mts::byte_size(dtype_, element_count()); }
  const std::byte* data() const { return data_; }
  std::byte* mutable_data() { return data_; }
  template <class T>
  const T* as() const {
    return reinterpret_cast<const T*>(data_);
  }
  template <class T>
  T* mutable_as() {
    return reinterpret_cast<T*>(data_);
  }
  const std::vector<std::string>& strings() const { return *strings_; }
  std::vector<std::string>& mutable_strings() { return *strings_; }
  Tensor reshaped(Dims dims) const;  // same element count, shared buffer
  bool defined() const { return dtype_ != DType::kUndefined; }

 private:
  DType dtype_ = DType::kUndefined;
  Dims dims_;
  std::byte* data_ = nullptr;
  std::shared_ptr<const void> owner_;
  std::shared_ptr<std::vector<std::string>> strings_;
};

struct Datum;
using Sequence = std::vector<Datum>;
struct Map {
  Tensor keys;  // 1-D, integer or string
  std::vector<Datum> values;
};
// std::monostate: an absent optional.
struct Datum {
  std::variant<std::monostate, Tensor, Sequence, Map> value;

  Datum() = default;
  Datum(Tensor tensor) : value(std::move(tensor)) {}        // NOLINT: a tensor is a datum
  Datum(Sequence sequence) : value(std::move(sequence)) {}  // NOLINT
  Datum(Map map) : value(std::move(map)) {}                 // NOLINT
  const Tensor* tensor() const { return std::get_if<Tensor>(&value); }
};

template <class T>
Tensor Tensor::of(DType dtype, Dims dims, std::span<const T> values) {
  Tensor result(dtype, std::move(dims));
  for (size_t i = 0; i < values.size(); ++i) result.mutable_as<T>()[i] = values[i];
  return result;
}

}  // namespace mts
