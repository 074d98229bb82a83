// LSTM and GRU with the usual activations (sigmoid, tanh), float32, constant weights, sequences of full
// length.
//
// The inputs' part of all gates is one product for all steps; each step adds its recurrent part and runs the
// cell. What clips, has peepholes or other activations runs on the reference.
#pragma once

#include "exec/cpu/dnnl.h"

namespace mts::exec {

bool accepts_recurrent(const ExecPlan& plan, const Step& step);
KernelResult make_recurrent(Device& device, const ExecPlan& plan, const Step& step);

}  // namespace mts::exec
