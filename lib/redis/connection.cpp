// SPDX-License-Identifier: BSD-3-Clause
#include "redis/connection.hpp"

#include <hoist/error.hpp>

#include <cerrno>
#include <charconv>

namespace hoist::detail::redis {

namespace {

/// Arguments from this size on are borrowed instead of copied.
constexpr std::size_t borrowed_from = std::size_t{16} << 10;
constexpr unsigned oldest = 500;

struct Meaning {
  std::string_view begins;  // the reply
  int code;
  std::string_view remedy;
};

/// What a user can do about an error reply.
constexpr Meaning meanings[] = {
    {"NOAUTH", EACCES, "it wants a password: redis://:PASSWORD@HOST"},
    {"ERR Client sent AUTH", EINVAL, "it has no password, so the URL should have none"},
    {"ERR AUTH <password> called without", EINVAL,
     "it has no password, so the URL should have none"},
    {"WRONGPASS", EACCES, "the user or the password of the URL is wrong"},
    {"ERR invalid password", EACCES, "the password of the URL is wrong"},
    {"NOPERM", EACCES, "its rules (ACL) don't let this user do what hoist needs"},
    {"DENIED", EACCES, "it is in protected mode: give it a password (requirepass)"},
    {"OOM", ENOMEM, "it has reached its maxmemory: raise that, or let it evict (volatile-lru)"},
    {"LOADING", EAGAIN, "it has just started and reads its data"},
    {"BUSY", EAGAIN, "it is busy with another's script"},
    {"MASTERDOWN", EAGAIN, "it has lost its master"},
    {"READONLY", EROFS, "it is a replica: give the address of its master"},
    {"MISCONF", EIO, "it can't write its data to its disk"},
    {"MOVED", EOPNOTSUPP, "it is in cluster mode, for which hoist isn't made: use one outside"},
    {"CROSSSLOT", EOPNOTSUPP, "it is in cluster mode, for which hoist isn't made: use one outside"},
    {"CLUSTERDOWN", EOPNOTSUPP,
     "it is in cluster mode, for which hoist isn't made: use one outside"},
    {"ERR DB index is out of range", EINVAL, "it has no such database"},
};

/// The value of a line "name:value" of INFO.
std::string_view value_of(std::string_view info, std::string_view name) {
  const auto at = info.find(std::string(name) + ":");
  if (at == std::string_view::npos) return {};
  info.remove_prefix(at + name.size() + 1);
  return info.substr(0, info.find_first_of("\r\n"));
}

}  // namespace

void Request::add(Words words, std::span<const std::span<const std::byte>> parts) {
  const auto number = [this](char mark, std::size_t n) {
    text_ += mark;
    text_ += std::to_string(n);
    text_ += "\r\n";
  };
  number('*', words.size() + (parts.empty() ? 0 : 1));
  for (const std::string_view word : words) {
    number('$', word.size());
    text_ += word;
    text_ += "\r\n";
  }
  ++commands_;
  if (parts.empty()) return;
  std::size_t bytes = 0;
  for (const auto& part : parts) bytes += part.size();
  number('$', bytes);
  for (const auto& part : parts) {
    if (part.size() < borrowed_from) {
      text_.append(reinterpret_cast<const char*>(part.data()), part.size());
    } else {
      borrowed_.push_back({text_.size(), part});
    }
  }
  text_ += "\r\n";
}

std::vector<iovec> Request::parts() const {
  std::vector<iovec> parts;
  const auto add = [&](const void* data, std::size_t bytes) {
    if (bytes > 0) parts.push_back({const_cast<void*>(data), bytes});
  };
  std::size_t at = 0;
  for (const Borrowed& one : borrowed_) {
    add(text_.data() + at, one.at - at);
    add(one.bytes.data(), one.bytes.size());
    at = one.at;
  }
  add(text_.data() + at, text_.size() - at);
  return parts;
}

Connection::Connection(const Url& url) : server_(url.server), stream_(url), reader_(stream_) {
  try {
    log_in(url);
  } catch (const EndOfStream&) {
    throw SystemError("the Redis server " + server_ +
                          " has closed the connection at once: perhaps it wants TLS (rediss://), a "
                          "certificate, or no more connections",
                      ECONNRESET);
  } catch (const DamagedData& error) {
    throw SystemError(server_ + ": " + error.what(), EPROTO);
  }
}

void Connection::log_in(const Url& url) {
  Request hello;
  if (!url.user.empty()) {
    hello.add({"AUTH", url.user, url.password});
  } else if (!url.password.empty()) {
    hello.add({"AUTH", url.password});
  }
  if (url.database != 0) hello.add({"SELECT", std::to_string(url.database)});
  const std::size_t id_at = hello.commands();
  hello.add({"CLIENT", "ID"});
  hello.add({"INFO", "server"});
  send(hello);
  std::vector<Reply> replies;
  while (due_ > 0) {
    replies.push_back(receive());
    // What refuses us may close the connection without another word.
    const Reply& latest = replies.back();
    const bool is_id = replies.size() == id_at + 1;
    const bool is_unknown = is_id && latest.text.starts_with("ERR");
    if (replies.size() <= id_at + 1 && !is_unknown) check(latest);
  }
  const Reply& id = replies[id_at];
  const Reply& info = replies[id_at + 1];
  if (!info.is_error()) read_info(info.text);
  if (id.is_error()) {
    throw SystemError("the Redis server " + server_ + " is too old: hoist needs Redis 5",
                      EOPNOTSUPP);
  }
  id_ = id.integer;
}

void Connection::read_info(const std::string& info) {
  run_id_ = value_of(info, "run_id");
  const std::string_view text = value_of(info, "redis_version");
  unsigned major = 0;
  unsigned minor = 0;
  const char* const end = text.data() + text.size();
  const auto [dot, error] = std::from_chars(text.data(), end, major);
  if (error == std::errc() && dot != end) std::from_chars(dot + 1, end, minor);
  version_ = major * 100 + minor;
  if (error == std::errc() && version_ < oldest) {
    throw SystemError("the Redis server " + server_ + " has version " + std::string(text) +
                          ": hoist needs Redis 5",
                      EOPNOTSUPP);
  }
  if (value_of(info, "redis_mode") == "cluster")
    check({.kind = Reply::Kind::error, .text = "MOVED"});
}

void Connection::check(const Reply& reply) const {
  if (!reply.is_error()) return;
  for (const Meaning& one : meanings) {
    if (!reply.text.starts_with(one.begins)) continue;
    throw SystemError("the Redis server " + server_ + " refuses: " + std::string(one.remedy) +
                          " (" + reply.text + ")",
                      one.code);
  }
  throw SystemError("the Redis server " + server_ + " reports an error: " + reply.text, EREMOTEIO);
}

template <class Work>
auto Connection::noting_failure(const Work& work) {
  try {
    return work();
  } catch (...) {
    failed_ = true;
    throw;
  }
}

void Connection::send(const Request& request) {
  due_ += request.commands();
  noting_failure([&] { stream_.write(request.parts()); });
}

Reply Connection::receive() {
  Reply reply = noting_failure([&] { return reader_.read(); });
  --due_;
  return reply;
}

Reply Connection::receive_into(const BulkRoom& room) {
  Reply reply = noting_failure([&] { return reader_.read_into(room); });
  --due_;
  return reply;
}

std::vector<Reply> Connection::call(const Request& request) {
  send(request);
  std::vector<Reply> replies;
  replies.reserve(request.commands());
  for (std::size_t i = 0; i < request.commands(); ++i) replies.push_back(receive());
  for (const Reply& reply : replies) check(reply);
  return replies;
}

Reply Connection::call(std::initializer_list<std::string_view> words) {
  Request request;
  request.add(words);
  return std::move(call(request).front());
}

}  // namespace hoist::detail::redis
