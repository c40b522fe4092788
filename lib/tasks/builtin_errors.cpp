// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/detail/envelope.hpp>
#include <hoist/error.hpp>
#include <hoist/listener.hpp>
#include <hoist/outcome.hpp>

#include <any>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <future>
#include <ios>
#include <memory>
#include <new>
#include <optional>
#include <regex>
#include <span>
#include <stdexcept>
#include <system_error>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <variant>
#include <vector>

#include "tasks/error_forms.hpp"

namespace hoist::detail::tasks {

namespace {

template <class... Es>
struct Types {};

using WriteError = void (*)(Encoder&, const std::exception_ptr&);
using RaiseError = void (*)(Decoder&, const std::string& what, bool has_cause);

void add_form(AddForm add, const std::type_info& type, WriteError write, RaiseError raise) {
  add(type, {readable_type(type), write, raise});
}

/// `Write` and `raise` have no captures, so that little code is compiled for each type.
template <class E, class Write>
void add_with(AddForm add, Write, RaiseError raise) {
  const auto write = [](Encoder& to, const std::exception_ptr& error) {
    try {
      std::rethrow_exception(error);
    } catch (const E& e) {
      Write()(to, e);
    }
  };
  add_form(add, typeid(E), write, raise);
}

void write_nothing(Encoder&, const std::exception_ptr&) {}

/// Types whose only state is their text.
template <class... Es>
void add_texts(AddForm add, Types<Es...>) {
  (add_form(add, typeid(Es), write_nothing,
            [](Decoder&, const std::string& what, bool has_cause) {
              raise_error<Es>(Es(what), has_cause);
            }),
   ...);
}

/// Types without state, whose text is fixed.
template <class... Es>
void add_fixed(AddForm add, Types<Es...>) {
  (add_form(add, typeid(Es), write_nothing,
            [](Decoder&, const std::string&, bool has_cause) { raise_error<Es>(Es(), has_cause); }),
   ...);
}

/// Thrown values that are not exceptions.
template <class... Es>
void add_values(AddForm add, Types<Es...>) {
  (add_with<Es>(
       add, [](Encoder& to, const Es& value) { Form<Es>::traverse(to, value); },
       [](Decoder& from, const std::string&, bool) {
         Es value{};
         Form<Es>::traverse(from, value);
         throw value;
       }),
   ...);
}

/// The constructor's argument, to which it has appended ": " and the code's own text.
std::string without_suffix(std::string what, const std::string& suffix) {
  if (what == suffix) return {};
  const std::string tail = ": " + suffix;
  if (what.ends_with(tail)) what.resize(what.size() - tail.size());
  return what;
}

/// Throws for a code of a category that isn't the standard library's; that error then travels as
/// text.
void write_code(Encoder& to, const std::error_code& code) {
  Form<std::error_code>::traverse(to, code);
}

std::error_code read_code(Decoder& from) {
  std::error_code code;
  Form<std::error_code>::traverse(from, code);
  return code;
}

template <class E>
void add_coded(AddForm add) {
  add_with<E>(
      add, [](Encoder& to, const E& e) { write_code(to, e.code()); },
      [](Decoder& from, const std::string& what, bool has_cause) {
        const std::error_code code = read_code(from);
        const std::string given = without_suffix(what, code.message());
        if constexpr (std::is_same_v<E, std::system_error>) {
          if (given.empty()) raise_error<E>(E(code), has_cause);
          raise_error<E>(E(code, given), has_cause);
        } else {
          raise_error<E>(E(given, code), has_cause);
        }
      });
}

void add_filesystem_error(AddForm add) {
  using E = std::filesystem::filesystem_error;
  add_with<E>(
      add,
      [](Encoder& to, const E& e) {
        write_code(to, e.code());
        Form<std::filesystem::path>::traverse(to, e.path1());
        Form<std::filesystem::path>::traverse(to, e.path2());
      },
      [](Decoder& from, const std::string& what, bool has_cause) {
        const std::error_code code = read_code(from);
        std::filesystem::path first, second;
        Form<std::filesystem::path>::traverse(from, first);
        Form<std::filesystem::path>::traverse(from, second);
        const auto made = [&](const std::string& text) {
          if (second.empty() && first.empty()) return E(text, code);
          return second.empty() ? E(text, first, code) : E(text, first, second, code);
        };
        // The constructor puts this before the text, and appends the code's text and the paths.
        const std::string prefix = "filesystem error: ";
        std::string given = what.starts_with(prefix) ? what.substr(prefix.size()) : what;
        std::string tail = made("").what();
        if (tail.starts_with(prefix)) tail.erase(0, prefix.size());
        if (given.ends_with(tail)) given.resize(given.size() - tail.size());
        raise_error<E>(made(given), has_cause);
      });
}

}  // namespace

void builtin_error_forms(AddForm add) {
  add_texts(add, Types<std::logic_error, std::domain_error, std::invalid_argument,
                       std::length_error, std::out_of_range, std::runtime_error, std::range_error,
                       std::overflow_error, std::underflow_error>{});
  add_texts(add, Types<Error, BadArgument, CannotTravel, DamagedData, UnsafeData, LimitExceeded,
                       WrongType, NotFound, Interrupted, Cancelled, BrokenBarrier, Full, Empty,
                       Closed, EndOfStream, ManagerDied, AuthenticationError>{});
  add_fixed(add,
            Types<std::exception, std::bad_exception, std::bad_alloc, std::bad_array_new_length,
                  std::bad_cast, std::bad_typeid, std::bad_any_cast, std::bad_optional_access,
                  std::bad_variant_access, std::bad_weak_ptr, std::bad_function_call>{});
  add_values(add, Types<int, long, unsigned, double, std::string>{});
  add_coded<std::system_error>(add);
  add_coded<std::ios_base::failure>(add);
  add_filesystem_error(add);
  add_with<std::future_error>(
      add, [](Encoder& to, const std::future_error& e) { write_code(to, e.code()); },
      [](Decoder& from, const std::string&, bool has_cause) {
        const auto code = static_cast<std::future_errc>(read_code(from).value());
        raise_error<std::future_error>(std::future_error(code), has_cause);
      });
  add_with<std::regex_error>(
      add,
      [](Encoder& to, const std::regex_error& e) {
        const auto code = static_cast<std::int32_t>(e.code());
        Form<std::int32_t>::traverse(to, code);
      },
      [](Decoder& from, const std::string&, bool has_cause) {
        std::int32_t code = 0;
        Form<std::int32_t>::traverse(from, code);
        const auto type = static_cast<std::regex_constants::error_type>(code);
        raise_error<std::regex_error>(std::regex_error(type), has_cause);
      });
  add_with<RemoteError>(
      add,
      [](Encoder& to, const RemoteError& e) {
        for (const std::string* part : {&e.type_name(), &e.text(), &e.stack()}) {
          Form<std::string>::traverse(to, *part);
        }
      },
      [](Decoder& from, const std::string&, bool has_cause) {
        std::string type, text, stack;
        for (std::string* part : {&type, &text, &stack}) Form<std::string>::traverse(from, *part);
        raise_error<RemoteError>(RemoteError(type, text, stack), has_cause);
      });
  add_with<OwnerDied>(
      add,
      [](Encoder& to, const OwnerDied& e) {
        const std::int32_t pid = e.pid();
        const std::int64_t since = e.when().time_since_epoch().count();
        Form<std::int32_t>::traverse(to, pid);
        Form<std::int64_t>::traverse(to, since);
      },
      [](Decoder& from, const std::string& what, bool has_cause) {
        std::int32_t pid = 0;
        std::int64_t since = 0;
        Form<std::int32_t>::traverse(from, pid);
        Form<std::int64_t>::traverse(from, since);
        using When = std::chrono::system_clock;
        const When::time_point when{When::duration(since)};
        raise_error<OwnerDied>(OwnerDied(what, pid, when), has_cause);
      });
  add_with<BufferTooShort>(
      add,
      [](Encoder& to, const BufferTooShort& e) {
        Form<std::vector<std::byte>>::traverse(to, e.message());
      },
      [](Decoder& from, const std::string&, bool has_cause) {
        std::vector<std::byte> message;
        Form<std::vector<std::byte>>::traverse(from, message);
        raise_error<BufferTooShort>(BufferTooShort(std::move(message)), has_cause);
      });
  add_with<TimedOut>(
      add,
      [](Encoder& to, const TimedOut& e) {
        for (const std::uint64_t part : {e.tasks_done(), e.tasks()}) {
          Form<std::uint64_t>::traverse(to, part);
        }
      },
      [](Decoder& from, const std::string& what, bool has_cause) {
        std::uint64_t done = 0, tasks = 0;
        for (std::uint64_t* part : {&done, &tasks}) Form<std::uint64_t>::traverse(from, *part);
        raise_error<TimedOut>(TimedOut(what, done, tasks), has_cause);
      });
  add_with<WorkerDied>(
      add,
      [](Encoder& to, const WorkerDied& e) {
        for (const std::int32_t part : {e.pid(), e.signal(), e.exit_code()}) {
          Form<std::int32_t>::traverse(to, part);
        }
      },
      [](Decoder& from, const std::string& what, bool has_cause) {
        std::int32_t pid = 0, signal = 0, code = 0;
        for (std::int32_t* part : {&pid, &signal, &code}) {
          Form<std::int32_t>::traverse(from, *part);
        }
        raise_error<WorkerDied>(WorkerDied(what, pid, signal, code), has_cause);
      });
  add_with<LoopErrors>(
      add,
      [](Encoder& to, const LoopErrors& e) {
        const auto count = static_cast<std::uint64_t>(e.failures().size());
        Form<std::uint64_t>::traverse(to, count);
        for (const TaskFailure& failure : e.failures()) {
          const auto index = static_cast<std::uint64_t>(failure.index);
          const auto packed = pack_error(failure.error);
          const std::string bytes(reinterpret_cast<const char*>(packed.data()), packed.size());
          Form<std::uint64_t>::traverse(to, index);
          Form<std::uint32_t>::traverse(to, failure.attempts);
          Form<std::string>::traverse(to, bytes);
        }
      },
      [](Decoder& from, const std::string& what, bool has_cause) {
        std::uint64_t count = 0;
        Form<std::uint64_t>::traverse(from, count);
        std::vector<TaskFailure> failures;
        for (; count > 0; --count) {
          std::uint64_t index = 0;
          std::uint32_t attempts = 0;
          std::string bytes;
          Form<std::uint64_t>::traverse(from, index);
          Form<std::uint32_t>::traverse(from, attempts);
          Form<std::string>::traverse(from, bytes);
          failures.push_back({static_cast<std::size_t>(index), attempts,
                              unpack_error(std::as_bytes(std::span(bytes)))});
        }
        // Its text begins "3 of 10 tasks".
        const auto of = what.find(" of ");
        const std::size_t tasks =
            of == std::string::npos ? failures.size() : std::strtoull(&what[of + 4], nullptr, 10);
        raise_error<LoopErrors>(LoopErrors(std::move(failures), tasks), has_cause);
      });
  add_with<SystemError>(
      add,
      [](Encoder& to, const SystemError& e) {
        const auto code = static_cast<std::int32_t>(e.code());
        Form<std::int32_t>::traverse(to, code);
      },
      [](Decoder& from, const std::string& what, bool has_cause) {
        std::int32_t code = 0;
        Form<std::int32_t>::traverse(from, code);
        const std::string text = std::generic_category().message(code);
        raise_error<SystemError>(SystemError(without_suffix(what, text), code), has_cause);
      });
}

}  // namespace hoist::detail::tasks
