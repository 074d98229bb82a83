#include "exec/cpu/elementwise.h"

#include "exec/cpu/parallel.h"
#include "exec/cpu/tile_ops.h"

#include <algorithm>
#include <array>
#include <utility>

namespace mts::exec {
namespace {

constexpr int64_t kTile =
    512;  // floats: 24 registers of it fit in the second-level cache, few live ones in the first
constexpr size_t kRegisters = 32;

struct alignas(64) Tile {
  float data[kTile];
};

class ElementwiseKernel final : public Kernel {
 public:
  ElementwiseKernel(const Program& program, std::vector<Axis> axes, std::vector<ValueIndex> inputs,
                    ValueIndex output)
      : program_(program),
        axes_(std::move(axes)),
        inputs_(std::move(inputs)),
        output_(output),
        ops_(tile_ops()) {
    outer_ = outer_count(axes_);
    inner_ = axes_.back().extent;
    tiles_ = (inner_ + kTile - 1) / kTile;
    for (size_t k = 0; k < inputs_.size(); ++k) {
      bool constant = true;
      for (const Axis& axis : axes_) constant = constant && axis.strides[k + 1] == 0;
      constant_.push_back(constant);
    }
    find_lines();
    find_slots();
  }

  Result<void> launch(const Pointers& pointers) override {
    const int64_t pieces = outer_ * tiles_;
    parallel(pieces, outer_ * inner_ * static_cast<int64_t>(program_.code.size()),
             [&](int64_t begin, int64_t end) { run(pointers, begin, end); });
    return {};
  }

 private:
  // An instruction that became a part of another one, or whose alpha and beta are operands with one value a
  // row.
  struct Line {
    bool is_dropped = false;
    int16_t scale = -1, shift = -1;  // operands
    float sign = 1.f;                // of the shift
  };

  bool is_number(int16_t r) const {  // the same along a row
    return r < program_.inputs && axes_.back().strides[static_cast<size_t>(r) + 1] == 0;
  }

  // x * s, x + t, x - t and t - x become alpha x + beta where s and t are one value a row, and of a product
  // and the sum after it the latter does both: normalisations and biases of images make one pass over a row.
  void find_lines() {
    lines_.assign(program_.code.size(), {});
    for (size_t i = 0; i < program_.code.size(); ++i) {
      Instruction& instruction = program_.code[i];
      const bool is_sum = instruction.op == ElementOp::kAdd || instruction.op == ElementOp::kSub;
      if (!is_sum && instruction.op != ElementOp::kMul) continue;
      if (is_number(instruction.a) == is_number(instruction.b)) continue;
      const bool first = is_number(instruction.a);
      const int16_t number = first ? instruction.a : instruction.b, x = first ? instruction.b : instruction.a;
      Line& line = lines_[i];
      const bool subtracts = instruction.op == ElementOp::kSub;
      // -0, which keeps the sign of a zero.
      instruction = {
          .op = ElementOp::kLinear, .a = x, .alpha = subtracts && first ? -1.f : 1.f, .beta = -0.f};
      if (!is_sum) {
        line.scale = number;
        continue;
      }
      line.shift = number;
      line.sign = subtracts && !first ? -1.f : 1.f;
      const int16_t before = static_cast<int16_t>(x - program_.inputs);
      if (before < 0 || instruction.alpha != 1.f || reads_of(x) != 1) continue;
      Line& product = lines_[static_cast<size_t>(before)];
      if (product.scale < 0 || product.shift >= 0) continue;
      line.scale = product.scale;
      instruction.a = program_.code[static_cast<size_t>(before)].a;
      product = {.is_dropped = true};
    }
    tiled_.assign(inputs_.size(), false);
    for (size_t i = 0; i < program_.code.size(); ++i) {
      if (lines_[i].is_dropped) continue;
      for (int16_t r : operands_of(program_.code[i])) {
        if (r >= 0 && r < program_.inputs) tiled_[static_cast<size_t>(r)] = true;
      }
    }
  }

  static std::array<int16_t, 2> operands_of(const Instruction& i) {
    return {i.a, is_binary(i.op) ? i.b : int16_t{-1}};
  }
  int reads_of(int16_t r) const {
    int count = 0;
    for (size_t i = 0; i < program_.code.size(); ++i) {
      for (int16_t operand : operands_of(program_.code[i])) count += !lines_[i].is_dropped && operand == r;
    }
    return count;
  }

  // Registers whose last use is over give their tile to later ones: the working set stays small.
  void find_slots() {
    const auto registers = static_cast<size_t>(program_.inputs) + program_.code.size();
    std::vector<size_t> last(registers, 0);
    for (size_t i = 0; i < program_.code.size(); ++i) {
      if (lines_[i].is_dropped) continue;
      last[static_cast<size_t>(program_.code[i].a)] = i;
      if (is_binary(program_.code[i].op)) last[static_cast<size_t>(program_.code[i].b)] = i;
    }
    slot_.assign(registers, 0);
    std::vector<size_t> free;
    size_t count = static_cast<size_t>(program_.inputs);
    for (size_t k = 0; k < count; ++k) slot_[k] = k;
    for (size_t i = 0; i < program_.code.size(); ++i) {
      if (lines_[i].is_dropped) continue;
      const auto own = static_cast<size_t>(program_.inputs) + i;
      if (free.empty()) {
        slot_[own] = count++;
      } else {
        slot_[own] = free.back();
        free.pop_back();
      }
      for (int16_t operand : operands_of(program_.code[i])) {
        if (operand < program_.inputs) continue;
        const auto r = static_cast<size_t>(operand);
        if (last[r] == i && std::find(free.begin(), free.end(), slot_[r]) == free.end())
          free.push_back(slot_[r]);
      }
    }
  }

  void run(const Pointers& pointers, int64_t begin, int64_t end) const {
    std::array<Tile, kRegisters> tiles;
    std::array<const float*, kRegisters> base{}, view{}, row{};
    const auto inputs = static_cast<size_t>(program_.inputs);
    for (size_t k = 0; k < inputs; ++k) {
      base[k] = reinterpret_cast<const float*>(pointers[inputs_[k]]);
      if (!constant_[k]) continue;
      row[k] = base[k];
      if (!tiled_[k]) continue;
      std::fill_n(tiles[k].data, std::min(kTile, inner_), *base[k]);
      view[k] = tiles[k].data;
    }
    float* const output = reinterpret_cast<float*>(pointers[output_]);
    OuterWalk walk(axes_, begin / tiles_);
    int64_t tile = begin % tiles_;
    const Axis& inner = axes_.back();
    for (int64_t piece = begin; piece < end; ++piece) {
      const int64_t start = tile * kTile, n = std::min(kTile, inner_ - start);
      for (size_t k = 0; k < inputs; ++k) {
        if (constant_[k]) continue;
        const int64_t stride = inner.strides[k + 1];
        const float* from = base[k] + walk.offset(k + 1) + start * stride;
        if (stride == 0) {
          if (row[k] == from) continue;
          row[k] = from;
          if (!tiled_[k]) continue;
          std::fill_n(tiles[k].data, std::min(kTile, inner_), *from);
          view[k] = tiles[k].data;
        } else if (stride == 1) {
          view[k] = from;
        } else {
          for (int64_t i = 0; i < n; ++i) tiles[k].data[i] = from[i * stride];
          view[k] = tiles[k].data;
        }
      }
      float* const to = output + walk.offset(0) + start * inner.strides[0];
      for (size_t i = 0; i < program_.code.size(); ++i) {
        const Instruction& instruction = program_.code[i];
        const Line& line = lines_[i];
        if (line.is_dropped) continue;
        const bool is_last = i + 1 == program_.code.size();
        float* const target = is_last && inner.strides[0] == 1 ? to : tiles[slot_[inputs + i]].data;
        const float* const a = view[static_cast<size_t>(instruction.a)];
        const float* const b = is_binary(instruction.op) ? view[static_cast<size_t>(instruction.b)] : a;
        const float alpha = line.scale < 0 ? instruction.alpha : *row[static_cast<size_t>(line.scale)];
        const float beta =
            line.shift < 0 ? instruction.beta : line.sign * *row[static_cast<size_t>(line.shift)];
        ops_.elementwise[static_cast<size_t>(instruction.op)](target, a, b, n, alpha, beta);
        view[inputs + i] = target;
      }
      if (inner.strides[0] != 1) {
        const float* const result = view[inputs + program_.code.size() - 1];
        for (int64_t i = 0; i < n; ++i) to[i * inner.strides[0]] = result[i];
      }
      if (++tile == tiles_) {
        tile = 0;
        walk.next();
      }
    }
  }

  Program program_;
  std::vector<Axis> axes_;
  std::vector<ValueIndex> inputs_;
  ValueIndex output_;
  const TileOps& ops_;
  int64_t outer_ = 1, inner_ = 1, tiles_ = 1;
  std::vector<bool> constant_;
  std::vector<bool> tiled_;  // operands that an instruction reads element by element
  std::vector<Line> lines_;  // one an instruction
  std::vector<size_t> slot_;
};

}  // namespace

std::unique_ptr<Kernel> make_elementwise(const Program& program, std::vector<Axis> axes,
                                         std::vector<ValueIndex> inputs, ValueIndex output) {
  return std::make_unique<ElementwiseKernel>(program, std::move(axes), std::move(inputs), output);
}

}  // namespace mts::exec
