#include "exec/cpu/einsum.h"

#include "exec/cpu/movement.h"
#include "exec/cpu/parallel.h"
#include "exec/geometry.h"

#include <algorithm>
#include <array>
#include <map>
#include <string>

namespace mts::exec {
namespace {

// One operand, or the output: its letters in memory, and in the order of the product.
struct Side {
  std::string letters, wanted;
  bool transposed = false;  // it lies as [batch, columns, rows], which oneDNN reads as well
  bool is_direct() const { return transposed || letters == wanted; }
};
struct Contraction {
  std::map<char, int64_t> extents;
  int64_t batch = 1, rows = 1, inner = 1, columns = 1;
  std::array<Side, 3> sides;  // a [batch, rows, inner], b [batch, inner, columns], c [batch, rows, columns]
};

bool is_once(const std::string& letters) {
  return std::all_of(letters.begin(), letters.end(), [&](char letter) {
    const bool is_letter = (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z');
    return is_letter && std::count(letters.begin(), letters.end(), letter) == 1;
  });
}

std::optional<Contraction> contraction_of(const ExecPlan& plan, const Step& step) {
  if (step.node == kNoNode || step.op != "Einsum" || step.inputs.size() != 2) return std::nullopt;
  std::string equation = plan.graph->node(step.node).string_or("equation", "");
  std::erase(equation, ' ');
  const size_t comma = equation.find(','), arrow = equation.find("->");
  if (comma == std::string::npos || arrow == std::string::npos || arrow < comma) return std::nullopt;
  const std::string a = equation.substr(0, comma), b = equation.substr(comma + 1, arrow - comma - 1),
                    c = equation.substr(arrow + 2);
  Contraction result;
  const std::pair<const std::string*, ValueIndex> all[] = {
      {&a, step.inputs[0]}, {&b, step.inputs[1]}, {&c, step.outputs[0]}};
  for (const auto& [letters, v] : all) {
    if (v == kAbsent || !is_once(*letters)) return std::nullopt;
    const PlanValue& value = plan.value(v);
    if (value.dtype != DType::kFloat32 || value.dims.size() != letters->size() ||
        element_count(value.dims) == 0)
      return std::nullopt;
    for (size_t i = 0; i < letters->size(); ++i) {
      // An extent of 1 beside another one would be broadcast.
      const auto [at, is_new] = result.extents.emplace((*letters)[i], value.dims[i]);
      if (!is_new && at->second != value.dims[i]) return std::nullopt;
    }
  }
  const auto has = [](const std::string& letters, char letter) {
    return letters.find(letter) != std::string::npos;
  };
  std::string batch, rows, inner, columns;
  for (char letter : c) (!has(a, letter) ? columns : !has(b, letter) ? rows : batch) += letter;
  for (char letter : a) {
    if (has(c, letter)) continue;
    if (!has(b, letter)) return std::nullopt;
    inner += letter;
  }
  for (char letter : b) {
    if (!has(c, letter) && !has(a, letter)) return std::nullopt;
  }
  const auto extent = [&](const std::string& letters) {
    int64_t product = 1;
    for (char letter : letters) product *= result.extents[letter];
    return product;
  };
  result.batch = extent(batch), result.rows = extent(rows);
  result.inner = extent(inner), result.columns = extent(columns);
  const bool lies_crosswise[] = {a == batch + inner + rows, b == batch + columns + inner, false};
  result.sides = {Side{a, batch + rows + inner, lies_crosswise[0]},
                  Side{b, batch + inner + columns, lies_crosswise[1]}, Side{c, batch + rows + columns}};
  return result;
}

// Strides of a tensor of `from` letters, in the order of `to`.
std::vector<int64_t> strides_in(const Contraction& contraction, const std::string& from,
                                const std::string& to) {
  std::vector<int64_t> strides;
  for (char letter : to) {
    int64_t stride = 1;
    for (size_t i = from.find(letter) + 1; i < from.size(); ++i) stride *= contraction.extents.at(from[i]);
    strides.push_back(stride);
  }
  return strides;
}

// The product works on values 0, 1 and 2 of pointers of its own: the operands and the output, or copies of
// them in the workspace.
class EinsumKernel final : public Kernel {
 public:
  EinsumKernel(std::array<ValueIndex, 3> values, std::unique_ptr<Kernel> product)
      : values_(values), product_(std::move(product)) {}
  // Value `side` is a copy: made before the product, or (the output) copied after it.
  void copy(size_t side, std::unique_ptr<Kernel> kernel, uint64_t bytes) {
    constexpr uint64_t kAlignment = 64;
    copies_[side] = std::move(kernel);
    offsets_[side] = bytes_;
    bytes_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
  }

  Result<void> launch(const Pointers& pointers) override {
    std::byte* at[3];
    for (size_t side = 0; side < 3; ++side)
      at[side] = copies_[side] ? pointers.workspace + offsets_[side] : pointers[values_[side]];
    for (size_t side = 0; side < 3; ++side) {
      if (side == 2) MTS_TRY(product_->launch({at, pointers.workspace + bytes_, pointers.stream}));
      if (!copies_[side]) continue;
      std::byte* const pair[] = {side == 2 ? at[side] : pointers[values_[side]],
                                 side == 2 ? pointers[values_[side]] : at[side]};
      MTS_TRY(copies_[side]->launch({pair, nullptr, pointers.stream}));
    }
    return {};
  }
  uint64_t workspace_bytes() const override { return bytes_ + product_->workspace_bytes(); }

 private:
  std::array<ValueIndex, 3> values_;
  std::unique_ptr<Kernel> product_;
  std::array<std::unique_ptr<Kernel>, 3> copies_;  // of what is not direct
  std::array<uint64_t, 3> offsets_{};
  uint64_t bytes_ = 0;
};

}  // namespace

bool accepts_einsum(const ExecPlan& plan, const Step& step) { return contraction_of(plan, step).has_value(); }

KernelResult make_einsum(Device& device, const ExecPlan& plan, const Step& step) {
  return guarded(plan, step, [&]() -> KernelResult {
    using dnnl::memory;
    const Contraction contraction = *contraction_of(plan, step);
    const int64_t extents[3][2] = {{contraction.rows, contraction.inner},
                                   {contraction.inner, contraction.columns},
                                   {contraction.rows, contraction.columns}};
    memory::desc descs[3];
    for (size_t side = 0; side < 3; ++side) {
      const auto [m, n] = extents[side];
      const bool crosswise = contraction.sides[side].transposed && !contraction.sides[side].letters.empty();
      memory::dims dims = {contraction.batch, m, n}, strides = {m * n, n, 1};
      if (crosswise) strides = {m * n, 1, m};
      if (contraction.batch == 1) dims.erase(dims.begin()), strides.erase(strides.begin());
      descs[side] = memory::desc(dims, memory::data_type::f32, strides);
    }
    const bool small = SmallWork::is_small(2 * contraction.batch * contraction.rows * contraction.inner *
                                           contraction.columns);
    const SmallWork scope(small);
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const dnnl::matmul::primitive_desc descriptor(device.engine, descs[0], descs[1], descs[2], attributes);
    auto product =
        std::make_unique<DnnlKernel>(device, dnnl::matmul(descriptor), descriptor.scratchpad_desc(), small);
    product->bind(DNNL_ARG_SRC, 0, descs[0]);
    product->bind(DNNL_ARG_WEIGHTS, 1, descs[1]);
    product->bind(DNNL_ARG_DST, 2, descs[2]);
    const std::array<ValueIndex, 3> values = {step.inputs[0], step.inputs[1], step.outputs[0]};
    auto kernel = std::make_unique<EinsumKernel>(values, std::move(product));
    for (size_t side = 0; side < 3; ++side) {
      const Side& letters = contraction.sides[side];
      if (letters.is_direct()) continue;
      const std::string &from = side == 2 ? letters.wanted : letters.letters,
                        &to = side == 2 ? letters.letters : letters.wanted;
      std::vector<int64_t> dims;
      for (char letter : to) dims.push_back(contraction.extents.at(letter));
      kernel->copy(side, make_permutation(dims, strides_in(contraction, from, to), sizeof(float)),
                   plan.value(values[side]).bytes);
    }
    return kernel;
  });
}

}  // namespace mts::exec
