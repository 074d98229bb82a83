// Tiny models for calibration: chains of `length` equal nodes, so that two lengths give the time of one node
// without the cost of a run. Each takes one float32 input "x" and has weights of fixed seed, small enough for
// values to stay finite.
#pragma once

#include <mts/graph.h>
#include <mts/tensor.h>

#include <cstdint>
#include <vector>

namespace mts::calibration {

struct Probe {
  Model model;
  std::vector<Datum> inputs;
};

// x [rows, width] times `length` weights of [width, width].
Probe matmul_chain(int64_t rows, int64_t width, int length);
// The same of float16, and with the product split in two along the rows and put together again in between.
Probe half_matmul_chain(int64_t rows, int64_t width, int length);
Probe split_matmul_chain(int64_t rows, int64_t width, int length);

// GRU of `hidden` units over x [steps, 1, hidden].
Probe recurrent_chain(int64_t steps, int64_t hidden, int length);

struct ConvProbe {
  int64_t groups = 1;
  int64_t channels = 1;  // of one group, in and out
  int64_t size = 28;     // of the square image
  int64_t kernel = 3;
  bool relu = false;     // behind every convolution
  bool reshape = false;  // every other convolution works on half the channels of an image, batch 2
  int64_t stem = 32;     // channels of one group out, in conv_stems()
  int64_t stride = 1;    // in conv_stems()
};
Probe conv_chain(const ConvProbe& what, int length);
// First layers of a network, side by side: `channels` a group in, `stem` a group out. Each is averaged over
// its pixels.
Probe conv_stems(const ConvProbe& what, int count);

// v_i = v_(i-1) + w: two tensors of `elements` read, one written. A Gather of one element reads each v_i too,
// so that the sums cannot be fused: a step more of each.
Probe add_chain(int64_t elements, int length);

// x [parts, rows, width] -> [rows, parts, width] and back: what a change between stacked placements moves.
Probe transpose_chain(int64_t parts, int64_t rows, int64_t width, int length);

// Softmax over [rows, width]: a step that nothing fuses; with a Reshape in front of each where `views`.
Probe softmax_chain(int64_t rows, int64_t width, int length, bool views);

}  // namespace mts::calibration
