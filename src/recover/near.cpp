// near: W_m within the bound of another model's W -> W. The first model's is kept; what is near to none of
// those kept so far is kept, too, so that errors do not add up along a chain.
#include "recover/kinds.h"

#include <algorithm>
#include <cmath>
#include <optional>

namespace mts::recover_detail {
namespace {

// A last bit of these operands can change the size of the output.
bool sets_sizes(const Node& node) { return node.is("Resize") || node.is("Upsample") || node.is("Range"); }

// The error of taking `kept` for `own`, or nothing when it is above the bound.
std::optional<double> error_within(const Elements& own, const Elements& kept, double bound,
                                   bool each_element) {
  const double largest = own.largest();
  double error = 0;
  for (size_t i = 0; i < own.size(); ++i) {
    const double difference = std::abs(own[i] - kept[i]);
    if (difference > bound * (each_element ? std::abs(own[i]) : largest)) return std::nullopt;
    error = std::max(error, difference);
  }
  return largest > 0 ? error / largest : 0;
}

}  // namespace

void recover_near(Rewriter& rewriter, const Place& place, double bound, Seen& seen,
                  std::vector<Recovered>& done) {
  std::vector<Member> members;
  for (const Member& member : place.members)
    if (seen.emplace(member.model, member.value).second) members.push_back(member);
  if (members.empty() || sets_sizes(rewriter.node(members.front()))) return;
  const std::vector<Content> contents = contents_of(rewriter.models(), members);
  if (contents.size() < 2) return;
  // A normalisation divides by the root of its variance: small ones matter as much as large ones.
  const Node& node = rewriter.node(members.front());
  const bool each_element = node.is("BatchNormalization") && place.slot == 4;

  std::vector<const Elements*> kept;
  for (const Content& content : contents) {
    if (!content.elements->is_comparable()) continue;
    std::optional<double> error;
    for (const Elements* candidate : kept) {
      error = error_within(*content.elements, *candidate, bound, each_element);
      if (!error) continue;
      for (const Member& member : content.members) {
        done.push_back(rewriter.describe(member, Recovered::Kind::kNear, *error));
        rewriter.models()[member.model].graph.value(member.value).weight = candidate->weight();
      }
      break;
    }
    if (!error) kept.push_back(content.elements.get());
  }
}

}  // namespace mts::recover_detail
