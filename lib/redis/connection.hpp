// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "redis/reply.hpp"
#include "redis/stream.hpp"
#include "redis/url.hpp"

namespace hoist::detail::redis {

/// Commands that are sent at once.
class Request {
 public:
  using Words = std::span<const std::string_view>;

  void add(Words words) { add(words, {}); }
  void add(std::initializer_list<std::string_view> words) { add(Words(words), {}); }
  /// A command whose last argument consists of parts, which are borrowed until it is sent.
  void add(Words words, std::span<const std::span<const std::byte>> parts);

  /// As many replies will come.
  std::size_t commands() const { return commands_; }
  /// What is to be written. Valid as long as this isn't changed.
  std::vector<iovec> parts() const;

 private:
  struct Borrowed {
    std::size_t at;  // in the text
    std::span<const std::byte> bytes;
  };

  std::string text_;
  std::vector<Borrowed> borrowed_;
  std::size_t commands_ = 0;
};

/// A connection on which the server has let us in. Used by one thread at a time. After an exception
/// other than that of an error reply there is nothing more to be had from it.
class Connection {
 public:
  /// Throws what Stream does, and for a server that doesn't want us, or that we don't.
  explicit Connection(const Url& url);

  void send(const Request& request);
  /// The reply to the next command that has none yet; may be an error.
  Reply receive();
  /// The same, but the bytes of a bulk go where `room` says; `integer` is their number.
  Reply receive_into(const BulkRoom& room);

  /// The replies to all commands. An error among them is thrown when all have come.
  std::vector<Reply> call(const Request& request);
  Reply call(std::initializer_list<std::string_view> words);

  /// Whether it may be used again: no reply is under way, and the server is there.
  bool is_reusable() const { return !failed_ && due_ == 0 && stream_.is_quiet(); }
  /// Whether there has been such an exception.
  bool has_failed() const { return failed_; }
  /// Whether something has come, so that receive() will hardly wait.
  bool has_input() const { return !stream_.is_quiet(); }
  /// Whether replies are still to come.
  bool is_due() const { return due_ > 0; }
  int fd() const { return stream_.fd(); }
  /// The server's number for this connection.
  std::int64_t id() const { return id_; }
  /// Major times 100 plus minor; 0 where the server doesn't tell.
  unsigned version() const { return version_; }
  /// Another one after each start of the server; empty where it doesn't tell.
  const std::string& run_id() const { return run_id_; }

  /// Throws what an error reply says: SystemError, whose code tells what can be done.
  void check(const Reply& reply) const;

 private:
  template <class Work>
  auto noting_failure(const Work& work);
  void log_in(const Url& url);
  void read_info(const std::string& info);

  const std::string server_;
  Stream stream_;
  ReplyReader reader_;
  std::size_t due_ = 0;  // replies
  bool failed_ = false;
  std::int64_t id_ = 0;
  unsigned version_ = 0;
  std::string run_id_;
};

}  // namespace hoist::detail::redis
