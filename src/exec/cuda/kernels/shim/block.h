// A grid of blocks on the host: blocks one after another, the threads of a block one after another or, where
// they wait for each other, as fibers of one operating system thread.
//
// In: a grid and the kernel as a call without arguments; threads find out who they are from threadIdx and the
// like. Out: null, or what is wrong with the launch (CUDA's limits are kept). A barrier that not all threads
// reach ends the program with a message: it is a defect of the kernel, and would hang a device. What a device
// leaves open is made as bad as possible, so that tests see it: block memory starts as NaNs, the order of
// warps and lanes turns round after each barrier, copies of cp.async happen only when they are waited for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace mts::exec::cuda::shim {

struct Index {
  uint32_t x = 0, y = 0, z = 0;
};
inline thread_local Index threadIdx, blockIdx, blockDim, gridDim;  // NOLINT: CUDA's names

struct Grid {
  Index blocks, threads;
  size_t shared_bytes = 0;
  bool together = false;  // threads wait for each other
};
const char* run(const Grid& grid, void (*kernel)(const void*), const void* call);

// Of the running thread.
uint32_t thread_number();  // in its block
inline uint32_t lane() { return thread_number() % 32; }
void* shared_memory();
void sync_block();
void sync_warp();

// `bytes` (at most kSlot) of each lane, readable by all lanes of the warp until the next call.
inline constexpr size_t kSlot = 64;
void deposit(const void* value, size_t bytes);
const void* deposited(uint32_t lane);

template <class T>
T exchange(const T& value, uint32_t from) {
  static_assert(sizeof(T) <= kSlot);
  deposit(&value, sizeof(T));
  T result;
  std::memcpy(&result, deposited(from), sizeof(T));
  return result;
}

// cp.async: queued, grouped, and done at the latest moment that the kernel allows.
void copy_later(void* to, const void* from, size_t bytes, size_t valid_bytes);
void end_copy_group();
void wait_for_copies(int groups_left);

}  // namespace mts::exec::cuda::shim
