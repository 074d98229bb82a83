// What the own kernels need of the device that runs them.
#pragma once

#include "exec/cuda/kernels/stream.h"

#include <mts/error.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace mts::exec::cuda {

class OwnDevice {
 public:
  virtual ~OwnDevice() = default;
  // Where launches go now: asked at each launch, so that a plan can be spread over streams.
  virtual StreamHandle stream() const = 0;
  // A copy of `bytes` in device memory, 256-byte aligned, which lives as long as the device. While plans are
  // prepared, never in a launch.
  virtual Result<const void*> upload(std::span<const std::byte> bytes) = 0;
  // A word of device memory that kernels set to 1 when an index in their data is out of range (they then read
  // or write nothing for it); the owner clears it and turns it into an error. Null: nobody looks.
  virtual int32_t* fault() = 0;
  // Whether float32 products may round their operands to TF32.
  virtual bool allows_tf32() const { return false; }
};

}  // namespace mts::exec::cuda
