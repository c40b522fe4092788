// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/value.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "dynamic/conversion.hpp"
#include "dynamic/value_node.hpp"
#include "formats/input.hpp"
#include "pickle/opcode_table.hpp"
#include "pickle/pickle.hpp"

namespace hoist::detail::pickle {

/// The constructors that a pickle may name. Each is known to the reader and none is Python's.
enum class Token : unsigned char {
  array_wrapper,    // joblib.numpy_pickle.NumpyArrayWrapper
  sidecar_wrapper,  // the wrappers of joblib before 0.10, whose arrays lie in other files
  dtype,
  ndarray,
  matrix,
  record,  // the element type of a recarray
  reconstruct,
  scalar,
  frombuffer,
  encode,
  bytes,
  bytearray,
  set,
  frozenset,
  complex,
  slice,
  range,
  object,
  reconstructor,
  ordered_dict,
  default_dict,
  deque,
  counter,
  date,
  time,
  datetime,
  timedelta,
  timezone,
  factory,  // list, int, ...: what a defaultdict makes, nothing else
};

// Objects on the machine's stack that are no values; opcodes can only consume them.

struct TokenNode final : Value::Node {
  explicit TokenNode(Token t) : Node(dynamic::Kind::internal), token(t) {}
  Token token;
};
struct WrapperNode final : Value::Node {
  explicit WrapperNode(bool in_companion)
      : Node(dynamic::Kind::internal), companion(in_companion) {}
  bool companion;  // the array lies in another file
};
struct TimezoneNode final : Value::Node {
  explicit TimezoneNode(std::int64_t us) : Node(dynamic::Kind::internal), offset_us(us) {}
  std::int64_t offset_us;
};

/// An array between REDUCE and BUILD, which makes it an array or an array of objects.
inline bool is_unbuilt(const dynamic::ArrayNode& node) { return node.elements.dtype.kind == '\0'; }

/// Where a machine keeps what the pickle stores under a number.
class PickleMemo {
 public:
  virtual ~PickleMemo();
  /// Whether it is kept.
  virtual bool store(std::uint64_t index, const Value& value) = 0;
  /// How many numbers have been stored.
  virtual std::uint64_t size() const = 0;
  /// Nothing for a number that has not been.
  virtual std::optional<Value> fetch(std::uint64_t index) = 0;
};

/// A memo that keeps all, or what will be fetched if that is known.
class KeepingMemo final : public PickleMemo {
 public:
  explicit KeepingMemo(const std::vector<bool>* fetched = nullptr) : fetched_(fetched) {}
  bool store(std::uint64_t index, const Value& value) override;
  std::uint64_t size() const override { return fetched_ != nullptr ? stored_ : kept_.size(); }
  std::optional<Value> fetch(std::uint64_t index) override;

 private:
  const std::vector<bool>* fetched_;
  std::uint64_t stored_ = 0;
  std::unordered_map<std::uint64_t, Value> kept_;
};

/// What a pickle and those nested in it share: how many steps and how much memory are left, so that
/// a hostile stream can't exceed the limits, and the containers made so far, which may contain
/// themselves.
class PickleContext {
 public:
  explicit PickleContext(const Limits& limits)
      : steps(limits.max_nodes), memory(limits.max_memory) {}
  PickleContext(const PickleContext&) = delete;
  PickleContext& operator=(const PickleContext&) = delete;
  /// Takes cycles apart, which would never be freed.
  ~PickleContext();
  void add_container(const Value& value);

  std::uint64_t steps;
  std::uint64_t memory;
  std::uint64_t copied = 0;
  std::uint64_t expanded = 0;  // values that have been given, written out without sharing
  std::vector<std::weak_ptr<Value::Node>> containers;
  std::set<std::string> companions;  // whose names have been seen

 private:
  std::size_t many_ = 4096;  // containers, of which some may be gone
};

/// Runs one pickle.
class PickleMachine {
 public:
  /// `nested`: how many pickles are around this one; inside, joblib's wrappers are refused.
  PickleMachine(formats::Input& in, PickleContext& context, PickleMemo& memo, int nested)
      : in_(in), context_(context), memo_(memo), nested_(nested) {}

  /// Up to and with STOP. The value may still share parts in ways that `check_value` refuses.
  Value run();
  /// The same part by part; each is checked.
  void give(const PickleOutline& outline, dynamic::ValueSink& to);
  /// What a constructor makes that has just been named, up to and with its BUILD.
  Value construct(Token token);
  /// How many containers have begun.
  std::size_t containers() const { return containers_; }

 private:
  using Items = std::vector<Value>;

  friend class OpcodeTable<PickleMachine>;

  // The stream: every byte of it passes here, so that frames are kept to.
  template <class T>
  T number() {
    if (frame_end_ != 0 && frame_end_ - in_.position() < sizeof(T)) {
      damaged("an opcode crosses the end of its frame");
    }
    return in_.number<T>();
  }
  void expect(std::uint64_t n);
  std::string text(std::uint64_t n);
  Value bytes(std::uint64_t n);
  Value utf8(std::uint64_t n);
  Value old_string(std::uint64_t n);
  /// The next byte of a line, or -1 at its end.
  int line_byte();

  // The stack.
  void push(Value value);
  Value pop();
  const Value& top();
  Items last(std::size_t n);
  Items from_mark();
  void push_container(Value value);
  void charge(std::size_t bytes);
  void charge_copy(const Value& value);
  void charge_parts(const Value& value);
  void charge_dtype(const Value& state);
  void count_steps(std::uint64_t n);
  bool all_hashable(const Items& items);
  bool stops();

  // What opcodes mean.
  void begin_protocol(unsigned protocol);
  void begin_frame(std::uint64_t bytes);
  void push_mark();
  void discard_top();
  void discard(const Items& /*items*/) {}
  void duplicate() { push(Value(top())); }
  void push_none() { push({}); }
  void push_boolean(bool value) { push(Value(value)); }
  void push_integer(std::int64_t value) { push(Value(value)); }
  void push_long(std::uint64_t bytes);
  void push_real(double value) { push(Value(value)); }
  void push_decimal(std::string_view line, bool is_long);
  void push_decimal_real(std::string_view line);
  void push_quoted_line();
  void push_unicode_line();
  void push_utf8(std::uint64_t n) { push(utf8(n)); }
  void push_old_string(std::uint64_t n) { push(old_string(n)); }
  void push_bytes(std::uint64_t n) { push(bytes(n)); }
  void push_tuple(Items items) { push(Value::tuple(std::move(items))); }
  void push_frozen_set(Items items);
  void begin_container(dynamic::Kind kind);
  void push_filled(dynamic::Kind kind, Items items);
  void fill(dynamic::Kind kind, Items items);
  void store_top(std::uint64_t index);
  void push_fetched(std::uint64_t index);
  std::uint64_t memo_size() const { return memo_.size(); }
  void push_global(std::string_view module, std::string_view name);
  void push_global_of_stack();
  void reduce();
  void new_object();
  void build();
  [[noreturn]] void refuse(const std::string& opcode) const;
  [[noreturn]] void unknown(unsigned char opcode) const;

  // Objects.
  Value call(Token token, Items arguments);
  Value build_wrapper(const Value& state);
  Value build_companion(const Value& state);
  Value nested_array(const Shape& shape);

  // Part by part.
  /// A container that is given part by part. On the stack a marker stands for it.
  struct Open {
    std::size_t number;
    std::size_t at;  // on the stack
    dynamic::Kind kind;
    std::uint64_t left;  // parts that are still to come: keys and values of a dict
    bool wants_hashable() const {
      return kind == dynamic::Kind::set || (kind == dynamic::Kind::dict && left % 2 == 0);
    }
  };
  static bool is_given(const Value& value);
  bool begin_giving(std::size_t number, dynamic::Kind kind);
  void give_items(Items items);
  void give_part(Value value);
  void end_full();
  void count_expanded(std::uint64_t n);

  [[noreturn]] void damaged(const std::string& what) const { in_.damaged(what); }
  [[noreturn]] void limit(const std::string& what) const { in_.limit(what); }
  [[noreturn]] void unsafe(const std::string& what) const;

  formats::Input& in_;
  PickleContext& context_;
  PickleMemo& memo_;
  int nested_;
  std::uint64_t begin_ = 0;
  std::uint64_t frame_end_ = 0;  // 0: between frames
  Items stack_;
  std::vector<std::size_t> marks_;
  std::size_t containers_ = 0;
  const PickleOutline* outline_ = nullptr;  // with `sink_`
  dynamic::ValueSink* sink_ = nullptr;
  std::vector<Open> open_;
  std::uint64_t memory_then_ = 0;  // that was left when nothing was here but what the memo keeps
};

/// The token of a global name; nothing for names that are not on the list.
std::optional<Token> token_of(std::string_view module, std::string_view name);
/// The token that a value is, if it is one.
std::optional<Token> as_token(const Value& value);

/// Constructors with plain arguments; `fail` throws naming the file. Nothing for tokens that are
/// no such constructors.
using Fail = const std::function<void(const std::string&)>&;
std::optional<Value> call_plain(Token token, std::vector<Value>& arguments, Fail fail);
std::optional<Value> call_time(Token token, const std::vector<Value>& arguments, Fail fail);
std::optional<Value> call_numpy(Token token, std::vector<Value>& arguments, Fail fail);
void set_dtype_state(dynamic::DTypeNode& node, const Value& state, Fail fail);
void set_array_state(dynamic::ArrayNode& node, const Value& state, Fail fail);
Shape shape_argument(const Value& value, Fail fail);
/// Whether text is read for an array, which can take it over.
bool is_latin1(const Value& value);
/// Bytes, or text of Python 2 that stands for them.
Value bytes_value(const Value& value, Fail fail);
std::string bytes_argument(const Value& value, Fail fail);

/// Texts of protocol 0, whose lines may be as long as arrays are: `next` yields the bytes of the
/// line, then -1.
using NextByte = const std::function<int()>&;
Value raw_unicode(NextByte next, Fail fail);
Value quoted_string(NextByte next, Fail fail);
/// Other arguments of protocol 0.
Value decimal_integer(std::string_view line, bool is_long, Fail fail);
double decimal_real(std::string_view line, Fail fail);

/// Refuses values that contain themselves, nest deeper or expand further than the limits, or hold
/// tokens; removes keys that stand in a dict twice. Returns how many values it is, written out
/// without sharing.
std::uint64_t check_value(Value& value, const Limits& limits, Fail fail,
                          const std::function<void(const std::string&)>& over);

}  // namespace hoist::detail::pickle
