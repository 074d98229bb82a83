#include "exec/cuda/library_calls.h"

#include <type_traits>
#include <utility>

namespace mts::exec::cuda {
namespace {

// "name 1,2,3 ..." with a separator after every field, so that different calls never read alike.
class Signature {
 public:
  explicit Signature(std::string kind) : text_(std::move(kind)) {}
  Signature& operator<<(int64_t value) {
    text_ += ' ' + std::to_string(value);
    return *this;
  }
  Signature& operator<<(const std::vector<int64_t>& values) {
    text_ += " [";
    for (int64_t value : values) text_ += std::to_string(value) + ',';
    text_ += ']';
    return *this;
  }
  template <class E>
  requires std::is_enum_v<E> Signature& operator<<(E value) { return *this << static_cast<int64_t>(value); }
  std::string text() && { return std::move(text_); }

 private:
  std::string text_;
};

}  // namespace

std::string ConvCall::signature() const {
  Signature signature("conv");
  signature << dtype << math << x << w << y << strides << dilations << pads_begin << pads_end << groups
            << addend << bias << activation;
  return std::move(signature).text();
}

std::string GemmCall::signature() const {
  Signature signature("gemm");
  signature << dtype << math << batch << rows << columns << inner << a_transposed << b_transposed << lda
            << ldb << ldd << stride_a << stride_b << stride_d << stride_bias << addend << bias << activation;
  return std::move(signature).text() + " " + std::to_string(alpha);
}

std::string PoolCall::signature() const {
  Signature signature("pool");
  signature << dtype << pooling << x << y << kernel << strides << pads_begin << pads_end;
  return std::move(signature).text();
}

std::string CopyCall::signature() const {
  Signature signature("copy");
  signature << static_cast<int64_t>(element_bytes) << dims << from_strides << to_strides << from_offset
            << to_offset;
  return std::move(signature).text();
}

}  // namespace mts::exec::cuda
