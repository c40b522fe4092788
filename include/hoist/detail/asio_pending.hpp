// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/future_state.hpp>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/execution/context_as.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/query.hpp>
#include <boost/system/system_error.hpp>

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>

// Operations that end outside of Asio: in a worker thread, or in another process. Their handlers
// belong to an execution context, which may end first, and whose executors nobody may use
// afterwards. So each context has a list of those that are pending, and destroys their handlers
// when it ends, as it does with those of its own operations.

namespace hoist::detail {

namespace asio = boost::asio;

/// A handler that waits to be called. Whoever takes it off the list of its context has it called.
class Pending {
 public:
  /// The list of one context.
  class List {
   public:
    void add(Pending& pending);
    /// Takes it off the list and has it posted. False if it wasn't there.
    bool post(Pending& pending, std::exception_ptr error);
    void end() noexcept;

   private:
    void unlink(Pending& pending) noexcept;

    std::mutex mutex_;
    bool ended_ = false;
    Pending* first_ = nullptr;
  };

  Pending(const Pending&) = delete;
  Pending& operator=(const Pending&) = delete;
  virtual ~Pending() = default;

  void add_reference() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
  void drop_reference() noexcept {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

  /// Has the handler called by its executor, with this error or with the result. Only once, and not
  /// after the end of its context: false then. From any thread.
  bool post(std::exception_ptr error = {}) noexcept { return list_->post(*this, std::move(error)); }
  /// What the handler's cancellation slot is told. In the handler's executor.
  virtual void cancel() noexcept = 0;

 protected:
  explicit Pending(std::shared_ptr<List> list) noexcept : list_(std::move(list)) {}

  virtual void post_handler() = 0;
  /// In the handler's executor. Drops the reference before it calls the handler.
  virtual void call_handler(StatePointer<Pending> self) = 0;
  virtual void drop_handler() noexcept = 0;

  static std::exception_ptr aborted() {
    return std::make_exception_ptr(boost::system::system_error(asio::error::operation_aborted));
  }

  const std::shared_ptr<List> list_;
  std::exception_ptr error_;

  /// What is posted. Dropped without being called by a context that ends.
  class Posted {
   public:
    explicit Posted(Pending& pending) : pending_(&pending) { pending.add_reference(); }
    Posted(Posted&&) noexcept = default;
    Posted& operator=(Posted&&) = delete;
    ~Posted() {
      if (pending_) pending_->drop_handler();
    }
    void operator()() {
      Pending& pending = *pending_;
      pending.call_handler(std::move(pending_));
    }

   private:
    StatePointer<Pending> pending_;
  };

 private:
  std::atomic<std::uint32_t> references_{1};
  bool is_listed_ = false;
  Pending* next_ = nullptr;
  Pending* before_ = nullptr;
};

/// Keeps the list of its context.
class PendingService final : public asio::execution_context::service {
 public:
  using key_type = PendingService;
  static inline asio::execution_context::id id;

  explicit PendingService(asio::execution_context& context) : service(context) {}
  const std::shared_ptr<Pending::List>& list() const noexcept { return list_; }

 private:
  void shutdown() noexcept override { list_->end(); }

  std::shared_ptr<Pending::List> list_ = std::make_shared<Pending::List>();
};

inline void Pending::List::add(Pending& pending) {
  const std::lock_guard lock(mutex_);
  if (ended_) return;
  pending.add_reference();
  pending.is_listed_ = true;
  pending.next_ = std::exchange(first_, &pending);
  if (pending.next_ != nullptr) pending.next_->before_ = &pending;
}

inline void Pending::List::unlink(Pending& pending) noexcept {
  pending.is_listed_ = false;
  (pending.before_ != nullptr ? pending.before_->next_ : first_) = pending.next_;
  if (pending.next_ != nullptr) pending.next_->before_ = pending.before_;
}

inline bool Pending::List::post(Pending& pending, std::exception_ptr error) {
  // With the lock, so that the context can't end before it has the handler.
  const std::lock_guard lock(mutex_);
  if (!pending.is_listed_) return false;
  unlink(pending);
  pending.error_ = std::move(error);
  pending.post_handler();
  pending.drop_reference();  // the posted one is left
  return true;
}

inline void Pending::List::end() noexcept {
  for (;;) {
    StatePointer<Pending> one;
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
      if (first_ == nullptr) return;
      one = StatePointer<Pending>(first_);  // takes over the list's reference
      unlink(*first_);
    }
    one->drop_handler();
  }
}

/// With its handler, whose executor it keeps busy.
template <class Handler>
class PendingHandler : public Pending {
 public:
  /// Now the handler can be called, and the operation be cancelled.
  void enlist() {
    list_->add(*this);
    auto slot = asio::get_associated_cancellation_slot(*handler_);
    if (!slot.is_connected()) return;
    add_reference();
    slot.assign([self = StatePointer<Pending>(this)](asio::cancellation_type type) {
      if (type != asio::cancellation_type::none) self->cancel();
    });
  }

 protected:
  explicit PendingHandler(Handler handler)
      : PendingHandler(asio::get_associated_executor(handler), std::move(handler)) {}

  void post_handler() final { asio::post(*executor_, Posted(*this)); }
  void drop_handler() noexcept override {
    handler_.reset();
    executor_.reset();
  }
  Handler take_handler() {
    Handler handler = *std::move(handler_);
    PendingHandler::drop_handler();
    return handler;
  }

 private:
  using Executor =
      std::decay_t<decltype(asio::prefer(std::declval<asio::associated_executor_t<Handler>>(),
                                         asio::execution::outstanding_work.tracked))>;

  PendingHandler(const asio::associated_executor_t<Handler>& executor, Handler&& handler)
      : Pending(asio::use_service<PendingService>(
                    asio::query(executor, asio::execution::context_as<asio::execution_context&>))
                    .list()),
        handler_(std::move(handler)),
        executor_(asio::prefer(executor, asio::execution::outstanding_work.tracked)) {}

  std::optional<Handler> handler_;
  std::optional<Executor> executor_;
};

}  // namespace hoist::detail
