// A batching rule: how an operator runs for several members at once.
//
// To add one: write `propose` and `emit` in the file of the operator's family (or use a factory of
// factories.h) and add a line to the table in table.cpp. `propose` lists every legal way for the placements
// at hand; `emit` writes one of them. The property test runs every rule of the table over every mapping of
// its operands: add a case for it there.
#pragma once

#include "rules/builder.h"
#include "rules/lane.h"

#include <mts/error.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mts {

struct Proposal {
  std::vector<Option> options;
  std::string refusal;  // why there is none, or why the obvious one is missing

  static Proposal refuse(std::string reason) { return {{}, std::move(reason)}; }
};

struct Rule {
  std::string_view op_type;
  std::string_view domain;
  Proposal (*propose)(const Lane& lane);
  // `operands` are fused values in the forms that the option asked for (kNoValue for absent ones); returns
  // the outputs in the forms that it promised.
  std::vector<ValueId> (*emit)(const Lane& lane, const Option& option, std::span<const ValueId> operands,
                               Builder& builder);
};

// Null when the operator has no rule: its nodes then stay apart.
const Rule* find_rule(const Node& node);
std::span<const Rule> all_rules();

// Whether each element of the output depends on one element of each operand: unary and broadcasting
// operators, and BatchNormalization with its constants.
bool is_elementwise(const Node& node);

// The rule's proposal with everything illegal taken out: options whose operands or outputs cannot be placed
// because shapes differ, and lanes whose attributes differ. A refusal always carries a reason.
Proposal propose(const Lane& lane);

// Whether all members' attributes are equal (tensors by content, subgraphs never); else the name of one that
// differs.
std::string differing_attribute(std::span<const Node* const> nodes);

}  // namespace mts
