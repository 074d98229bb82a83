// One step in time of LSTM and GRU layers with sigmoid and tanh, float32: the recurrent part of all gates,
// then the cell. The inputs' part of all steps is one product before (matmul.h).
//
// B sequences, H hidden, gates in ONNX's order (LSTM i o f c, GRU z r h), g * H + j for gate g of unit j.
#pragma once

#include "exec/cuda/kernels/stream.h"

#include <cstdint>

namespace mts::exec::cuda {

enum class RecurrentCell : uint8_t {
  kLstm,
  kGruLinear,     // the reset gate scales the recurrent part (linear_before_reset)
  kGruReset,      // else two launches: update gate and r * h,
  kGruCandidate,  // then the rest
};

inline constexpr int kMostDirections = 2;
struct RecurrentDirection {
  const float* gates = nullptr;         // [B, gates * H]: the inputs' part of this step, with its bias
  const float* weights = nullptr;       // R [gates * H, H]
  const float* bias = nullptr;          // of R [gates * H]; null: 0
  const float* before = nullptr;        // h [B, H]; null: 0
  float* after = nullptr;               // h [B, H]; not `before`
  float* last = nullptr;                // the same again; null: not wanted
  const float* state_before = nullptr;  // LSTM's c [B, H]; null: 0
  float* state_after = nullptr;         // may be state_before
  float* gated = nullptr;               // GRU in two launches: r * h, and
  float* update = nullptr;              // z, both [B, H]
};
struct RecurrentArgs {
  RecurrentDirection directions[kMostDirections];
  int32_t direction_count = 1, batch = 0, hidden = 0;
  RecurrentCell cell = RecurrentCell::kLstm;
};
LaunchError launch_recurrent(const RecurrentArgs& args, StreamHandle stream);

}  // namespace mts::exec::cuda
