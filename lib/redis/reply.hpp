// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/byte_streams.hpp"

namespace hoist::detail::redis {

/// A reply of the server in its protocol RESP2.
struct Reply {
  enum class Kind : unsigned char { null, status, error, integer, bulk, array };

  Kind kind = Kind::null;
  std::int64_t integer = 0;
  std::string text = {};  ///< of a status, an error or a bulk
  std::vector<Reply> items = {};

  bool is_error() const { return kind == Kind::error; }
  bool is_null() const { return kind == Kind::null; }
};

/// Where the bytes of a bulk are to go. May throw.
using BulkRoom = std::function<std::span<std::byte>(std::size_t bytes)>;

/// Takes replies from a stream. Memory is set aside as bytes arrive and never because a length says
/// so; a reply that would take more than `budget` bytes is refused.
class ReplyReader {
 public:
  /// The server itself sends no bulk above 512 MiB.
  static constexpr std::size_t default_budget = std::size_t{640} << 20;

  explicit ReplyReader(base::PeekableSource& in, std::size_t budget = default_budget)
      : in_(in), budget_(budget) {}

  /// The next reply. Throws EndOfStream where the stream ends, DamagedData for what is no reply,
  /// and what the stream throws; there is no next one then.
  Reply read();
  /// The same, but the bytes of a bulk go where `room` says; `integer` is their number.
  Reply read_into(const BulkRoom& room);

 private:
  Reply read_any(std::size_t depth, const BulkRoom* room);
  char first();
  std::string line();
  void bytes_to(std::span<std::byte> to);
  std::string bulk(std::size_t bytes);
  void take_from_budget(std::size_t bytes);

  base::PeekableSource& in_;
  const std::size_t budget_;
  std::size_t left_ = 0;  // of the budget, for the reply being read
};

}  // namespace hoist::detail::redis
