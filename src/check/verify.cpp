#include "check/compare.h"
#include "check/dimensions.h"
#include "check/inputs.h"
#include "check/pairing.h"
#include "check/precision.h"
#include "check/structure.h"
#include "check/ties.h"

#include <mts/executor.h>
#include <mts/verify.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <xxhash.h>

namespace mts {
namespace check {
namespace {

using Run = VerifyReport::Run;

// Finds outputs whose comparison proves nothing.
class Degeneracy {
 public:
  void note(size_t model, const std::string& original, const std::string& fused, const Datum& datum) {
    const Tensor* tensor = datum.tensor();
    if (tensor == nullptr || !is_float(tensor->dtype())) return;
    Seen& seen = seen_[fused];
    seen.model = model;
    seen.original = original;
    const std::vector<double> values = doubles_of(*tensor);
    for (const double x : values) {
      if (seen.count++ == 0) seen.first = x;
      seen.varies |= x != seen.first && !(x != x && seen.first != seen.first);
    }
    const std::span<const std::byte> bytes(tensor->data(), tensor->byte_size());
    seen.digest = XXH3_64bits_withSeed(bytes.data(), bytes.size(), seen.digest);
  }

  std::vector<std::string> warnings() const {
    std::vector<std::string> result;
    for (const auto& [name, seen] : seen_) {
      if (!seen.varies && seen.count > 3) {
        result.push_back(
            fmt::format("output {} is {} everywhere: its comparison proves little", name, seen.first));
      }
    }
    for (auto a = seen_.begin(); a != seen_.end(); ++a) {
      for (auto b = std::next(a); b != seen_.end(); ++b) {
        const bool twins = a->second.model != b->second.model && a->second.original == b->second.original;
        if (twins && a->second.varies && a->second.digest == b->second.digest) {
          result.push_back(fmt::format("outputs {} and {} are equal: mixing them up would go unnoticed",
                                       a->first, b->first));
        }
      }
    }
    return result;
  }

 private:
  struct Seen {
    size_t model = 0;
    std::string original;
    double first = 0;
    int64_t count = 0;
    bool varies = false;
    uint64_t digest = 0;
  };
  std::map<std::string, Seen> seen_;
};

// The same model with more outputs.
Model with_outputs(const Model& model, const std::vector<ValueId>& values) {
  Model copy = model.clone();
  for (const ValueId value : values) copy.graph.add_output(value);
  return copy;
}

// Which branches of the originals' If nodes were taken: a branch that never ran was not compared.
class BranchCoverage {
 public:
  // Conditions to be watched, as outputs after the model's own.
  std::vector<ValueId> watch(size_t model, const Model& original) {
    std::vector<ValueId> conditions;
    const Graph& graph = original.graph;
    for (const NodeId id : graph.order()) {
      const Node& node = graph.node(id);
      if (!node.is("If") || graph.value(node.inputs[0]).is_constant() || graph.is_output(node.inputs[0]))
        continue;
      conditions.push_back(node.inputs[0]);
      seen_[model].push_back({fmt::format("{}: {}", original.name, node.label()), false, false});
    }
    return conditions;
  }

  // Takes the conditions off the outputs again.
  void note(size_t model, size_t outputs, std::vector<Datum>& data) {
    for (size_t i = outputs; i < data.size(); ++i) {
      const Tensor* condition = data[i].tensor();
      if (condition == nullptr || condition->dtype() != DType::kBool || condition->element_count() != 1)
        continue;
      Branches& branches = seen_[model][i - outputs];
      (*condition->as<uint8_t>() != 0 ? branches.then_ran : branches.else_ran) = true;
    }
    data.resize(outputs);
  }

  bool complete() const { return warnings().empty(); }

  std::vector<std::string> warnings() const {
    std::vector<std::string> result;
    for (const auto& [model, all] : seen_) {
      for (const auto& [label, then_ran, else_ran] : all) {
        if (then_ran && else_ran) continue;
        result.push_back(
            fmt::format("{}: the {} branch never ran and was not compared; --range, --seed or --inputs "
                        "may reach it",
                        label, then_ran ? "else" : "then"));
      }
    }
    return result;
  }

 private:
  struct Branches {
    std::string label;
    bool then_ran, else_ran;
  };
  std::map<size_t, std::vector<Branches>> seen_;
};

bool is_about_the_machine(ErrorCode code) {
  return code == ErrorCode::kUnsupported || code == ErrorCode::kDevice || code == ErrorCode::kInternal;
}

constexpr int kDraws = 4;

class Verification {
 public:
  Verification(const Model& fused, const std::vector<Model>& originals, const SessionFactory& sessions,
               const VerifyOptions& options)
      : fused_(fused),
        originals_(originals),
        factory_(sessions),
        original_factory_(options.original_sessions ? options.original_sessions : sessions),
        options_(options) {}

  Result<VerifyReport> run() {
    MTS_ASSIGN(pairing_, Pairing::create(fused_, originals_));
    report_.structural = check_structure(fused_, originals_, pairing_.entries());
    MTS_ASSIGN(
        InputSource inputs,
        InputSource::open(pairing_.specs(), {options_.ranges, {}, options_.inputs_directory, options_.seed}));
    MTS_ASSIGN(const std::vector<std::vector<Binding>> trials, trials_for(inputs));
    for (size_t m = 0; m < originals_.size(); ++m) {
      const std::vector<ValueId> conditions = branches_.watch(m, originals_[m]);
      if (!conditions.empty()) watched_.push_back(with_outputs(originals_[m], conditions));
      MTS_ASSIGN(sessions_.emplace_back(),
                 original_factory_(conditions.empty() ? originals_[m] : watched_.back()));
      tolerances_.push_back(tolerances_of(originals_[m].graph));
      for (Tolerance& tolerance : tolerances_.back()) {
        if (tolerance.relative != 0) tolerance.relative = std::max(tolerance.relative, options_.tolerance);
      }
    }
    MTS_ASSIGN(fused_session_, factory_(fused_));
    Error last;
    for (const std::vector<Binding>& alternatives : trials) {
      bool ran = false;
      for (size_t i = 0; i < alternatives.size() && !ran; ++i) {
        MTS_ASSIGN(const std::vector<Datum> data, inputs.make(alternatives[i]));
        auto references = run_originals(data);
        if (!references) {
          if (is_about_the_machine(references.error().code)) return tl::unexpected(references.error());
          last = references.error();
          continue;
        }
        ran = true;
        MTS_ASSIGN(Run run, compare_all(data, *references));
        run.binding = alternatives[i];
        report_.runs.push_back(std::move(run));
        MTS_TRY(reach_branches(inputs, alternatives[i]));
      }
      if (!ran) {
        report_.warnings.push_back(
            fmt::format("no run with {}: {}", describe(alternatives.front()), last.to_string()));
      }
    }
    if (report_.runs.empty()) {
      last.message +=
          "; the originals run with none of the sizes and values that were tried: --dim, --range or "
          "--inputs give others";
      return tl::unexpected(last);
    }
    std::ranges::move(branches_.warnings(), std::back_inserter(report_.warnings));
    std::ranges::move(degeneracy_.warnings(), std::back_inserter(report_.warnings));
    return std::move(report_);
  }

 private:
  static std::string describe(const Binding& binding) {
    std::vector<std::string> parts;
    for (const auto& [symbol, size] : binding) parts.push_back(fmt::format("{}={}", symbol, size));
    return parts.empty() ? "the declared shapes" : fmt::format("{}", fmt::join(parts, ", "));
  }

  Result<std::vector<std::vector<Binding>>> trials_for(const InputSource& inputs) {
    const std::vector<NamedType> undrawn = inputs.undrawn();
    const std::vector<std::string> symbols = symbols_of(undrawn);
    MTS_ASSIGN(Binding fixed, resolve_dims(options_.dims, inputs.symbols()));
    for (const auto& [symbol, size] : inputs.fixed()) fixed[symbol] = size;
    if (options_.bindings.empty()) return default_bindings(undrawn, originals_.size(), fixed);
    std::vector<std::vector<Binding>> trials;
    for (Binding binding : options_.bindings) {
      for (const auto& [symbol, size] : fixed) binding[symbol] = size;
      for (const std::string& symbol : symbols) binding.emplace(symbol, 1);
      trials.push_back({std::move(binding)});
    }
    return trials;
  }

  // More draws while branches are left that never ran.
  Result<void> reach_branches(const InputSource& inputs, const Binding& binding) {
    for (int draw = 1; draw < kDraws && !branches_.complete(); ++draw) {
      MTS_ASSIGN(const std::vector<Datum> data, inputs.make(binding, draw));
      const auto references = run_originals(data);
      if (!references) return {};  // not with these numbers
      MTS_ASSIGN(Run run, compare_all(data, *references));
      run.binding = binding;
      report_.runs.push_back(std::move(run));
    }
    return {};
  }

  Result<std::vector<std::vector<Datum>>> run_originals(const std::vector<Datum>& data) {
    std::vector<std::vector<Datum>> results;
    for (size_t m = 0; m < originals_.size(); ++m) {
      Result<std::vector<Datum>> outputs = sessions_[m]->run(pairing_.inputs_of(m, data));
      if (!outputs) {
        Error error = std::move(outputs).error();
        if (error.where.file.empty())
          error.where.file = originals_[m].path.empty() ? originals_[m].name : originals_[m].path;
        return tl::unexpected(std::move(error));
      }
      branches_.note(m, originals_[m].graph.outputs().size(), *outputs);
      results.push_back(std::move(*outputs));
    }
    return results;
  }

  Result<Run> compare_all(const std::vector<Datum>& data, const std::vector<std::vector<Datum>>& references) {
    Run run;
    const Result<std::vector<Datum>> outputs = fused_session_->run(data);
    if (!outputs && is_about_the_machine(outputs.error().code)) return tl::unexpected(outputs.error());
    for (size_t m = 0; m < originals_.size(); ++m) {
      const Graph& graph = originals_[m].graph;
      for (size_t i = 0; i < graph.outputs().size(); ++i) {
        const std::string& name = graph.value(graph.outputs()[i]).name;
        const std::string& mapped = pairing_.fused_output(m, i);
        if (!outputs) {
          run.outputs.push_back(
              {mapped, false, 0, 0, "the fused model does not run: " + outputs.error().to_string()});
          continue;
        }
        const Datum& reference = references[m][i];
        const Datum& fused = (*outputs)[pairing_.fused_position(mapped)];
        OutputDifference difference = compare(mapped, reference, fused, tolerances_[m][i]);
        if (!difference.passed) {
          MTS_ASSIGN(const bool tie, is_tie(m, i, data, reference, fused));
          if (tie) difference.passed = true, difference.error = 0, difference.reason.clear();
        }
        degeneracy_.note(m, name, mapped, reference);
        run.outputs.push_back(std::move(difference));
      }
    }
    return run;
  }

  // Runs the original once more with the indexed values as an output.
  Result<bool> is_tie(size_t m, size_t position, const std::vector<Datum>& data, const Datum& reference,
                      const Datum& fused) {
    const Model& original = originals_[m];
    const std::optional<IndexOutput> index = index_output(original.graph, position);
    if (!index || reference.tensor() == nullptr || fused.tensor() == nullptr) return false;
    const Model instrumented = with_outputs(original, {index->data});
    MTS_ASSIGN(const std::unique_ptr<Session> session, original_factory_(instrumented));
    MTS_ASSIGN(const std::vector<Datum> outputs, session->run(pairing_.inputs_of(m, data)));
    const Tensor* values = outputs.back().tensor();
    if (values == nullptr || !is_float(values->dtype())) return false;
    const double relative = std::max({tolerance_of(values->dtype()),
                                      tolerances_of(instrumented.graph).back().relative, options_.tolerance});
    return ties(*index, *values, *reference.tensor(), *fused.tensor(), relative);
  }

  const Model& fused_;
  const std::vector<Model>& originals_;
  const SessionFactory& factory_;
  const SessionFactory& original_factory_;
  const VerifyOptions& options_;
  Pairing pairing_;
  std::vector<std::unique_ptr<Session>> sessions_;
  std::unique_ptr<Session> fused_session_;
  std::vector<std::vector<Tolerance>> tolerances_;
  std::deque<Model> watched_;  // sessions refer to them
  BranchCoverage branches_;
  Degeneracy degeneracy_;
  VerifyReport report_;
};

}  // namespace
}  // namespace check

bool VerifyReport::passed() const {
  const bool structure =
      std::ranges::all_of(structural, [](const Structural& s) { return s.passed || !s.enforced; });
  const bool numbers = std::ranges::all_of(
      runs, [](const Run& run) { return std::ranges::all_of(run.outputs, &OutputDifference::passed); });
  return structure && numbers && !runs.empty();
}

Result<VerifyReport> verify(const Model& fused, const std::vector<Model>& originals,
                            const SessionFactory& sessions, const VerifyOptions& options) {
  return check::Verification(fused, originals, sessions, options).run();
}

}  // namespace mts
