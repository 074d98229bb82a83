#include "recover/kinds.h"

#include <mts/align.h>
#include <mts/model_io.h>
#include <mts/recover.h>
#include <mts/share.h>

#include <algorithm>
#include <utility>

namespace mts {

std::string_view name_of(Recovered::Kind kind) {
  switch (kind) {
    case Recovered::Kind::kNear:
      return "near";
    case Recovered::Kind::kScaled:
      return "scaled";
    case Recovered::Kind::kLowrank:
      return "lowrank";
  }
  return "";
}

Result<RecoverReport> recover(std::vector<Model>& models, const RecoverOptions& options) {
  RecoverReport report;
  if (!options.any() || models.size() < 2) return report;
  for (Model& model : models) MTS_TRY(infer_types(model));
  const WeightClasses classes = classify_weights(models);
  const Alignment alignment = align(models, classes, number_values(models, classes, {}));
  const std::vector<recover_detail::Place> places = recover_detail::find_places(models, alignment);
  recover_detail::Rewriter rewriter(models);
  if (options.near > 0) {
    recover_detail::Seen seen;
    for (const recover_detail::Place& place : places)
      recover_detail::recover_near(rewriter, place, options.near, seen, report.weights);
  }
  std::vector<Recovered> lowrank;
  for (const recover_detail::Place& place : places) {
    if (place.slot != 1) continue;  // of products
    std::vector<recover_detail::Member> members = place.members;
    if (options.scaled > 0)
      members = recover_detail::recover_scaled(rewriter, std::move(members), options.scaled, report.weights);
    if (options.lowrank > 0) recover_detail::recover_lowrank(rewriter, members, options.lowrank, lowrank);
  }
  std::ranges::move(lowrank, std::back_inserter(report.weights));
  for (Model& model : models) {
    MTS_TRY(model.graph.sort());
    MTS_TRY(verify_ir(model));
  }
  return report;
}

}  // namespace mts
