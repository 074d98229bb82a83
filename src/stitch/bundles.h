// Where the values of the models are in the fused graph: by themselves, or bundled with others in some
// placement. Hands them out in any form that is asked for, converting at most once.
#pragma once

#include "plan/program.h"
#include "rules/builder.h"
#include "rules/lane.h"

#include <map>
#include <span>
#include <vector>

namespace mts {

class Bundles {
 public:
  // `allow_duplicates`: weights may be put together offline even when they are also needed elsewhere.
  Bundles(const Program& program, bool allow_duplicates, Builder& builder)
      : program_(program),
        allow_duplicates_(allow_duplicates),
        builder_(builder),
        singles_(program.types.size(), kNoValue),
        bundle_of_(program.types.size(), {kNoBundle, 0}) {}

  void set_single(Number number, ValueId value) { singles_[number] = value; }
  void add(std::vector<Number> members, Placement placement, ValueId value);

  ValueId single(Number number);
  ValueId fused(const std::vector<Number>& members, Placement placement);

 private:
  static constexpr size_t kNoBundle = static_cast<size_t>(-1);
  struct Bundle {
    std::vector<Number> members;
    std::map<Placement, ValueId> forms;
    Placement first;  // the form that it was made in
    bool extracted = false;
  };
  std::vector<Type> types_of(std::span<const Number> members) const;
  ValueId form_of(Bundle& bundle, Placement placement);

  const Program& program_;
  bool allow_duplicates_;
  Builder& builder_;
  std::vector<ValueId> singles_;                      // [number]
  std::vector<std::pair<size_t, size_t>> bundle_of_;  // [number]: first bundle that holds it, position
  std::vector<Bundle> bundles_;
  std::map<std::vector<Number>, size_t> by_members_;
};

}  // namespace mts
