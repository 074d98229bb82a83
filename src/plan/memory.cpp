#include "plan/memory.h"

#include "plan/cost.h"
#include "rules/rule.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <set>

namespace mts {
namespace {

constexpr double kAlignment = 64;  // of the blocks of an arena
constexpr uint32_t kNoBlock = 0xffffffffu;

bool is_reshape(const Node& node) {
  return node.is("Reshape") || node.is("Flatten") || node.is("Squeeze") || node.is("Unsqueeze") ||
         node.is("Identity");
}

class Simulation {
 public:
  Simulation(const Program& program, const std::vector<ColumnPlan>& columns)
      : program_(program), columns_(columns), block_of_(program.types.size(), kNoBlock) {}

  void run(LaneRef ref) {
    const Column& column = program_.columns[ref.column];
    const LanePlan& lane = columns_[ref.column].lanes[ref.lane];
    std::map<uint32_t, int64_t> reads;  // by block
    size_t positions = 0;
    for (const uint32_t m : lane.members) {
      const Member& member = column.members[m];
      positions = std::max(positions, member.operands.size());
      for (const auto* numbers : {&member.operands, &member.captures})
        for (const Number number : *numbers)
          if (number != kNoNumber && block_of_[number] != kNoBlock) ++reads[block_of_[number]];
    }
    double made = 0;
    int64_t readers = 0;
    for (const uint32_t m : lane.members)
      for (const Number output : column.members[m].outputs)
        if (output != kNoNumber) {
          made += bytes(output);
          readers += program_.use_counts[output];
        }
    const uint32_t in_place = written_in_place(column, lane, reads, made);
    const uint32_t block = in_place != kNoBlock ? in_place : add(made);
    double copies = 0;
    if (lane.fused())
      for (size_t i = 0; i < positions; ++i) copies += copied(column, lane, i);
    peak_ = std::max(peak_, live_ + copies);
    blocks_[block].readers += readers;
    for (const uint32_t m : lane.members)
      for (const Number output : column.members[m].outputs)
        if (output != kNoNumber) block_of_[output] = block;
    for (const auto& [read, times] : reads) blocks_[read].readers -= times;
    for (const auto& [read, times] : reads) free_if_done(read);
    free_if_done(block);
  }

  double peak() const { return peak_; }

 private:
  struct Block {
    double bytes = 0;
    int64_t readers = 0;  // still to come
  };

  double bytes(Number number) const { return program_.types[number].has_rank() ? program_.bytes[number] : 0; }
  static double aligned(double bytes) { return std::ceil(bytes / kAlignment) * kAlignment; }
  uint32_t add(double bytes) {
    const double size = aligned(bytes);
    blocks_.push_back({.bytes = size});
    live_ += size;
    return static_cast<uint32_t>(blocks_.size() - 1);
  }
  void free_if_done(uint32_t block) {
    if (blocks_[block].readers > 0) return;
    live_ -= blocks_[block].bytes;
    blocks_[block].bytes = 0;
  }

  // A block that the lane may write over: as large as what it makes, and read by nothing afterwards.
  uint32_t written_in_place(const Column& column, const LanePlan& lane,
                            const std::map<uint32_t, int64_t>& reads, double made) const {
    const Node& node = program_.node(column.members[lane.members.front()]);
    if (!is_elementwise(node) && !is_reshape(node)) return kNoBlock;
    for (const auto& [read, times] : reads)
      if (blocks_[read].readers == times && blocks_[read].bytes == aligned(made)) return read;
    return kNoBlock;
  }

  // Bytes that are copied to bring operand `i` of all members together.
  double copied(const Column& column, const LanePlan& lane, size_t i) const {
    if (i >= lane.option.operands.size() || !lane.option.operands[i].is_fused()) return 0;
    double sum = 0;
    bool together = true, constant = true;
    uint32_t first = kNoBlock;
    for (const uint32_t m : lane.members) {
      const auto& operands = column.members[m].operands;
      if (i >= operands.size() || operands[i] == kNoNumber) return 0;
      constant &= program_.weights[operands[i]] != nullptr;
      const uint32_t block = block_of_[operands[i]];
      if (first == kNoBlock) first = block;
      together &= block != kNoBlock && block == first;
      sum += bytes(operands[i]);
    }
    return together || constant ? 0 : sum;
  }

  const Program& program_;
  const std::vector<ColumnPlan>& columns_;
  std::vector<uint32_t> block_of_;  // [number]
  std::vector<Block> blocks_;
  double live_ = 0, peak_ = 0;
};

}  // namespace

namespace {

// Of constants that a lane wants put together although it, or another place, has them more than once: those
// beyond the first (netfuse, whose members share a weight and get one each).
double repeated_bytes(const Program& program, const Column& column, const LanePlan& lane) {
  double sum = 0;
  for (size_t i = 0; i < lane.option.operands.size(); ++i) {
    if (!lane.option.operands[i].is_fused()) continue;
    std::set<Number> seen;
    for (const uint32_t m : lane.members) {
      const Number number = column.members[m].operands[i];
      if (number != kNoNumber && program.weights[number] != nullptr && !seen.insert(number).second)
        sum += static_cast<double>(program.weights[number]->byte_size());
    }
  }
  return sum;
}

}  // namespace

PredictedMemory predicted_memory(const Program& program, const std::vector<ColumnPlan>& columns,
                                 std::span<const LaneRef> order) {
  PredictedMemory memory;
  for (const WeightPtr& weight : program.weights)
    if (weight != nullptr) memory.constants += static_cast<double>(weight->byte_size());
  for (size_t c = 0; c < columns.size(); ++c)
    for (const LanePlan& lane : columns[c].lanes)
      if (lane.fused()) memory.constants += repeated_bytes(program, program.columns[c], lane);
  Simulation simulation(program, columns);
  for (const LaneRef lane : order) simulation.run(lane);
  memory.activations = simulation.peak();
  return memory;
}

}  // namespace mts
