#include "exec/cpu/attention.h"

#include "exec/attention_parts.h"
#include "exec/cpu/parallel.h"
#include "exec/cpu/tile_ops.h"
#include "exec/geometry.h"

#include <algorithm>
#include <vector>

#include <omp.h>

namespace mts::exec {
namespace {

constexpr int64_t kPanel = 16;  // columns of a packed panel (tile_ops.h)
int64_t padded(int64_t n) { return (n + kPanel - 1) / kPanel * kPanel; }

// Rows of q at a time: their scores are to stay in the cache.
int64_t tile_rows(const AttentionExtents& e) {
  constexpr int64_t kFloats = 16 * 1024, kMost = 64, kLeast = 4;
  return std::clamp(kFloats / e.columns / 4 * 4, kLeast, kMost);
}

// One thread's scratch: where its parts begin, in floats.
struct Scratch {
  int64_t k = 0, v, q, scores, operand, end;
  explicit Scratch(const AttentionExtents& e)
      : v(padded(e.columns) * e.depth),
        q(v + padded(e.width) * e.columns),
        scores(q + padded(tile_rows(e) * e.depth)),
        operand(scores + padded(tile_rows(e) * e.columns)),
        end(padded(operand + e.columns)) {}
};

class AttentionKernel final : public Kernel {
 public:
  AttentionKernel(const ExecPlan& plan, const Step& step)
      : extents_(extents_of(step)),
        strides_(step.strides),
        inputs_{step.inputs[0], step.inputs[1], step.inputs[2]},
        output_(step.outputs[0]),
        work_(scores_work(plan, step)),
        factor_(leading_factor(work_)),
        scratch_(extents_),
        threads_(std::max(1, omp_get_max_threads())) {
    heads_ = mts::element_count(extents_.batch);
    // Where there are few heads, their rows are split, too: then k and v are packed more than once.
    constexpr int64_t kLeastRows = 64;
    if (heads_ < 2 * threads_) {
      const int64_t wanted = (2 * threads_ + heads_ - 1) / heads_;
      pieces_ = std::clamp<int64_t>(extents_.rows / kLeastRows, 1, threads_ == 1 ? 1 : wanted);
    }
  }

  uint64_t workspace_bytes() const override {
    return static_cast<uint64_t>(threads_) * static_cast<uint64_t>(scratch_.end) * sizeof(float);
  }

  Result<void> launch(const Pointers& pointers) override {
    constexpr int64_t kOperationsAnElement = 12;  // as `parallel` counts work
    const int64_t operations =
        2 * heads_ * extents_.rows * extents_.columns * (extents_.depth + extents_.width);
    parallel(heads_ * pieces_, operations / kOperationsAnElement, [&](int64_t begin, int64_t end) {
      float* const own = reinterpret_cast<float*>(pointers.workspace) + omp_get_thread_num() * scratch_.end;
      int64_t packed = -1;
      for (int64_t i = begin; i < end; ++i) {
        const int64_t head = i / pieces_, piece = i % pieces_;
        if (head != packed) pack(pointers, head, own);
        packed = head;
        const int64_t first = extents_.rows * piece / pieces_, last = extents_.rows * (piece + 1) / pieces_;
        for (int64_t row = first; row < last; row += tile_rows(extents_))
          attend(pointers, head, row, std::min(tile_rows(extents_), last - row), own);
      }
    });
    return {};
  }

 private:
  // Elements from a value's beginning to what belongs to the head.
  int64_t offset(const std::vector<int64_t>& strides, int64_t head) const {
    int64_t result = 0;
    for (size_t axis = extents_.batch.size(); axis-- > 0;) {
      result += head % extents_.batch[axis] * strides[axis];
      head /= extents_.batch[axis];
    }
    return result;
  }
  const float* operand(const Pointers& pointers, size_t i, int64_t head) const {
    return reinterpret_cast<const float*>(pointers[inputs_[i]]) + offset(strides_[i], head);
  }
  int64_t row_stride(size_t i) const { return strides_[i][extents_.batch.size()]; }
  int64_t column_stride(size_t i) const { return strides_[i][extents_.batch.size() + 1]; }

  void pack(const Pointers& pointers, int64_t head, float* own) const {
    const auto pack_one = [&](size_t i, float* to, int64_t columns, int64_t k) {
      const float* const from = operand(pointers, i, head);
      if (column_stride(i) == 1) {
        tile_ops().pack_rows(to, from, row_stride(i), columns, k);
      } else {
        tile_ops().pack_columns(to, from, column_stride(i), columns, k);
      }
    };
    float* const k = own + scratch_.k;
    pack_one(1, k, extents_.columns, extents_.depth);
    if (factor_ != 1.f)
      tile_ops().elementwise[static_cast<size_t>(ElementOp::kLinear)](k, k, k, scratch_.v, factor_, 0.f);
    pack_one(2, own + scratch_.v, extents_.width, extents_.columns);
  }

  void attend(const Pointers& pointers, int64_t head, int64_t first, int64_t count, float* own) const {
    const TileOps& ops = tile_ops();
    const int64_t columns = extents_.columns, depth = extents_.depth;
    float* const scores = own + scratch_.scores;
    const float* queries = operand(pointers, 0, head) + first * row_stride(0);
    int64_t leading = row_stride(0);
    if (column_stride(0) != 1) {
      float* const copy = own + scratch_.q;
      for (int64_t r = 0; r < count; ++r) {
        for (int64_t d = 0; d < depth; ++d) copy[r * depth + d] = queries[r * leading + d * column_stride(0)];
      }
      queries = copy;
      leading = depth;
    }
    ops.multiply(scores, columns, queries, leading, own + scratch_.k, count, columns, depth);
    for (const ScoresWork& work : work_) apply(pointers, work, head, first, count, own);
    ops.softmax_rows(scores, count, columns);
    float* const to =
        reinterpret_cast<float*>(pointers[output_]) + offset(strides_[3], head) + first * row_stride(3);
    ops.multiply(to, row_stride(3), scores, columns, own + scratch_.v, count, extents_.width, columns);
  }

  void apply(const Pointers& pointers, const ScoresWork& work, int64_t head, int64_t first, int64_t count,
             float* own) const {
    const Instruction& i = work.instruction;
    const TileOp op = tile_ops().elementwise[static_cast<size_t>(i.op)];
    const int64_t columns = extents_.columns;
    float* const scores = own + scratch_.scores;
    if (work.other == kAbsent) return op(scores, scores, scores, count * columns, i.alpha, i.beta);
    const int64_t row = work.strides[extents_.batch.size()], column = work.strides[extents_.batch.size() + 1];
    const float* other =
        reinterpret_cast<const float*>(pointers[work.other]) + offset(work.strides, head) + first * row;
    const auto run = [&](float* x, const float* y, int64_t n) {
      op(x, work.scores_first ? x : y, work.scores_first ? y : x, n, i.alpha, i.beta);
    };
    if (column == 1 && row == columns) return run(scores, other, count * columns);
    for (int64_t r = 0; r < count; ++r, other += row) {
      const float* line = other;
      if (column == 0) {
        std::fill_n(own + scratch_.operand, columns, *other);
        line = own + scratch_.operand;
      }
      run(scores + r * columns, line, columns);
    }
  }

  AttentionExtents extents_;
  std::vector<std::vector<int64_t>> strides_;
  ValueIndex inputs_[3], output_;
  std::vector<ScoresWork> work_;
  float factor_;
  Scratch scratch_;
  int threads_;
  int64_t heads_ = 1, pieces_ = 1;
};

}  // namespace

bool accepts_attention(const ExecPlan& plan, const Step& step) {
  if (step.op != kAttention || step.strides.size() != 5) return false;
  const AttentionExtents e = extents_of(step);
  if (mts::element_count(step.strides[4]) == 0) return false;
  for (ValueIndex v : step.inputs) {
    if (plan.value(v).dtype != DType::kFloat32 || !plan.value(v).is_static) return false;
  }
  // An operand is packed by rows or by columns; along an axis of one element any stride will do.
  const auto is_dense = [&](size_t i, int64_t rows, int64_t columns) {
    const int64_t row = step.strides[i][e.batch.size()], column = step.strides[i][e.batch.size() + 1];
    return column == 1 || row == 1 || (rows == 1 && columns == 1);
  };
  if (!is_dense(1, e.depth, e.columns) || !is_dense(2, e.columns, e.width)) return false;
  const Dims scores = scores_dims(step);
  for (size_t i = 3; i < step.inputs.size(); ++i) {
    const auto whole = broadcast(plan.value(step.inputs[i]).dims, scores);
    if (!whole || *whole != scores) return false;
  }
  constexpr int64_t kMostScratch = 1 << 20;  // floats
  return Scratch(e).end <= kMostScratch;
}

Result<std::unique_ptr<Kernel>> make_attention(const ExecPlan& plan, const Step& step) {
  return std::make_unique<AttentionKernel>(plan, step);
}

}  // namespace mts::exec
