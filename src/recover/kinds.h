// The three kinds of recovery, each for one place. In: models whose constants at `place` may differ. Out: the
// models rewritten where the bound holds, and what was done appended to `done`.
#pragma once

#include "recover/places.h"
#include "recover/rewrite.h"

#include <mts/recover.h>

#include <set>
#include <utility>
#include <vector>

namespace mts::recover_detail {

// Constants (model, value) that were looked at once: one that is read in several places is decided in the
// first.
using Seen = std::set<std::pair<uint32_t, ValueId>>;

void recover_near(Rewriter& rewriter, const Place& place, double bound, Seen& seen,
                  std::vector<Recovered>& done);
// Returns the members that it left alone.
std::vector<Member> recover_scaled(Rewriter& rewriter, std::vector<Member> members, double bound,
                                   std::vector<Recovered>& done);
void recover_lowrank(Rewriter& rewriter, const std::vector<Member>& members, double bound,
                     std::vector<Recovered>& done);

}  // namespace mts::recover_detail
