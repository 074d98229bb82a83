// Resize and Upsample along the last two axes of an image (or the last of a signal), nearest or linear;
// row-major or channels-last. Cubic, antialiasing, cropping and aspect policies run on the host.
#pragma once

#include "exec/backend.h"

#include <memory>

namespace mts::exec {

bool accepts_resize(const ExecPlan& plan, const Step& step);
Result<std::unique_ptr<Kernel>> make_resize(const ExecPlan& plan, const Step& step);

}  // namespace mts::exec
