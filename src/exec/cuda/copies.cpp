#include "exec/cuda/copies.h"

#include "exec/cuda/kernels/copy.h"
#include "exec/cuda/own/operands.h"

#include <memory>
#include <string>

namespace mts::exec::cuda {
namespace {

class Copy final : public PreparedCall {
 public:
  Copy(const CopyCall& call, const Nest<2>& nest)
      : from_(call.from_offset * static_cast<int64_t>(call.element_bytes)),
        to_(call.to_offset * static_cast<int64_t>(call.element_bytes)) {
    args_.nest = nest;
    args_.width = static_cast<int32_t>(call.element_bytes);
  }

  Result<void> enqueue(std::span<std::byte* const> operands, std::byte*, void* stream) override {
    args_.sources[0] = operands[0] + from_;
    args_.targets[0] = operands[1] + to_;
    if (args_.sources[0] == args_.targets[0]) return {};  // a part that was written where it belongs
    if (const LaunchError error = launch_copy(args_, stream); error != nullptr)
      return fail(ErrorCode::kDevice, std::string("a copy could not be launched: ") + error);
    return {};
  }

 private:
  CopyArgs args_;
  int64_t from_, to_;  // bytes
};

}  // namespace

PreparedResult prepare_copy(const CopyCall& call) {
  const std::vector<int64_t> strides[] = {call.to_strides, call.from_strides};
  const auto nest = nest_of<2>(call.dims, strides);
  if (!nest) return fail(ErrorCode::kUnsupported, "a copy of too many axes or elements: " + call.signature());
  return std::make_shared<Copy>(call, *nest);
}

}  // namespace mts::exec::cuda
