// Convolutions that read the parts of a channel Concat where they lie.
//
//     Concat(a, b) -- Conv W --> y      becomes      Conv W[:, :C_a](a), then Conv W[:, C_a:](b) added to it,
// one step that reads both (Step::parts); with the models of a and b moved into the channels in between
// (models.h), they are moved apart. The Concat is gone: no copy, and no memory for the whole.
//
// In: a plan whose model moves have been found, and `layouts` from that; kept up for the values that are
// added. Preconditions: float32 images along axis 1; everything that reads the whole is such a convolution,
// of one group (a model), with known weights; the parts fill oneDNN's blocks of 16 channels as well as the
// whole does; and what is not copied takes longer than the launches that are added. Else the Concat stays and
// copies.
#pragma once

#include "exec/cpu/dnnl.h"

#include <cstdint>
#include <vector>

namespace mts::exec {

void read_concat_parts(Device& device, ExecPlan& plan, std::vector<int32_t>& layouts);

}  // namespace mts::exec
