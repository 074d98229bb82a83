// What the CUDA executor asks of libraries, as plain data: a description each of a convolution, a matrix
// product, a pooling and a strided copy, complete enough to be carried out, cached by its signature, and
// checked without a device.
//
// cuDNN and cuBLASLt carry them out in the plugin; plain loops do in the tests, where whole plans run through
// them.
#pragma once

#include <mts/dtype.h>
#include <mts/error.h>
#include <mts/weight.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace mts::exec::cuda {

enum class Math : uint8_t {
  kStrict,  // float32 products and sums, no tensor cores
  kFast,    // TF32 for float32; tensor cores with float32 sums for float16 and bfloat16
};
enum class Activation : uint8_t { kNone, kRelu, kGeluTanh };

// y = activation(conv(x, w) + addend + bias). Dims are logical (N, C, two or three spatial axes; weights K,
// C/groups,
// ...); memory is channels-last, the weight's too (K, spatial..., C/groups). Operands: x, w, addend, bias, y;
// those that are not there are left out.
struct ConvCall {
  DType dtype = DType::kFloat32;
  Math math = Math::kStrict;
  Dims x, w, y;
  std::vector<int64_t> strides, dilations, pads_begin, pads_end;  // by spatial axis
  int64_t groups = 1;
  bool addend = false, bias = false;
  Activation activation = Activation::kNone;
  std::string signature() const;
};

// d = activation(alpha a b + addend + bias), for each of `batch`; row-major. Operands: a, b, addend, bias, d.
// Strides and leading dimensions in elements; a stride of 0 reads the same for all.
struct GemmCall {
  DType dtype = DType::kFloat32;
  Math math = Math::kStrict;
  int64_t batch = 1, rows = 1, columns = 1, inner = 1;
  bool a_transposed = false, b_transposed = false;  // a lies as [inner, rows], b as [columns, inner]
  int64_t lda = 1, ldb = 1, ldd = 1;                // the addend lies like d
  int64_t stride_a = 0, stride_b = 0, stride_d = 0, stride_bias = 0;
  float alpha = 1.f;
  bool addend = false, bias = false;  // bias: one value a column
  Activation activation = Activation::kNone;
  std::string signature() const;
};

enum class Pooling : uint8_t {
  kMax,
  kAverage,
  kAveragePadded
};  // padded: divides by the window's size, always
// Channels-last. Operands: x, y.
struct PoolCall {
  DType dtype = DType::kFloat32;
  Pooling pooling = Pooling::kMax;
  Dims x, y;
  std::vector<int64_t> kernel, strides, pads_begin, pads_end;
  std::string signature() const;
};

// to[to_offset + sum i_d to_strides[d]] = from[from_offset + sum i_d from_strides[d]], in elements, at most 8
// axes. Operands: from, to.
struct CopyCall {
  size_t element_bytes = 4;
  Dims dims;
  std::vector<int64_t> from_strides, to_strides;
  int64_t from_offset = 0, to_offset = 0;
  std::string signature() const;
};

// A call ready to be enqueued: no allocation, no decisions. May be shared by all steps of its signature.
class PreparedCall {
 public:
  virtual ~PreparedCall() = default;
  virtual uint64_t workspace_bytes() const { return 0; }
  virtual Result<void> enqueue(std::span<std::byte* const> operands, std::byte* workspace, void* stream) = 0;
};
using PreparedResult = Result<std::shared_ptr<PreparedCall>>;

class Libraries {
 public:
  virtual ~Libraries() = default;
  // Whether there is a plan for it on this device. Asked while layouts are chosen.
  virtual bool takes(const ConvCall& call) = 0;
  virtual bool takes(const PoolCall& call) = 0;
  virtual bool takes(const GemmCall& call) = 0;
  // Preconditions: takes(call); copies are always taken.
  virtual PreparedResult prepare(const ConvCall& call) = 0;
  virtual PreparedResult prepare(const PoolCall& call) = 0;
  virtual PreparedResult prepare(const GemmCall& call) = 0;
  virtual PreparedResult prepare(const CopyCall& call) = 0;
};

}  // namespace mts::exec::cuda
