#include "ir/attribute.h"

#include <algorithm>
#include <bit>
#include <type_traits>

namespace mts {
namespace {

bool same_bits(float a, float b) { return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b); }

bool same_tensor(const WeightPtr& a, const WeightPtr& b) {
  return a->dims() == b->dims() && a->same_content(*b);
}

}  // namespace

bool same_value(const AttributeValue& a, const AttributeValue& b) {
  if (a.index() != b.index()) return false;
  return std::visit(
      [&]<class T>(const T& value) {
        const T& other = std::get<T>(b);
        if constexpr (std::is_same_v<T, float>) {
          return same_bits(value, other);
        } else if constexpr (std::is_same_v<T, std::vector<float>>) {
          return std::ranges::equal(value, other, same_bits);
        } else if constexpr (std::is_same_v<T, WeightPtr>) {
          return same_tensor(value, other);
        } else if constexpr (std::is_same_v<T, std::vector<WeightPtr>>) {
          return std::ranges::equal(value, other, same_tensor);
        } else if constexpr (std::is_same_v<T, std::shared_ptr<Graph>> ||
                             std::is_same_v<T, std::vector<std::shared_ptr<Graph>>>) {
          return false;
        } else {
          return value == other;
        }
      },
      a);
}

}  // namespace mts
