// Writes the networks of the GPU benchmark suite: `suite_models NET SHARED COUNT FOLDER` makes
// FOLDER/m00.onnx, ...
//
// NET: resnet18, resnet50, vgg16, mobilenet (V3-large-like), bert (base-like, 128 tokens), vit (S-like).
// SHARED: what the models have in common: head (all but the head), half (the first half of the weights),
// mtz50, mtz80 (that part of every layer's neurons), none. Weights are random, the same on every machine:
// they come from a generator seeded by the layer's number and, where they are a model's own, by the model's.
// BatchNorm is folded, as in exported models. Real shapes, no training: for time and memory, and for the
// comparison with the reference; not for accuracy.
#include <mts/graph.h>
#include <mts/model_io.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace mts {
namespace {

using Attributes = std::vector<std::pair<std::string, AttributeValue>>;
using Ints = std::vector<int64_t>;

// xorshift64*: Marsaglia, "Xorshift RNGs", 2003.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 1) {
    for (int i = 0; i < 4; ++i) next();
  }
  float uniform(float limit) { return limit * (static_cast<float>(next() >> 40) / 8388608.0f - 1.0f); }

 private:
  uint64_t next() {
    state_ ^= state_ >> 12, state_ ^= state_ << 25, state_ ^= state_ >> 27;
    return state_ * 0x2545f4914f6cdd1du;
  }
  uint64_t state_;
};

struct Sharing {
  std::string kind;
  uint64_t model = 1;   // from 1; 0 seeds what is shared
  int64_t weights = 0;  // of the network in all, for "half"
};

class Network {
 public:
  explicit Network(Sharing sharing) : sharing_(std::move(sharing)) {
    model_.name = "suite";
    model_.ir_version = 9;
    model_.opsets[""] = 17;
  }

  Graph& graph() { return model_.graph; }
  ValueId input(const std::string& name, DType dtype, const Ints& dims) {
    Shape shape = {Dim::symbolic("N")};
    for (int64_t d : dims) shape.push_back(Dim::known(d));
    return graph().add_input(name, Type::tensor(dtype, shape));
  }
  ValueId add(const std::string& op, std::vector<ValueId> inputs, const Attributes& attributes = {}) {
    Node node;
    node.op_type = op;
    node.name = op + std::to_string(++names_);
    node.inputs = std::move(inputs);
    for (const auto& [name, value] : attributes) node.set(name, value);
    node.outputs = {graph().add_value(node.name + "_out", Type{})};
    const ValueId output = node.outputs[0];
    graph().add_node(std::move(node));
    return output;
  }
  // Rows of a weight are neurons; `fan_in` sets their scale. `head`: never shared but in kind of its own.
  ValueId weight(const Ints& dims, int64_t fan_in, bool head = false, int64_t neurons_axis = 0) {
    const int64_t number = ++weights_, count = element_count(dims);
    std::vector<float> values(static_cast<size_t>(count));
    const float limit = std::sqrt(3.0f / static_cast<float>(fan_in));
    int64_t outer = 1, inner = 1;
    for (int64_t d = 0; d < neurons_axis; ++d) outer *= dims[static_cast<size_t>(d)];
    for (size_t d = static_cast<size_t>(neurons_axis) + 1; d < dims.size(); ++d) inner *= dims[d];
    const int64_t neurons = dims[static_cast<size_t>(neurons_axis)];
    for (int64_t n = 0; n < neurons; ++n) {
      const uint64_t owner = head || !is_shared(number, n, neurons) ? sharing_.model : 0;
      Random random((static_cast<uint64_t>(number) << 40) ^ (static_cast<uint64_t>(n) << 16) ^ owner);
      for (int64_t o = 0; o < outer; ++o)
        for (int64_t i = 0; i < inner; ++i)
          values[static_cast<size_t>((o * neurons + n) * inner + i)] = random.uniform(limit);
    }
    return graph().add_constant("w" + std::to_string(number), Weight::floats(values, dims));
  }
  ValueId ints(const Ints& values) {
    return graph().add_constant("i" + std::to_string(++names_), Weight::int64s(values));
  }
  ValueId scalar(float value) {
    return graph().add_constant("s" + std::to_string(++names_), Weight::floats(std::span(&value, 1), {}));
  }
  int64_t weights() const { return weights_; }
  Model finish(ValueId output) {
    graph().value(output).name = "logits";
    graph().add_output(output);
    return std::move(model_);
  }

 private:
  bool is_shared(int64_t number, int64_t neuron, int64_t neurons) const {
    if (sharing_.kind == "head") return true;
    if (sharing_.kind == "half") return 2 * number <= sharing_.weights;
    if (sharing_.kind == "mtz50") return 2 * neuron < neurons;
    if (sharing_.kind == "mtz80") return 5 * neuron < 4 * neurons;
    return false;
  }

  Model model_;
  Sharing sharing_;
  int64_t weights_ = 0, names_ = 0;
};

struct Convolution {
  int64_t in, out, kernel, stride = 1, groups = 1;
};

ValueId conv(Network& net, ValueId x, const Convolution& c) {
  const int64_t pad = c.kernel / 2, fan_in = c.in / c.groups * c.kernel * c.kernel;
  return net.add(
      "Conv", {x, net.weight({c.out, c.in / c.groups, c.kernel, c.kernel}, fan_in), net.weight({c.out}, 100)},
      {{"pads", Ints{pad, pad, pad, pad}},
       {"strides", Ints{c.stride, c.stride}},
       {"group", c.groups},
       {"kernel_shape", Ints{c.kernel, c.kernel}}});
}
ValueId relu(Network& net, ValueId x) { return net.add("Relu", {x}); }
ValueId head(Network& net, ValueId x, int64_t width, int64_t classes = 1000) {
  return net.add("Gemm", {x, net.weight({classes, width}, width, true), net.weight({classes}, 100, true)},
                 {{"transB", int64_t{1}}});
}
ValueId pooled_head(Network& net, ValueId x, int64_t width) {
  return head(net, net.add("Flatten", {net.add("GlobalAveragePool", {x})}), width);
}
ValueId image(Network& net) { return net.input("x", DType::kFloat32, {3, 224, 224}); }
ValueId max_pool(Network& net, ValueId x, int64_t kernel, int64_t pad) {
  return net.add(
      "MaxPool", {x},
      {{"kernel_shape", Ints{kernel, kernel}}, {"strides", Ints{2, 2}}, {"pads", Ints{pad, pad, pad, pad}}});
}

// He et al., "Deep Residual Learning for Image Recognition", 2016; table 1.
ValueId resnet(Network& net, const Ints& blocks, bool bottleneck) {
  ValueId x = max_pool(net, relu(net, conv(net, image(net), {3, 64, 7, 2})), 3, 1);
  int64_t in = 64;
  for (size_t stage = 0; stage < blocks.size(); ++stage) {
    const int64_t width = int64_t{64} << stage, out = bottleneck ? 4 * width : width;
    for (int64_t block = 0; block < blocks[stage]; ++block) {
      const int64_t stride = stage > 0 && block == 0 ? 2 : 1;
      ValueId y = x;
      if (bottleneck) {
        y = relu(net, conv(net, y, {in, width, 1}));
        y = relu(net, conv(net, y, {width, width, 3, stride}));
        y = conv(net, y, {width, out, 1});
      } else {
        y = relu(net, conv(net, y, {in, out, 3, stride}));
        y = conv(net, y, {out, out, 3});
      }
      if (stride != 1 || in != out) x = conv(net, x, {in, out, 1, stride});
      x = relu(net, net.add("Add", {y, x}));
      in = out;
    }
  }
  return pooled_head(net, x, in);
}

// Simonyan and Zisserman, "Very Deep Convolutional Networks", 2015; configuration D.
ValueId vgg16(Network& net) {
  ValueId x = image(net);
  int64_t in = 3;
  for (const Ints& stage :
       {Ints{64, 64}, Ints{128, 128}, Ints{256, 256, 256}, Ints{512, 512, 512}, Ints{512, 512, 512}}) {
    for (int64_t out : stage) x = relu(net, conv(net, x, {std::exchange(in, out), out, 3}));
    x = max_pool(net, x, 2, 0);
  }
  x = net.add("Flatten", {x});
  for (int64_t width : {int64_t{25088}, int64_t{4096}}) {
    x = net.add("Gemm", {x, net.weight({4096, width}, width), net.weight({4096}, 100)},
                {{"transB", int64_t{1}}});
    x = relu(net, x);
  }
  return head(net, x, 4096);
}

// Howard et al., "Searching for MobileNetV3", 2019; table 1 (large). The head is one layer instead of two.
ValueId mobilenet(Network& net) {
  struct Block {
    int64_t kernel, expanded, out, squeeze, hard_swish, stride;
  };
  const auto activate = [&](ValueId x, bool hard_swish) {
    return hard_swish
               ? net.add("Mul", {x, net.add("HardSigmoid", {x}, {{"alpha", 1.0f / 6}, {"beta", 0.5f}})})
               : relu(net, x);
  };
  ValueId x = activate(conv(net, image(net), {3, 16, 3, 2}), true);
  int64_t in = 16;
  for (const Block& b : {Block{3, 16, 16, 0, 0, 1},
                         {3, 64, 24, 0, 0, 2},
                         {3, 72, 24, 0, 0, 1},
                         {5, 72, 40, 1, 0, 2},
                         {5, 120, 40, 1, 0, 1},
                         {5, 120, 40, 1, 0, 1},
                         {3, 240, 80, 0, 1, 2},
                         {3, 200, 80, 0, 1, 1},
                         {3, 184, 80, 0, 1, 1},
                         {3, 184, 80, 0, 1, 1},
                         {3, 480, 112, 1, 1, 1},
                         {3, 672, 112, 1, 1, 1},
                         {5, 672, 160, 1, 1, 2},
                         {5, 960, 160, 1, 1, 1},
                         {5, 960, 160, 1, 1, 1}}) {
    ValueId y = x;
    if (b.expanded != in) y = activate(conv(net, y, {in, b.expanded, 1}), b.hard_swish != 0);
    y = activate(conv(net, y, {b.expanded, b.expanded, b.kernel, b.stride, b.expanded}), b.hard_swish != 0);
    if (b.squeeze != 0) {
      const int64_t narrow = (b.expanded / 4 + 7) / 8 * 8;
      ValueId s = relu(net, conv(net, net.add("GlobalAveragePool", {y}), {b.expanded, narrow, 1}));
      s = net.add("HardSigmoid", {conv(net, s, {narrow, b.expanded, 1})},
                  {{"alpha", 1.0f / 6}, {"beta", 0.5f}});
      y = net.add("Mul", {y, s});
    }
    y = conv(net, y, {b.expanded, b.out, 1});
    x = b.stride == 1 && in == b.out ? net.add("Add", {y, x}) : y;
    in = b.out;
  }
  return pooled_head(net, activate(conv(net, x, {in, 960, 1}), true), 960);
}

ValueId linear(Network& net, ValueId x, int64_t in, int64_t out) {
  return net.add("Add",
                 {net.add("MatMul", {x, net.weight({in, out}, in, false, 1)}), net.weight({out}, 100)});
}
ValueId layer_norm(Network& net, ValueId x, int64_t width) {
  return net.add("LayerNormalization", {x, net.weight({width}, 3), net.weight({width}, 100)},
                 {{"axis", int64_t{-1}}});
}
ValueId gelu(Network& net, ValueId x) {
  const ValueId erf = net.add("Erf", {net.add("Div", {x, net.scalar(std::sqrt(2.0f))})});
  return net.add("Mul", {net.add("Mul", {x, net.add("Add", {erf, net.scalar(1)})}), net.scalar(0.5f)});
}
// One attention layer and its feed-forward part; `before`: LayerNorm in front of each (ViT), else behind
// (BERT).
ValueId encoder_layer(Network& net, ValueId x, int64_t width, int64_t heads, bool before) {
  const auto split = [&](ValueId y, const Ints& order) {
    const ValueId parts = net.add("Reshape", {y, net.ints({0, 0, heads, width / heads})});
    return net.add("Transpose", {parts}, {{"perm", order}});
  };
  const ValueId a = before ? layer_norm(net, x, width) : x;
  const ValueId q = split(linear(net, a, width, width), {0, 2, 1, 3}),
                k = split(linear(net, a, width, width), {0, 2, 3, 1}),
                v = split(linear(net, a, width, width), {0, 2, 1, 3});
  const float scale = std::sqrt(static_cast<float>(width / heads));
  const ValueId scores = net.add("Div", {net.add("MatMul", {q, k}), net.scalar(scale)});
  ValueId y = net.add("MatMul", {net.add("Softmax", {scores}, {{"axis", int64_t{-1}}}), v});
  y = net.add("Reshape", {net.add("Transpose", {y}, {{"perm", Ints{0, 2, 1, 3}}}), net.ints({0, 0, width})});
  x = net.add("Add", {linear(net, y, width, width), x});
  if (!before) x = layer_norm(net, x, width);
  y = before ? layer_norm(net, x, width) : x;
  y = linear(net, gelu(net, linear(net, y, width, 4 * width)), 4 * width, width);
  x = net.add("Add", {y, x});
  return before ? x : layer_norm(net, x, width);
}
ValueId first_token_head(Network& net, ValueId x, int64_t width, int64_t classes) {
  const ValueId token = net.add("Gather", {x, net.ints({0})}, {{"axis", int64_t{1}}});
  return head(net, net.add("Reshape", {token, net.ints({-1, width})}), width, classes);
}

// Devlin et al., "BERT", 2019: 12 layers, width 768, 12 heads; a vocabulary of 1,000, since the table's size
// costs no time.
ValueId bert(Network& net) {
  constexpr int64_t kWidth = 768, kTokens = 128;
  const ValueId ids = net.input("ids", DType::kInt64, {kTokens});
  ValueId x = net.add("Gather", {net.weight({1000, kWidth}, 3), ids});
  x = layer_norm(net, net.add("Add", {x, net.weight({kTokens, kWidth}, 3)}), kWidth);
  for (int layer = 0; layer < 12; ++layer) x = encoder_layer(net, x, kWidth, 12, false);
  return first_token_head(net, x, kWidth, 16);
}

// Touvron et al., "DeiT", 2021: ViT-S, patches of 16, 12 layers, width 384, 6 heads; the mean of the patches
// for the class token.
ValueId vit(Network& net) {
  constexpr int64_t kWidth = 384, kPatches = 196;
  const ValueId filters = net.weight({kWidth, 3, 16, 16}, 768), bias = net.weight({kWidth}, 100);
  ValueId x = net.add("Conv", {image(net), filters, bias},
                      {{"strides", Ints{16, 16}}, {"kernel_shape", Ints{16, 16}}});
  x = net.add("Transpose", {net.add("Reshape", {x, net.ints({0, kWidth, kPatches})})},
              {{"perm", Ints{0, 2, 1}}});
  x = net.add("Add", {x, net.weight({kPatches, kWidth}, 3)});
  for (int layer = 0; layer < 12; ++layer) x = encoder_layer(net, x, kWidth, 6, true);
  x = net.add("ReduceMean", {layer_norm(net, x, kWidth)}, {{"axes", Ints{1}}, {"keepdims", int64_t{0}}});
  return head(net, x, kWidth);
}

const std::map<std::string, std::function<ValueId(Network&)>> kNetworks = {
    {"resnet18",
     [](Network& net) {
       return resnet(net, {2, 2, 2, 2}, false);
     }},
    {"resnet50",
     [](Network& net) {
       return resnet(net, {3, 4, 6, 3}, true);
     }},
    {"vgg16", vgg16},
    {"mobilenet", mobilenet},
    {"bert", bert},
    {"vit", vit},
};

int run(const std::string& name, const std::string& kind, int count, const std::filesystem::path& folder) {
  const auto build = kNetworks.find(name);
  if (build == kNetworks.end() || count < 1) return 2;
  if (kind != "head" && kind != "half" && kind != "mtz50" && kind != "mtz80" && kind != "none") return 2;
  int64_t weights = 0;
  if (kind == "half") {  // how many there are shows after one is built
    Network net({"none", 1, 0});
    build->second(net);
    weights = net.weights();
  }
  std::filesystem::create_directories(folder);
  for (int m = 0; m < count; ++m) {
    Network net({kind, static_cast<uint64_t>(m) + 1, weights});
    Model model = net.finish(build->second(net));
    const auto typed = infer_types(model);
    char file[24];
    std::snprintf(file, sizeof(file), "m%02d.onnx", m);
    const auto saved = typed ? save_model(model, (folder / file).string())
                             : Result<SavedModel>(tl::unexpected(typed.error()));
    if (!saved) {
      std::fprintf(stderr, "suite_models: %s\n", saved.error().to_string().c_str());
      return 4;
    }
    std::printf("%s: %.1f MB of weights\n", file, static_cast<double>(saved->weight_bytes) / 1e6);
  }
  return 0;
}

}  // namespace
}  // namespace mts

int main(int argc, char** argv) {
  const int code = argc == 5 ? mts::run(argv[1], argv[2], std::atoi(argv[3]), argv[4]) : 2;
  if (code == 2) {
    std::fputs(
        "usage: suite_models NET SHARED COUNT FOLDER; see the head of suite_models.cpp for NET and SHARED\n",
        stderr);
  }
  return code;
}
