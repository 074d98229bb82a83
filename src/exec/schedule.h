// Which step runs on which stream, what waits for what, and where values then may lie: plain data, made
// without a device.
//
// In: a placed plan (roots assigned). Out: segments that run one after another, each either host steps or one
// recording of device steps on parallel streams; then places in the device's arena. Steps on different
// streams are ordered only by events, so two values may share memory only where all that touches one happens
// before all that touches the other, whatever the list order says. Deterministic. Never fails.
#pragma once

#include "exec/plan.h"
#include "exec/runtime.h"

#include <cstdint>
#include <vector>

namespace mts::exec {

// For each step, the earlier steps that it has to follow: those that write what it reads or writes, and those
// that read what it writes (byte ranges of one root that intersect). Ascending.
std::vector<std::vector<int32_t>> dependencies_of(const ExecPlan& plan);

struct Segment {
  bool on_host = false;
  std::vector<int32_t> steps;     // in list order; views are in none
  std::vector<Command> commands;  // device segments
  int32_t events = 0;
};

struct Schedule {
  std::vector<Segment> segments;
  std::vector<int32_t> segment_of, stream_of;  // by step; -1: a view, and stream -1: a host step
  int32_t streams = 0;                         // used at once
};

// A step goes to the stream of a step that it follows, if that one is the last there, else to a stream of its
// own, as long as there are fewer than `max_streams`. Host steps are put off or done early so that the device
// is interrupted as rarely as the dependencies allow.
Schedule make_schedule(const ExecPlan& plan, int32_t max_streams);

// What the commands guarantee, found from them alone.
class HappensBefore {
 public:
  HappensBefore(const ExecPlan& plan, const Schedule& schedule);
  bool operator()(int32_t before, int32_t after) const;

 private:
  struct Moment {
    int32_t segment = -1, stream = -1, position = 0;
    std::vector<int32_t> seen;  // by stream: how many launches there are done
  };
  std::vector<Moment> moments_;  // by step
};

// Places of what lies in the arena of the device: activations, and what host steps make for kernels.
struct ArenaPlacement {
  static constexpr uint64_t kNowhere = ~uint64_t{0};
  std::vector<uint64_t> offsets;  // by root
  uint64_t bytes = 0;
};
inline constexpr uint64_t kDeviceAlignment = 256;
ArenaPlacement place_on_device(const ExecPlan& plan, const Schedule& schedule);

// One line a segment, then its commands: for goldens and debugging.
std::string to_string(const Schedule& schedule);

}  // namespace mts::exec
