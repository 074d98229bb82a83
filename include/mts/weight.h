// A weight is constant tensor content as a lazy expression over bytes that lie somewhere (usually in a mapped
// file):
//   Ref | Strings | Concat | Slice | Gather | Transpose | Reshape
// Building an expression copies nothing; bytes are produced when it is read or streamed out. Weights are
// immutable and shared by pointer.
#pragma once

#include <mts/dtype.h>
#include <mts/error.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace mts {

using Dims = std::vector<int64_t>;
int64_t element_count(std::span<const int64_t> dims);  // product; 1 for a scalar

// Bytes with whoever keeps them alive (a mapped file or an owned buffer).
struct Bytes {
  std::shared_ptr<const void> owner;
  std::span<const std::byte> data;
};
Bytes own_bytes(std::string buffer);

// 128 bits over dtype and content (not dims). Equal digests are confirmed bytewise before anything is merged.
struct Digest {
  uint64_t low = 0, high = 0;
  auto operator<=>(const Digest&) const = default;
};

class Weight;
using WeightPtr = std::shared_ptr<const Weight>;

class Weight {
 public:
  // `bytes` holds exactly byte_size(dtype, count(dims)) bytes, little endian, in ONNX's raw_data encoding.
  static WeightPtr from_bytes(DType dtype, Dims dims, Bytes bytes);
  static WeightPtr from_strings(Dims dims, std::vector<std::string> strings);
  // All parts have one dtype and equal dims except along `axis`.
  static WeightPtr concat(std::vector<WeightPtr> parts, int64_t axis);
  static WeightPtr slice(WeightPtr part, int64_t axis, int64_t start, int64_t length);
  // The entries of `part` at `indices` along the axis, in that order.
  static WeightPtr gather(WeightPtr part, int64_t axis, std::vector<int64_t> indices);
  static WeightPtr transpose(WeightPtr part, std::vector<int64_t> permutation);
  static WeightPtr reshape(WeightPtr part, Dims dims);  // same element count

  // Small constants.
  static WeightPtr int64s(std::span<const int64_t> values);  // 1-D
  static WeightPtr int64_scalar(int64_t value);              // 0-D
  static WeightPtr floats(std::span<const float> values, Dims dims);

  DType dtype() const { return dtype_; }
  const Dims& dims() const { return dims_; }
  int64_t element_count() const;
  size_t byte_size() const;  // raw encoding; for strings the sum of their lengths

  // The content where it lies, when the expression is a Ref (or a Reshape of one); empty otherwise.
  std::span<const std::byte> bytes() const;
  const std::vector<std::string>* strings() const;  // null unless dtype() is kString

  // Writes all byte_size() bytes to `out`. Not for strings.
  void read(std::span<std::byte> out) const;
  // Calls `sink` with consecutive pieces; peak extra memory is that of one Ref operand when a Transpose or an
  // inner-axis Concat, Slice or Gather must be gathered, else none.
  void stream(const std::function<void(std::span<const std::byte>)>& sink) const;
  std::vector<int64_t> as_int64s() const;  // from any integer or bool dtype; empty otherwise
  // Values as doubles; empty for non-numeric dtypes.
  std::vector<double> as_doubles() const;

  Digest digest() const;                         // computed once, thread-safe
  bool same_content(const Weight& other) const;  // dtype and bytes (or strings); dims may differ

  ~Weight();
  Weight(const Weight&) = delete;
  Weight& operator=(const Weight&) = delete;

 private:
  struct Expression;
  Weight(DType dtype, Dims dims, std::unique_ptr<Expression> expression);

  DType dtype_;
  Dims dims_;
  std::unique_ptr<Expression> expression_;
};

}  // namespace mts
