// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/error.hpp>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/byte_streams.hpp"
#include "dynamic/conversion.hpp"
#include "dynamic/elements.hpp"
#include "dynamic/value_node.hpp"
#include "pickle/opcodes.hpp"
#include "pickle/pickle.hpp"

namespace hoist::detail::pickle {

namespace {

/// Raw arrays begin at a multiple of this in the file; joblib's own are at 16.
constexpr std::uint64_t array_align = 64;
/// As many parts are put into a list, dict or set at a time; Python's own pickler takes 1000.
constexpr std::size_t batch_parts = 2000;

/// Opcodes of protocol 4, without frames: every Python from 3.4 on loads them.
class PickleWriter final : public dynamic::ValueVisitor, private PickleOpcodes {
 public:
  PickleWriter(ByteSink& out, bool compressed) : PickleOpcodes(out), compressed_(compressed) {}

  void start() { text("\x80\x04"); }
  void finish() {
    text(".");
    flush();
  }

  /// Of what a value has in it several times there is one object.
  void part(Value value) override {
    repeated_ = repeated_parts(value);
    put(value);
    memo_.clear();
  }

  void begin(dynamic::Kind kind, std::size_t n) override {
    check_hashable(kind);
    enter();
    open(kind, n);
  }
  void end() override {
    close();
    leave(nullptr);
  }

  void object(std::size_t number) override { keep(objects_[number] = memos_++); }
  void object_again(std::size_t number) override {
    enter();
    fetch(objects_.at(number));
    leave(nullptr);
  }

 private:
  // --- arrays ---

  /// The opcodes of joblib's wrapper; the elements follow them.
  std::string wrapper(const DType& type, const Shape& shape, Order order, bool mappable) {
    std::vector<std::byte> opcodes;
    base::VectorSink sink(opcodes);
    PickleOpcodes inner(sink);
    inner.global("joblib.numpy_pickle", "NumpyArrayWrapper");
    inner.text(")\x81}(");
    inner.string("subclass");
    inner.global("numpy", "ndarray");
    inner.string("shape");
    inner.extents(shape);
    inner.string("order");
    inner.string(order == Order::fortran && shape.size() > 1 ? "F" : "C");
    inner.string("dtype");
    inner.dtype(type);
    inner.string("allow_mmap");
    inner.boolean(mappable);
    inner.text("ub");
    inner.flush();
    return {reinterpret_cast<const char*>(opcodes.data()), opcodes.size()};
  }

  void array(const Value::Elements& elements) {
    const std::string opcodes =
        wrapper(elements.dtype, elements.shape, elements.order, !compressed_);
    // joblib's own padding is unknown to its versions before 1.2. A string that is dropped at once
    // moves the elements to where they are aligned for all of them.
    if (!compressed_) {
      const std::uint64_t end = position() + opcodes.size();
      std::uint64_t shift = (array_align - end % array_align) % array_align;
      if (shift > 0 && shift < 3) shift += array_align;
      if (shift > 0) {
        op('C');
        op(static_cast<unsigned char>(shift - 3));
        text(std::string(static_cast<std::size_t>(shift - 3), '\0'));
        op('0');
      }
    }
    text(opcodes);
    text({reinterpret_cast<const char*>(elements.data), elements.nbytes()});
  }

  /// Python objects: behind the wrapper a pickle of its own, in which there are no wrappers and
  /// nothing of the memo outside.
  void objects(const Value& value) {
    if (plain_arrays_) return plain_objects(value);
    text(wrapper(value.dtype(), value.shape(), value.order(), false));
    text("\x80\x04");
    auto outer = std::exchange(memo_, {});
    auto outer_names = std::exchange(names_, {});
    const std::uint32_t outer_memos = std::exchange(memos_, 0);
    plain_arrays_ = true;
    plain_objects(value);
    plain_arrays_ = false;
    memo_ = std::move(outer);
    names_ = std::move(outer_names);
    memos_ = outer_memos;
    op('.');
  }

  void plain_objects(const Value& value) {
    reconstruct(value.shape(), value.dtype(), value.order(),
                [&] { sequence(dynamic::Kind::list, value); });
  }

  template <class PutData>
  void reconstruct(const Shape& shape, const DType& type, Order order, PutData put_data) {
    global("numpy.core.multiarray", "_reconstruct");
    global("numpy", "ndarray");
    text(
        std::string_view("K\0\x85"
                         "C\1b\x87R(K\1",
                         11));
    extents(shape);
    dtype(type);
    boolean(order == Order::fortran && shape.size() > 1);
    put_data();
    text("tb");
  }

  // --- values ---

  /// A part comes next.
  void enter() {
    if (++depth_ > max_depth) throw_too_deep();
    if (open_.empty()) return;
    const Open& open = open_.back();
    if (open.done > 0 && open.done % batch_parts == 0) next_batch(open.kind);
    if (open.kind != dynamic::Kind::dict || open.done % 2 != 0) return;
    key_.clear();
    copy_to(&key_);
  }
  /// Writes a key that is text. Readers get one object for the name of a member, which each
  /// structure repeats.
  void name(std::string_view text) {
    constexpr std::size_t most_names = 1000;
    constexpr std::size_t longest_name = 64;
    copy_to(nullptr);
    key_ = text;  // whatever stands for it in the file
    if (const auto known = names_.find(text); known != names_.end()) {
      return fetch(known->second);
    }
    string(text);
    if (text.size() > longest_name || names_.size() >= most_names) return;
    keep(memos_);
    names_.emplace(text, memos_++);
  }

  /// So that a reader's stack needs no room for all parts.
  void next_batch(dynamic::Kind kind) {
    switch (kind) {
      case dynamic::Kind::list: text("e("); break;
      case dynamic::Kind::dict: text("u("); break;
      case dynamic::Kind::set: text("\x90("); break;
      default: break;
    }
  }
  /// It is over. `value`: for a message.
  void leave(const Value* value) {
    --depth_;
    if (open_.empty()) return;
    Open& open = open_.back();
    if (open.kind == dynamic::Kind::dict && open.done % 2 == 0) {
      copy_to(nullptr);
      if (open.done > 0 && key_ == open.last_key) throw_twice(value);
      std::swap(key_, open.last_key);
    }
    ++open.done;
  }
  /// Equal keys of a multimap stand side by side.
  [[noreturn]] static void throw_twice(const Value* key) {
    throw BadArgument("a Python dict can't have " +
                      (key != nullptr ? "the key " + key->to_string(60) : std::string("a key")) +
                      " twice, as this multimap has");
  }

  /// What comes next is a key or stands in a set, maybe in tuples there.
  bool is_in_key() const {
    for (auto open = open_.rbegin(); open != open_.rend(); ++open) {
      if (open->kind == dynamic::Kind::tuple) continue;
      if (open->kind == dynamic::Kind::dict) return open->done % 2 == 0;
      return open->kind == dynamic::Kind::set || open->kind == dynamic::Kind::frozen_set;
    }
    return false;
  }
  /// No reader would take a file with such a key.
  [[gnu::noinline]] void check_hashable(dynamic::Kind kind) const {
    const char* what = nullptr;
    switch (kind) {
      case dynamic::Kind::list: what = "a list"; break;
      case dynamic::Kind::set: what = "a set that isn't frozen"; break;
      case dynamic::Kind::dict: what = "a dict"; break;
      case dynamic::Kind::array:
      case dynamic::Kind::objects: what = "an array"; break;
      default: return;
    }
    if (is_in_key()) {
      throw BadArgument(std::string("Python can't have ") + what +
                        " in the key of a dict or in a set: dump to a hoist container");
    }
  }

  /// Around the parts of what has some.
  [[gnu::noinline]] void open(dynamic::Kind kind, std::size_t n) {
    open_.push_back({kind, n, 0, {}});
    switch (kind) {
      case dynamic::Kind::list: text(n > 0 ? "](" : "]"); break;
      case dynamic::Kind::set: text("\x8F("); break;
      case dynamic::Kind::dict: text(n > 0 ? "}(" : "}"); break;
      case dynamic::Kind::frozen_set: op('('); break;
      default:
        if (n > 3) op('(');
    }
  }
  [[gnu::noinline]] void close() {
    const std::size_t n = open_.back().n;
    switch (open_.back().kind) {
      case dynamic::Kind::list: text(n > 0 ? "e" : ""); break;
      case dynamic::Kind::set: op(0x90); break;
      case dynamic::Kind::dict: text(n > 0 ? "u" : ""); break;
      case dynamic::Kind::frozen_set: op(0x91); break;
      default: end_tuple(n);
    }
    open_.pop_back();
  }

  void sequence(dynamic::Kind kind, const Value& value) {
    open(kind, value.items().size());
    for (const Value& item : value.items()) put(item);
    close();
  }

  void dict(const Value& value) {
    open(dynamic::Kind::dict, value.entries().size());
    for (const auto& [key, part] : value.entries()) {
      put(key);
      put(part);
    }
    close();
  }

  [[gnu::noinline]] void call(std::string_view module, std::string_view name, const Value& value) {
    global(module, name);
    sequence(dynamic::Kind::tuple, value);
    op('R');
  }

  void moment(const Value& value) {
    const auto& t = value.as_moment();
    const bool has_date = value.kind() != dynamic::Kind::time;
    const bool has_time = value.kind() != dynamic::Kind::date;
    std::string packed;
    const auto add = [&](int byte) { packed += static_cast<char>(byte); };
    const int fold = t.fold != 0 ? 0x80 : 0;
    if (has_date) {
      add(t.year >> 8);
      add(t.year);
      add(t.month | (has_time ? fold : 0));
      add(t.day);
    }
    if (has_time) {
      add(t.hour | (has_date ? 0 : fold));
      add(t.minute);
      add(t.second);
      add(t.microsecond >> 16);
      add(t.microsecond >> 8);
      add(t.microsecond);
    }
    global("datetime", !has_time ? "date" : has_date ? "datetime" : "time");
    tuple(t.utc_offset_us ? 2 : 1, [&] {
      bytes(packed);
      if (!t.utc_offset_us) return;
      global("datetime", "timezone");
      global("datetime", "timedelta");
      tuple(3, [&] {
        integer(0);
        integer(*t.utc_offset_us / 1000000);
        integer(*t.utc_offset_us % 1000000);
      });
      op('R');
      text("\x85R");
    });
    op('R');
  }

  void put(const Value& value) {
    check_hashable(value.kind());
    enter();
    if (!fetch_known(value)) {
      put_new(value);
      remember(value);
    }
    leave(&value);
  }

  [[gnu::noinline]] bool fetch_known(const Value& value) {
    const auto known = memo_.find(value.node());
    if (known == memo_.end()) return false;
    fetch(known->second);
    return true;
  }

  /// Only when it is complete: values never hold themselves.
  [[gnu::noinline]] void remember(const Value& value) {
    if (!repeated_.contains(value.node())) return;
    keep(memo_[value.node()] = memos_++);
  }

  /// Only what nests is written here: a small frame, as there may be max_depth of them.
  void put_new(const Value& value) {
    switch (value.kind()) {
      case dynamic::Kind::list:
      case dynamic::Kind::tuple:
      case dynamic::Kind::set:
      case dynamic::Kind::frozen_set: sequence(value.kind(), value); break;
      case dynamic::Kind::dict: dict(value); break;
      case dynamic::Kind::objects: objects(value); break;
      case dynamic::Kind::slice: call("builtins", "slice", value); break;
      case dynamic::Kind::range: call("builtins", "range", value); break;
      case dynamic::Kind::timedelta: call("datetime", "timedelta", value); break;
      default: leaf(value);
    }
  }

  [[gnu::noinline]] void leaf(const Value& value) {
    switch (value.kind()) {
      case dynamic::Kind::none: op('N'); break;
      case dynamic::Kind::boolean: boolean(value.as_bool()); break;
      case dynamic::Kind::integer: integer(value.as_int()); break;
      case dynamic::Kind::natural: {
        const std::uint64_t number = value.as_uint();
        std::string bits(reinterpret_cast<const char*>(&number), sizeof number);
        long_bytes(bits + '\0');
        break;
      }
      case dynamic::Kind::big_integer: long_bytes(value.as_bytes()); break;
      case dynamic::Kind::real: real(value.as_double()); break;
      case dynamic::Kind::complex:
        global("builtins", "complex");
        real(value.as_complex().real());
        real(value.as_complex().imag());
        text("\x86R");
        break;
      case dynamic::Kind::text:
        // Inside a key that has several parts the innermost is no dict.
        if (copies() && open_.back().kind == dynamic::Kind::dict) {
          name(value.as_text());
        } else {
          string(value.as_text());
        }
        break;
      case dynamic::Kind::bytes: bytes(value.as_bytes()); break;
      case dynamic::Kind::array:
        if (!plain_arrays_) {
          array(value.elements());
        } else {
          const auto& elements = value.elements();
          reconstruct(elements.shape, elements.dtype, elements.order, [&] {
            bytes({reinterpret_cast<const char*>(elements.data), elements.nbytes()});
          });
        }
        break;
      case dynamic::Kind::scalar:
        global("numpy.core.multiarray", "scalar");
        dtype(value.dtype());
        bytes(value.as_bytes());
        text("\x86R");
        break;
      case dynamic::Kind::dtype: dtype(value.dtype()); break;
      case dynamic::Kind::date:
      case dynamic::Kind::time:
      case dynamic::Kind::datetime: moment(value); break;
      default: throw CannotTravel("the value is unfinished");
    }
  }

  /// What is around the part at hand.
  struct Open {
    dynamic::Kind kind;
    std::size_t n;         // parts, or entries
    std::size_t done;      // parts; each key is one, too
    std::string last_key;  // as it was written
  };

  bool compressed_;
  bool plain_arrays_ = false;  // inside an array of objects
  std::vector<Open> open_;
  int depth_ = 0;
  std::string key_;  // of the dict that is the innermost but for what is in the key itself
  std::map<std::string, std::uint32_t, std::less<>> names_;
  std::unordered_set<const Value::Node*> repeated_;
  std::unordered_map<const Value::Node*, std::uint32_t> memo_;
  std::unordered_map<std::size_t, std::uint32_t> objects_;
  std::uint32_t memos_ = 0;
};

}  // namespace

void write_pickle(ByteSink& out, const Value& value, bool compressed) {
  PickleWriter writer(out, compressed);
  writer.start();
  writer.part(value);
  writer.finish();
}

void write_pickle(ByteSink& out, const dynamic::SchemaNode& schema, Decoder& decoder,
                  bool compressed) {
  PickleWriter writer(out, compressed);
  writer.start();
  dynamic::visit_value(schema, decoder, ~std::uint64_t{0}, writer);
  writer.finish();
}

}  // namespace hoist::detail::pickle
