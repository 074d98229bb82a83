// Models in groups that run one after another.
//
// In: a program over all models and the groups. Out: the same work, its columns divided by group: all columns
// of the first group, then those of the second, ... Members stay what they are; one that stands for nodes of
// several groups runs in the first of them. Weights are numbered as before, so one that two groups read is
// still stored once.
#pragma once

#include "plan/program.h"

#include <cstdint>
#include <span>
#include <vector>

namespace mts {

using Groups = std::vector<std::vector<uint32_t>>;  // models, in the order in which they run

// All models in one group, in file order.
Groups one_group(size_t models);

// `groups`: every model in exactly one of them.
Program in_groups(const Program& program, const Groups& groups);

// The work of some models only. `models` of the result are still all.
Program of_models(const Program& program, std::span<const uint32_t> chosen);

}  // namespace mts
