// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/detail/envelope.hpp>
#include <hoist/error.hpp>
#include <hoist/outcome.hpp>

#include <cxxabi.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "program/stack_trace.hpp"
#include "tasks/error_forms.hpp"

namespace hoist::detail {

namespace {

/// The deepest nesting of causes; deeper ones are dropped.
constexpr int max_causes = 32;

class Writer {
 public:
  void text(std::string_view text) {
    const auto n = static_cast<std::uint64_t>(text.size());
    const auto* size = reinterpret_cast<const std::byte*>(&n);
    bytes.insert(bytes.end(), size, size + sizeof n);
    const auto* from = reinterpret_cast<const std::byte*>(text.data());
    bytes.insert(bytes.end(), from, from + text.size());
  }
  std::vector<std::byte> bytes;
};

class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : left_(bytes) {}
  std::string_view text() {
    std::uint64_t n = 0;
    if (left_.size() < sizeof n) Decoder::throw_damaged();
    std::memcpy(&n, left_.data(), sizeof n);
    left_ = left_.subspan(sizeof n);
    if (n > left_.size()) Decoder::throw_damaged();
    const std::string_view text(reinterpret_cast<const char*>(left_.data()), n);
    left_ = left_.subspan(n);
    return text;
  }
  bool done() const { return left_.empty(); }

 private:
  std::span<const std::byte> left_;
};

std::string_view view(const Segment& segment) {
  return {reinterpret_cast<const char*>(segment.data), segment.bytes};
}

struct Description {
  std::string type;  // mangled
  std::string readable;
  std::string what;
  bool has_text = true;
  std::exception_ptr cause;
};

Description describe_error(const std::exception_ptr& error) {
  Description description;
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    description.type = typeid(e).name();
    description.readable = readable_type(typeid(e));
    const char* what = e.what();
    description.what = what != nullptr ? what : "";
    if (const auto* nested = dynamic_cast<const std::nested_exception*>(&e)) {
      description.cause = nested->nested_ptr();
    }
  } catch (const std::string& text) {
    description.type = typeid(std::string).name();
    description.readable = "std::string";
    description.what = text;
  } catch (const char* text) {
    // Arrives as a string, because the pointer is meaningless in the other process.
    description.type = typeid(std::string).name();
    description.readable = "const char*";
    description.what = text != nullptr ? text : "";
  } catch (...) {
    if (const std::type_info* type = abi::__cxa_current_exception_type()) {
      description.type = type->name();
      description.readable = readable_type(*type);
    }
    description.has_text = false;
  }
  constexpr std::string_view before = "std::_Nested_exception<";
  if (description.readable.starts_with(before)) {
    description.readable =
        description.readable.substr(before.size(), description.readable.size() - before.size() - 1);
  }
  return description;
}

std::vector<std::byte> pack(const std::exception_ptr& error, int depth);

void write_state(Writer& writer, const Description& description, const std::exception_ptr& error) {
  std::string name;
  Encoded state;
  if (description.readable == "const char*") {
    Encoder encoder;
    Form<std::string>::traverse(encoder, description.what);
    state = encoder.take();
    name = readable_type(typeid(std::string));
  } else if (const ErrorForm* const form = tasks::find_error_form(description.type)) {
    try {
      Encoder encoder;
      // The exception may be a copy that the handler destroys, so nothing is borrowed from it.
      const Encoder::UserCode temporary(encoder);
      form->write(encoder, error);
      state = encoder.take();
      name = form->name;
    } catch (...) {
      name.clear();  // its members can't be encoded: it will arrive as RemoteError
      state = {};
    }
  }
  writer.text(name);
  writer.text({reinterpret_cast<const char*>(state.meta.data()), state.meta.size()});
  writer.text(std::to_string(state.segments.size()));
  for (const Segment& segment : state.segments) writer.text(view(segment));
  // Exceptions that arrive with their own type have no member for a stack.
  writer.text(name.empty() ? program::stack_of(error) : std::string());
}

std::vector<std::byte> pack(const std::exception_ptr& error, int depth) {
  const Description description = describe_error(error);
  Writer writer;
  writer.text(description.readable);
  writer.text(description.what);
  write_state(writer, description, error);
  if (description.cause != nullptr && depth < max_causes) {
    const auto cause = pack(description.cause, depth + 1);
    writer.text({reinterpret_cast<const char*>(cause.data()), cause.size()});
  }
  return std::move(writer.bytes);
}

std::span<const std::byte> as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

std::exception_ptr unpack(std::span<const std::byte> packed, int depth) {
  Reader reader(packed);
  const std::string type(reader.text());
  const std::string what(reader.text());
  const std::string name(reader.text());
  const std::string_view meta = reader.text();
  std::vector<Segment> segments;
  for (auto n = std::stoull(std::string(reader.text())); n > 0; --n) {
    const auto bytes = as_bytes(reader.text());
    segments.push_back({bytes.data(), bytes.size(), 1, nullptr});
  }
  const std::string stack(reader.text());
  std::exception_ptr cause;
  if (!reader.done() && depth < max_causes) cause = unpack(as_bytes(reader.text()), depth + 1);

  const auto raise = [&] {
    if (const ErrorForm* const form = name.empty() ? nullptr : tasks::find_error_form_named(name)) {
      EncodedSource source(as_bytes(meta), segments);
      Decoder decoder(source);
      form->raise(decoder, what, cause != nullptr);
    }
    raise_error<RemoteError>(RemoteError(type, what, stack), cause != nullptr);
  };
  try {
    if (cause != nullptr) {
      try {
        std::rethrow_exception(cause);
      } catch (...) {
        raise();  // throw_with_nested nests the current exception as the cause
      }
    } else {
      raise();
    }
  } catch (...) {
    return std::current_exception();
  }
  return nullptr;
}

}  // namespace

std::string error_text(const std::exception_ptr& error) {
  if (error == nullptr) return {};
  Description description = describe_error(error);
  if (description.has_text) return std::move(description.what);
  return "an exception of type " + description.readable;
}

std::string error_report(const std::exception_ptr& error) {
  std::string report;
  std::exception_ptr at = error;
  for (int depth = 0; at != nullptr && depth <= max_causes; ++depth) {
    const Description description = describe_error(at);
    if (depth > 0) report += "\ncaused by ";
    report += description.readable;
    if (description.has_text) report += ": " + description.what;
    if (const std::string stack = program::stack_of(at); !stack.empty()) report += "\n" + stack;
    if (report.ends_with('\n')) report.pop_back();
    at = description.cause;
  }
  return report;
}

std::vector<std::byte> pack_error(const std::exception_ptr& error) { return pack(error, 0); }

std::exception_ptr unpack_error(std::span<const std::byte> packed) noexcept {
  try {
    return unpack(packed, 0);
  } catch (...) {
    return std::current_exception();
  }
}

}  // namespace hoist::detail
