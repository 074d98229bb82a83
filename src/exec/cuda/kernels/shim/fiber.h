// Fibers: functions that run on stacks of their own and hand the processor over by themselves.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#if !defined(__x86_64__) || defined(__SANITIZE_ADDRESS__)
#define MTS_FIBER_UCONTEXT  // slower, but portable, and known to AddressSanitizer
#include <ucontext.h>
#endif

namespace mts::exec::cuda::shim {

class Fiber {
 public:
  Fiber();
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // The next resume starts `body(argument)` from the beginning.
  void prepare(void (*body)(void*), void* argument);
  void resume();   // runs until the fiber suspends itself or `body` ends
  void suspend();  // by the fiber itself: back to whoever resumed it
  bool done() const { return done_; }

 private:
  static void enter(Fiber* fiber);
#if defined(MTS_FIBER_UCONTEXT)
  static void start(unsigned high, unsigned low);
  ucontext_t own_, caller_;
  const void* caller_stack_ = nullptr;  // as AddressSanitizer wants to know it
  size_t caller_size_ = 0;
#else
  static void start();
  void *own_ = nullptr, *caller_ = nullptr;  // stack pointers
#endif
  std::byte* stack_ = nullptr;
  void (*body_)(void*) = nullptr;
  void* argument_ = nullptr;
  bool done_ = true;
};

}  // namespace mts::exec::cuda::shim
