#include "plan/schedule.h"

#include <cstddef>

namespace mts {
namespace {

class Scheduler {
 public:
  Scheduler(const Program& program, const std::vector<ColumnPlan>& columns)
      : program_(program), columns_(columns), lane_of_(columns.size()), placed_(columns.size()) {
    for (size_t c = 0; c < columns.size(); ++c) {
      lane_of_[c].resize(program.columns[c].members.size());
      placed_[c].resize(columns[c].lanes.size(), false);
      for (uint32_t l = 0; l < columns[c].lanes.size(); ++l)
        for (const uint32_t m : columns[c].lanes[l].members) lane_of_[c][m] = l;
    }
  }

  void place_producer(Number number) {
    if (number == kNoNumber || !program_.sources[number].produced()) return;
    const ValueSource& source = program_.sources[number];
    place({source.column, lane_of_[source.column][source.member]});
  }

  // The lane after all that it needs. No recursion: networks are deep.
  void place(LaneRef root) {
    enter(root);
    while (!open_.empty()) {
      if (open_.back().next == open_.back().operands.size()) {
        order_.push_back(open_.back().lane);
        open_.pop_back();
        continue;
      }
      const ValueSource& source = program_.sources[open_.back().operands[open_.back().next++]];
      if (source.produced()) enter({source.column, lane_of_[source.column][source.member]});
    }
  }

  std::vector<LaneRef> take() { return std::move(order_); }

 private:
  struct Open {
    LaneRef lane;
    std::vector<Number> operands;
    size_t next = 0;
  };

  void enter(LaneRef lane) {
    if (placed_[lane.column][lane.lane]) return;
    placed_[lane.column][lane.lane] = true;
    Open open{.lane = lane, .operands = {}};
    for (const uint32_t m : columns_[lane.column].lanes[lane.lane].members) {
      const Member& member = program_.columns[lane.column].members[m];
      for (const auto* numbers : {&member.operands, &member.captures})
        for (const Number number : *numbers)
          if (number != kNoNumber) open.operands.push_back(number);
    }
    open_.push_back(std::move(open));
  }

  const Program& program_;
  const std::vector<ColumnPlan>& columns_;
  std::vector<std::vector<uint32_t>> lane_of_;  // [column][member]
  std::vector<std::vector<bool>> placed_;       // [column][lane]
  std::vector<Open> open_;
  std::vector<LaneRef> order_;
};

}  // namespace

std::vector<LaneRef> schedule(const Program& program, const std::vector<ColumnPlan>& columns,
                              const Groups& groups) {
  Scheduler scheduler(program, columns);
  for (const std::vector<uint32_t>& group : groups)
    for (const uint32_t model : group)
      for (const Number output : program.outputs[model]) scheduler.place_producer(output);
  for (uint32_t c = 0; c < columns.size(); ++c)  // what no output needs, should there be any
    for (uint32_t l = 0; l < columns[c].lanes.size(); ++l) scheduler.place({c, l});
  return scheduler.take();
}

}  // namespace mts
