#include "exec/cuda/kernels/shim/block.h"

#include "exec/cuda/kernels/shim/fiber.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <vector>

namespace mts::exec::cuda::shim {
namespace {

constexpr uint32_t kLanes = 32;

struct LateCopy {
  void* to;
  const void* from;
  size_t bytes, valid_bytes;
};

struct Thread {
  enum class State : uint8_t { kReady, kAtWarp, kAtBlock, kDone };
  Fiber fiber;
  State state = State::kDone;
  Index index;
  uint32_t number = 0;
  uint32_t deposits = 0;
  std::vector<LateCopy> open_group;
  std::deque<std::vector<LateCopy>> groups;
};

// Two sets of slots: a lane that is one deposit ahead does not overwrite what others still read.
struct Warp {
  alignas(16) std::array<std::array<std::array<std::byte, kSlot>, kLanes>, 2> slots;
};

class Block {
 public:
  const char* run(const Grid& grid, void (*kernel)(const void*), const void* call);
  Thread* running() { return running_; }
  Warp& warp_of(const Thread& thread) { return warps_[thread.number / kLanes]; }
  std::byte* shared() { return shared_; }
  void wait(Thread::State state) {
    Thread& self = *running_;
    self.state = state;
    self.fiber.suspend();
  }

 private:
  void run_apart(const Grid& grid, void (*kernel)(const void*), const void* call);
  void run_together(const Grid& grid, void (*kernel)(const void*), const void* call);
  void run_warp(uint32_t first, uint32_t count, bool backwards);

  std::vector<std::unique_ptr<Thread>> threads_;
  std::vector<Warp> warps_;
  std::vector<std::byte> memory_;
  std::byte* shared_ = nullptr;
  Thread* running_ = nullptr;
};

thread_local Block block;

[[noreturn]] void defect(const char* what) {
  std::fprintf(stderr, "a kernel is wrong: %s (block %u,%u,%u)\n", what, blockIdx.x, blockIdx.y, blockIdx.z);
  std::abort();
}

const char* Block::run(const Grid& grid, void (*kernel)(const void*), const void* call) {
  const uint64_t threads = uint64_t{grid.threads.x} * grid.threads.y * grid.threads.z;
  if (threads == 0 || threads > 1024 || grid.threads.z > 64)
    return "invalid configuration: threads of a block";
  if (grid.blocks.x > 0x7fffffffu || grid.blocks.y > 65535 || grid.blocks.z > 65535)
    return "invalid configuration: blocks of the grid";
  if (grid.shared_bytes > size_t{227} * 1024)
    return "invalid configuration: more shared memory than a block can have";
  gridDim = grid.blocks;
  blockDim = grid.threads;
  memory_.resize(grid.shared_bytes + 16);
  shared_ = memory_.data() + (16 - reinterpret_cast<uintptr_t>(memory_.data()) % 16) % 16;
  for (blockIdx.z = 0; blockIdx.z < grid.blocks.z; ++blockIdx.z) {
    for (blockIdx.y = 0; blockIdx.y < grid.blocks.y; ++blockIdx.y) {
      for (blockIdx.x = 0; blockIdx.x < grid.blocks.x; ++blockIdx.x) {
        if (grid.shared_bytes != 0) std::memset(shared_, 0xff, grid.shared_bytes);
        if (grid.together) {
          run_together(grid, kernel, call);
        } else {
          run_apart(grid, kernel, call);
        }
      }
    }
  }
  return nullptr;
}

void Block::run_apart(const Grid& grid, void (*kernel)(const void*), const void* call) {
  running_ = nullptr;
  for (threadIdx.z = 0; threadIdx.z < grid.threads.z; ++threadIdx.z) {
    for (threadIdx.y = 0; threadIdx.y < grid.threads.y; ++threadIdx.y) {
      for (threadIdx.x = 0; threadIdx.x < grid.threads.x; ++threadIdx.x) kernel(call);
    }
  }
}

struct Start {
  void (*kernel)(const void*);
  const void* call;
};

void Block::run_together(const Grid& grid, void (*kernel)(const void*), const void* call) {
  const uint32_t count = grid.threads.x * grid.threads.y * grid.threads.z;
  while (threads_.size() < count) threads_.push_back(std::make_unique<Thread>());
  warps_.resize((count + kLanes - 1) / kLanes);
  Start start{kernel, call};
  for (uint32_t i = 0; i < count; ++i) {
    Thread& thread = *threads_[i];
    thread.number = i;
    thread.index = {i % grid.threads.x, i / grid.threads.x % grid.threads.y,
                    i / (grid.threads.x * grid.threads.y)};
    thread.state = Thread::State::kReady;
    thread.deposits = 0;
    thread.open_group.clear();
    thread.groups.clear();
    thread.fiber.prepare(
        [](void* argument) {
          const auto* what = static_cast<Start*>(argument);
          what->kernel(what->call);
        },
        &start);
  }
  for (uint32_t phase = 0;; ++phase) {
    const bool backwards = phase % 2 != 0;
    for (uint32_t w = 0; w < warps_.size(); ++w) {
      const auto warp = static_cast<uint32_t>(backwards ? warps_.size() - 1 - w : w);
      run_warp(warp * kLanes, std::min(kLanes, count - warp * kLanes), backwards);
    }
    uint32_t waiting = 0;
    for (uint32_t i = 0; i < count; ++i) {
      waiting += threads_[i]->state == Thread::State::kAtBlock ? 1 : 0;
      threads_[i]->state =
          threads_[i]->state == Thread::State::kAtBlock ? Thread::State::kReady : threads_[i]->state;
    }
    if (waiting == 0) return;
    if (waiting != count) defect("some threads wait at a barrier that others never reach");
  }
}

// Until each lane is at the block's barrier or done.
void Block::run_warp(uint32_t first, uint32_t count, bool backwards) {
  for (;;) {
    for (uint32_t i = 0; i < count; ++i) {
      Thread& thread = *threads_[first + (backwards ? count - 1 - i : i)];
      if (thread.state != Thread::State::kReady) continue;
      running_ = &thread;
      threadIdx = thread.index;
      thread.fiber.resume();
      if (thread.fiber.done()) {
        thread.state = Thread::State::kDone;
        if (!thread.open_group.empty() || !thread.groups.empty()) defect("a copy that nobody waits for");
      }
    }
    uint32_t waiting = 0;
    for (uint32_t i = 0; i < count; ++i) {
      Thread& thread = *threads_[first + i];
      if (thread.state != Thread::State::kAtWarp) continue;
      ++waiting;
      thread.state = Thread::State::kReady;
    }
    if (waiting == 0) return;
    if (waiting != kLanes) defect("a warp operation that not all lanes take part in");
  }
}

Thread& self() {
  if (block.running() == nullptr) defect("it waits for other threads, but was launched as if it did not");
  return *block.running();
}

}  // namespace

const char* run(const Grid& grid, void (*kernel)(const void*), const void* call) {
  return block.run(grid, kernel, call);
}

uint32_t thread_number() { return self().number; }
void* shared_memory() { return block.shared(); }
void sync_block() {
  self();
  block.wait(Thread::State::kAtBlock);
}
void sync_warp() {
  self();
  block.wait(Thread::State::kAtWarp);
}

void deposit(const void* value, size_t bytes) {
  Thread& thread = self();
  auto& slot = block.warp_of(thread).slots[++thread.deposits % 2][thread.number % kLanes];
  std::memcpy(slot.data(), value, bytes);
  sync_warp();
}

const void* deposited(uint32_t lane) {
  const Thread& thread = self();
  return block.warp_of(thread).slots[thread.deposits % 2][lane].data();
}

void copy_later(void* to, const void* from, size_t bytes, size_t valid_bytes) {
  self().open_group.push_back({to, from, bytes, valid_bytes});
}

void end_copy_group() {
  Thread& thread = self();
  thread.groups.push_back(std::move(thread.open_group));
  thread.open_group.clear();
}

void wait_for_copies(int groups_left) {
  Thread& thread = self();
  while (static_cast<int>(thread.groups.size()) > groups_left) {
    for (const LateCopy& copy : thread.groups.front()) {
      if (copy.valid_bytes != 0) std::memcpy(copy.to, copy.from, copy.valid_bytes);
      std::memset(static_cast<std::byte*>(copy.to) + copy.valid_bytes, 0, copy.bytes - copy.valid_bytes);
    }
    thread.groups.pop_front();
  }
}

}  // namespace mts::exec::cuda::shim
