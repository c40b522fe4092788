// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory_resource>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pickle/machine.hpp"
#include "pickle/pickle.hpp"

// The first pass over a pickle. It counts the parts of each container and records which memo
// entries are fetched. It follows the stack with values of 8 bytes; a real machine makes the
// descriptions of arrays, whose length has to be known. Nothing relies on the result: the second
// pass checks everything.

namespace hoist::detail::pickle {

/// Thrown for a pickle without an outline: damaged or unusual.
struct NoOutline {};

/// What a survey knows of a value.
struct Slot {
  enum class Kind : unsigned char {
    other,      // complete, of no interest
    hashed,     // number, text or a tuple of those, which can be a key: its hash
    text,       // in the memo: number of its text
    container,  // list, dict or set that may be given part by part: its number
    made,       // what a constructor made, which may be filled or built
    token,      // constructor: its token
    kept,       // in the memo: number of the machine's value
  };
  Slot() = default;
  Slot(Kind k, std::uint64_t n) : kind(k), number(n & most) {}
  static constexpr std::uint64_t most = (std::uint64_t{1} << 56) - 1;
  Kind kind : 8 = Kind::other;
  std::uint64_t number : 56 = 0;
};
static_assert(sizeof(Slot) == 8);

/// Short texts, one after the other.
class Texts {
 public:
  static constexpr std::size_t longest = 64;

  explicit Texts(std::pmr::memory_resource* memory) : bytes_(memory) {}
  std::uint64_t add(std::string_view text) {
    const std::uint64_t at = bytes_.size();
    bytes_.push_back(static_cast<char>(text.size()));
    bytes_.insert(bytes_.end(), text.begin(), text.end());
    return at;
  }
  std::size_t bytes() const { return bytes_.size(); }
  std::string operator[](std::uint64_t at) const {
    const auto from = bytes_.begin() + static_cast<std::ptrdiff_t>(at);
    return {from + 1, from + 1 + static_cast<unsigned char>(*from)};
  }

 private:
  std::pmr::deque<char> bytes_;  // grows without copying
};

/// Surveys a pickle.
class Survey final : private PickleMemo {
 public:
  explicit Survey(formats::Input& in)
      : in_(in),
        steps_(in.options().limits.max_nodes),
        most_(in.options().limits.max_memory / sizeof(Slot)),
        context_(in.options().limits),
        machine_(in, context_, *this, 0) {}

  PickleOutline run();

 private:
  using Kind = Slot::Kind;
  using Container = PickleOutline::Container;

  friend class OpcodeTable<Survey>;

  // The stack.
  void push(Kind kind, std::uint64_t number = 0);
  void push_text(std::size_t n);
  Slot pop();
  /// Where the last `n` values begin.
  std::size_t last(std::size_t n) const;
  std::size_t from_mark();
  /// Removes the values from `first` on; containers among them are given as a whole.
  void discard(std::size_t first);

  // Containers.
  void end_container(const Slot& slot, std::uint32_t parent);
  void add_key(std::uint64_t container, const Slot& key);
  void give_whole(std::uint64_t container) {
    outline_.containers[container].size = Container::none;
  }

  // The memo, which is the machine's as well.
  bool store(std::uint64_t index, const Value& value) override;
  std::uint64_t size() const override { return memo_.size() - gap_; }
  std::optional<Value> fetch(std::uint64_t index) override;
  void store_slot(std::uint64_t index, Slot slot);
  Slot look_up(std::uint64_t index);

  // What opcodes mean.
  template <class T>
  T number() {
    return in_.number<T>();
  }
  void begin_protocol(unsigned /*protocol*/) {}
  void begin_frame(std::uint64_t /*bytes*/) {}
  void push_mark();
  void discard_top();
  [[noreturn]] void duplicate() { throw NoOutline(); }
  void push_none() { push(Kind::other); }
  void push_boolean(bool value) { push_integer(value ? 1 : 0); }
  void push_integer(std::int64_t value) { push(Kind::hashed, static_cast<std::uint64_t>(value)); }
  void push_long(std::uint64_t bytes);
  void push_real(double value);
  void push_decimal(std::string_view /*line*/, bool /*is_long*/) { push(Kind::other); }
  void push_decimal_real(std::string_view /*line*/) { push(Kind::other); }
  void push_quoted_line() { push_unicode_line(); }
  void push_unicode_line();
  void push_utf8(std::uint64_t n);
  void push_old_string(std::uint64_t n);
  void push_bytes(std::uint64_t n);
  void push_tuple(std::size_t first);
  void push_frozen_set(std::size_t first);
  void begin_container(dynamic::Kind kind);
  void push_filled(dynamic::Kind kind, std::size_t first);
  void fill(dynamic::Kind kind, std::size_t first);
  void store_top(std::uint64_t index);
  void push_fetched(std::uint64_t index);
  std::uint64_t memo_size() const { return size(); }
  void push_global(std::string_view module, std::string_view name);
  void push_global_of_stack();
  void push_token(Token token);
  void reduce();
  [[noreturn]] void new_object() { throw NoOutline(); }
  void build();
  [[noreturn]] void refuse(const char* /*opcode*/) { throw NoOutline(); }
  [[noreturn]] void unknown(unsigned char /*opcode*/) { throw NoOutline(); }
  [[noreturn]] void damaged(const char* /*what*/) { throw NoOutline(); }
  [[noreturn]] void limit(const char* /*what*/) { throw NoOutline(); }

  std::string& text() { return recent_[newest_]; }

  formats::Input& in_;
  std::uint64_t steps_;
  std::uint64_t most_;  // values on the stack, in the memo, and containers
  PickleContext context_;
  PickleMachine machine_;
  std::vector<Slot> stack_;
  std::vector<std::size_t> marks_;
  // Given back at once, before the second pass takes memory.
  std::pmr::monotonic_buffer_resource pool_{std::size_t{1} << 18};
  std::pmr::deque<Slot> memo_{&pool_};
  std::size_t gap_ = 0;
  Texts texts_{&pool_};
  std::vector<Value> kept_;
  std::string recent_[2];  // the last two texts that came to the top of the stack
  unsigned newest_ = 0;
  std::size_t text_end_ = 0;  // the size of the stack while a text that was just read is on its top
  PickleOutline outline_;
  /// The keys of dicts on the stack: the last one's at the end.
  struct Keys {
    std::uint64_t container;
    std::size_t first;
  };
  std::vector<Keys> keyed_;
  std::vector<std::uint64_t> keys_;
};

inline std::uint64_t hash_of(std::string_view text) {
  return std::hash<std::string_view>()(text) & Slot::most;
}

}  // namespace hoist::detail::pickle
