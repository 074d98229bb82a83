#include "bench/probes.h"

#include <cmath>
#include <random>
#include <string>
#include <utility>

namespace mts::calibration {
namespace {

constexpr int64_t kOpset = 18, kIrVersion = 9;
constexpr char16_t kHalf = 0x2000;  // 2^-7 as float16

Shape shape_of(const Dims& dims) {
  Shape shape;
  for (const int64_t dim : dims) shape.push_back(Dim::known(dim));
  return shape;
}

std::vector<float> random_floats(int64_t count, float limit) {
  std::mt19937 random(1);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values)  // no distribution of the library: the same numbers everywhere
    value = limit * (static_cast<float>(random() >> 8) / 8388608.0f - 1.0f);
  return values;
}

// Adds nodes one behind the other.
class Chain {
 public:
  explicit Chain(Dims dims, DType dtype = DType::kFloat32) : dims_(std::move(dims)), dtype_(dtype) {
    probe_.model.name = "probe";
    probe_.model.ir_version = kIrVersion;
    probe_.model.opsets[""] = kOpset;
    last_ = graph().add_input("x", Type::tensor(dtype_, shape_of(dims_)));
    if (dtype_ == DType::kFloat16) {
      const std::vector<uint16_t> values(static_cast<size_t>(element_count(dims_)), kHalf);
      probe_.inputs.emplace_back(Tensor::of<uint16_t>(dtype_, dims_, values));
    } else {
      const std::vector<float> values = random_floats(element_count(dims_), 1);
      probe_.inputs.emplace_back(Tensor::of<float>(dtype_, dims_, values));
    }
  }

  ValueId last() const { return last_; }
  ValueId& last_value() { return last_; }
  ValueId weight(const Dims& dims, float limit) {
    if (dtype_ == DType::kFloat16) {
      const std::u16string values(static_cast<size_t>(element_count(dims)), kHalf);
      std::string bytes(reinterpret_cast<const char*>(values.data()), 2 * values.size());
      return graph().add_constant(next("w"), Weight::from_bytes(dtype_, dims, own_bytes(std::move(bytes))));
    }
    return graph().add_constant(next("w"), Weight::floats(random_floats(element_count(dims), limit), dims));
  }
  ValueId sizes(const Dims& dims) { return graph().add_constant(next("s"), Weight::int64s(dims)); }
  // The node reads `inputs`; its output, of `dims`, is the chain's last value.
  void add(std::string op, std::vector<ValueId> inputs, const Dims& dims,
           std::vector<std::pair<std::string, AttributeValue>> attributes = {}) {
    dims_ = dims;
    Node node;
    node.op_type = std::move(op);
    node.name = next("n");
    node.inputs = std::move(inputs);
    last_ = graph().add_value(next("v"), Type::tensor(dtype_, shape_of(dims)));
    node.outputs = {last_};
    for (auto& [name, value] : attributes) node.set(std::move(name), std::move(value));
    graph().add_node(std::move(node));
  }
  // The last value in two halves along the first axis, and their Concat.
  void split_and_join() {
    const ValueId lengths = sizes({dims_[0] / 2, dims_[0] / 2});
    Dims half = dims_;
    half[0] /= 2;
    Node split;
    split.op_type = "Split";
    split.name = next("n");
    split.inputs = {last_, lengths};
    for (int i = 0; i < 2; ++i)
      split.outputs.push_back(graph().add_value(next("v"), Type::tensor(dtype_, shape_of(half))));
    const std::vector<ValueId> parts = split.outputs;
    graph().add_node(std::move(split));
    add("Concat", parts, Dims(dims_), {{"axis", int64_t{0}}});
  }
  Probe finish() {
    graph().add_output(last_);
    return std::move(probe_);
  }

 private:
  Graph& graph() { return probe_.model.graph; }
  std::string next(const char* kind) { return kind + std::to_string(names_++); }

  Probe probe_;
  Dims dims_;
  DType dtype_;
  ValueId last_ = kNoValue;
  int names_ = 0;
};

}  // namespace

namespace {

Probe products(int64_t rows, int64_t width, int length, DType dtype, bool split) {
  const Dims dims{rows, width};
  Chain chain(dims, dtype);
  for (int i = 0; i < length; ++i) {
    const ValueId w = chain.weight({width, width}, std::sqrt(3.0f / static_cast<float>(width)));
    chain.add("MatMul", {chain.last(), w}, dims);
    if (split) chain.split_and_join();
  }
  return chain.finish();
}

}  // namespace

Probe matmul_chain(int64_t rows, int64_t width, int length) {
  return products(rows, width, length, DType::kFloat32, false);
}
Probe half_matmul_chain(int64_t rows, int64_t width, int length) {
  return products(rows, width, length, DType::kFloat16, false);
}
Probe split_matmul_chain(int64_t rows, int64_t width, int length) {
  return products(rows, width, length, DType::kFloat32, true);
}

Probe recurrent_chain(int64_t steps, int64_t hidden, int length) {
  const Dims dims{steps, 1, hidden}, wide{steps, 1, 1, hidden};
  Chain chain(dims);
  const float limit = std::sqrt(3.0f / static_cast<float>(hidden));
  for (int i = 0; i < length; ++i) {
    const ValueId w = chain.weight({1, 3 * hidden, hidden}, limit),
                  r = chain.weight({1, 3 * hidden, hidden}, limit);
    chain.add("GRU", {chain.last(), w, r}, wide, {{"hidden_size", hidden}});
    chain.add("Reshape", {chain.last(), chain.sizes(dims)}, dims);
  }
  return chain.finish();
}

Probe conv_chain(const ConvProbe& what, int length) {
  const int64_t all = what.groups * what.channels;
  const Dims whole{1, all, what.size, what.size}, folded{2, all / 2, what.size, what.size};
  Chain chain(whole);
  const float limit = std::sqrt(3.0f / static_cast<float>(what.channels * what.kernel * what.kernel));
  for (int i = 0; i < length; ++i) {
    const bool fold = what.reshape && i % 2 == 1;
    const Dims& dims = fold ? folded : whole;
    if (what.reshape && i > 0) chain.add("Reshape", {chain.last(), chain.sizes(dims)}, dims);
    const int64_t channels = fold ? all / 2 : what.channels;
    const ValueId w = chain.weight({fold ? all / 2 : all, channels, what.kernel, what.kernel}, limit);
    const std::vector<int64_t> pads(4, what.kernel / 2);
    chain.add("Conv", {chain.last(), w}, dims, {{"group", fold ? int64_t{1} : what.groups}, {"pads", pads}});
    if (what.relu) chain.add("Relu", {chain.last()}, dims);
  }
  return chain.finish();
}

Probe conv_stems(const ConvProbe& what, int count) {
  const int64_t in = what.groups * what.channels, out = what.groups * what.stem;
  Chain chain({1, in, what.size, what.size});
  const ValueId image = chain.last();
  const float limit = std::sqrt(3.0f / static_cast<float>(what.channels * what.kernel * what.kernel));
  const std::vector<int64_t> pads(4, what.kernel / 2);
  std::vector<ValueId> means;
  for (int i = 0; i < count; ++i) {
    const ValueId w = chain.weight({out, what.channels, what.kernel, what.kernel}, limit);
    const int64_t made = (what.size + what.stride - 1) / what.stride;
    chain.add("Conv", {image, w}, {1, out, made, made},
              {{"group", what.groups}, {"pads", pads}, {"strides", std::vector<int64_t>(2, what.stride)}});
    chain.add("GlobalAveragePool", {chain.last()}, {1, out, 1, 1});
    means.push_back(chain.last());
  }
  chain.add("Concat", means, {1, out * count, 1, 1}, {{"axis", int64_t{1}}});
  return chain.finish();
}

Probe add_chain(int64_t elements, int length) {
  const Dims dims{elements};
  Chain chain(dims);
  const ValueId w = chain.weight(dims, 1), first = chain.sizes({0});
  std::vector<ValueId> seen;
  for (int i = 0; i < length; ++i) {
    chain.add("Add", {chain.last(), w}, dims);
    const ValueId sum = chain.last();
    chain.add("Gather", {sum, first}, {1});
    seen.push_back(std::exchange(chain.last_value(), sum));
  }
  chain.add("Concat", seen, {length}, {{"axis", int64_t{0}}});
  return chain.finish();
}

Probe transpose_chain(int64_t parts, int64_t rows, int64_t width, int length) {
  const Dims there{parts, rows, width}, back{rows, parts, width};
  Chain chain(there);
  for (int i = 0; i < length; ++i) {
    // Two transpositions in a row would cancel.
    chain.add("Softmax", {chain.last()}, i % 2 == 0 ? there : back);
    chain.add("Transpose", {chain.last()}, i % 2 == 0 ? back : there,
              {{"perm", std::vector<int64_t>{1, 0, 2}}});
  }
  return chain.finish();
}

Probe softmax_chain(int64_t rows, int64_t width, int length, bool views) {
  const Dims dims{rows, width}, cube{1, rows, width};
  Chain chain(dims);
  for (int i = 0; i < length; ++i) {
    const Dims& next = views && i % 2 == 1 ? cube : dims;
    if (views && i > 0) chain.add("Reshape", {chain.last(), chain.sizes(next)}, next);
    chain.add("Softmax", {chain.last()}, next);
  }
  return chain.finish();
}

}  // namespace mts::calibration
