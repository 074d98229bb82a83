#include "exec/schedule.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

namespace mts::exec {
namespace {

bool is_device_step(const Step& step) {
  return step.kind == StepKind::kKernel || step.kind == StepKind::kReorder;
}

struct Access {
  int32_t step;
  uint64_t begin, end;
  bool writes;
};

// Calls touch(root, begin, end, writes) for what the step reads and writes.
template <class Touch>
void for_each_access(const ExecPlan& plan, const Step& step, const Touch& touch) {
  const auto visit = [&](ValueIndex v, bool writes) {
    if (v == kAbsent) return;
    const PlanValue& value = plan.value(v);
    if (value.root < 0) return;
    // What has no static size is one datum: a byte stands for it.
    const uint64_t bytes = value.is_static ? value.bytes : 1;
    if (bytes > 0) touch(value.root, value.offset, value.offset + bytes, writes);
  };
  for (ValueIndex v : step.inputs) visit(v, false);
  for (ValueIndex v : step.captures) visit(v, false);
  for (ValueIndex v : step.outputs) visit(v, true);
}

void sort_unique(std::vector<int32_t>& list) {
  std::sort(list.begin(), list.end());
  list.erase(std::unique(list.begin(), list.end()), list.end());
}

// Device steps of one segment onto streams.
class Streams {
 public:
  Streams(const std::vector<std::vector<int32_t>>& dependencies, int32_t max_streams, Schedule& schedule,
          int32_t segment)
      : dependencies_(dependencies), max_streams_(max_streams), schedule_(schedule), segment_(segment) {}

  void run() {
    Segment& segment = schedule_.segments[static_cast<size_t>(segment_)];
    for (int32_t step : segment.steps) schedule_.stream_of[static_cast<size_t>(step)] = choose(step);
    schedule_.streams = std::max(schedule_.streams, static_cast<int32_t>(last_.size()));
    emit(segment);
  }

 private:
  bool is_here(int32_t step) const { return schedule_.segment_of[static_cast<size_t>(step)] == segment_; }
  int32_t stream(int32_t step) const { return schedule_.stream_of[static_cast<size_t>(step)]; }

  int32_t choose(int32_t step) {
    int32_t chosen = -1;
    // Of the streams that end with a step to follow, the one that does so last: least is left to wait for.
    for (int32_t before : dependencies_[static_cast<size_t>(step)]) {
      if (is_here(before) && last_[static_cast<size_t>(stream(before))] == before) chosen = stream(before);
    }
    if (chosen < 0 && static_cast<int32_t>(last_.size()) < max_streams_) {
      chosen = static_cast<int32_t>(last_.size());
      last_.push_back(-1);
      length_.push_back(0);
    }
    if (chosen < 0) {
      chosen = static_cast<int32_t>(std::min_element(length_.begin(), length_.end()) - length_.begin());
    }
    last_[static_cast<size_t>(chosen)] = step;
    ++length_[static_cast<size_t>(chosen)];
    return chosen;
  }

  // Events only where neither the stream's own order nor an event waited for before says it already.
  void emit(Segment& segment) {
    const size_t streams = last_.size();
    std::vector<std::vector<int32_t>> seen(streams, std::vector<int32_t>(streams, 0));
    std::vector<int32_t> launched(streams, 0);
    std::map<int32_t, int32_t> position;                 // by step
    std::map<int32_t, std::vector<int32_t>> seen_after;  // by step
    std::vector<std::pair<int32_t, int32_t>> waits;      // (step that waits, step waited for)
    for (int32_t step : segment.steps) {
      const auto own = static_cast<size_t>(stream(step));
      std::vector<int32_t> before = dependencies_[static_cast<size_t>(step)];
      std::reverse(before.begin(), before.end());  // the latest first: it may imply the others
      for (int32_t other : before) {
        if (!is_here(other)) continue;
        const auto there = static_cast<size_t>(stream(other));
        if (there == own || seen[own][there] >= position[other]) continue;
        waits.emplace_back(step, other);
        const std::vector<int32_t>& known = seen_after[other];
        for (size_t s = 0; s < streams; ++s) seen[own][s] = std::max(seen[own][s], known[s]);
      }
      position[step] = ++launched[own];
      seen[own][own] = launched[own];
      seen_after[step] = seen[own];
    }
    std::map<int32_t, int32_t> event_of;  // by step waited for
    const auto command = [&](Command::Kind kind, int32_t s, int32_t index) {
      segment.commands.push_back({kind, s, index});
    };
    const int32_t fork = segment.events;
    if (streams > 1) command(Command::Kind::kRecord, 0, segment.events++);
    std::vector<bool> begun(streams, false);
    begun[0] = true;
    std::vector<int32_t> recorded;
    for (const auto& [waiter, waited] : waits) recorded.push_back(waited);
    sort_unique(recorded);
    size_t next = 0;
    for (int32_t step : segment.steps) {
      const int32_t own = stream(step);
      if (!begun[static_cast<size_t>(own)]) command(Command::Kind::kWait, own, fork);
      begun[static_cast<size_t>(own)] = true;
      for (; next < waits.size() && waits[next].first == step; ++next)
        command(Command::Kind::kWait, own, event_of.at(waits[next].second));
      command(Command::Kind::kLaunch, own, step);
      if (std::binary_search(recorded.begin(), recorded.end(), step)) {
        event_of[step] = segment.events;
        command(Command::Kind::kRecord, own, segment.events++);
      }
    }
    for (size_t s = 1; s < streams; ++s) {  // join
      command(Command::Kind::kRecord, static_cast<int32_t>(s), segment.events);
      command(Command::Kind::kWait, 0, segment.events++);
    }
  }

  const std::vector<std::vector<int32_t>>& dependencies_;
  int32_t max_streams_;
  Schedule& schedule_;
  int32_t segment_;
  std::vector<int32_t> last_, length_;  // by stream
};

}  // namespace

std::vector<std::vector<int32_t>> dependencies_of(const ExecPlan& plan) {
  std::vector<std::vector<int32_t>> result(plan.steps.size());
  std::vector<std::vector<Access>> accesses(plan.roots.size());
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    if (plan.steps[i].kind == StepKind::kView) continue;
    const auto step = static_cast<int32_t>(i);
    for_each_access(plan, plan.steps[i], [&](int32_t root, uint64_t begin, uint64_t end, bool writes) {
      const Storage storage = plan.roots[static_cast<size_t>(root)].storage;
      if (storage == Storage::kConstant || storage == Storage::kInput) return;  // nobody writes these
      std::vector<Access>& earlier = accesses[static_cast<size_t>(root)];
      for (const Access& access : earlier) {
        if (access.step != step && (writes || access.writes) && access.begin < end && begin < access.end)
          result[i].push_back(access.step);
      }
      earlier.push_back({step, begin, end, writes});
    });
    sort_unique(result[i]);
  }
  return result;
}

Schedule make_schedule(const ExecPlan& plan, int32_t max_streams) {
  const std::vector<std::vector<int32_t>> dependencies = dependencies_of(plan);
  Schedule schedule;
  schedule.segment_of.assign(plan.steps.size(), -1);
  schedule.stream_of.assign(plan.steps.size(), -1);
  // Even segments are the device's, odd ones the host's: each step in the first one that it can be in.
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    const Step& step = plan.steps[i];
    if (step.kind == StepKind::kView) continue;
    const int32_t parity = is_device_step(step) ? 0 : 1;
    int32_t segment = parity;
    for (int32_t before : dependencies[i]) {
      const int32_t other = schedule.segment_of[static_cast<size_t>(before)];
      segment = std::max(segment, other % 2 == parity ? other : other + 1);
    }
    schedule.segment_of[i] = segment;
  }
  // Numbers that nobody uses are left out.
  std::vector<int32_t> used = schedule.segment_of;
  sort_unique(used);
  if (!used.empty() && used.front() < 0) used.erase(used.begin());
  schedule.segments.resize(used.size());
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    int32_t& segment = schedule.segment_of[i];
    if (segment < 0) continue;
    const bool on_host = segment % 2 == 1;
    segment = static_cast<int32_t>(std::lower_bound(used.begin(), used.end(), segment) - used.begin());
    schedule.segments[static_cast<size_t>(segment)].on_host = on_host;
    schedule.segments[static_cast<size_t>(segment)].steps.push_back(static_cast<int32_t>(i));
  }
  for (size_t s = 0; s < schedule.segments.size(); ++s) {
    if (!schedule.segments[s].on_host)
      Streams(dependencies, std::max(1, max_streams), schedule, static_cast<int32_t>(s)).run();
  }
  return schedule;
}

HappensBefore::HappensBefore(const ExecPlan& plan, const Schedule& schedule) : moments_(plan.steps.size()) {
  for (size_t s = 0; s < schedule.segments.size(); ++s) {
    const Segment& segment = schedule.segments[s];
    const auto number = static_cast<int32_t>(s);
    if (segment.on_host) {
      int32_t position = 0;
      for (int32_t step : segment.steps) {
        ++position;
        moments_[static_cast<size_t>(step)] = {number, 0, position, {position}};
      }
      continue;
    }
    const auto streams = static_cast<size_t>(schedule.streams);
    std::vector<std::vector<int32_t>> seen(streams, std::vector<int32_t>(streams, 0));
    std::vector<std::vector<int32_t>> events(static_cast<size_t>(segment.events));
    for (const Command& command : segment.commands) {
      const auto own = static_cast<size_t>(command.stream), index = static_cast<size_t>(command.index);
      switch (command.kind) {
        case Command::Kind::kLaunch:
          ++seen[own][own];
          moments_[index] = {number, command.stream, seen[own][own], seen[own]};
          break;
        case Command::Kind::kRecord:
          events[index] = seen[own];
          break;
        case Command::Kind::kWait:
          for (size_t t = 0; t < events[index].size(); ++t)
            seen[own][t] = std::max(seen[own][t], events[index][t]);
          break;
      }
    }
  }
}

bool HappensBefore::operator()(int32_t before, int32_t after) const {
  const Moment &a = moments_[static_cast<size_t>(before)], &b = moments_[static_cast<size_t>(after)];
  if (a.segment < 0 || b.segment < 0 || before == after) return false;
  if (a.segment != b.segment) return a.segment < b.segment;
  return b.seen[static_cast<size_t>(a.stream)] >= a.position;
}

ArenaPlacement place_on_device(const ExecPlan& plan, const Schedule& schedule) {
  ArenaPlacement result;
  result.offsets.assign(plan.roots.size(), ArenaPlacement::kNowhere);
  std::vector<std::vector<int32_t>> steps(plan.roots.size());  // that touch the root
  std::vector<bool> on_device(plan.roots.size(), false);
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    if (plan.steps[i].kind == StepKind::kView) continue;
    for_each_access(plan, plan.steps[i], [&](int32_t root, uint64_t, uint64_t, bool) {
      steps[static_cast<size_t>(root)].push_back(static_cast<int32_t>(i));
      if (is_device_step(plan.steps[i])) on_device[static_cast<size_t>(root)] = true;
    });
  }
  std::vector<size_t> blocks;
  for (size_t r = 0; r < plan.roots.size(); ++r) {
    const Root& root = plan.roots[r];
    const bool wanted = root.storage == Storage::kArena || (root.storage == Storage::kHost && on_device[r]);
    if (!wanted) continue;
    if (root.bytes == 0) result.offsets[r] = 0;
    if (root.bytes > 0) blocks.push_back(r);
    sort_unique(steps[r]);
  }
  const HappensBefore before(plan, schedule);
  const auto all_before = [&](size_t a, size_t b) {
    return std::all_of(steps[a].begin(), steps[a].end(), [&](int32_t x) {
      return std::all_of(steps[b].begin(), steps[b].end(), [&](int32_t y) { return before(x, y); });
    });
  };
  // Largest first, each into the lowest gap between the blocks that it may not share with.
  std::stable_sort(blocks.begin(), blocks.end(),
                   [&](size_t a, size_t b) { return plan.roots[a].bytes > plan.roots[b].bytes; });
  const auto aligned = [](uint64_t bytes) {
    return (bytes + kDeviceAlignment - 1) / kDeviceAlignment * kDeviceAlignment;
  };
  std::vector<size_t> placed;
  for (size_t r : blocks) {
    const uint64_t need = aligned(plan.roots[r].bytes);
    std::vector<std::pair<uint64_t, uint64_t>> taken;
    for (size_t other : placed) {
      if (!all_before(r, other) && !all_before(other, r))
        taken.emplace_back(result.offsets[other], result.offsets[other] + aligned(plan.roots[other].bytes));
    }
    std::sort(taken.begin(), taken.end());
    uint64_t at = 0;
    for (const auto& [begin, end] : taken) {
      if (at + need <= begin) break;
      at = std::max(at, end);
    }
    result.offsets[r] = at;
    result.bytes = std::max(result.bytes, at + need);
    placed.push_back(r);
  }
  return result;
}

std::string to_string(const Schedule& schedule) {
  std::string text;
  for (const Segment& segment : schedule.segments) {
    text += segment.on_host ? "host" : "device";
    if (segment.on_host) {
      for (int32_t step : segment.steps) text += " " + std::to_string(step);
    }
    text += "\n";
    for (const Command& command : segment.commands) {
      static constexpr const char* kNames[] = {"launch step ", "record event ", "wait for event "};
      text += "  stream " + std::to_string(command.stream) + ": " +
              kNames[static_cast<size_t>(command.kind)] + std::to_string(command.index) + "\n";
    }
  }
  return text;
}

}  // namespace mts::exec
