// The versions of ONNX that mts reads, and the bounds that keep a hostile file from exhausting the machine.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mts::onnxio {

inline constexpr int64_t kMinIrVersion = 3, kMaxIrVersion = 14;
inline constexpr int64_t kMinOpset = 7, kMaxOpset = 28;
inline constexpr size_t kMaxSkeletonBytes = size_t{1} << 30;  // structure without weights
inline constexpr uint64_t kMaxInlinedNodes = 5'000'000;       // after all local functions are inlined
inline constexpr uint64_t kMaxProtobufBytes = 0x7fffffff;     // what readers of ONNX files can parse at all

}  // namespace mts::onnxio
