#include "exec/product.h"

#include "exec/geometry.h"

#include <algorithm>
#include <utility>

namespace mts::exec {
namespace {

Product fold(const Dims& a, const Dims& b) {
  Dims left = a, right = b;
  if (left.size() == 1) left.insert(left.begin(), 1);
  if (right.size() == 1) right.push_back(1);
  int64_t rows = left[left.size() - 2];
  const int64_t inner = left.back(), columns = right.back();
  std::vector<int64_t> left_batch(left.begin(), left.end() - 2), right_batch(right.begin(), right.end() - 2);
  const size_t rank = std::max(left_batch.size(), right_batch.size());
  left_batch.insert(left_batch.begin(), rank - left_batch.size(), 1);
  right_batch.insert(right_batch.begin(), rank - right_batch.size(), 1);
  while (!right_batch.empty() && right_batch.back() == 1) {
    rows *= left_batch.back();
    left_batch.pop_back();
    right_batch.pop_back();
  }
  std::vector<std::pair<int64_t, int64_t>> batch;
  for (size_t i = 0; i < left_batch.size(); ++i) {
    const int64_t x = left_batch[i], y = right_batch[i];
    if (x == 1 && y == 1) continue;
    if (!batch.empty()) {
      auto& [last_x, last_y] = batch.back();
      const bool both_equal = x == y && last_x == last_y, both_left = y == 1 && last_y == 1,
                 both_right = x == 1 && last_x == 1;
      if (both_equal || both_left || both_right) {
        last_x *= x;
        last_y *= y;
        continue;
      }
    }
    batch.emplace_back(x, y);
  }
  Product product;
  for (const auto& [x, y] : batch) {
    product.a.push_back(x);
    product.b.push_back(y);
    product.c.push_back(std::max(x, y));
  }
  product.a.insert(product.a.end(), {rows, inner});
  product.b.insert(product.b.end(), {inner, columns});
  product.c.insert(product.c.end(), {rows, columns});
  product.a_strides = row_major_strides(product.a);
  product.b_strides = row_major_strides(product.b);
  return product;
}

}  // namespace

Product product_of(const ExecPlan& plan, const Step& step) {
  const Dims& a = plan.value(step.inputs[0]).dims;
  const Dims& b = plan.value(step.inputs[1]).dims;
  if (step.op != "Gemm") return fold(a, b);
  const Node& node = plan.graph->node(step.node);
  Product product{a, b, {}, row_major_strides(a), row_major_strides(b)};
  if (node.int_or("transA", 0) != 0) {
    std::swap(product.a[0], product.a[1]);
    std::swap(product.a_strides[0], product.a_strides[1]);
  }
  if (node.int_or("transB", 0) != 0) {
    std::swap(product.b[0], product.b[1]);
    std::swap(product.b_strides[0], product.b_strides[1]);
  }
  product.c = {product.a[0], product.b[1]};
  return product;
}

}  // namespace mts::exec
