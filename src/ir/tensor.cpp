#include "base/allocate.h"

#include <mts/tensor.h>

#include <cstdint>
#include <cstring>

namespace mts {

Tensor::Tensor(DType dtype, Dims dims) : dtype_(dtype), dims_(std::move(dims)) {
  if (dtype_ == DType::kString) {
    strings_ = std::make_shared<std::vector<std::string>>(static_cast<size_t>(element_count()));
    return;
  }
  auto memory = allocate(byte_size());
  data_ = memory.get();
  owner_ = std::move(memory);
}

Tensor Tensor::from_weight(const Weight& weight) {
  if (const auto* strings = weight.strings()) {
    Tensor result(DType::kString, weight.dims());
    *result.strings_ = *strings;
    return result;
  }
  Tensor result(weight.dtype(), weight.dims());
  weight.read({result.data_, result.byte_size()});
  return result;
}

Tensor Tensor::borrow(DType dtype, Dims dims, std::byte* data, std::shared_ptr<const void> owner) {
  Tensor result;
  result.dtype_ = dtype;
  result.dims_ = std::move(dims);
  result.data_ = data;
  result.owner_ = std::move(owner);
  return result;
}

Tensor Tensor::reshaped(Dims dims) const {
  Tensor result = *this;
  result.dims_ = std::move(dims);
  return result;
}

}  // namespace mts
