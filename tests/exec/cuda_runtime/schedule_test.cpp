// Schedules as data: every dependency is kept by streams and events alone, values that may live at once never
// share memory, recordings fork from stream 0 and join it, and the same plan gives the same schedule.
#include "exec/schedule.h"

#include <algorithm>
#include <random>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mts::exec {
namespace {

// Plans of steps over arena values of 256 bytes each; names do not matter here.
class PlanMaker {
 public:
  ValueIndex value(uint64_t bytes = 256) {
    plan.roots.push_back({.storage = Storage::kArena, .slot = -1, .bytes = bytes});
    return part(static_cast<int32_t>(plan.roots.size() - 1), 0, bytes);
  }
  ValueIndex part(int32_t root, uint64_t offset, uint64_t bytes) {
    PlanValue v;
    v.dtype = DType::kFloat32;
    v.dims = {static_cast<int64_t>(bytes / 4)};
    v.is_static = true;
    v.root = root;
    v.offset = offset;
    v.bytes = bytes;
    plan.values.push_back(v);
    return static_cast<ValueIndex>(plan.values.size() - 1);
  }
  ValueIndex step(std::vector<ValueIndex> inputs, StepKind kind = StepKind::kKernel, uint64_t bytes = 256) {
    const ValueIndex output = value(bytes);
    add(std::move(inputs), {output}, kind);
    return output;
  }
  void add(std::vector<ValueIndex> inputs, std::vector<ValueIndex> outputs,
           StepKind kind = StepKind::kKernel) {
    Step s;
    s.kind = kind;
    s.inputs = std::move(inputs);
    s.outputs = std::move(outputs);
    if (kind == StepKind::kHost) {
      for (ValueIndex v : s.outputs) {
        Root& root = plan.roots[static_cast<size_t>(plan.value(v).root)];
        root.storage = Storage::kHost;
        root.slot = plan.datum_slots++;
      }
    }
    plan.steps.push_back(std::move(s));
  }
  ExecPlan plan;
};

void expect_legal(const ExecPlan& plan, int32_t max_streams) {
  const Schedule schedule = make_schedule(plan, max_streams);
  const HappensBefore before(plan, schedule);
  const auto dependencies = dependencies_of(plan);
  EXPECT_LE(schedule.streams, max_streams);
  std::multiset<int32_t> seen;
  for (const Segment& segment : schedule.segments) seen.insert(segment.steps.begin(), segment.steps.end());
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    const auto step = static_cast<int32_t>(i);
    EXPECT_EQ(seen.count(step), plan.steps[i].kind == StepKind::kView ? 0u : 1u) << "step " << i;
    for (int32_t other : dependencies[i]) {
      EXPECT_TRUE(before(other, step)) << "step " << step << " follows " << other << "\n"
                                       << to_string(schedule);
      EXPECT_FALSE(before(step, other));
    }
  }
  // Recordings: other streams come to life by waiting, and are waited for at the end.
  for (const Segment& segment : schedule.segments) {
    std::set<int32_t> alive = {0}, recorded, open;
    std::vector<int32_t> last_record(static_cast<size_t>(segment.events), -1);
    for (const Command& command : segment.commands) {
      if (command.kind == Command::Kind::kWait) {
        EXPECT_TRUE(recorded.contains(command.index)) << "an event is waited for before it is recorded";
        alive.insert(command.stream);
        if (command.stream == 0) open.erase(last_record[static_cast<size_t>(command.index)]);
      } else {
        EXPECT_TRUE(alive.contains(command.stream))
            << "stream " << command.stream << " is not in the recording";
      }
      if (command.kind == Command::Kind::kLaunch && command.stream != 0) open.insert(command.stream);
      if (command.kind == Command::Kind::kRecord) {
        EXPECT_TRUE(recorded.insert(command.index).second);
        last_record[static_cast<size_t>(command.index)] = command.stream;
      }
    }
    EXPECT_THAT(open, testing::IsEmpty()) << "streams that nothing joins\n" << to_string(schedule);
  }
  // Memory.
  const ArenaPlacement placement = place_on_device(plan, schedule);
  std::vector<std::vector<int32_t>> touching(plan.roots.size());
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    if (plan.steps[i].kind == StepKind::kView) continue;
    for (const auto* list : {&plan.steps[i].inputs, &plan.steps[i].outputs}) {
      for (ValueIndex v : *list)
        touching[static_cast<size_t>(plan.value(v).root)].push_back(static_cast<int32_t>(i));
    }
  }
  const auto ordered = [&](size_t a, size_t b) {
    for (int32_t x : touching[a])
      for (int32_t y : touching[b])
        if (!before(x, y)) return false;
    return true;
  };
  for (size_t a = 0; a < plan.roots.size(); ++a) {
    if (placement.offsets[a] == ArenaPlacement::kNowhere) continue;
    EXPECT_EQ(placement.offsets[a] % kDeviceAlignment, 0u);
    EXPECT_LE(placement.offsets[a] + plan.roots[a].bytes, placement.bytes);
    for (size_t b = a + 1; b < plan.roots.size(); ++b) {
      if (placement.offsets[b] == ArenaPlacement::kNowhere) continue;
      const bool overlap = placement.offsets[a] < placement.offsets[b] + plan.roots[b].bytes &&
                           placement.offsets[b] < placement.offsets[a] + plan.roots[a].bytes;
      if (overlap) {
        EXPECT_TRUE(ordered(a, b) || ordered(b, a)) << "roots " << a << " and " << b;
      }
    }
  }
  const Schedule again = make_schedule(plan, max_streams);
  EXPECT_EQ(to_string(schedule), to_string(again));
  EXPECT_EQ(place_on_device(plan, again).offsets, placement.offsets);
}

TEST(Schedule, AChainNeedsOneStreamAndNoEvents) {
  PlanMaker m;
  ValueIndex v = m.value();
  for (int i = 0; i < 4; ++i) v = m.step({v});
  const Schedule schedule = make_schedule(m.plan, 8);
  EXPECT_EQ(to_string(schedule),
            "device\n"
            "  stream 0: launch step 0\n"
            "  stream 0: launch step 1\n"
            "  stream 0: launch step 2\n"
            "  stream 0: launch step 3\n");
  // Two values at a time: the one read and the one written.
  EXPECT_EQ(place_on_device(m.plan, schedule).bytes, 2 * 256u);
  expect_legal(m.plan, 8);
}

TEST(Schedule, BranchesForkAndJoin) {
  PlanMaker m;
  const ValueIndex trunk = m.step({});
  const ValueIndex left = m.step({trunk}), right = m.step({trunk});
  m.step({left, right});
  EXPECT_EQ(to_string(make_schedule(m.plan, 8)),
            "device\n"
            "  stream 0: record event 0\n"
            "  stream 0: launch step 0\n"
            "  stream 0: record event 1\n"
            "  stream 0: launch step 1\n"
            "  stream 0: record event 2\n"
            "  stream 1: wait for event 0\n"
            "  stream 1: wait for event 1\n"
            "  stream 1: launch step 2\n"
            "  stream 1: wait for event 2\n"
            "  stream 1: launch step 3\n"
            "  stream 1: record event 3\n"
            "  stream 0: wait for event 3\n");
  expect_legal(m.plan, 8);
}

TEST(Schedule, ParallelBranchesShareNoMemoryThoughTheListOrderWouldAllowIt) {
  PlanMaker m;
  // Two chains, one listed after the other.
  for (int chain = 0; chain < 2; ++chain) {
    ValueIndex v = m.step({});
    for (int i = 0; i < 3; ++i) v = m.step({v});
  }
  EXPECT_EQ(place_on_device(m.plan, make_schedule(m.plan, 1)).bytes, 2 * 256u);
  EXPECT_EQ(place_on_device(m.plan, make_schedule(m.plan, 2)).bytes, 4 * 256u);
  expect_legal(m.plan, 2);
}

TEST(Schedule, PartsOfOneBlockAreWrittenAtOnceAndReadTogether) {
  PlanMaker m;
  const ValueIndex whole = m.value(1024);
  const int32_t root = m.plan.value(whole).root;
  const ValueIndex a = m.part(root, 0, 512), b = m.part(root, 512, 512);
  m.add({}, {a});
  m.add({}, {b});
  m.step({whole});
  m.step({b});
  EXPECT_THAT(dependencies_of(m.plan),
              testing::ElementsAre(testing::IsEmpty(), testing::IsEmpty(), testing::ElementsAre(0, 1),
                                   testing::ElementsAre(1)));
  expect_legal(m.plan, 4);
}

TEST(Schedule, AValueWrittenAgainWaitsForItsReaders) {
  PlanMaker m;
  const ValueIndex v = m.step({});
  m.step({v});
  m.add({}, {v});
  EXPECT_THAT(dependencies_of(m.plan)[2], testing::ElementsAre(0, 1));
  expect_legal(m.plan, 4);
}

TEST(Schedule, HostStepsInterruptTheDeviceAsRarelyAsTheyCan) {
  PlanMaker m;
  const ValueIndex a = m.step({}), b = m.step({});
  const ValueIndex x = m.step({a}, StepKind::kHost), c = m.step({b});
  const ValueIndex y = m.step({c}, StepKind::kHost);
  m.step({x, y});
  const Schedule schedule = make_schedule(m.plan, 4);
  ASSERT_EQ(schedule.segments.size(), 3u);  // device, host, device
  EXPECT_THAT(schedule.segments[0].steps, testing::ElementsAre(0, 1, 3));
  EXPECT_THAT(schedule.segments[1].steps, testing::ElementsAre(2, 4));
  EXPECT_THAT(schedule.segments[2].steps, testing::ElementsAre(5));
  expect_legal(m.plan, 4);
}

TEST(Schedule, RandomPlansAreLegal) {
  std::mt19937 random(7);
  for (int round = 0; round < 60; ++round) {
    PlanMaker m;
    std::vector<ValueIndex> made = {m.step({})};
    const int steps = 3 + static_cast<int>(random() % 40);
    for (int i = 0; i < steps; ++i) {
      std::vector<ValueIndex> inputs;
      for (size_t k = random() % 4; k > 0; --k) inputs.push_back(made[random() % made.size()]);
      const StepKind kind = random() % 12 == 0  ? StepKind::kHost
                            : random() % 8 == 0 ? StepKind::kReorder
                                                : StepKind::kKernel;
      made.push_back(m.step(inputs, kind, 4 * (1 + random() % 1000)));
    }
    for (int32_t streams : {1, 2, 5, 16}) expect_legal(m.plan, streams);
  }
}

}  // namespace
}  // namespace mts::exec
