#include "exec/cuda/own_candidates.h"

#include "exec/cuda/kernels/conv.h"
#include "exec/cuda/kernels/matmul.h"
#include "exec/cuda/layout.h"
#include "exec/cuda/own/launch_kernel.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace mts::exec::cuda {
namespace {

constexpr int64_t kMostElements = std::numeric_limits<int32_t>::max();
// Fewer channels, rows or columns would leave most of a tile of the tensor cores empty.
constexpr int64_t kTensorCoreSide = 32;
// Of output channels a group: what fills a tile of the implicit GEMM, and what a direct kernel still reads
// its input for often enough.
constexpr int64_t kWideGroup = 16, kNarrowGroup = 32;
constexpr int64_t kMostOneAfterAnother = 32;

FloatType float_type(DType dtype) {
  return dtype == DType::kFloat16    ? FloatType::kFloat16
         : dtype == DType::kBfloat16 ? FloatType::kBfloat16
                                     : FloatType::kFloat32;
}
bool may_use_tensor_cores(DType dtype, Math math) { return dtype != DType::kFloat32 || math == Math::kFast; }

// Arguments whose pointers are set from the operands of the call.
template <class Args>
class OwnCall final : public PreparedCall {
 public:
  using Launcher = LaunchError (*)(const Args&, StreamHandle);
  using Bind = void (*)(Args&, std::span<std::byte* const>);
  OwnCall(Launcher launcher, Bind bind, Args args)
      : launcher_(launcher), bind_(bind), args_(std::move(args)) {}

  Result<void> enqueue(std::span<std::byte* const> operands, std::byte*, void* stream) override {
    bind_(args_, operands);
    return to_result(launcher_(args_, stream));
  }

 private:
  Launcher launcher_;
  Bind bind_;
  Args args_;
};

// The call's addend, bias and activation. The operands lie behind the first two: addend, then bias.
void add_epilogue(Epilogue& epilogue, const EpilogueOperand* addend, const EpilogueOperand* bias,
                  Activation activation) {
  DeviceProgram& program = epilogue.program;
  int8_t next = 0;
  for (const EpilogueOperand* operand : {addend, bias}) {
    if (operand == nullptr) continue;
    epilogue.operands[next] = *operand;
    program.code[program.length++] = {ElementOp::kAdd, kAccumulator, next++, -1, 0.f, 0.f};
  }
  if (activation == Activation::kNone) return;
  const ElementOp op = activation == Activation::kRelu ? ElementOp::kRelu : ElementOp::kGeluTanh;
  program.code[program.length++] = {op, kAccumulator, -1, -1, 0.f, 0.f};
}

// Operands 2 to the last but one are the epilogue's.
void bind_epilogue(Epilogue& epilogue, std::span<std::byte* const> operands) {
  for (size_t i = 2; i + 1 < operands.size(); ++i) epilogue.operands[i - 2].data = operands[i];
}

void bind_conv(ConvArgs& args, std::span<std::byte* const> operands) {
  args.input = operands[0];
  args.weights[0] = operands[1];
  args.output = operands.back();
  bind_epilogue(args.epilogue, operands);
}
void bind_matmul(MatmulArgs& args, std::span<std::byte* const> operands) {
  args.a = operands[0];
  args.b = operands[1];
  args.c = operands.back();
  bind_epilogue(args.epilogue, operands);
}

int64_t pixels_of(const Dims& dims) { return element_count(std::span(dims).subspan(2)); }

WindowShape window_shape(const ConvCall& call) {
  WindowShape shape;
  const size_t spatial = call.x.size() - 2, lead = 3 - spatial;
  const auto set = [&](int32_t(&to)[3], const std::vector<int64_t>& from, size_t first) {
    for (size_t i = 0; i < spatial; ++i) to[lead + i] = static_cast<int32_t>(from[first + i]);
  };
  set(shape.in, call.x, 2);
  set(shape.out, call.y, 2);
  set(shape.kernel, call.w, 2);
  set(shape.stride, call.strides, 0);
  set(shape.dilation, call.dilations, 0);
  set(shape.pad_begin, call.pads_begin, 0);
  set(shape.pad_end, call.pads_end, 0);
  return shape;
}

ImageStrides image_strides(const Dims& dims, int64_t channels) {
  return {dims[1] * pixels_of(dims), channels, 1, dims[1]};
}

Candidate conv_candidate(std::string name, OwnCall<ConvArgs>::Launcher launcher, ConvArgs args,
                         bool tensor_cores) {
  args.tensor_cores = tensor_cores;
  return {std::move(name), std::make_shared<OwnCall<ConvArgs>>(launcher, bind_conv, std::move(args))};
}

}  // namespace

std::vector<Candidate> own_candidates(const ConvCall& call) {
  if (call.x.size() < 3 || call.x.size() > 5 || element_count(call.x) > kMostElements ||
      element_count(call.w) > kMostElements || element_count(call.y) > kMostElements)
    return {};
  ConvArgs args;
  args.type = float_type(call.dtype);
  args.batch = static_cast<int32_t>(call.x[0]);
  args.groups = static_cast<int32_t>(call.groups);
  args.in_channels = static_cast<int32_t>(call.x[1] / call.groups);
  args.out_channels = static_cast<int32_t>(call.y[1] / call.groups);
  args.channels_last_weights = true;
  args.window = window_shape(call);
  args.in = image_strides(call.x, args.in_channels);
  args.out = image_strides(call.y, args.out_channels);
  EpilogueOperand addend, bias;
  addend.type = bias.type = args.type;
  addend.outer[0] = args.out.batch;
  addend.row = args.out.channel;
  addend.column = args.out.pixel;
  bias.row = 1;
  add_epilogue(args.epilogue, call.addend ? &addend : nullptr, call.bias ? &bias : nullptr, call.activation);
  std::vector<Candidate> candidates;
  if (args.out_channels >= kTensorCoreSide && may_use_tensor_cores(call.dtype, call.math)) {
    candidates.push_back(conv_candidate("own tensor-core GEMM", launch_implicit_gemm, args, true));
  } else if (args.out_channels >= kWideGroup) {
    candidates.push_back(conv_candidate("own GEMM", launch_implicit_gemm, args, false));
  }
  if (args.out_channels < kNarrowGroup)
    candidates.push_back(conv_candidate("own direct", launch_direct_conv, args, false));
  return candidates;
}

std::vector<Candidate> own_candidates(const GemmCall& call) {
  const std::vector<uint64_t> bytes = operand_bytes(call);
  if (std::any_of(bytes.begin(), bytes.end(),
                  [](uint64_t b) { return b > static_cast<uint64_t>(kMostElements); }))
    return {};
  MatmulArgs args;
  args.type = float_type(call.dtype);
  constexpr size_t kInnermost = kMaxOuter - 1;
  args.outer[kInnermost] = Divisor(call.batch);
  args.a_outer[kInnermost] = call.stride_a;
  args.b_outer[kInnermost] = call.stride_b;
  args.rows = static_cast<int32_t>(call.rows);
  args.columns = static_cast<int32_t>(call.columns);
  args.inner = static_cast<int32_t>(call.inner);
  args.a_row = call.a_transposed ? 1 : call.lda;
  args.a_column = call.a_transposed ? call.lda : 1;
  args.b_row = call.b_transposed ? 1 : call.ldb;
  args.b_column = call.b_transposed ? call.ldb : 1;
  args.c_batch = call.stride_d;
  args.c_row = call.ldd;
  args.alpha = call.alpha;
  EpilogueOperand addend, bias;
  addend.type = bias.type = args.type;
  addend.outer[kInnermost] = call.stride_d;
  addend.row = call.ldd;
  addend.column = 1;
  bias.outer[kInnermost] = call.stride_bias;
  bias.column = 1;
  add_epilogue(args.epilogue, call.addend ? &addend : nullptr, call.bias ? &bias : nullptr, call.activation);
  args.tensor_cores =
      std::min(call.rows, call.columns) >= kTensorCoreSide && may_use_tensor_cores(call.dtype, call.math);
  return {{args.tensor_cores ? "own tensor-core product" : "own product",
           std::make_shared<OwnCall<MatmulArgs>>(launch_matmul, bind_matmul, args)}};
}

std::optional<GemmCall> one_of(const GemmCall& batch) {
  if (batch.batch < 2 || batch.batch > kMostOneAfterAnother) return std::nullopt;
  // Libraries load 16 bytes at once, and would choose for the first of the batch alone.
  for (int64_t stride : {batch.stride_a, batch.stride_b, batch.stride_d, batch.stride_bias}) {
    if (byte_size(batch.dtype, stride) % kPartAlignment != 0) return std::nullopt;
  }
  GemmCall one = batch;
  one.batch = 1;
  one.stride_a = one.stride_b = one.stride_d = one.stride_bias = 0;
  return one;
}

namespace {

class OneAfterAnother final : public PreparedCall {
 public:
  OneAfterAnother(const GemmCall& batch, std::shared_ptr<PreparedCall> one)
      : count_(batch.batch), one_(std::move(one)) {
    const auto add = [&](int64_t stride) {
      strides_.push_back(static_cast<std::ptrdiff_t>(byte_size(batch.dtype, stride)));
    };
    add(batch.stride_a);
    add(batch.stride_b);
    if (batch.addend) add(batch.stride_d);
    if (batch.bias) add(batch.stride_bias);
    add(batch.stride_d);
    own_.resize(strides_.size());
  }
  uint64_t workspace_bytes() const override { return one_->workspace_bytes(); }
  Result<void> enqueue(std::span<std::byte* const> operands, std::byte* workspace, void* stream) override {
    for (int64_t i = 0; i < count_; ++i) {
      for (size_t k = 0; k < own_.size(); ++k) own_[k] = operands[k] + i * strides_[k];
      MTS_TRY(one_->enqueue(own_, workspace, stream));
    }
    return {};
  }

 private:
  int64_t count_;
  std::shared_ptr<PreparedCall> one_;
  std::vector<std::ptrdiff_t> strides_;  // bytes, by operand
  std::vector<std::byte*> own_;
};

}  // namespace

std::shared_ptr<PreparedCall> one_after_another(const GemmCall& batch, std::shared_ptr<PreparedCall> one) {
  return std::make_shared<OneAfterAnother>(batch, std::move(one));
}

}  // namespace mts::exec::cuda
