// No operator may crash, whatever it is given: every row of the table with random inputs and attributes. Best
// run with the asan preset.
#include "ref/operators.h"
#include "tests/ref/run_node.h"

#include <cstdlib>
#include <random>

namespace mts::test {
namespace {

using Random = std::mt19937;

int64_t pick(Random& random, int64_t low, int64_t high) {
  return low + static_cast<int64_t>(random() % static_cast<uint64_t>(high - low + 1));
}

Tensor random_tensor(Random& random) {
  static constexpr DType kTypes[] = {DType::kFloat32, DType::kFloat32,     DType::kFloat32, DType::kFloat64,
                                     DType::kInt64,   DType::kInt64,       DType::kInt32,   DType::kUint8,
                                     DType::kInt8,    DType::kBool,        DType::kString,  DType::kFloat16,
                                     DType::kInt4,    DType::kFloat8E4M3FN};
  const DType dtype = kTypes[pick(random, 0, std::size(kTypes) - 1)];
  Dims dims(static_cast<size_t>(pick(random, 0, 5)));
  for (int64_t& dim : dims) dim = pick(random, 0, 4);
  Tensor result(dtype, dims);
  if (dtype == DType::kString) {
    for (std::string& text : result.mutable_strings())
      text = std::string(static_cast<size_t>(pick(random, 0, 3)), 'a');
    return result;
  }
  for (int64_t i = 0; i < result.element_count(); ++i) {
    const int64_t value = random() % 50 == 0 ? INT64_MAX : pick(random, -3, 5);
    switch (dtype) {
      case DType::kFloat32:
        result.mutable_as<float>()[i] = random() % 50 == 0 ? NAN : static_cast<float>(value) / 2;
        break;
      case DType::kFloat64:
        result.mutable_as<double>()[i] = static_cast<double>(value);
        break;
      case DType::kInt64:
        result.mutable_as<int64_t>()[i] = value;
        break;
      case DType::kInt32:
        result.mutable_as<int32_t>()[i] = static_cast<int32_t>(value);
        break;
      case DType::kBool:
        result.mutable_as<uint8_t>()[i] = static_cast<uint8_t>(value & 1);
        break;
      default:
        break;
    }
  }
  if (bit_width(dtype) <= 16 && dtype != DType::kBool) {
    for (size_t i = 0; i < result.byte_size(); ++i)
      result.mutable_as<uint8_t>()[i] = static_cast<uint8_t>(random());
  }
  return result;
}

void add_random_attributes(Random& random, std::vector<Attr>& attributes) {
  static constexpr const char* kInts[] = {"axis",
                                          "keepdims",
                                          "group",
                                          "ceil_mode",
                                          "batch_dims",
                                          "k",
                                          "blocksize",
                                          "to",
                                          "largest",
                                          "block_size",
                                          "num_groups",
                                          "hidden_size",
                                          "layout",
                                          "num_outputs",
                                          "start",
                                          "end",
                                          "q_num_heads",
                                          "kv_num_heads",
                                          "num_heads",
                                          "rotary_embedding_dim",
                                          "onesided",
                                          "inverse",
                                          "is_causal",
                                          "output_height",
                                          "sampling_ratio",
                                          "size",
                                          "p",
                                          "transA",
                                          "upper",
                                          "dtype",
                                          "allowzero",
                                          "training_mode",
                                          "n_targets"};
  static constexpr const char* kLists[] = {
      "axes",          "pads",           "kernel_shape",    "strides",
      "dilations",     "perm",           "split",           "starts",
      "ends",          "output_padding", "output_shape",    "ngram_counts",
      "ngram_indexes", "pool_int64s",    "inputdimensions", "classlabels_int64s"};
  static constexpr const char* kFloatLists[] = {"scales", "coefficients",         "intercepts", "offset",
                                                "scale",  "imputed_value_floats", "weights"};
  static constexpr std::pair<const char*, const char*> kStrings[] = {
      {"mode", "linear"},
      {"mode", "cubic"},
      {"mode", "reflect"},
      {"mode", "wrap"},
      {"mode", "edge"},
      {"mode", "TF"},
      {"auto_pad", "SAME_UPPER"},
      {"auto_pad", "SAME_LOWER"},
      {"reduction", "add"},
      {"direction", "bidirectional"},
      {"direction", "LEFT"},
      {"equation", "ij,jk->ik"},
      {"equation", "...i->..."},
      {"equation", "ii->i"},
      {"padding_mode", "reflection"},
      {"coordinate_transformation_mode", "align_corners"},
      {"delimiter", "a"},
      {"norm", "L2"}};
  for (int64_t count = pick(random, 0, 4); count > 0; --count) {
    switch (pick(random, 0, 3)) {
      case 0:
        attributes.push_back({kInts[pick(random, 0, std::size(kInts) - 1)],
                              random() % 40 == 0 ? INT64_MIN : pick(random, -2, 3)});
        break;
      case 1: {
        std::vector<int64_t> list(static_cast<size_t>(pick(random, 0, 4)));
        for (int64_t& value : list) value = random() % 40 == 0 ? INT64_MAX : pick(random, -1, 3);
        attributes.push_back({kLists[pick(random, 0, std::size(kLists) - 1)], list});
        break;
      }
      case 2: {
        std::vector<float> list(static_cast<size_t>(pick(random, 0, 4)));
        for (float& value : list) value = static_cast<float>(pick(random, -2, 3));
        attributes.push_back({kFloatLists[pick(random, 0, std::size(kFloatLists) - 1)], list});
        break;
      }
      default: {
        const auto& [name, text] = kStrings[pick(random, 0, std::size(kStrings) - 1)];
        attributes.push_back({name, std::string(text)});
      }
    }
  }
}

TEST(Robustness, NoOperatorCrashes) {
  const char* more = std::getenv("MTS_ROBUSTNESS_ROUNDS");  // random calls an operator
  const int rounds = more ? std::atoi(more) : 150;
  size_t accepted = 0, refused = 0;
  for (const ref::Operator& op : ref::all_operators()) {
    Random random(7);
    for (int round = 0; round < rounds; ++round) {
      NodeCall call{std::string(op.op_type),
                    {},
                    std::min<int64_t>(op.until, random() % 2 ? 23 : std::max<int64_t>(op.since, 9)),
                    std::string(op.domain),
                    static_cast<size_t>(pick(random, 1, 4))};
      add_random_attributes(random, call.attributes);
      std::vector<std::optional<Datum>> inputs;
      const int64_t count = pick(random, 0, 6);
      const bool alike = random() % 2 == 0;  // operands of one type and shape get further
      for (int64_t i = 0; i < count; ++i) {
        if (random() % 12 == 0) {
          inputs.emplace_back();
        } else if (alike && i > 0 && inputs[0]) {
          inputs.push_back(inputs[0]);
        } else {
          inputs.emplace_back(Datum(random_tensor(random)));
        }
      }
      const auto result = run(call, inputs);
      if (result) {
        ++accepted;
        EXPECT_GE(result->size(), call.outputs) << op.op_type;
      } else {
        ++refused;
        EXPECT_TRUE(result.error().code == ErrorCode::kModel ||
                    result.error().code == ErrorCode::kUnsupported)
            << result.error().to_string();
        EXPECT_FALSE(result.error().message.empty());
      }
    }
  }
  EXPECT_GT(accepted, 1000u) << "random calls must reach the loops, not only the checks";
  EXPECT_GT(refused, 1000u);
}

}  // namespace
}  // namespace mts::test
