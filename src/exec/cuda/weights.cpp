#include "exec/cuda/weights.h"

#include <cstring>
#include <vector>

namespace mts::exec::cuda {

Result<DeviceBlock> Weights::channels_last(const ExecPlan& plan, ValueIndex constant) {
  const PlanValue& value = plan.value(constant);
  const bool reusable = value.id != kNoValue && plan.graph->value(value.id).is_constant();
  if (reusable) {
    const auto found = packed_.find({value.id, value.dtype});
    if (found != packed_.end()) return found->second;
  }
  const Tensor& tensor = *plan.constants[static_cast<size_t>(value.constant)].tensor();
  const auto element = static_cast<size_t>(bit_width(value.dtype)) / 8;
  const auto filters = static_cast<size_t>(value.dims[0]), channels = static_cast<size_t>(value.dims[1]);
  const auto pixels = static_cast<size_t>(element_count(std::span(value.dims).subspan(2)));
  MTS_ASSIGN(DeviceBlock block, runtime_.allocate(value.bytes, "weights"));
  if (channels == 1 || pixels == 1) {  // the same bytes either way: straight from where they lie
    MTS_TRY(runtime_.upload(block.get(), {tensor.data(), value.bytes}));
  } else {
    std::vector<std::byte> packed(value.bytes);
    const std::byte* from = tensor.data();
    for (size_t k = 0; k < filters; ++k) {
      for (size_t c = 0; c < channels; ++c) {
        for (size_t p = 0; p < pixels; ++p, from += element)
          std::memcpy(packed.data() + ((k * pixels + p) * channels + c) * element, from, element);
      }
    }
    MTS_TRY(runtime_.upload(block.get(), packed));
  }
  bytes_ += value.bytes;
  if (reusable) packed_[{value.id, value.dtype}] = block;
  return block;
}

Result<DeviceBlock> Weights::zeros(uint64_t bytes) {
  if (zeros_ == nullptr || zero_bytes_ < bytes) {
    MTS_ASSIGN(zeros_, runtime_.allocate(bytes, "weights"));
    const std::vector<std::byte> content(bytes, std::byte{0});
    MTS_TRY(runtime_.upload(zeros_.get(), content));
    zero_bytes_ = bytes;
    bytes_ += bytes;
  }
  return zeros_;
}

}  // namespace mts::exec::cuda
