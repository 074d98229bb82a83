#include "bench/calibrate.h"

#include "base/log.h"
#include "bench/sampler.h"

#include <mts/bench.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

namespace mts {
namespace calibration {
namespace {

constexpr size_t kProbes = 56;       // how many pairs are measured: for the progress and the time of each
constexpr double kLeastBlock = 3;    // of channels: fewer are noise
constexpr double kLeastShare = 0.2;  // of a node's time that counts as work, whatever the dispatch cost

// Widths with and without remainder in vectors of 8 and 16.
constexpr int64_t kWidths[] = {3, 8, 12, 16, 24, 32, 64, 128};
constexpr int64_t kGroupWidths[] = {1, 2, 4, 6, 8, 12, 16, 32, 64};
constexpr int64_t kImageChannels = 3;
constexpr int64_t kHiddenSizes[] = {16, 64};
constexpr int64_t kMatMulWidths[] = {8, 16, 32, 64, 128, 256, 512};
constexpr int kMatMuls = 8, kConvolutions = 6;  // of the longer chain
constexpr int64_t kWorkingSetChannels = 16;     // of images: few, so that bytes count
// Bytes of three tensors that a sum reads and writes, and of a convolution's two images.
constexpr double kWorkingSets[] = {96e3, 768e3, 3e6, 12e6, 96e6};
constexpr const char* kWorkingSetNames[] = {"up to 96 kB", "up to 768 kB", "up to 3 MB", "up to 12 MB"};

// Keeps the first error; the figures after it do not matter.
class Fitter {
 public:
  Fitter(const Measure& measure, const Progress& progress) : measure_(measure), progress_(progress) {}

  Result<DeviceProfile> run();

 private:
  // Seconds of one node: make(length) for two lengths.
  template <class Make>
  double node_seconds(const std::string& what, Make make, int shorter, int longer) {
    const std::vector<double> times = seconds(what, [&] {
      std::vector<Probe> probes;
      probes.push_back(make(shorter));
      probes.push_back(make(longer));
      return probes;
    });
    return std::max((times[1] - times[0]) / (longer - shorter), 1e-9);
  }
  template <class Make>
  std::vector<double> seconds(const std::string& what, Make make) {
    if (progress_) progress_(what, done_, kProbes);
    ++done_;
    if (!error_.message.empty()) return {1, 1};
    Result<std::vector<double>> times = measure_(make());
    if (times) return *times;
    error_ = times.error();
    return {1, 1};
  }
  // As the cost model prices bytes. Of a step that streams:
  double streaming(double bytes) const { return bytes / profile_.bandwidth(bytes).streaming; }
  // Of a convolution or matrix product in a chain of so many, all with weights of that size.
  double moving(double activations, double weights, int length) const {
    return activations / profile_.bandwidth(activations + weights).reuse +
           weights / profile_.bandwidth(std::max(length * weights, activations + weights)).streaming;
  }
  static double without(double dispatch, double seconds) {
    return std::max(seconds - dispatch, seconds * kLeastShare);
  }

  void dispatch();
  void memory();
  void blocks();
  void rates();
  void views();

  const Measure& measure_;
  const Progress& progress_;
  DeviceProfile profile_;
  double matmul_dispatch_ = 0, conv_dispatch_ = 0;
  Error error_ = {};
  size_t done_ = 0;
};

void Fitter::dispatch() {
  const auto tiny = [](int length) { return matmul_chain(1, 16, length); };
  const double product = node_seconds("dispatch: matrix product", tiny, 4, 68);
  matmul_dispatch_ = without(moving(4 * 2 * 16, 4 * 16 * 16, 68), product);
  const double rows = node_seconds(
      "dispatch: Softmax", [](int length) { return softmax_chain(1, 16, length, false); }, 4, 68);
  const double softmax = without(streaming(4 * 2 * 16), rows);
  const double convolution = node_seconds(
      "dispatch: convolution",
      [](int length) { return conv_chain({.groups = 1, .channels = 8, .size = 2, .kernel = 1}, length); }, 4,
      68);
  conv_dispatch_ = without(moving(4 * 2 * 8 * 4, 4 * 8 * 8, 68), convolution);
  double costs[] = {matmul_dispatch_, softmax, conv_dispatch_};
  std::sort(std::begin(costs), std::end(costs));
  profile_.dispatch_seconds = costs[1];
  log::debug("a step: matrix product {:.2f} us, convolution {:.2f}, Softmax {:.2f}", matmul_dispatch_ * 1e6,
             conv_dispatch_ * 1e6, softmax * 1e6);
  const std::vector<double> run = seconds("a run", [&] {
    std::vector<Probe> probes;
    probes.push_back(tiny(4));
    return probes;
  });
  profile_.run_seconds = std::max(run[0] - 4 * product, 0.0);
}

void Fitter::memory() {
  double arithmetic = 0;  // of a convolution: seconds a byte of its images
  const double tiny = node_seconds(
      "bandwidth: nothing", [](int length) { return add_chain(16, length); }, 4, 36);
  for (size_t i = 0; i < std::size(kWorkingSets); ++i) {
    const double bytes = kWorkingSets[i];
    const double node = node_seconds(
        "bandwidth " + std::to_string(static_cast<int64_t>(bytes / 1e3)) + " kB",
        [&](int length) { return add_chain(static_cast<int64_t>(bytes / 12), length); }, 3, 9);
    const double bandwidth = bytes / without(tiny, node);
    // What is more than the arithmetic, whose cost a byte of the image the first level tells. (A link of
    // add_chain is two steps.)
    const auto side = static_cast<int64_t>(std::sqrt(bytes / (2 * 4 * kWorkingSetChannels)));
    const ConvProbe probe{.groups = 1, .channels = kWorkingSetChannels, .size = side};
    const double convolution =
        without(tiny / 2, node_seconds(
                              "convolution of " + std::to_string(static_cast<int64_t>(bytes / 1e3)) + " kB",
                              [&](int length) { return conv_chain(probe, length); }, 2, 4));
    const auto image = static_cast<double>(2 * 4 * kWorkingSetChannels * side * side);
    const double images =  // the time that is not that of the weights
        convolution - 4 * 9 * kWorkingSetChannels * kWorkingSetChannels / bandwidth;
    if (i == 0) arithmetic = images / image - 1 / bandwidth;
    const Bandwidth both{.streaming = bandwidth,
                         .reuse = std::min(bandwidth, image / std::max(images - arithmetic * image, 1e-12))};
    if (i + 1 < std::size(kWorkingSets)) {
      profile_.caches.push_back({.name = kWorkingSetNames[i], .bytes = bytes, .bandwidth = both});
    } else {
      profile_.memory_bandwidth = both;
    }
  }
}

void Fitter::blocks() {
  const auto convolution = [&](int64_t inputs, int64_t outputs) {
    const ConvProbe probe{.groups = 1, .channels = inputs, .stem = outputs};
    return node_seconds(
        "convolution " + std::to_string(inputs) + " to " + std::to_string(outputs),
        [&](int length) { return conv_stems(probe, length); }, 2, kConvolutions);
  };
  // One channel more than whole blocks costs as many as there are in a block.
  const double inputs = 32, outputs = 16;
  const double whole = convolution(32, 16), input = convolution(33, 16), output = convolution(32, 17);
  const auto block = [&](double channels, double seconds) {
    const double more = channels * (seconds / whole - 1);
    return more < kLeastBlock ? 1 : std::exp2(std::round(std::log2(std::min(more, channels))));
  };
  profile_.input_block = block(inputs, input);
  profile_.output_block = block(outputs, output);
}

void Fitter::rates() {
  std::vector<std::pair<EfficiencyCurve*, EfficiencyPoint>> rates;  // in FLOP/s until the peak is known
  const auto add = [&](EfficiencyCurve& curve, int64_t channels, double flops, double seconds) {
    rates.push_back({&curve, {static_cast<double>(channels), flops / seconds}});
  };
  for (const int64_t width : kMatMulWidths) {
    const int64_t rows = 256;
    const double node = node_seconds(
        "matrix product " + std::to_string(width),
        [&](int length) { return matmul_chain(rows, width, length); }, 2, kMatMuls);
    const double bytes =
        moving(8.0 * static_cast<double>(rows * width), 4.0 * static_cast<double>(width * width), kMatMuls);
    add(profile_.matmul, width, 2.0 * static_cast<double>(rows * width * width),
        without(matmul_dispatch_ + bytes, node));
  }
  const auto conv = [&](EfficiencyCurve& curve, const std::string& what, int64_t groups, int64_t channels) {
    const ConvProbe probe{.groups = groups, .channels = channels};
    // A layer with so few channels is the first of its network, and has more of them behind it.
    const bool stem = channels == kImageChannels;
    const int64_t made = groups * (stem ? probe.stem : channels);
    const double node = node_seconds(
        what + " " + std::to_string(channels),
        [&](int length) { return stem ? conv_stems(probe, length) : conv_chain(probe, length); }, 2,
        kConvolutions);
    const auto taps = static_cast<double>(9 * channels * made);
    const auto pixels = static_cast<double>(probe.size * probe.size);
    const double bytes =
        moving(4 * pixels * static_cast<double>(groups * channels + made), 4 * taps, kConvolutions);
    const double mean = stem ? conv_dispatch_ + streaming(4 * pixels * static_cast<double>(made)) : 0;
    const auto each = static_cast<double>(stem ? probe.stem : channels), own = static_cast<double>(channels);
    const double computed =
        groups > 1 ? 1 : profile_.computed_inputs(own) / own * profile_.computed_outputs(each) / each;
    add(curve, channels, 2 * taps * pixels * computed, without(conv_dispatch_ + bytes + mean, node));
  };
  for (const int64_t channels : kWidths) conv(profile_.convolution, "convolution", 1, channels);
  for (const int64_t channels : kGroupWidths)
    conv(profile_.grouped_convolution, "grouped convolution", channels == 1 ? 32 : 4, channels);
  const auto strided = [&](int64_t stride) {
    const ConvProbe probe{.groups = 4, .channels = 12, .stem = 12, .stride = stride};
    const double node = node_seconds(
        "grouped convolution, stride " + std::to_string(stride),
        [&](int length) { return conv_stems(probe, length); }, 2, kConvolutions);
    const double image = 4 * 48 * static_cast<double>(probe.size * probe.size);
    const double made = image / static_cast<double>(stride * stride);
    const double bytes = moving(image + made, 4 * 48 * 12 * 9, kConvolutions) + streaming(made);
    return without(2 * conv_dispatch_ + bytes, node);
  };
  const double all_pixels = strided(1), a_quarter = strided(2);
  profile_.strided_groups = std::clamp(all_pixels / 4 / a_quarter, 0.1, 1.0);
  for (const int64_t hidden : kHiddenSizes) {
    const int64_t steps = 8;
    const double node = node_seconds(
        "recurrent " + std::to_string(hidden),
        [&](int length) { return recurrent_chain(steps, hidden, length); }, 1, 3);
    add(profile_.recurrent, hidden, 2.0 * static_cast<double>(steps * 6 * hidden * hidden),
        without(profile_.dispatch_seconds, node));
  }
  // Of float16 one width: the share of the peak is taken to be that of float32.
  const int64_t half_width = 64, half_rows = 16;
  const double half = node_seconds(
      "float16", [&](int length) { return half_matmul_chain(half_rows, half_width, length); }, 1, 3);
  // Nothing is left of a depthwise convolution without the bytes that it moves: no rate to be the peak.
  double peak = 0;
  for (const auto& [curve, point] : rates)
    if (curve == &profile_.matmul || curve == &profile_.convolution) peak = std::max(peak, point.efficiency);
  profile_.flops[DType::kFloat32] = peak;
  for (EfficiencyCurve* curve :
       {&profile_.matmul, &profile_.convolution, &profile_.grouped_convolution, &profile_.recurrent})
    curve->clear();
  for (const auto& [curve, point] : rates)
    curve->push_back({point.channels, std::clamp(point.efficiency / peak, 1e-6, 1.0)});
  profile_.flops[DType::kFloat16] = 2.0 * static_cast<double>(half_rows * half_width * half_width) /
                                    without(matmul_dispatch_, half) /
                                    efficiency_at(profile_.matmul, static_cast<double>(half_width));
}

void Fitter::views() {
  // Softmax and Transpose in turn against Softmax alone: what is more is the Transpose.
  const int64_t parts = 4, rows = 64, width = 256;
  const double both = node_seconds(
      "Transpose", [&](int length) { return transpose_chain(parts, rows, width, length); }, 2, 10);
  const double softmax = node_seconds(
      "Softmax", [&](int length) { return softmax_chain(parts * rows, width, length, false); }, 2, 10);
  const double bytes = 2.0 * 4 * static_cast<double>(parts * rows * width);
  const double copied = without(profile_.dispatch_seconds, std::max(both - softmax, 1e-9));
  profile_.copy_efficiency = std::clamp(streaming(bytes) / copied, 0.01, 1.0);

  const double small = node_seconds(
      "views", [](int length) { return softmax_chain(8, 16, length, false); }, 4, 68);
  const double viewed = node_seconds(
      "Reshape", [](int length) { return softmax_chain(8, 16, length, true); }, 4, 68);
  profile_.view_seconds = std::max(viewed - small, 0.0);

  const ConvProbe plain{.groups = 1, .channels = 32, .size = 28, .kernel = 1};
  ConvProbe relu = plain, reshape = plain;
  relu.relu = reshape.reshape = true;
  const double image = 4.0 * static_cast<double>(plain.channels * plain.size * plain.size);
  const auto chain = [](const ConvProbe& what) {
    return [what](int length) { return conv_chain(what, length); };
  };
  const double alone = node_seconds("convolution alone", chain(plain), 2, 18);
  const double followed = node_seconds("convolution and Relu", chain(relu), 2, 18);
  const double relaid = node_seconds("convolution and Reshape", chain(reshape), 2, 18);
  log::debug("convolution {:.2f} us, with Relu {:.2f}, with Reshape {:.2f}; Transpose {:.2f}, Softmax {:.2f}",
             alone * 1e6, followed * 1e6, relaid * 1e6, (both - softmax) * 1e6, softmax * 1e6);
  const double pass = 2 * image / profile_.caches.front().bandwidth.streaming;
  profile_.fusion =
      followed - alone < 0.5 * (profile_.dispatch_seconds + pass) ? Fusion::kAny : Fusion::kNone;
  // With half the channels every other convolution does half the work.
  profile_.channels_last = relaid - 0.75 * alone > 0.5 * pass;

  const int64_t split_rows = 64, split_width = 64;
  const double whole = node_seconds(
      "product alone", [&](int length) { return matmul_chain(split_rows, split_width, length); }, 2, 18);
  const double split = node_seconds(
      "product and Split", [&](int length) { return split_matmul_chain(split_rows, split_width, length); }, 2,
      18);
  profile_.joins_in_place = split - whole < profile_.dispatch_seconds;
}

Result<DeviceProfile> Fitter::run() {
  // Figures are fitted to max(compute, bytes) + (1 - overlap) * min(compute, bytes): on a core they add up.
  profile_.overlap = 0;
  memory();
  dispatch();
  blocks();
  rates();
  views();
  if (!error_.message.empty()) return tl::unexpected(error_);
  return profile_;
}

// Threads that wait for one another stand still while another program has one of their cores: some figures
// are then a hundred times too slow, and the cost model would take them for the machine's.
bool is_disturbed(const DeviceProfile& profile) {
  double larger = profile.memory_bandwidth.streaming;
  for (auto level = profile.caches.rbegin(); level != profile.caches.rend(); ++level) {
    if (level->bandwidth.streaming < 0.3 * larger) return true;
    larger = level->bandwidth.streaming;
  }
  for (const EfficiencyCurve* curve : {&profile.matmul, &profile.convolution})
    for (const EfficiencyPoint& point : *curve)
      if (point.efficiency < 0.01) return true;
  return false;
}

}  // namespace

Measure measure_by_running(const ExecutorOptions& executor, double seconds_each) {
  return [executor, seconds_each](const std::vector<Probe>& probes) -> Result<std::vector<double>> {
    std::vector<std::unique_ptr<Session>> sessions;
    Error error;
    std::vector<bench_detail::Task> tasks;
    for (const Probe& probe : probes) {
      MTS_ASSIGN(std::unique_ptr<Session> session, create_session(probe.model, executor));
      Session* const raw = session.get();
      sessions.push_back(std::move(session));
      tasks.push_back([raw, &probe, &error] {
        const auto outputs = raw->run(probe.inputs);
        if (!outputs) error = outputs.error();
        return outputs.has_value();
      });
    }
    const BenchOptions options{.seconds = seconds_each, .min_iterations = 5, .max_iterations = 2000};
    const bench_detail::Samples samples = bench_detail::sample(tasks, options, bench_detail::steady_clock());
    std::vector<double> least;
    for (const std::vector<double>& times : samples.seconds) {
      if (times.empty()) return tl::unexpected(error);
      least.push_back(*std::ranges::min_element(times));
    }
    return least;
  };
}

Result<DeviceProfile> fit(const Measure& measure, const Progress& progress) {
  return Fitter(measure, progress).run();
}

}  // namespace calibration

Result<DeviceProfile> calibrate(const CalibrateOptions& options) {
  if (options.executor.device == "ref")
    return fail(ErrorCode::kUsage, "the plain loops of the device ref are no device to stitch for");
  const double each = options.seconds / static_cast<double>(calibration::kProbes);
  MTS_ASSIGN(DeviceProfile profile,
             calibration::fit(calibration::measure_by_running(options.executor, each), options.progress));
  if (calibration::is_disturbed(profile))
    log::warn(
        "the figures contradict one another: other programs use this machine. Calibrate when it is quiet, or "
        "with "
        "--threads 1");
  const BenchContext context = bench_context(options.executor);
  profile.is_cpu = options.executor.device == "cpu";
  profile.name = options.executor.device + "-calibrated";
  profile.cores = context.threads;
  // Small work stays on one thread (src/exec/cpu/parallel.h): so many products of the usual length make one
  // worth it.
  profile.core_elements = 2000;
  profile.parallel_steps = profile.is_cpu ? 1 : 16;
  std::string source = "mts calibrate";
  for (const auto& [library, version] : context.versions) source += ", " + library + " " + version;
  profile.sources = {source + ", on " + (context.cpu.empty() ? "an unknown CPU" : context.cpu) +
                     ", threads: " + std::to_string(context.threads) + ", " + context.date +
                     "; core_elements, parallel_steps: not measured."};
  return profile;
}

}  // namespace mts
