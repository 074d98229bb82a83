// What the user is told, and what the fused file says about itself.
#pragma once

#include "plan/plan.h"

#include <mts/share.h>
#include <mts/stitch.h>

#include <string>
#include <utility>
#include <vector>

namespace mts {

// Facts of the inputs that canonicalisation would hide: taken before it.
std::vector<StitchReport::Input> describe_inputs(const std::vector<Model>& models);

// Bytes of the float and quantised constants: of a model, counted as often as they are stored; of all models,
// each content that is read counted once.
uint64_t weight_bytes(const Model& model);
uint64_t unique_weight_bytes(const WeightClasses& classes);

// What a plan is predicted and was measured to take.
void describe_prices(const Plan& plan, StitchReport& report);
// Strategies, refusals, groups and prices of a plan.
void describe_plan(const Program& program, const Plan& plan, StitchReport& report);

// The groups' models as JSON: [["a","b"],["c"]].
std::string groups_text(const std::vector<StitchReport::Group>& groups);

// What the graph inputs and outputs of a model are called in the file and in the fused one.
struct Ports {
  std::vector<std::pair<std::string, std::string>> inputs, outputs;
};
std::vector<Ports> ports_of(const std::vector<Model>& models, const std::vector<SharedInput>& shared_inputs);

// The `mts.*` entries of the fused model: see the README, "What a fused file says about itself".
Metadata fused_metadata(const std::vector<Ports>& ports, const StitchOptions& options,
                        const std::string& target, const StitchReport& report);

}  // namespace mts
