// Runs the rules on hand-built lanes: for every mapping of the operands and every placement at hand, whatever
// a rule offers is emitted, run with the reference evaluator and compared with the members run one by one.
#pragma once

#include <mts/graph.h>
#include <mts/weight.h>

#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

namespace mts::testing {

// One operand position.
struct Slot {
  // Sizes, comma-separated: a number, or a letter. N, H, W, S and T vary and may be symbolic; K, L are static
  // sizes.
  std::string dims;
  // What the operand may be: o once, m mapped (activations), O once, M mapped (constants), - absent.
  std::string kinds = "om";
  DType dtype = DType::kFloat32;
  double low = -2, high = 2;  // where values are drawn from
  WeightPtr fixed;            // this constant, and nothing else

  Slot in(double from, double to) const;
  Slot as(DType type) const;
};
Slot activation(std::string dims);             // "om"
Slot weight(std::string dims);                 // "OM"
Slot optional(Slot slot);                      // may be absent too
Slot any(std::string dims);                    // "omOM"
Slot numbers(std::vector<int64_t> values);     // a fixed int64 vector
Slot number(int64_t value);                    // a fixed int64 scalar
Slot fixed_floats(std::vector<float> values);  // a fixed vector
Slot absent();

struct Expected {
  std::string mapping;  // one letter an operand, as in Slot::kinds
  std::string option;   // "batch: concat(0) once -> concat(0)", see describe()
};

struct RuleCase {
  std::string name;  // of the test: the operator, and what is special
  std::string op;
  std::vector<Slot> slots;
  std::vector<Attribute> attributes = {};
  size_t outputs = 1;
  int64_t opset = 21;
  bool exact = false;                     // no arithmetic: equal bit for bit
  std::string ragged = {};                // letters that may also differ between members
  std::vector<Expected> legal = {};       // offered, whatever the sizes
  std::vector<std::string> refused = {};  // mappings for which nothing is offered, with a reason
  bool refuses_all = false;               // all of them
};

void PrintTo(const RuleCase& rule_case, std::ostream* out);

// Every case; defined in the files cases_*.cpp.
std::vector<RuleCase> all_cases();
std::vector<RuleCase> elementwise_cases();
std::vector<RuleCase> linear_cases();
std::vector<RuleCase> convolution_cases();
std::vector<RuleCase> normalization_cases();
std::vector<RuleCase> axis_cases();
std::vector<RuleCase> movement_cases();
std::vector<RuleCase> indexed_cases();
std::vector<RuleCase> shape_cases();
std::vector<RuleCase> other_cases();

// Runs a case through all its mappings and sizes and reports through GoogleTest.
void check(const RuleCase& rule_case);

}  // namespace mts::testing
