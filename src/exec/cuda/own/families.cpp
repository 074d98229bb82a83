#include "exec/cuda/own/families.h"

namespace mts::exec::cuda {
namespace {

constexpr OwnFamily kFamilies[] = {
    {"elementwise", accepts_elementwise, make_elementwise},
    {"movement", accepts_movement, make_movement},
};

}  // namespace

std::span<const OwnFamily> own_families() { return kFamilies; }

const OwnFamily* own_family_of(const ExecPlan& plan, const Step& step) {
  for (const OwnFamily& family : kFamilies) {
    if (family.accepts(plan, step)) return &family;
  }
  return nullptr;
}

bool own_accepts_epilogue(const ExecPlan&, const Step&, const Instruction&, ValueIndex) { return false; }

}  // namespace mts::exec::cuda
