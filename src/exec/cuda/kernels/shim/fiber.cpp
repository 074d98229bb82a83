#include "exec/cuda/kernels/shim/fiber.h"

#include <new>

#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace mts::exec::cuda::shim {
namespace {

constexpr size_t kStack = size_t{128} * 1024;  // pages are taken as they are touched

std::byte* new_stack() {
  void* const memory = mmap(nullptr, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  return static_cast<std::byte*>(memory);
}

}  // namespace

Fiber::Fiber() : stack_(new_stack()) {}
Fiber::~Fiber() { munmap(stack_, kStack); }

void Fiber::enter(Fiber* fiber) {
  fiber->body_(fiber->argument_);
  fiber->done_ = true;
  fiber->suspend();
}

#if defined(MTS_FIBER_UCONTEXT)

#if defined(__SANITIZE_ADDRESS__)
namespace {
void before_switch(void** kept, const void* stack, size_t size) {
  __sanitizer_start_switch_fiber(kept, stack, size);
}
void after_switch(void* kept, const void** stack, size_t* size) {
  __sanitizer_finish_switch_fiber(kept, stack, size);
}
}  // namespace
#else
namespace {
void before_switch(void**, const void*, size_t) {}
void after_switch(void*, const void**, size_t*) {}
}  // namespace
#endif

void Fiber::start(unsigned high, unsigned low) {
  auto* const fiber = reinterpret_cast<Fiber*>((static_cast<uintptr_t>(high) << 32) | low);
  after_switch(nullptr, &fiber->caller_stack_, &fiber->caller_size_);
  enter(fiber);
}

void Fiber::prepare(void (*body)(void*), void* argument) {
  body_ = body;
  argument_ = argument;
  done_ = false;
  getcontext(&own_);
  own_.uc_stack.ss_sp = stack_;
  own_.uc_stack.ss_size = kStack;
  own_.uc_link = nullptr;
  const auto self = reinterpret_cast<uintptr_t>(this);
  makecontext(&own_, reinterpret_cast<void (*)()>(&Fiber::start), 2, static_cast<unsigned>(self >> 32),
              static_cast<unsigned>(self));
}

void Fiber::resume() {
  void* kept = nullptr;
  before_switch(&kept, stack_, kStack);
  swapcontext(&caller_, &own_);
  after_switch(kept, nullptr, nullptr);
}

void Fiber::suspend() {
  void* kept = nullptr;
  before_switch(done_ ? nullptr : &kept, caller_stack_, caller_size_);
  swapcontext(&own_, &caller_);
  after_switch(kept, &caller_stack_, &caller_size_);
}

#else

// Keeps the registers that a callee must keep on the stack, and its pointer in *save; goes on from `load`.
asm(R"(
.text
.p2align 4
.type mts_shim_switch,@function
mts_shim_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size mts_shim_switch,.-mts_shim_switch
)");
extern "C" void mts_shim_switch(void** save, void* load) asm("mts_shim_switch");

static thread_local Fiber* starting = nullptr;

void Fiber::start() { enter(starting); }

void Fiber::prepare(void (*body)(void*), void* argument) {
  body_ = body;
  argument_ = argument;
  done_ = false;
  // As mts_shim_switch leaves a stack: six registers, where to go on, and a return address that is never used
  // (with it, the stack is aligned as after a call).
  auto* top = reinterpret_cast<void**>(stack_ + kStack);
  *--top = nullptr;
  *--top = reinterpret_cast<void*>(&Fiber::start);
  for (int i = 0; i < 6; ++i) *--top = nullptr;
  own_ = top;
}

void Fiber::resume() {
  starting = this;
  mts_shim_switch(&caller_, own_);
}

void Fiber::suspend() { mts_shim_switch(&own_, caller_); }

#endif

}  // namespace mts::exec::cuda::shim
