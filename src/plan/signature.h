// When two sets of models are planned alike.
//
// In: a program and some of its models. Out: a digest of all that the planner sees of them: per column the
// members' operators, types, and which numbers are equal, numbers being counted from the first that occurs.
// Sets of equal signatures have equal plans and costs, so that each kind is planned once.
#pragma once

#include "plan/program.h"

#include <compare>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

namespace mts {

struct Signature {
  uint64_t low = 0, high = 0;
  auto operator<=>(const Signature&) const = default;
};

class Signatures {
 public:
  explicit Signatures(const Program& program);
  // `models`: in the order in which they would run.
  Signature of(std::span<const uint32_t> models);

 private:
  struct Place {
    uint32_t column, member, kind;  // kind: members of a column with equal attributes
  };
  void number_models();
  Signature read(std::span<const uint32_t> models);

  const Program& program_;
  std::vector<std::vector<Place>> places_;  // [model], in the order of the columns
  std::vector<uint32_t> type_kinds_;        // [number]: equal types, constness and single use
  std::vector<uint32_t> local_;             // [number]: its place among those of the set
  std::vector<uint32_t> stamp_;             // [number]: the set for which local_ holds
  uint32_t set_ = 0;
  std::vector<uint32_t> kind_of_model_;   // equal for models that read and make the same, names aside
  std::map<Signature, Signature> known_;  // by the digest of the kinds
};

}  // namespace mts
