#include "exec/cpu/cast.h"

#include "exec/cpu/parallel.h"
#include "exec/cpu/tile_ops.h"

#include <cstdint>

namespace mts::exec {
namespace {

using Run = void (*)(std::byte* to, const std::byte* from, int64_t n);

template <class To, class From>
void convert(std::byte* to, const std::byte* from, int64_t n) {
  auto* const target = reinterpret_cast<To*>(to);
  const auto* const source = reinterpret_cast<const From*>(from);
  for (int64_t i = 0; i < n; ++i) target[i] = static_cast<To>(source[i]);
}
template <class From>
void to_bool(std::byte* to, const std::byte* from, int64_t n) {
  const auto* const source = reinterpret_cast<const From*>(from);
  for (int64_t i = 0; i < n; ++i) to[i] = source[i] != From{0} ? std::byte{1} : std::byte{0};
}
void from_half(std::byte* to, const std::byte* from, int64_t n) {
  tile_ops().from_half(reinterpret_cast<float*>(to), reinterpret_cast<const uint16_t*>(from), n);
}
void to_half(std::byte* to, const std::byte* from, int64_t n) {
  tile_ops().to_half(reinterpret_cast<uint16_t*>(to), reinterpret_cast<const float*>(from), n);
}
void from_bfloat(std::byte* to, const std::byte* from, int64_t n) {
  const auto* const source = reinterpret_cast<const uint16_t*>(from);
  auto* const target = reinterpret_cast<uint32_t*>(to);
  for (int64_t i = 0; i < n; ++i) target[i] = static_cast<uint32_t>(source[i]) << 16;
}
void to_bfloat(std::byte* to, const std::byte* from, int64_t n) {
  const auto* const source = reinterpret_cast<const uint32_t*>(from);
  auto* const target = reinterpret_cast<uint16_t*>(to);
  for (int64_t i = 0; i < n; ++i) {
    const uint32_t bits = source[i];
    const bool is_nan = (bits & 0x7fffffffu) > 0x7f800000u;
    const uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
    target[i] = static_cast<uint16_t>(is_nan ? bits >> 16 | 0x40u : rounded);
  }
}

template <class From>
Run from_number(DType to) {
  switch (to) {
    case DType::kFloat32:
      return convert<float, From>;
    case DType::kFloat64:
      return convert<double, From>;
    case DType::kInt32:
      return convert<int32_t, From>;
    case DType::kInt64:
      return convert<int64_t, From>;
    case DType::kBool:
      return to_bool<From>;
    default:
      return nullptr;
  }
}

Run run_of(DType from, DType to) {
  switch (from) {
    case DType::kFloat16:
      return to == DType::kFloat32 ? from_half : nullptr;
    case DType::kBfloat16:
      return to == DType::kFloat32 ? from_bfloat : nullptr;
    case DType::kFloat32:
      if (to == DType::kFloat16) return to_half;
      if (to == DType::kBfloat16) return to_bfloat;
      return to == DType::kInt32 || to == DType::kInt64 ? nullptr : from_number<float>(to);
    case DType::kInt64:
      return from_number<int64_t>(to);
    case DType::kInt32:
      return from_number<int32_t>(to);
    case DType::kBool:  // ONNX's booleans are the bytes 0 and 1
    case DType::kUint8:
      return from_number<uint8_t>(to);
    case DType::kInt8:
      return from_number<int8_t>(to);
    default:
      return nullptr;
  }
}

class CastKernel final : public Kernel {
 public:
  CastKernel(Run run, ValueIndex from, ValueIndex to, int64_t count, int from_bytes, int to_bytes)
      : run_(run), from_(from), to_(to), count_(count), from_bytes_(from_bytes), to_bytes_(to_bytes) {}

  Result<void> launch(const Pointers& pointers) override {
    parallel(count_, count_, [&](int64_t begin, int64_t end) {
      run_(pointers[to_] + begin * to_bytes_, pointers[from_] + begin * from_bytes_, end - begin);
    });
    return {};
  }

 private:
  Run run_;
  ValueIndex from_, to_;
  int64_t count_;
  int from_bytes_, to_bytes_;
};

Run run_of(const ExecPlan& plan, const Step& step) {
  return run_of(plan.value(step.inputs[0]).dtype, plan.value(step.outputs[0]).dtype);
}

}  // namespace

bool accepts_cast(const ExecPlan& plan, const Step& step) {
  return step.op == "Cast" && step.outputs.size() == 1 && run_of(plan, step) != nullptr;
}

Result<std::unique_ptr<Kernel>> make_cast(const ExecPlan& plan, const Step& step) {
  const PlanValue &from = plan.value(step.inputs[0]), &to = plan.value(step.outputs[0]);
  return std::make_unique<CastKernel>(run_of(plan, step), step.inputs[0], step.outputs[0],
                                      element_count(from.dims), bit_width(from.dtype) / 8,
                                      bit_width(to.dtype) / 8);
}

}  // namespace mts::exec
