// The implicit GEMM with weights that models share in part, read through a tile table where they lie; on the
// ordinary units and on the tensor cores. Compared with the direct kernel on weights put together for each
// model.
#include "exec/cuda/own/tile_table.h"

#include "exec/cuda/kernels/conv.h"
#include "exec/cuda/kernels/mma.cuh"
#include "exec/cuda/kernels/number.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

#include <gtest/gtest.h>

namespace mts::exec::cuda {
namespace {

struct Shape {
  int32_t models, batch, in_shared, in_own, out_shared, out_own, size, kernel, stride;
};
std::string name_of(const Shape& s) {
  return std::to_string(s.models) + " models, " + std::to_string(s.in_shared) + "+" +
         std::to_string(s.in_own) + " -> " + std::to_string(s.out_shared) + "+" + std::to_string(s.out_own) +
         ", kernel " + std::to_string(s.kernel);
}

const std::vector<Shape> kShapes = {
    {3, 2, 5, 3, 6, 10, 7, 3, 1}, {2, 1, 16, 16, 64, 64, 6, 3, 1}, {4, 1, 7, 0, 20, 13, 9, 1, 1},
    {1, 3, 4, 4, 70, 0, 8, 3, 2}, {2, 2, 0, 9, 0, 33, 5, 5, 1},    {5, 1, 32, 8, 40, 90, 4, 1, 1},
};

template <class T>
std::vector<T> random_values(size_t count, std::mt19937& random) {
  std::uniform_real_distribution<float> uniform(-1.f, 1.f);
  std::vector<T> values(count);
  for (T& v : values) v = from_float<T>(uniform(random));
  return values;
}

// W_m = [W~ A_m; B_m C_m]: rows are output channels, columns k = (input channel, kernel position), the shared
// ones first. W~ is stored once, A_m and [B_m C_m] for each model.
template <class T>
class Layer {
 public:
  explicit Layer(const Shape& s) : shape_(s), random_(7) {
    const int32_t positions = s.kernel * s.kernel;
    shared_k_ = s.in_shared * positions;
    k_ = (s.in_shared + s.in_own) * positions;
    const auto size = [](int32_t rows, int32_t columns) {
      return static_cast<size_t>(rows) * static_cast<size_t>(columns);
    };
    shared_ = random_values<T>(size(s.out_shared, shared_k_), random_);
    for (int32_t m = 0; m < s.models; ++m) {
      upper_.push_back(random_values<T>(size(s.out_shared, k_ - shared_k_), random_));
      lower_.push_back(random_values<T>(size(s.out_own, k_), random_));
    }
    args_.batch = s.batch;
    args_.groups = s.models;
    args_.in_channels = s.in_shared + s.in_own;
    args_.out_channels = s.out_shared + s.out_own;
    const int32_t pad = s.kernel / 2, out = (s.size + 2 * pad - s.kernel) / s.stride + 1;
    for (int axis = 1; axis < 3; ++axis) {
      args_.window.in[axis] = s.size;
      args_.window.out[axis] = out;
      args_.window.kernel[axis] = s.kernel;
      args_.window.stride[axis] = s.stride;
      args_.window.pad_begin[axis] = args_.window.pad_end[axis] = pad;
    }
    const auto strides = [&](int64_t channels, int64_t pixels) {
      return ImageStrides{channels * pixels * s.models, channels * pixels, pixels, 1};
    };
    args_.in = strides(args_.in_channels, int64_t{s.size} * s.size);
    args_.out = strides(args_.out_channels, int64_t{out} * out);
    args_.type = sizeof(T) == 4 ? FloatType::kFloat32
                                : (std::is_same_v<T, Half> ? FloatType::kFloat16 : FloatType::kBfloat16);
    input_ = random_values<T>(static_cast<size_t>(s.batch * args_.in.batch), random_);
  }

  // The direct kernel on whole weights.
  std::vector<float> expected() { return row_major(launch_direct_conv, false); }

  // Through a table.
  std::vector<float> actual(bool tensor_cores) {
    ConvArgs args = args_;
    args.weights[0] = shared_.data();
    std::vector<WeightBlock> blocks;
    const TileRange upper_rows{0, shape_.out_shared}, lower_rows{shape_.out_shared, args.out_channels};
    for (int32_t m = 0; m < shape_.models; ++m) {
      const int32_t upper = 1 + 2 * m, lower = 2 + 2 * m;
      args.weights[upper] = upper_[static_cast<size_t>(m)].data();
      args.weights[lower] = lower_[static_cast<size_t>(m)].data();
      blocks.push_back({m, upper_rows, {0, shared_k_}, 0, 0, shared_k_});
      blocks.push_back({m, upper_rows, {shared_k_, k_}, upper, 0, k_ - shared_k_});
      blocks.push_back({m, lower_rows, {0, k_}, lower, 0, k_});
    }
    const auto table = tile_table(shape_.models, args.out_channels, k_, blocks);
    EXPECT_TRUE(table.has_value()) << table.error().to_string();
    args.table = {static_cast<int32_t>(table->rows.size()), static_cast<int32_t>(table->depth.size()),
                  table->rows.data(), table->depth.data(), table->tiles.data()};
    args.tensor_cores = tensor_cores;
    return run(args, launch_implicit_gemm);
  }

  // With input and output channels-last: [batch, pixels, models x channels]. Given back row-major.
  std::vector<float> channels_last(LaunchError (*launcher)(const ConvArgs&, StreamHandle),
                                   bool tensor_cores) {
    const std::vector<T> whole = whole_weights();
    ConvArgs args = args_;
    args.weights[0] = whole.data();
    args.tensor_cores = tensor_cores;
    const auto last = [&](const ImageStrides& strides, int64_t channels) {
      return ImageStrides{strides.batch, channels, 1, channels * args_.groups};
    };
    args.in = last(args_.in, args_.in_channels);
    args.out = last(args_.out, args_.out_channels);
    const std::vector<T> image = permuted(input_, args_.in, args.in, args_.in_channels);
    std::vector<T> output(static_cast<size_t>(args.batch * args.out.batch), from_float<T>(NAN));
    args.input = image.data();
    args.output = output.data();
    EXPECT_EQ(launcher(args, nullptr), nullptr);
    return floats(permuted(output, args.out, args_.out, args_.out_channels));
  }
  std::vector<float> row_major(LaunchError (*launcher)(const ConvArgs&, StreamHandle), bool tensor_cores) {
    const std::vector<T> whole = whole_weights();
    ConvArgs args = args_;
    args.weights[0] = whole.data();
    args.tensor_cores = tensor_cores;
    return run(args, launcher);
  }

 private:
  std::vector<T> whole_weights() const {
    std::vector<T> whole;
    for (size_t m = 0; m < static_cast<size_t>(shape_.models); ++m) {
      for (int32_t row = 0; row < args_.out_channels; ++row) {
        for (int32_t k = 0; k < k_; ++k) whole.push_back(element(m, row, k));
      }
    }
    return whole;
  }

  std::vector<T> permuted(const std::vector<T>& from, const ImageStrides& old, const ImageStrides& now,
                          int64_t channels) const {
    std::vector<T> to(from.size());
    const int64_t pixels = old.batch / (channels * shape_.models);
    for (int64_t b = 0; b < shape_.batch; ++b) {
      for (int64_t g = 0; g < shape_.models; ++g) {
        for (int64_t c = 0; c < channels; ++c) {
          for (int64_t p = 0; p < pixels; ++p) {
            const auto at = [&](const ImageStrides& s) {
              return static_cast<size_t>(b * s.batch + g * s.group + c * s.channel + p * s.pixel);
            };
            to[at(now)] = from[at(old)];
          }
        }
      }
    }
    return to;
  }

  static std::vector<float> floats(const std::vector<T>& values) {
    std::vector<float> result;
    for (T x : values) result.push_back(to_float(x));
    return result;
  }

  T element(size_t m, int32_t row, int32_t k) const {
    const auto at = [](const std::vector<T>& from, int32_t i, int32_t width, int32_t j) {
      return from[static_cast<size_t>(i) * static_cast<size_t>(width) + static_cast<size_t>(j)];
    };
    if (row >= shape_.out_shared) return at(lower_[m], row - shape_.out_shared, k_, k);
    return k < shared_k_ ? at(shared_, row, shared_k_, k) : at(upper_[m], row, k_ - shared_k_, k - shared_k_);
  }

  std::vector<float> run(ConvArgs& args, LaunchError (*launcher)(const ConvArgs&, StreamHandle)) {
    std::vector<T> output(static_cast<size_t>(args.batch * args.out.batch), from_float<T>(NAN));
    args.input = input_.data();
    args.output = output.data();
    EXPECT_EQ(launcher(args, nullptr), nullptr);
    return floats(output);
  }

  Shape shape_;
  std::mt19937 random_;
  int32_t shared_k_ = 0, k_ = 0;
  ConvArgs args_;
  std::vector<T> input_, shared_;
  std::vector<std::vector<T>> upper_, lower_;
};

template <class T>
void compare(bool tensor_cores, double tolerance) {
  for (const Shape& shape : kShapes) {
    Layer<T> layer(shape);
    const std::vector<float> expected = layer.expected(), actual = layer.actual(tensor_cores);
    ASSERT_EQ(expected.size(), actual.size());
    double scale = 0, error = 0;
    for (size_t i = 0; i < expected.size(); ++i) {
      ASSERT_FALSE(std::isnan(actual[i])) << name_of(shape) << " at " << i;
      scale = std::max(scale, std::abs(static_cast<double>(expected[i])));
      error = std::max(error, std::abs(static_cast<double>(expected[i]) - actual[i]));
    }
    EXPECT_LE(error, tolerance * scale) << name_of(shape);
  }
}

TEST(TileTable, PartlySharedWeightsAreReadInPlace) { compare<float>(false, 1e-6); }
TEST(TileTable, AlsoSixteenBits) {
  compare<Half>(false, 1e-3);
  compare<Bfloat16>(false, 1e-2);
}
TEST(TensorCores, Tf32) { compare<float>(true, 5e-3); }
TEST(TensorCores, SixteenBits) {
  compare<Half>(true, 1e-3);
  compare<Bfloat16>(true, 1e-2);
}
// The same sums in the same order: equal to the last bit.
TEST(Layouts, ChannelsLastGivesTheSame) {
  for (const Shape& shape : kShapes) {
    Layer<float> layer(shape);
    EXPECT_EQ(layer.channels_last(launch_direct_conv, false), layer.row_major(launch_direct_conv, false));
    EXPECT_EQ(layer.channels_last(launch_implicit_gemm, false), layer.row_major(launch_implicit_gemm, false));
    EXPECT_EQ(layer.channels_last(launch_implicit_gemm, true), layer.row_major(launch_implicit_gemm, true));
    Layer<Half> half(shape);
    EXPECT_EQ(half.channels_last(launch_implicit_gemm, true), half.row_major(launch_implicit_gemm, true));
  }
}

TEST(TileTable, CutsWhereBlocksEndAndAfter64Rows) {
  const WeightBlock blocks[] = {{0, {0, 70}, {0, 5}, 0, 0, 5},
                                {0, {0, 70}, {5, 9}, 1, 100, 4},
                                {0, {70, 90}, {0, 9}, 2, 0, 9},
                                {1, {0, 90}, {0, 9}, 3, 7, 11}};
  const auto table = tile_table(2, 90, 9, blocks);
  ASSERT_TRUE(table.has_value()) << table.error().to_string();
  ASSERT_EQ(table->rows.size(), 3u);
  ASSERT_EQ(table->depth.size(), 2u);
  const int32_t begins[] = {0, 64, 70}, ends[] = {64, 70, 90};
  for (size_t r = 0; r < 3; ++r) {
    EXPECT_EQ(table->rows[r].begin, begins[r]);
    EXPECT_EQ(table->rows[r].end, ends[r]);
  }
  EXPECT_EQ(table->depth[1].begin, 5);
  const auto tile = [&](size_t g, size_t r, size_t d) { return table->tiles[(g * 3 + r) * 2 + d]; };
  EXPECT_EQ(tile(0, 1, 0).offset, 64 * 5);
  EXPECT_EQ(tile(0, 1, 1).offset, 100 + 64 * 4);
  EXPECT_EQ(tile(0, 2, 1).offset, 5);
  EXPECT_EQ(tile(0, 2, 1).source, 2);
  EXPECT_EQ(tile(1, 2, 1).offset, 7 + 70 * 11 + 5);
}

TEST(TileTable, RefusesGapsOverlapsAndStrangers) {
  const WeightBlock upper{0, {0, 4}, {0, 6}, 0, 0, 6}, lower{0, {4, 8}, {0, 6}, 1, 0, 6};
  const auto refused = [](std::vector<WeightBlock> blocks) {
    return !tile_table(1, 8, 6, blocks).has_value();
  };
  EXPECT_FALSE(refused({upper, lower}));
  EXPECT_TRUE(refused({upper}));
  EXPECT_TRUE(refused({upper, lower, lower}));
  EXPECT_TRUE(refused({upper, {0, {4, 9}, {0, 6}, 1, 0, 6}}));
  EXPECT_TRUE(refused({upper, {1, {4, 8}, {0, 6}, 1, 0, 6}}));
  EXPECT_TRUE(refused({upper, {0, {4, 8}, {0, 6}, kMaxWeightSources, 0, 6}}));
}

TEST(TensorCores, OperandsAreRoundedToTenBits) {
  EXPECT_EQ(float_of_bits(to_tf32(1.f + 0x1p-10f)), 1.f + 0x1p-10f);
  EXPECT_EQ(float_of_bits(to_tf32(1.f + 0x1p-11f)), 1.f + 0x1p-10f);  // half: away from zero
  EXPECT_EQ(float_of_bits(to_tf32(-1.f - 0x1p-12f)), -1.f);
  EXPECT_TRUE(std::isinf(float_of_bits(to_tf32(INFINITY))));
}

}  // namespace
}  // namespace mts::exec::cuda
