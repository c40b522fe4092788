// SPDX-License-Identifier: BSD-3-Clause
#include "base/coroutine.hpp"

#include <hoist/error.hpp>

#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <utility>

#if defined(__has_feature)
#define HOIST_HAS_FEATURE(feature) __has_feature(feature)
#else
#define HOIST_HAS_FEATURE(feature) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || HOIST_HAS_FEATURE(address_sanitizer)
#define HOIST_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__) || HOIST_HAS_FEATURE(thread_sanitizer)
#define HOIST_TSAN
#include <sanitizer/tsan_interface.h>
#endif

namespace hoist::detail::base {

namespace {

/// As much as main() has, so that recursions reach the same depth. Only used pages take memory.
constexpr std::size_t stack_bytes = std::size_t{8} << 20;

/// The exception that unwinds a coroutine which is destroyed before its end.
struct Unwind {};

/// Memory after an inaccessible page, so that an overflow is a segmentation fault.
class Stack {
 public:
  Stack() : guard_(static_cast<std::size_t>(::sysconf(_SC_PAGESIZE))) {
    memory_ = ::mmap(nullptr, guard_ + stack_bytes, PROT_NONE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (memory_ == MAP_FAILED) throw SystemError("can't make a stack", errno);
    ::madvise(data(), stack_bytes, MADV_NOHUGEPAGE);
    if (::mprotect(data(), stack_bytes, PROT_READ | PROT_WRITE) != 0) {
      const int error = errno;
      ::munmap(memory_, guard_ + stack_bytes);
      throw SystemError("can't make a stack", error);
    }
  }
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;
  ~Stack() { ::munmap(memory_, guard_ + stack_bytes); }
  void* data() const { return static_cast<std::byte*>(memory_) + guard_; }

 private:
  std::size_t guard_;
  void* memory_;
};

/// One side of a switch of stacks. The sanitizers must be told of each switch.
struct Side {
  ucontext_t context{};
  const void* stack = nullptr;
  std::size_t stack_size = 0;
  void* fake_stack = nullptr;
  void* fiber = nullptr;

  /// Switches to the other side; returns when that switches back. If `last`, it never does.
  void switch_to(Side& other, [[maybe_unused]] bool last = false) {
#ifdef HOIST_ASAN
    __sanitizer_start_switch_fiber(last ? nullptr : &fake_stack, other.stack, other.stack_size);
#endif
#ifdef HOIST_TSAN
    __tsan_switch_to_fiber(other.fiber, 0);
#endif
    ::swapcontext(&context, &other.context);
    arrived(other);
  }
  void arrived([[maybe_unused]] Side& from) const {
#ifdef HOIST_ASAN
    const void* stack_of_other = nullptr;
    std::size_t size_of_other = 0;
    __sanitizer_finish_switch_fiber(fake_stack, &stack_of_other, &size_of_other);
    from.stack = stack_of_other;
    from.stack_size = size_of_other;
#endif
  }
};

}  // namespace

struct Coroutine::State {
  explicit State(std::function<void()> function) : body(std::move(function)) {
    own.stack = stack.data();
    own.stack_size = stack_bytes;
    ::getcontext(&own.context);
    own.context.uc_stack.ss_sp = stack.data();
    own.context.uc_stack.ss_size = stack_bytes;
    own.context.uc_link = nullptr;
    // makecontext passes int only.
    const auto self = reinterpret_cast<std::uintptr_t>(this);
    ::makecontext(&own.context, reinterpret_cast<void (*)()>(&State::enter), 2,
                  static_cast<unsigned>(self >> 32U), static_cast<unsigned>(self));
#ifdef HOIST_TSAN
    own.fiber = __tsan_create_fiber(0);
#endif
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
#ifdef HOIST_TSAN
  ~State() { __tsan_destroy_fiber(own.fiber); }
#endif

  static void enter(unsigned high, unsigned low) {
    auto* const state =
        reinterpret_cast<State*>((std::uintptr_t{high} << 16U << 16U) | std::uintptr_t{low});
    state->own.arrived(state->caller);
    try {
      state->body();
    } catch (const Unwind&) {
    } catch (...) {
      state->error = std::current_exception();
    }
    state->done = true;
    state->inside = false;
    state->own.switch_to(state->caller, true);
  }

  std::function<void()> body;
  Stack stack;
  Side own;
  Side caller;
  std::exception_ptr error;
  bool begun = false;
  bool inside = false;
  bool done = false;
  bool unwinding = false;
};

Coroutine::Coroutine(std::function<void()> body)
    : state_(std::make_unique<State>(std::move(body))) {}

Coroutine::~Coroutine() {
  if (!state_->begun || state_->done) return;
  state_->unwinding = true;
  resume();
}

void Coroutine::resume() {
  state_->begun = true;
  state_->inside = true;
#ifdef HOIST_TSAN
  state_->caller.fiber = __tsan_get_current_fiber();
#endif
  state_->caller.switch_to(state_->own);
  if (state_->error && !state_->unwinding)
    std::rethrow_exception(std::exchange(state_->error, nullptr));
}

void Coroutine::suspend() {
  state_->inside = false;
  state_->own.switch_to(state_->caller);
  if (state_->unwinding) throw Unwind();
}

bool Coroutine::done() const noexcept { return state_->done; }
bool Coroutine::inside() const noexcept { return state_->inside; }

}  // namespace hoist::detail::base
