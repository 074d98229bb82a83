#include "exec/cuda/own/program.h"

#include <algorithm>
#include <vector>

namespace mts::exec::cuda {
namespace {

class Translation {
 public:
  // `first`: the operand that is the device's operand 0.
  Translation(const Program& program, int first) : program_(program), first_(first) {
    last_use_.assign(static_cast<size_t>(program.inputs) + program.code.size(), -1);
    for (size_t i = 0; i < program.code.size(); ++i) {
      last_use_[at(program.code[i].a)] = static_cast<int>(i);
      if (is_binary(program.code[i].op)) last_use_[at(program.code[i].b)] = static_cast<int>(i);
    }
    slot_.assign(last_use_.size(), -1);
  }

  std::optional<DeviceProgram> run() {
    if (program_.code.size() > static_cast<size_t>(kMaxProgram) || program_.inputs - first_ > kMaxOperands)
      return std::nullopt;
    DeviceProgram result;
    result.length = static_cast<int32_t>(program_.code.size());
    for (size_t i = 0; i < program_.code.size(); ++i) {
      const Instruction& from = program_.code[i];
      DeviceInstruction& to = result.code[i];
      to = {from.op, source(from.a, i), -1, -1, from.alpha, from.beta};
      if (is_binary(from.op)) to.b = source(from.b, i);
      release(i);
      const size_t own = static_cast<size_t>(program_.inputs) + i;
      if (last_use_[own] <= static_cast<int>(i) + 1) continue;
      const auto free = std::find(used_.begin(), used_.end(), false);
      slot_[own] = static_cast<int>(free - used_.begin());
      if (free == used_.end()) used_.push_back(false);
      used_[static_cast<size_t>(slot_[own])] = true;
      if (used_.size() > static_cast<size_t>(kMaxTemporaries)) return std::nullopt;
      to.keep = static_cast<int8_t>(slot_[own]);
    }
    result.temporaries = static_cast<int32_t>(used_.size());
    return result;
  }

 private:
  static size_t at(int16_t r) { return static_cast<size_t>(r); }

  int8_t source(int16_t r, size_t i) const {
    if (r < first_) return kAccumulator;
    if (r < program_.inputs) return static_cast<int8_t>(r - first_);
    if (at(r) + 1 == static_cast<size_t>(program_.inputs) + i) return kAccumulator;
    return static_cast<int8_t>(kMaxOperands + slot_[at(r)]);
  }
  // Temporaries whose last use was instruction i.
  void release(size_t i) {
    for (size_t r = 0; r < slot_.size(); ++r) {
      if (slot_[r] < 0 || last_use_[r] != static_cast<int>(i)) continue;
      used_[static_cast<size_t>(slot_[r])] = false;
      slot_[r] = -1;
    }
  }

  const Program& program_;
  int first_;
  std::vector<int> last_use_, slot_;  // by register
  std::vector<bool> used_;            // by temporary
};

}  // namespace

std::optional<DeviceProgram> device_program(const Program& program) { return Translation(program, 0).run(); }

std::optional<DeviceProgram> device_epilogue(const Program& program) {
  for (size_t i = 0; i < program.code.size(); ++i) {
    const int16_t before =
        i == 0 ? int16_t{0} : static_cast<int16_t>(program.inputs + static_cast<int>(i) - 1);
    const Instruction& instruction = program.code[i];
    if (instruction.a != before) return std::nullopt;
    if (is_binary(instruction.op) && (instruction.b < 1 || instruction.b >= program.inputs))
      return std::nullopt;
  }
  return Translation(program, 1).run();
}

}  // namespace mts::exec::cuda
