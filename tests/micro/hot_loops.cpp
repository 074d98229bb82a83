// The loops in which `mts stitch` spends its time on many or large models, on made-up data: digests and
// SHA-256 of weights, the search for equal cells, lanes, and the search for a plan. Bytes a second where
// bytes are read, members (nodes) a second where members are planned.
#include "partial/rows.h"
#include "partial/seeds.h"
#include "plan/lanes.h"
#include "plan/profile.h"

#include <mts/align.h>
#include <mts/model_io.h>
#include <mts/share.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

namespace mts {
namespace {

constexpr int64_t kChannels = 256;
constexpr int64_t kConvolution = kChannels * kChannels * 9;  // elements

// Content of a convolution [256, 256, 3, 3] like no other.
WeightPtr convolution(uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> values(kConvolution);
  for (float& value : values) value = static_cast<float>(random()) * 0x1p-32F - 0.5F;
  return Weight::floats(values, {kChannels, kChannels, 3, 3});
}

void note_bytes(benchmark::State& state, int64_t each) {
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * each);
}

void digest(benchmark::State& state) {
  const WeightPtr weight = convolution(1);
  const std::span<const std::byte> bytes = weight->bytes();
  for (auto _ : state)  // a digest is computed once a weight
    benchmark::DoNotOptimize(Weight::from_bytes(DType::kFloat32, weight->dims(), {nullptr, bytes})->digest());
  note_bytes(state, static_cast<int64_t>(bytes.size()));
}
BENCHMARK(digest);

void sha256(benchmark::State& state) {
  const std::filesystem::path path = std::filesystem::temp_directory_path() / "mts_hot_loops.bin";
  const WeightPtr weight = convolution(1);
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(weight->bytes().data()),
             static_cast<std::streamsize>(weight->byte_size()));
  for (auto _ : state) benchmark::DoNotOptimize(sha256_of_file(path.string()));
  std::filesystem::remove(path);
  note_bytes(state, static_cast<int64_t>(weight->byte_size()));
}
BENCHMARK(sha256);

// The matrices of `count` weights; in one thread. `permuted`: all are the first one, rows in another order.
std::vector<std::shared_ptr<const partial::Matrix>> matrices(int64_t count, bool permuted) {
  std::vector<std::shared_ptr<const partial::Matrix>> result;
  std::vector<int64_t> order(kChannels);
  for (int64_t m = 0; m < count; ++m) {
    for (int64_t r = 0; r < kChannels; ++r) order[static_cast<size_t>(r)] = (r * 7 + m) % kChannels;
    const WeightPtr weight =
        permuted ? Weight::gather(convolution(1), 0, order) : convolution(static_cast<uint32_t>(m + 1));
    result.push_back(std::make_shared<const partial::Matrix>(weight, 0, 1, 1, 1));
  }
  return result;
}

void seeds(benchmark::State& state, bool permuted) {
  const auto all = matrices(state.range(0), permuted);
  std::vector<std::vector<bool>> wanted(all.size(),
                                        std::vector<bool>(std::min(all.size() - 1, partial::kMostCompared)));
  for (size_t k = 1; k < all.size(); ++k)
    for (size_t other = 0; other < std::min(k, wanted[k].size()); ++other) wanted[k][other] = true;
  for (auto _ : state)
    benchmark::DoNotOptimize(partial::compare_matrices(
        all.size(), [&](size_t k) { return all[k]; }, wanted, 1));
  note_bytes(state, state.range(0) * kConvolution * int64_t{sizeof(float)});
}
BENCHMARK_CAPTURE(seeds, nothing_shared, false)->Arg(2)->Arg(6)->Arg(16)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(seeds, permuted, true)->Arg(2)->Arg(6)->Unit(benchmark::kMillisecond);

void match_rows(benchmark::State& state) {
  std::vector<partial::Rows> members(static_cast<size_t>(state.range(0)));
  std::mt19937_64 random(1);
  for (uint32_t m = 0; m < members.size(); ++m) {
    partial::RowHashes& hashes = members[m].hashes[0];
    hashes.bytes = 4;
    for (uint32_t r = 0; r < 64; ++r) {
      members[m].roots.push_back(static_cast<partial::Channel>(r));
      members[m].neurons.push_back(partial::kNoNeuron);
      hashes.of_row.push_back({random(), random()});
    }
  }
  for (auto _ : state) benchmark::DoNotOptimize(partial::match_rows(members, 128));
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * state.range(0) * 64);
}
BENCHMARK(match_rows)->Arg(100)->Arg(1000)->Unit(benchmark::kMillisecond);

// Models of six nodes that share the first of two weights, and what the planner sees of them.
struct Planned {
  explicit Planned(int64_t count) {
    for (int64_t m = 0; m < count; ++m) {
      const std::string own = std::to_string(m + 1);
      auto model = parse_text(
          "<ir_version: 8, opset_import: [\"\" : 17]>\n"
          "g (float[N,2] x) => (float[N,2] y)\n"
          "<float[2,2] w = {1, 2, 3, 4}, float[2,2] v = {" +
              own +
              ", 2, 3, 5}>\n"
              "{ a = MatMul (x, w)  b = Relu (a)  c = MatMul (b, v)  d = Relu (c)\n"
              "  e = MatMul (d, w)  y = Add (e, x) }",
          "m" + own);
      static_cast<void>(infer_types(model.value()));
      models.push_back(std::move(*model));
    }
    const WeightClasses classes = classify_weights(models);
    const Numbering numbering = number_values(models, classes, {});
    program = make_program(models, align(models, classes, numbering), numbering);
  }
  int64_t members() const {
    int64_t count = 0;
    for (const Column& column : program.columns) count += static_cast<int64_t>(column.members.size());
    return count;
  }

  std::vector<Model> models;
  Program program;
};

void lanes(benchmark::State& state) {
  const Planned planned(state.range(0));
  for (auto _ : state)
    for (const Column& column : planned.program.columns)
      benchmark::DoNotOptimize(make_lane(planned.program, column, everyone(column), false));
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * planned.members());
}
BENCHMARK(lanes)->Arg(16)->Arg(1000);

void plan(benchmark::State& state) {
  const Planned planned(state.range(0));
  const CostModel cost(*find_profile("generic-gpu"));
  for (auto _ : state) benchmark::DoNotOptimize(make_plan(planned.program, cost, {}));
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * planned.members());
}
BENCHMARK(plan)->Arg(16)->Arg(1000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace mts
