// Choosing among the ways of a call, by times that the tests make up, and remembering what was chosen.
#include "exec/cuda/autotune.h"

#include "exec/cuda/nvidia_libraries.h"
#include "exec/cuda/own_candidates.h"
#include "tests/exec/cuda_runtime/host_device.h"
#include "tests/exec/harness.h"

#include <array>
#include <fstream>
#include <functional>
#include <random>
#include <type_traits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mts::exec::cuda {
namespace {

namespace fs = std::filesystem;

// Times in milliseconds, with noise of some per cent; `drift`: each measurement is slower than the last.
CandidateTimer timer(std::vector<double> times, double noise = 0, double drift = 0,
                     std::vector<int>* calls = nullptr) {
  auto random = std::make_shared<std::mt19937>(3);
  auto measured = std::make_shared<int>(0);
  return [=](size_t i) -> Result<double> {
    if (calls != nullptr) ++(*calls)[i];
    if (times[i] < 0) return fail(ErrorCode::kDevice, "candidate " + std::to_string(i) + " cannot run");
    std::uniform_real_distribution<double> factor(1 - noise, 1 + noise);
    return times[i] * factor(*random) * (1 + drift * (*measured)++);
  };
}

TEST(Autotune, TakesTheFastest) {
  EXPECT_EQ(*fastest_of(1, timer({5})), 0u);
  EXPECT_EQ(*fastest_of(4, timer({5, 4, 2, 3})), 2u);
  EXPECT_EQ(*fastest_of(4, timer({5, 4, 2, 3}, 0.1)), 2u);
}

TEST(Autotune, StaysWithTheHeuristicsFirstWithinTheNoise) {
  EXPECT_EQ(*fastest_of(3, timer({1, 0.98, 0.99})), 0u);
  EXPECT_EQ(*fastest_of(3, timer({1, 0.96, 0.99})), 1u);
}

// A device that grows slower as it grows warm favours none: the order turns round.
TEST(Autotune, DriftFavoursNobody) {
  EXPECT_EQ(*fastest_of(3, timer({1, 1, 1}, 0, 0.01)), 0u);
  EXPECT_EQ(*fastest_of(3, timer({1, 1, 0.9}, 0, 0.005)), 2u);
}

TEST(Autotune, SlowOnesLeaveEarly) {
  std::vector<int> calls(3, 0);
  EXPECT_EQ(*fastest_of(3, timer({1.1, 10, 1}, 0, 0, &calls)), 2u);
  EXPECT_EQ(calls[0], calls[2]);
  EXPECT_LT(calls[1], calls[0]);
}

TEST(Autotune, WhatCannotRunIsNotTaken) {
  EXPECT_EQ(*fastest_of(3, timer({-1, 2, 3})), 1u);
  EXPECT_EQ(*fastest_of(3, timer({3, -1, 2})), 2u);
  const auto none = fastest_of(2, timer({-1, -1}));
  ASSERT_FALSE(none.has_value());
  EXPECT_EQ(none.error().message, "candidate 0 cannot run");
}

class AutotuneFile : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("mts-autotune-" + std::to_string(getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path file() const { return folder_ / "deeper" / "algorithms.json"; }

 private:
  fs::path folder_;
};

TEST_F(AutotuneFile, RemembersByMachineAndSignature) {
  AlgorithmCache(file(), "H200 cuDNN 9.1").keep("conv a", "eng1");
  AlgorithmCache other(file(), "H200 cuDNN 9.2");
  EXPECT_EQ(other.find("conv a"), std::nullopt) << "another version";
  other.keep("conv a", "eng2");
  AlgorithmCache again(file(), "H200 cuDNN 9.1");
  EXPECT_EQ(again.find("conv a"), "eng1");
  EXPECT_EQ(again.find("conv b"), std::nullopt);
  EXPECT_EQ(AlgorithmCache(file(), "H200 cuDNN 9.2").find("conv a"), "eng2");
  EXPECT_EQ(std::distance(fs::directory_iterator(file().parent_path()), {}), 1) << "nothing else is left";
}

TEST_F(AutotuneFile, WhatOthersWriteMeanwhileStays) {
  AlgorithmCache one(file(), "m"), two(file(), "m");
  one.keep("a", "1");
  two.keep("b", "2");
  EXPECT_EQ(AlgorithmCache(file(), "m").find("a"), "1");
}

TEST_F(AutotuneFile, ABrokenFileCountsAsNone) {
  fs::create_directories(file().parent_path());
  for (const char* text : {"", "{", "[1]", R"({"m": 5})", R"({"m": {"a": 5}})"}) {
    std::ofstream(file()) << text;
    AlgorithmCache cache(file(), "m");
    EXPECT_EQ(cache.find("a"), std::nullopt) << text;
    cache.keep("a", "1");
    EXPECT_EQ(AlgorithmCache(file(), "m").find("a"), "1") << text;
  }
}

TEST_F(AutotuneFile, AFolderThatCannotBeWrittenIsNoError) {
  AlgorithmCache cache("/proc/nowhere/algorithms.json", "m");
  cache.keep("a", "1");
  EXPECT_EQ(cache.find("a"), "1");
}

// A device whose clock the calls themselves move.
class Clocked final : public DeviceRuntime {
 public:
  double now = 0, launch_milliseconds = 0;  // the latter: of what a recording launches, beside its own
  explicit Clocked(uint64_t capacity = ~uint64_t{0}) : host_(1, capacity) {}
  std::string name() const override { return "clocked"; }
  int32_t max_streams() const override { return 1; }
  Result<DeviceBlock> allocate(uint64_t bytes, std::string_view what) override {
    return host_.allocate(bytes, what);
  }
  Result<void> upload(std::byte*, std::span<const std::byte>) override { return {}; }
  Result<void> download(std::span<std::byte>, const std::byte*) override { return {}; }
  Result<std::unique_ptr<Recording>> record(std::span<const Command> commands, int32_t events,
                                            const Launch& launch) override {
    return host_.record(commands, events, [this, launch](int32_t step, void* stream) {
      now += launch_milliseconds;
      return launch(step, stream);
    });
  }
  Result<void> wait() override { return {}; }
  Result<double> time(const std::function<Result<void>()>& work) override {
    const double before = now;
    MTS_TRY(work());
    return now - before;
  }
  Result<void> flush_caches() override { return {}; }
  Result<DeviceMemory> memory() const override { return DeviceMemory{}; }

 private:
  HostRuntime host_;
};

class Taking final : public PreparedCall {
 public:
  Taking(Clocked& device, double milliseconds, uint64_t workspace, int& launches)
      : device_(device), milliseconds_(milliseconds), workspace_(workspace), launches_(launches) {}
  uint64_t workspace_bytes() const override { return workspace_; }
  Result<void> enqueue(std::span<std::byte* const> operands, std::byte* workspace, void*) override {
    EXPECT_EQ(operands.size(), 3u);
    for (std::byte* operand : operands) EXPECT_NE(operand, nullptr);
    EXPECT_NE(workspace, nullptr);
    std::fill_n(workspace, workspace_, std::byte{1});
    device_.now += milliseconds_;
    ++launches_;
    return {};
  }

 private:
  Clocked& device_;
  double milliseconds_;
  uint64_t workspace_;
  int& launches_;
};

TEST_F(AutotuneFile, MeasuresOnceAndThenRemembers) {
  GemmCall call;
  call.rows = 3, call.columns = 5, call.inner = 7, call.lda = 7, call.ldb = 5, call.ldd = 5;
  const std::vector<uint64_t> bytes = operand_bytes(call);
  EXPECT_THAT(bytes, testing::ElementsAre(4 * 21, 4 * 35, 4 * 15));
  Clocked device;
  int launches = 0;
  std::vector<Candidate> candidates;
  for (const double milliseconds : {2., 1., 4.}) {
    candidates.push_back({"takes " + std::to_string(milliseconds),
                          std::make_shared<Taking>(device, milliseconds, 4096, launches)});
  }
  Autotuner tuner(device, AlgorithmCache(file(), "m"));
  EXPECT_EQ(*tuner.choose(call.signature(), candidates, bytes), candidates[1].call);
  EXPECT_GT(launches, 0);
  launches = 0;
  EXPECT_EQ(*tuner.choose(call.signature(), candidates, bytes), candidates[1].call);
  Autotuner later(device, AlgorithmCache(file(), "m"));
  EXPECT_EQ(*later.choose(call.signature(), candidates, bytes), candidates[1].call);
  // One candidate needs no measuring; one that is not there any more does not count.
  EXPECT_EQ(*later.choose("another", {candidates[2]}, bytes), candidates[2].call);
  EXPECT_EQ(launches, 0);
  candidates.erase(candidates.begin() + 1);
  EXPECT_EQ(*later.choose(call.signature(), candidates, bytes), candidates[0].call);
  EXPECT_GT(launches, 0);
}

TEST(Autotune, WithoutMemoryTheHeuristicsFirstIsTaken) {
  Clocked device(100);
  int launches = 0;
  const std::vector<Candidate> candidates = {{"a", std::make_shared<Taking>(device, 2, 8, launches)},
                                             {"b", std::make_shared<Taking>(device, 1, 8, launches)}};
  Autotuner tuner(device, AlgorithmCache("", "m"));
  const std::vector<uint64_t> bytes = {1000, 1000, 1000};
  EXPECT_EQ(*tuner.choose("a", candidates, bytes), candidates[0].call);
  EXPECT_EQ(launches, 0);
}

// Libraries of two plans a call that take 2 and 1.5 ms of the device's clock; own kernels move it only by the
// millisecond that every launch costs there.
class SlowGraphs final : public CudnnGraphs {
 public:
  explicit SlowGraphs(Clocked& device, std::vector<double> times)
      : device_(device), times_(std::move(times)) {}
  Result<Plans> build(const ConvCall&, size_t most) override { return plans(most); }
  Result<Plans> build(const PoolCall&, size_t most) override { return plans(most); }

 private:
  class Plan final : public CudnnPlan {
   public:
    Plan(Clocked& device, double milliseconds) : device_(device), milliseconds_(milliseconds) {}
    std::string name() const override { return "takes " + std::to_string(milliseconds_); }
    Result<void> enqueue(std::span<std::byte* const>, std::byte*, void*) override {
      device_.now += milliseconds_ - 1;
      return {};
    }

   private:
    Clocked& device_;
    double milliseconds_;
  };
  Plans plans(size_t most) {
    Plans result;
    for (const double time : times_) result.push_back(std::make_shared<Plan>(device_, time));
    result.resize(std::min(most, result.size()));
    return result;
  }

  Clocked& device_;
  std::vector<double> times_;
};
class SlowProducts final : public CublasLtProducts {
 public:
  // Milliseconds of a product of a batch, and of one alone.
  SlowProducts(Clocked& device, double batch, double one) : device_(device), batch_(batch), one_(one) {}
  Result<std::vector<std::shared_ptr<PreparedCall>>> build(const GemmCall& call, size_t) override {
    return std::vector<std::shared_ptr<PreparedCall>>{
        std::make_shared<Product>(device_, call.batch > 1 ? batch_ : one_)};
  }

 private:
  class Product final : public PreparedCall {
   public:
    Product(Clocked& device, double milliseconds) : device_(device), milliseconds_(milliseconds) {}
    Result<void> enqueue(std::span<std::byte* const>, std::byte*, void*) override {
      device_.now += milliseconds_;
      return {};
    }

   private:
    Clocked& device_;
    double milliseconds_;
  };
  Clocked& device_;
  double batch_, one_;
};

ConvCall small_conv() {
  ConvCall call;
  call.x = {1, 3, 5, 5}, call.w = {4, 3, 3, 3}, call.y = {1, 4, 5, 5};
  call.strides = call.dilations = call.pads_begin = call.pads_end = {1, 1};
  return call;
}
GemmCall small_batch() {
  GemmCall call;
  call.batch = 4, call.rows = 3, call.columns = 5, call.inner = 64, call.lda = 64, call.ldb = 5, call.ldd = 5;
  call.stride_a = 3 * 64, call.stride_b = 5 * 64, call.stride_d = 64;
  return call;
}

// What the cache says was taken, when cuDNN's plans, cuBLASLt's batch and its single product take so long.
std::string taken(const std::string& signature, const std::filesystem::path& file, Clocked& device,
                  const std::function<PreparedResult(Libraries&)>& prepare, std::vector<double> plans,
                  double batch = 10, double one = 10) {
  const auto libraries =
      make_nvidia_libraries(std::make_unique<SlowGraphs>(device, std::move(plans)),
                            std::make_unique<SlowProducts>(device, batch, one),
                            std::make_unique<Autotuner>(device, AlgorithmCache(file, "m")));
  EXPECT_TRUE(prepare(*libraries).has_value());
  return AlgorithmCache(file, "m").find(signature).value_or("nothing");
}

TEST_F(AutotuneFile, OwnKernelsAreCandidates) {
  const ConvCall conv = small_conv();
  const auto prepare = [&](Libraries& libraries) { return libraries.prepare(conv); };
  Clocked device;
  device.launch_milliseconds = 1;
  EXPECT_EQ(taken(conv.signature(), file(), device, prepare, {2, 1.5}), "own direct");
  // Remembered by the same signature, whatever a new measurement would say.
  EXPECT_EQ(taken(conv.signature(), file(), device, prepare, {2, 0.5}), "own direct");
  fs::remove(file());
  EXPECT_EQ(taken(conv.signature(), file(), device, prepare, {2, 0.5}), "takes 0.500000");
  fs::remove(file());
  EXPECT_EQ(taken(conv.signature(), file(), device, prepare, {1.01, 2}), "takes 1.010000")
      << "not within the noise";
}

TEST_F(AutotuneFile, ABatchMayRunOneAfterAnother) {
  const GemmCall call = small_batch();
  const auto prepare = [&](Libraries& libraries) { return libraries.prepare(call); };
  Clocked device;
  device.launch_milliseconds = 1;
  EXPECT_EQ(taken(call.signature(), file(), device, prepare, {}, 2, 2), "own product");
  fs::remove(file());
  device.launch_milliseconds = 100;  // of the recording, whatever it holds
  EXPECT_EQ(taken(call.signature(), file(), device, prepare, {}, -20, -15), "one after another");
  fs::remove(file());
  EXPECT_EQ(taken(call.signature(), file(), device, prepare, {}, -80, -15), "heuristic 0");
}

// Further candidates compute what plain loops do, from the same operands.
template <class Call>
void expect_candidates_equal_loops(const Call& call, double tolerance, bool one_by_one = false) {
  HostLibraries loops;
  HostRuntime runtime;
  const std::vector<uint64_t> bytes = operand_bytes(call);
  std::mt19937 random(5);
  std::vector<std::vector<std::byte>> memory;
  for (const uint64_t size : bytes) {
    std::vector<double> values(size / (call.dtype == DType::kFloat32 ? 4 : 2));
    std::uniform_real_distribution<double> uniform(-1, 1);
    for (double& v : values) v = uniform(random);
    const Tensor tensor = random_tensor(call.dtype, {static_cast<int64_t>(values.size())}, 1, values);
    const auto* const data = reinterpret_cast<const std::byte*>(tensor.data());
    memory.emplace_back(data, data + size);
  }
  const auto run = [&](PreparedCall& prepared) {
    std::vector<std::vector<std::byte>> own = memory;
    std::fill(own.back().begin(), own.back().end(), std::byte{0});
    std::vector<std::byte*> operands;
    for (std::vector<std::byte>& operand : own) operands.push_back(operand.data());
    EXPECT_TRUE(prepared.enqueue(operands, nullptr, nullptr).has_value());
    Tensor result(call.dtype, {static_cast<int64_t>(own.back().size()) * 8 / bit_width(call.dtype)});
    std::copy(own.back().begin(), own.back().end(), reinterpret_cast<std::byte*>(result.mutable_data()));
    return result;
  };
  const Tensor expected = run(**loops.prepare(call));
  std::vector<Candidate> candidates = own_candidates(call);
  if constexpr (std::is_same_v<Call, GemmCall>) {
    if (one_by_one)
      candidates.push_back({"one after another", one_after_another(call, *loops.prepare(*one_of(call)))});
  }
  EXPECT_FALSE(candidates.empty()) << call.signature();
  for (const Candidate& candidate : candidates) {
    const Tensor actual = run(*candidate.call);
    expect_same(expected, actual, candidate.name + " " + call.signature(), tolerance);
  }
}

struct TypeOfCall {
  DType dtype;
  Math math;
  double tolerance;
};
constexpr TypeOfCall kTypes[] = {{DType::kFloat32, Math::kStrict, 1e-4},
                                 {DType::kFloat32, Math::kFast, 5e-3},
                                 {DType::kFloat16, Math::kFast, 5e-3},
                                 {DType::kBfloat16, Math::kFast, 2e-2}};

TEST(OwnCandidates, ConvolutionsEqualPlainLoops) {
  struct Shape {
    Dims x, w, y;
    int64_t stride, pad, groups;
  };
  const std::vector<Shape> shapes = {
      {{2, 3, 9, 7}, {8, 3, 3, 3}, {2, 8, 9, 7}, 1, 1, 1},      // narrow: direct
      {{2, 16, 8, 8}, {40, 16, 3, 3}, {2, 40, 4, 4}, 2, 1, 1},  // channels by eights
      {{1, 20, 6, 6}, {20, 20, 3, 3}, {1, 20, 6, 6}, 1, 1, 1},  // both kinds, and not by eights
      {{2, 12, 6, 6}, {12, 1, 5, 5}, {2, 12, 6, 6}, 1, 2, 12},  // depthwise
      {{2, 66, 5, 5}, {99, 22, 3, 3}, {2, 99, 3, 3}, 1, 0, 3},  // models as groups
      {{1, 4, 4, 5, 6}, {18, 4, 3, 3, 3}, {1, 18, 4, 5, 6}, 1, 1, 1}};
  for (const Shape& s : shapes) {
    for (const TypeOfCall& type : kTypes) {
      for (int epilogue = 0; epilogue < 4; ++epilogue) {
        ConvCall call;
        call.dtype = type.dtype, call.math = type.math;
        call.x = s.x, call.w = s.w, call.y = s.y;
        const size_t spatial = s.x.size() - 2;
        call.strides.assign(spatial, s.stride);
        call.dilations.assign(spatial, 1);
        call.pads_begin.assign(spatial, s.pad);
        call.pads_end.assign(spatial, s.pad);
        call.groups = s.groups;
        call.addend = (epilogue & 1) != 0;
        call.bias = (epilogue & 2) != 0;
        call.activation = epilogue == 3 ? Activation::kRelu : Activation::kNone;
        expect_candidates_equal_loops(call, type.tolerance);
      }
    }
  }
}

TEST(OwnCandidates, ProductsEqualPlainLoops) {
  for (const TypeOfCall& type : kTypes) {
    for (int layout = 0; layout < 4; ++layout) {
      for (const auto& [batch, rows, columns, inner] : std::vector<std::array<int64_t, 4>>{
               {1, 5, 9, 7}, {3, 40, 70, 33}, {2, 65, 64, 32}, {4, 1, 48, 16}}) {
        GemmCall call;
        call.dtype = type.dtype, call.math = type.math;
        call.batch = batch, call.rows = rows, call.columns = columns, call.inner = inner;
        call.a_transposed = (layout & 1) != 0;
        call.b_transposed = (layout & 2) != 0;
        call.lda = call.a_transposed ? rows : inner;
        call.ldb = call.b_transposed ? inner : columns;
        call.ldd = columns * batch;  // side by side, as the groups of a 1x1 convolution
        call.stride_a = rows * inner;
        call.stride_b = layout == 3 ? 0 : inner * columns;
        call.stride_d = columns;
        call.alpha = layout == 1 ? 0.5f : 1.f;
        call.bias = layout != 0;
        call.stride_bias = layout == 2 ? columns : 0;
        call.addend = layout == 3;
        call.activation = layout == 1   ? Activation::kGeluTanh
                          : layout == 2 ? Activation::kRelu
                                        : Activation::kNone;
        expect_candidates_equal_loops(call, type.tolerance, one_of(call).has_value());
      }
    }
  }
}

TEST(OwnCandidates, StrictProductsStayOffTheTensorCores) {
  GemmCall call;
  call.rows = call.columns = call.inner = call.lda = call.ldb = call.ldd = 64;
  EXPECT_EQ(own_candidates(call).front().name, "own product");
  call.math = Math::kFast;
  EXPECT_EQ(own_candidates(call).front().name, "own tensor-core product");
  ConvCall conv = small_conv();
  conv.w[0] = conv.y[1] = 64;
  EXPECT_EQ(own_candidates(conv).front().name, "own GEMM");
  conv.math = Math::kFast;
  EXPECT_EQ(own_candidates(conv).front().name, "own tensor-core GEMM");
  call.batch = 1000;
  EXPECT_EQ(one_of(call), std::nullopt) << "that many launches would never pay";
}

TEST(Autotune, KnowsTheOperandsOfEveryCall) {
  ConvCall conv;
  conv.dtype = DType::kFloat16;
  conv.x = {2, 3, 8, 8}, conv.w = {4, 3, 3, 3}, conv.y = {2, 4, 6, 6};
  conv.addend = conv.bias = true;
  EXPECT_THAT(operand_bytes(conv), testing::ElementsAre(768, 216, 576, 8, 576));
  GemmCall gemm;
  gemm.batch = 3, gemm.rows = 2, gemm.columns = 5, gemm.inner = 4, gemm.b_transposed = true;
  gemm.lda = 4, gemm.ldb = 4, gemm.ldd = 5, gemm.stride_b = 20, gemm.stride_d = 10, gemm.stride_bias = 5;
  gemm.bias = true;
  EXPECT_THAT(operand_bytes(gemm), testing::ElementsAre(4 * 8, 4 * 60, 4 * 15, 4 * 30))
      << "a is the same for all";
  PoolCall pool;
  pool.x = {1, 2, 4, 4}, pool.y = {1, 2, 2, 2};
  EXPECT_THAT(operand_bytes(pool), testing::ElementsAre(128, 32));
}

}  // namespace
}  // namespace mts::exec::cuda
