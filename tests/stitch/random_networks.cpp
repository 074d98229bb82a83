#include "tests/stitch/random_networks.h"

#include <random>

namespace mts::testing {
namespace {

class Dice {
 public:
  explicit Dice(uint32_t seed) : random_(seed) {}
  int below(int bound) { return static_cast<int>(random_() % static_cast<uint32_t>(bound)); }
  bool chance(int percent) { return below(100) < percent; }

 private:
  std::mt19937 random_;
};

// A value of the network: [B, C], [B, C, H, H] or [B, S, C].
struct Tracked {
  enum class Kind { kVector, kImage, kSequence } kind = Kind::kVector;
  ValueId id = kNoValue;
  int64_t channels = 0, size = 0;
};

struct Settings {
  int models = 2;
  int sharing = 50;  // percent of the weights that all models share
  bool symbolic = true, baked = false;
  std::vector<int64_t> batches;
  uint32_t seed = 0;
};

// Builds the model `which`. The dice of the architecture fall alike for all models.
class Network {
 public:
  Network(const Settings& settings, int which) : settings_(settings), which_(which), dice_(settings.seed) {
    model_.name = std::string(1, static_cast<char>('a' + which));
    model_.ir_version = 10;
    model_.opsets[""] = settings.seed % 3 == 0 ? 17 : settings.seed % 3 == 1 ? 18 : 20;
  }

  Model build(int steps) {
    const auto channels = static_cast<int64_t>(2 + 2 * dice_.below(2));
    switch (dice_.below(4)) {
      case 0:
        add({Tracked::Kind::kVector, input(DType::kFloat32, {channels}), channels, 0});
        break;
      case 1: {
        const ValueId ids = input(DType::kInt64, {5});
        add({Tracked::Kind::kSequence, op("Gather", {weight({7, channels}), ids}), channels, 5});
        break;
      }
      default:
        add({Tracked::Kind::kImage, input(DType::kFloat32, {channels, 6, 6}), channels, 6});
        break;
    }
    for (int i = 0; i < steps; ++i) {
      const bool own = dice_.chance(8);  // one model does something of its own here
      const int owner = dice_.below(settings_.models);
      const size_t pick =
          values_.size() - 1 -
          static_cast<size_t>(dice_.chance(70) ? 0 : dice_.below(static_cast<int>(values_.size())));
      const Tracked x = values_[pick];
      if (own && owner == which_) {
        Tracked y = x;
        y.id = op("Tanh", {x.id});
        values_[pick] = y;
      }
      step(values_[pick]);
    }
    // Outputs: the last value, perhaps an inner one, perhaps one of them twice, perhaps of a head of its own
    // width.
    const bool heads = dice_.chance(40);
    output(heads ? head(values_.back()) : values_.back().id);
    if (dice_.chance(30))
      output(values_[static_cast<size_t>(dice_.below(static_cast<int>(values_.size())))].id);
    if (dice_.chance(10)) output(values_.back().id);
    return std::move(model_);
  }

 private:
  using Kind = Tracked::Kind;

  std::string fresh(const char* stem) { return stem + std::to_string(names_++); }
  void add(Tracked value) { values_.push_back(value); }
  void output(ValueId id) {
    for (const ValueId other : model_.graph.outputs())
      if (other == id) id = op("Identity", {id});
    model_.graph.add_output(id);
  }

  ValueId input(DType dtype, std::vector<int64_t> dims) {
    Shape shape{settings_.symbolic ? Dim::symbolic("N")
                                   : Dim::known(settings_.batches[static_cast<size_t>(which_)])};
    for (const int64_t dim : dims) shape.push_back(Dim::known(dim));
    return model_.graph.add_input("x", Type::tensor(dtype, std::move(shape)));
  }

  ValueId constant(WeightPtr content) { return model_.graph.add_constant(fresh("w"), std::move(content)); }
  ValueId ints(std::vector<int64_t> values) { return constant(Weight::int64s(values)); }
  // Which models share it is drawn for all models alike.
  ValueId weight(Dims dims, float low = -0.5F, float high = 0.5F) {
    const bool shared = dice_.chance(settings_.sharing);
    std::vector<int> owners;
    for (int m = 0; m < settings_.models; ++m) owners.push_back(shared ? 0 : dice_.chance(30) ? 0 : m);
    const int layer = layers_++;
    std::mt19937 random(settings_.seed * 7919U + static_cast<uint32_t>(layer) * 31U +
                        static_cast<uint32_t>(owners[static_cast<size_t>(which_)]) * 7U + 1U);
    std::vector<float> values(static_cast<size_t>(element_count(dims)));
    for (float& value : values) value = low + (high - low) * static_cast<float>(random() % 10007U) / 10007.0F;
    return constant(Weight::floats(values, std::move(dims)));
  }

  std::vector<ValueId> ops(std::string type, std::vector<ValueId> inputs, size_t outputs,
                           std::vector<Attribute> attributes = {}) {
    Node node;
    node.op_type = std::move(type);
    node.name = fresh("n");
    node.inputs = std::move(inputs);
    node.attributes = std::move(attributes);
    for (size_t i = 0; i < outputs; ++i) node.outputs.push_back(model_.graph.add_value(fresh("v"), Type{}));
    auto result = node.outputs;
    model_.graph.add_node(std::move(node));
    return result;
  }
  ValueId op(std::string type, std::vector<ValueId> inputs, std::vector<Attribute> attributes = {}) {
    return ops(std::move(type), std::move(inputs), 1, std::move(attributes)).front();
  }
  int64_t batch_number() const {
    return settings_.baked ? settings_.batches[static_cast<size_t>(which_)] : 0;
  }
  ValueId reshape(ValueId x, std::vector<int64_t> rest) {
    rest.insert(rest.begin(), batch_number());
    return op("Reshape", {x, ints(std::move(rest))});
  }

  ValueId head(const Tracked& x) {
    const Tracked v = to_vector(x);
    const int64_t width = dice_.chance(50) ? 3 : 2 + which_;
    return op("Gemm", {v.id, weight({v.channels, width}), weight({width})});
  }

  Tracked to_vector(const Tracked& x) {
    if (x.kind == Kind::kVector) return x;
    if (x.kind == Kind::kSequence) {
      const int how = dice_.below(3);
      if (how == 0)
        return {Kind::kVector,
                op("Gather", {x.id, constant(Weight::int64_scalar(0))}, {{"axis", int64_t{1}, {}}}),
                x.channels, 0};
      if (how == 1) return {Kind::kVector, mean(x.id, {1}), x.channels, 0};
      return {Kind::kVector, reshape(x.id, {-1}), x.channels * x.size, 0};
    }
    switch (dice_.below(3)) {
      case 0:
        return {Kind::kVector, op("Flatten", {op("GlobalAveragePool", {x.id})}), x.channels, 0};
      case 1:
        return {Kind::kVector, mean(x.id, {2, 3}), x.channels, 0};
      default:
        return {Kind::kVector, reshape(x.id, {x.channels * x.size * x.size}), x.channels * x.size * x.size,
                0};
    }
  }
  ValueId mean(ValueId x, std::vector<int64_t> axes) {
    if (model_.opsets[""] < 18)
      return op("ReduceMean", {x}, {{"axes", std::move(axes), {}}, {"keepdims", int64_t{0}, {}}});
    return op("ReduceMean", {x, ints(std::move(axes))}, {{"keepdims", int64_t{0}, {}}});
  }

  const Tracked* partner(const Tracked& x) {
    std::vector<const Tracked*> alike;
    for (const Tracked& other : values_)
      if (other.kind == x.kind && other.channels == x.channels && other.size == x.size)
        alike.push_back(&other);
    return alike[static_cast<size_t>(dice_.below(static_cast<int>(alike.size())))];
  }

  void any_kind(Tracked x) {
    switch (dice_.below(5)) {
      case 0:
        x.id = op("Relu", {x.id});
        break;
      case 1:
        x.id = op("Sigmoid", {x.id});
        break;
      case 2:
        x.id = op(dice_.chance(50) ? "Add" : "Mul", {x.id, partner(x)->id});
        break;
      case 3: {
        const Tracked y = *partner(x);
        const int64_t axis = x.kind == Kind::kSequence ? 2 : 1;
        x.id = op("Concat", {x.id, y.id}, {{"axis", axis, {}}});
        x.channels *= 2;
        break;
      }
      default: {
        const int64_t axis = x.kind == Kind::kSequence ? 2 : 1;
        if (x.channels % 2 != 0 || x.channels < 4) return;
        x.channels /= 2;
        const auto halves = ops("Split", {x.id, ints({x.channels, x.channels})}, 2, {{"axis", axis, {}}});
        Tracked other = x;
        x.id = halves[0];
        other.id = halves[1];
        add(other);
        break;
      }
    }
    add(x);
  }

  void vector_step(Tracked x) {
    const auto width = static_cast<int64_t>(2 + 2 * dice_.below(3));
    switch (dice_.below(6)) {
      case 0: {
        const bool bias = dice_.chance(60), transposed = dice_.chance(50);
        std::vector<ValueId> inputs{x.id,
                                    weight(transposed ? Dims{width, x.channels} : Dims{x.channels, width})};
        if (bias) inputs.push_back(weight({width}));
        x.id = op("Gemm", std::move(inputs), {{"transB", int64_t{transposed}, {}}});
        x.channels = width;
        break;
      }
      case 1:
        x.id = op("MatMul", {x.id, weight({x.channels, width})});
        x.channels = width;
        break;
      case 2:
        x.id = op("Add", {x.id, weight({x.channels})});
        break;
      case 3:
        x.id = op("LayerNormalization", {x.id, weight({x.channels}, 0.5F, 1.5F), weight({x.channels})});
        break;
      case 4:
        x.id = op("Softmax", {x.id}, {{"axis", int64_t{-1}, {}}});
        break;
      default:
        x.id = op("BatchNormalization", {x.id, weight({x.channels}), weight({x.channels}),
                                         weight({x.channels}), weight({x.channels}, 0.5F, 1.5F)});
        break;
    }
    add(x);
  }

  void image_step(Tracked x) {
    const auto width = static_cast<int64_t>(2 + 2 * dice_.below(2));
    switch (dice_.below(10)) {
      case 0:
      case 1: {
        const int64_t kernel = dice_.chance(50) ? 3 : 1;
        std::vector<ValueId> inputs{x.id, weight({width, x.channels, kernel, kernel})};
        if (dice_.chance(50)) inputs.push_back(weight({width}));
        x.id = op("Conv", std::move(inputs), {{"pads", std::vector<int64_t>(4, kernel / 2), {}}});
        x.channels = width;
        break;
      }
      case 2:
        x.id = op("Conv", {x.id, weight({x.channels, 1, 3, 3})},
                  {{"group", x.channels, {}}, {"pads", std::vector<int64_t>(4, 1), {}}});
        break;
      case 3:
        x.id = op("BatchNormalization", {x.id, weight({x.channels}), weight({x.channels}),
                                         weight({x.channels}), weight({x.channels}, 0.5F, 1.5F)});
        break;
      case 4:
        if (x.size < 4) return;
        x.id = op(
            "MaxPool", {x.id},
            {{"kernel_shape", std::vector<int64_t>{2, 2}, {}}, {"strides", std::vector<int64_t>{2, 2}, {}}});
        x.size /= 2;
        break;
      case 5:
        x.id = op("Mul", {x.id, weight({x.channels, 1, 1})});
        break;
      case 6:
        x.id = op("InstanceNormalization", {x.id, weight({x.channels}), weight({x.channels})});
        break;
      case 7:
        if (x.size > 6) return;
        x.id = op("ConvTranspose", {x.id, weight({x.channels, width, 2, 2})},
                  {{"strides", std::vector<int64_t>{2, 2}, {}}});
        x.channels = width;
        x.size *= 2;
        break;
      case 8:
        x.id =
            op("Transpose", {reshape(x.id, {x.channels, -1})}, {{"perm", std::vector<int64_t>{0, 2, 1}, {}}});
        x.kind = Kind::kSequence;
        x.size *= x.size;
        break;
      default:
        x = to_vector(x);
        break;
    }
    add(x);
  }

  void sequence_step(Tracked x) {
    const auto width = static_cast<int64_t>(2 + 2 * dice_.below(2));
    switch (dice_.below(6)) {
      case 0:
      case 1:
        x.id = op("MatMul", {x.id, weight({x.channels, width})});
        x.channels = width;
        if (dice_.chance(50)) x.id = op("Add", {weight({width}), x.id});
        break;
      case 2:
        x.id = op("LayerNormalization", {x.id, weight({x.channels}, 0.5F, 1.5F), weight({x.channels})});
        break;
      case 3: {  // attention of two heads
        if (x.channels % 2 != 0) return;
        const auto heads = [&](std::vector<int64_t> permutation) {
          const ValueId projected = op("MatMul", {x.id, weight({x.channels, x.channels})});
          return op("Transpose", {reshape(projected, {x.size, 2, x.channels / 2})},
                    {{"perm", std::move(permutation), {}}});
        };
        const ValueId q = heads({0, 2, 1, 3}), k = heads({0, 2, 3, 1}), v = heads({0, 2, 1, 3});
        const ValueId scores = op("Softmax", {op("MatMul", {q, k})}, {{"axis", int64_t{-1}, {}}});
        const ValueId mixed =
            op("Transpose", {op("MatMul", {scores, v})}, {{"perm", std::vector<int64_t>{0, 2, 1, 3}, {}}});
        x.id = reshape(mixed, {-1, x.channels});
        break;
      }
      case 4:
        x.id = op("Softmax", {x.id}, {{"axis", int64_t{1 + dice_.below(2)}, {}}});
        break;
      default:
        x = to_vector(x);
        break;
    }
    add(x);
  }

  void step(const Tracked& x) {
    if (x.channels > 40) return;
    if (dice_.chance(35)) return any_kind(x);
    if (x.kind == Kind::kVector) return vector_step(x);
    if (x.kind == Kind::kImage) return image_step(x);
    sequence_step(x);
  }

  const Settings& settings_;
  int which_;
  Dice dice_;
  Model model_;
  std::vector<Tracked> values_;
  int names_ = 0, layers_ = 0;
};

}  // namespace

Family random_family(uint32_t seed) {
  Dice dice(seed ^ 0x9e3779b9U);
  Settings settings{.models = 2 + dice.below(3),
                    .sharing = 25 * dice.below(5),
                    .symbolic = dice.chance(50),
                    .baked = false,
                    .batches = {},
                    .seed = seed};
  const bool equal = dice.chance(60);
  for (int m = 0; m < settings.models; ++m) settings.batches.push_back(equal ? 1 : 1 + dice.below(3));
  settings.baked = !settings.symbolic && dice.chance(70);
  const int steps = 2 + dice.below(14);
  Family family;
  for (int m = 0; m < settings.models; ++m) family.models.push_back(Network(settings, m).build(steps));
  if ((settings.symbolic || equal) && dice.chance(40)) family.share_inputs.push_back("x");
  family.symbolic = settings.symbolic;
  family.description = "seed " + std::to_string(seed) + ": " + std::to_string(settings.models) + " models, " +
                       std::to_string(steps) + " steps, " + std::to_string(settings.sharing) + " % shared, " +
                       (settings.symbolic ? "symbolic batch"
                        : settings.baked  ? "baked batch"
                                          : "static batch") +
                       (family.share_inputs.empty() ? "" : ", common input");
  return family;
}

}  // namespace mts::testing
