// An exec::Kernel that fills the pointers of an argument struct and launches it.
#pragma once

#include "exec/backend.h"
#include "exec/cuda/own/device.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace mts::exec::cuda {

inline Result<void> to_result(LaunchError error) {
  if (error == nullptr) return {};
  return fail(ErrorCode::kDevice, std::string("a kernel could not be launched: ") + error);
}

template <class Args>
class LaunchKernel final : public Kernel {
 public:
  using Launcher = LaunchError (*)(const Args&, StreamHandle);
  using Bind = std::function<void(Args&, const Pointers&)>;

  // `bind` sets the pointers of the arguments; `read`: the values that it takes.
  LaunchKernel(OwnDevice& device, Launcher launcher, std::vector<Args> launches, Bind bind)
      : device_(device), launcher_(launcher), launches_(std::move(launches)), bind_(std::move(bind)) {}

  Result<void> launch(const Pointers& pointers) override {
    for (Args& args : launches_) {
      bind_(args, pointers);
      MTS_TRY(to_result(launcher_(args, device_.stream())));
    }
    return {};
  }

 private:
  OwnDevice& device_;
  Launcher launcher_;
  std::vector<Args> launches_;
  Bind bind_;
};

template <class Args, class Bind>
std::unique_ptr<Kernel> make_launch(OwnDevice& device, LaunchError (*launcher)(const Args&, StreamHandle),
                                    Args args, Bind bind) {
  return std::make_unique<LaunchKernel<Args>>(device, launcher, std::vector<Args>{std::move(args)},
                                              std::move(bind));
}

}  // namespace mts::exec::cuda
