#include "exec/cpu/recurrent_product.h"

#include "exec/cpu/parallel.h"
#include "exec/cpu/tile_ops.h"

#include <algorithm>
#include <utility>

namespace mts::exec {

using dnnl::memory;

RecurrentProduct::RecurrentProduct(Device& device, const float* weight, int64_t rows, int64_t inner,
                                   int64_t columns, int64_t leading, const std::string& key)
    : device_(device), rows_(rows), inner_(inner), columns_(columns), leading_(leading) {
  if (SmallWork::is_small(2 * rows * inner * columns)) {
    pack(device, weight, key);
  } else {
    describe(device, weight, key);
  }
}

void RecurrentProduct::pack(Device& device, const float* weight, const std::string& key) {
  const std::string name = key + ":panels";
  if (auto found = key.empty() ? std::nullopt : device.weights.find(name)) {
    weight_ = *found;
    return;
  }
  weight_ = memory(plain({padded(columns_) * inner_}), device.engine);
  auto* const packed = static_cast<float*>(weight_.get_data_handle());
  std::fill_n(packed, padded(columns_) * inner_, 0.f);
  for (int64_t n = 0; n < columns_; ++n) {
    for (int64_t k = 0; k < inner_; ++k)
      packed[(n / kPanel * inner_ + k) * kPanel + n % kPanel] = weight[n * inner_ + k];
  }
  if (!key.empty()) device.weights.keep(name, weight_);
}

void RecurrentProduct::describe(Device& device, const float* weight, const std::string& key) {
  const memory::desc given({inner_, columns_}, memory::data_type::f32, memory::dims{1, inner_});
  const memory::desc any({inner_, columns_}, memory::data_type::f32, memory::format_tag::any);
  a_ = plain({rows_, inner_});
  c_ = memory::desc({rows_, columns_}, memory::data_type::f32, memory::dims{leading_, 1});
  dnnl::primitive_attr attributes;
  dnnl::post_ops ops;
  ops.append_sum();
  attributes.set_post_ops(ops);
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  const dnnl::matmul::primitive_desc descriptor(device.engine, a_, any, c_, attributes);
  large_ = dnnl::matmul(descriptor);
  scratch_ = descriptor.scratchpad_desc();
  scratch_bytes_ = scratch_.get_size();
  const memory::desc wanted = descriptor.weights_desc();
  const std::string name = key + ":" + std::to_string(rows_) + ":" + std::to_string(wanted.get_size());
  if (auto found = key.empty() ? std::nullopt : device.weights.find(name);
      found && found->get_desc() == wanted) {
    weight_ = *found;
    return;
  }
  weight_ = memory(wanted, device.engine);
  memory raw(given, device.engine, const_cast<float*>(weight));  // only read
  dnnl::reorder(raw, weight_).execute(device.stream, raw, weight_);
  device.stream.wait();
  if (!key.empty()) device.weights.keep(name, weight_);
}

Result<void> RecurrentProduct::add(float* c, const float* a, std::byte* scratch) const {
  if (!large_) {
    tile_ops().multiply_add(c, leading_, a, static_cast<const float*>(weight_.get_data_handle()), rows_,
                            padded(columns_) / kPanel, inner_);
    return {};
  }
  try {
    large_.execute(device_.stream, {{DNNL_ARG_SRC, memory(a_, device_.engine, const_cast<float*>(a))},
                                    {DNNL_ARG_WEIGHTS, weight_},
                                    {DNNL_ARG_DST, memory(c_, device_.engine, c)},
                                    {DNNL_ARG_SCRATCHPAD, memory(scratch_, device_.engine, scratch)}});
  } catch (const dnnl::error& error) {
    return fail(ErrorCode::kInternal, std::string("oneDNN: ") + error.what());
  }
  return {};
}

}  // namespace mts::exec
