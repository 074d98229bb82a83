#include "competitors.h"

#include "arguments.h"
#include "base/log.h"
#include "check/pairing.h"
#include "plan/profile.h"

#include <mts/device_session.h>
#include <mts/stitch.h>
#include <mts/verify.h>

#include <algorithm>

#include <fmt/format.h>

namespace mts::tool {
namespace {

// The --share-input flags with which the fused model was made: "image=a:x,b:input.1".
std::vector<std::string> shared_inputs(const std::vector<check::ModelEntry>& entries) {
  std::map<std::string, std::vector<std::string>> readers;
  for (const check::ModelEntry& entry : entries) {
    for (const auto& [original, fused] : entry.inputs) readers[fused].push_back(entry.name + ":" + original);
  }
  std::vector<std::string> flags;
  for (const auto& [name, members] : readers) {
    if (members.size() > 1) flags.push_back(fmt::format("{}={}", name, fmt::join(members, ",")));
  }
  return flags;
}

// The device for which the fused model was planned, when this program knows it.
std::string target_of(const Model& fused) {
  for (const auto& [key, value] : fused.metadata)
    if (key == "mts.target" && std::ranges::find(profile_names(), value) != profile_names().end())
      return value;
  return StitchOptions().target;
}

Result<std::vector<Datum>> draw_inputs(std::vector<check::InputSpec> specs, const CompetitionOptions& options,
                                       check::Binding& binding) {
  MTS_ASSIGN(const check::InputSource source,
             check::InputSource::open(std::move(specs),
                                      {options.ranges, {}, options.inputs_directory, options.seed}));
  MTS_ASSIGN(binding, check::resolve_dims(options.dims, source.symbols()));
  for (const auto& [symbol, size] : source.fixed()) binding[symbol] = size;
  for (const std::string& symbol : source.symbols()) binding.emplace(symbol, 1);
  return source.make(binding);
}

// The numeric check at the sizes that are measured.
bool computes_the_same(const Model& fused, const std::vector<Model>& originals,
                       const CompetitionOptions& options, const check::Binding& binding) {
  VerifyOptions verify_options;
  verify_options.bindings = {binding};
  verify_options.ranges = options.ranges;
  verify_options.inputs_directory = options.inputs_directory;
  verify_options.seed = options.seed;
  set_precision(verify_options, options.executor);
  const auto sessions = [&](const Model& model) { return create_session(model, options.executor); };
  const Result<VerifyReport> report = verify(fused, originals, sessions, verify_options);
  if (!report) {
    log::warn("{}: not verified: {}", fused.name, report.error().to_string());
    return false;
  }
  bool passed = !report->runs.empty();
  for (const auto& run : report->runs) {
    for (const OutputDifference& output : run.outputs) {
      if (!output.passed && passed) log::warn("{}: {}: {}", fused.name, output.output, output.reason);
      passed &= output.passed;
    }
  }
  return passed;
}

// On a device: loads the inputs, and says how much less memory there is for it.
Result<uint64_t> loaded_bytes(Session& session, const std::vector<Datum>& inputs) {
  DeviceSession* const device = as_device(session);
  if (device == nullptr) return uint64_t{0};
  MTS_ASSIGN(const uint64_t before, device->device_bytes_in_use());
  MTS_TRY(device->load(inputs));
  MTS_ASSIGN(const uint64_t after, device->device_bytes_in_use());
  return after > before ? after - before : uint64_t{0};
}

}  // namespace

Session* Competition::keep(std::unique_ptr<Session> session) {
  sessions_.push_back(std::move(session));
  return sessions_.back().get();
}

Result<Competition> Competition::create(const Model& fused, const std::vector<Model>& originals,
                                        const CompetitionOptions& options) {
  Competition result;
  const auto wanted = [&](const std::string& name) {
    return options.only.empty() || std::ranges::find(options.only, name) != options.only.end();
  };
  check::Binding binding;
  if (originals.empty()) {
    MTS_ASSIGN(const std::vector<check::ModelEntry> entries, check::entries_of(fused));
    MTS_ASSIGN(std::vector<Datum> inputs, draw_inputs(check::specs_of(fused.graph), options, binding));
    Competitor competitor{
        .name = "fused", .sessions = {}, .inputs = {std::move(inputs)}, .verified = {}, .error = {}};
    competitor.inferences = std::max<int64_t>(1, std::ssize(entries));
    MTS_ASSIGN(std::unique_ptr<Session> session, create_session(fused, options.executor));
    competitor.sessions = {result.keep(std::move(session))};
    result.competitors_.push_back(std::move(competitor));
    return result;
  }

  MTS_ASSIGN(const check::Pairing pairing, check::Pairing::create(fused, originals));
  MTS_ASSIGN(const std::vector<Datum> inputs, draw_inputs(pairing.specs(), options, binding));
  const auto inferences = static_cast<int64_t>(originals.size());
  const auto compete = [&](const std::string& name, const Model& model, int streams = 0) -> Result<void> {
    Competitor competitor{.name = name, .sessions = {}, .inputs = {inputs}, .verified = {}, .error = {}};
    competitor.inferences = inferences;
    competitor.verified = computes_the_same(model, originals, options, binding);
    MTS_ASSIGN(std::unique_ptr<Session> session, create_session(model, options.executor));
    DeviceSession* const device = as_device(*session);
    if (device != nullptr && streams > 0) device->set_max_streams(streams);
    MTS_ASSIGN(competitor.device_bytes, loaded_bytes(*session, inputs));
    competitor.sessions = {result.keep(std::move(session))};
    result.competitors_.push_back(std::move(competitor));
    return {};
  };
  MTS_TRY(compete("fused", fused));

  if (wanted("sequential")) {
    Competitor sequential{.name = "sequential", .sessions = {}, .inputs = {}, .verified = true, .error = {}};
    sequential.inferences = inferences;
    for (size_t m = 0; m < originals.size(); ++m) {
      MTS_ASSIGN(std::unique_ptr<Session> session, create_session(originals[m], options.executor));
      MTS_ASSIGN(const uint64_t bytes, loaded_bytes(*session, pairing.inputs_of(m, inputs)));
      sequential.device_bytes += bytes;
      sequential.sessions.push_back(result.keep(std::move(session)));
      sequential.inputs.push_back(pairing.inputs_of(m, inputs));
    }
    result.competitors_.push_back(std::move(sequential));
  }

  // On a device, "concat" runs its nodes one after another and "streams" its models on parallel branches.
  using Strategy = StitchOptions::Strategy;
  const bool on_device = options.executor.device == "cuda";
  struct Baseline {
    const char* name;
    Strategy strategy;
    int streams;
    bool device_only;
  };
  constexpr int kOne = 1, kDefault = 0;
  for (const auto& [name, strategy, streams, device_only] :
       {Baseline{"streams", Strategy::kConcat, kDefault, true},
        Baseline{"concat", Strategy::kConcat, kOne, false},
        Baseline{"stitch", Strategy::kStitch, kDefault, false},
        Baseline{"netfuse", Strategy::kNetfuse, kDefault, false}}) {
    if (!wanted(name) || (device_only && !on_device)) continue;
    StitchOptions stitch_options;
    stitch_options.strategy = strategy;
    stitch_options.target = target_of(fused);
    stitch_options.share_inputs = shared_inputs(pairing.entries());
    std::vector<Model> copies;
    for (size_t m = 0; m < originals.size(); ++m) {
      copies.push_back(originals[m].clone());
      copies.back().name = pairing.entries()[m].name;
    }
    Result<Stitched> stitched = stitch(std::move(copies), stitch_options);
    Result<void> made = {};
    if (stitched) {
      result.models_.push_back(std::move(stitched->model));
      result.models_.back().name = name;
      made = compete(name, result.models_.back(), streams);
    } else {
      made = tl::unexpected(stitched.error());
    }
    if (!made) {
      result.competitors_.push_back(
          {.name = name, .sessions = {}, .inputs = {}, .verified = {}, .error = made.error().to_string()});
    }
  }
  return result;
}

}  // namespace mts::tool
