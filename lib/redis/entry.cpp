// SPDX-License-Identifier: BSD-3-Clause
#include "redis/entry.hpp"

#include <hoist/error.hpp>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/byte_streams.hpp"
#include "base/random_name.hpp"
#include "os/fresh_memory.hpp"

namespace hoist::detail::redis {

namespace {

/// Other clients of the server wait while it takes or gives a value: 24 ms for one of this size.
constexpr std::size_t piece_bytes = std::size_t{16} << 20;
/// Entries up to this size need no second round trip, and pass through a script.
constexpr std::size_t short_bytes = std::size_t{64} << 10;
/// Pieces that are under way at a time.
constexpr std::size_t window = 2;
/// Of a writer that was killed, pieces are left for so many seconds.
constexpr std::string_view unfinished_seconds = "600";

// What begins the value of an entry's key: "HE1:<size>:<pieces>:<id>\n", in hexadecimal digits.
constexpr std::string_view head_magic = "HE1:";
constexpr std::size_t head_bytes = 47;
constexpr std::size_t id_digits = 16;

struct Head {
  std::uint64_t size = 0;
  std::size_t pieces = 0;
  std::string id = std::string(id_digits, '0');

  bool operator==(const Head&) const = default;
};

std::string digits(std::uint64_t number, std::size_t width) {
  char text[16];
  const auto [end, error] = std::to_chars(text, text + sizeof text, number, 16);
  const auto length = static_cast<std::size_t>(end - text);
  return std::string(width - length, '0') + std::string(text, length);
}

std::string text_of(const Head& head) {
  return std::string(head_magic) + digits(head.size, 16) + ":" + digits(head.pieces, 8) + ":" +
         head.id + "\n";
}

std::optional<Head> head_of(std::string_view value) {
  if (value.size() < head_bytes || !value.starts_with(head_magic)) return std::nullopt;
  Head head;
  const char* const text = value.data();
  const auto size = std::from_chars(text + 4, text + 20, head.size, 16);
  const auto pieces = std::from_chars(text + 21, text + 29, head.pieces, 16);
  head.id = value.substr(30, id_digits);
  if (size.ptr != text + 20 || pieces.ptr != text + 29 ||
      text_of(head) != value.substr(0, head_bytes)) {
    return std::nullopt;
  }
  const std::uint64_t needed = (head.size + piece_bytes - 1) / piece_bytes;
  if (head.pieces != 0 && head.pieces != needed) return std::nullopt;
  return head;
}

/// Functions of the scripts: `drop` removes the pieces of the entry with that head and returns its
/// size, which is 0 for what is no entry, as there may be anything under a key; `count` keeps the
/// record of how much there is, where there is one. ARGV[1] is what all keys begin with, ARGV[2]
/// the time that entries are kept; KEYS are an entry's and the record's.
constexpr std::string_view script_functions =
    "local function drop(head) "
    "local x='%x%x%x%x%x%x%x%x' "
    "if not string.find(head,'^HE1:'..x..x..':'..x..':'..x..x) then return 0 end "
    "local size=tonumber(string.sub(head,5,20),16) "
    "local pieces=tonumber(string.sub(head,22,29),16) "
    "if size>2^53 or pieces>math.ceil(size/16777216) then return 0 end "
    "local key=ARGV[1]..'p:'..string.sub(head,31,46)..':' "
    "for i=0,pieces-1 do redis.call('UNLINK',key..i) end "
    "return size end "
    "local function count(items,bytes) "
    "if redis.call('EXISTS',KEYS[2])==1 then "
    "redis.call('HINCRBY',KEYS[2],'items',items) redis.call('HINCRBY',KEYS[2],'bytes',bytes) "
    "redis.call('PEXPIRE',KEYS[2],ARGV[2]) end end "
    "local old=redis.pcall('GETRANGE',KEYS[1],0,46) "
    "if type(old)~='string' then old='HE1:' end ";

/// ARGV: also the size, how many pieces there are, what their keys begin with, and the value.
constexpr std::string_view put_script =
    "for i=0,ARGV[4]-1 do "
    "if redis.call('PEXPIRE',ARGV[5]..i,ARGV[2])==0 then return 0 end end "
    "redis.call('SET',KEYS[1],ARGV[6],'PX',ARGV[2]) "
    "if old=='' then count(1,ARGV[3]) else count(0,ARGV[3]-drop(old)) end "
    "return 1";

constexpr std::string_view remove_script =
    "if redis.call('DEL',KEYS[1])==0 then return 0 end "
    "count(-1,0-drop(old)) "  // Lua's -0 is no number for HINCRBY
    "return 1";

std::string script(std::string_view rest) {
  return std::string(script_functions) + std::string(rest);
}

/// An entry in memory.
class ShortEntry final : public StoredEntry {
 public:
  explicit ShortEntry(std::string value)
      : value_(std::move(value)), source_(std::as_bytes(std::span(value_)).subspan(head_bytes)) {}
  ByteSource& bytes() override { return source_; }
  std::uint64_t size() override { return value_.size() - head_bytes; }

 private:
  std::string value_;
  base::SpanSource source_;
};

/// Memory of a piece.
class Piece {
 public:
  explicit Piece(std::size_t bytes)
      : data_(static_cast<std::byte*>(os::fresh_memory()->allocate(bytes))), bytes_(bytes) {}
  Piece(Piece&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(other.bytes_) {}
  Piece& operator=(Piece&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Piece() {
    if (data_ != nullptr) os::fresh_memory()->deallocate(data_, bytes_);
  }
  std::span<std::byte> bytes() const { return {data_, bytes_}; }

 private:
  std::byte* data_;
  std::size_t bytes_;
};

/// An entry in memory, piece by piece; each is freed when it has been read.
class LongEntry final : public StoredEntry, private ByteSource {
 public:
  LongEntry(std::vector<Piece> pieces, std::uint64_t size)
      : pieces_(std::move(pieces)), size_(size), left_(size) {
    std::ranges::reverse(pieces_);
  }
  ByteSource& bytes() override { return *this; }
  std::uint64_t size() override { return size_; }

 private:
  std::size_t read(std::byte* to, std::size_t n) override {
    std::size_t done = 0;
    while (done < n && !pieces_.empty()) {
      const auto rest = pieces_.back().bytes().subspan(at_);
      const std::size_t part = std::min(n - done, rest.size());
      std::memcpy(to + done, rest.data(), part);
      done += part;
      at_ += part;
      if (part < rest.size()) continue;
      pieces_.pop_back();
      at_ = 0;
    }
    left_ -= done;
    return done;
  }
  std::optional<std::uint64_t> left() const override { return left_; }

  std::vector<Piece> pieces_;  // the last comes first
  std::uint64_t size_;
  std::uint64_t left_;
  std::size_t at_ = 0;
};

void add_get(Request& request, const EntryKeys& keys, const std::string& key, Access access) {
  request.add({"GET", key});
  if (access == Access::use) request.add({"PEXPIRE", key, keys.time()});
}

/// The pieces of an entry, or fewer if one is missing.
std::vector<Piece> read_pieces(Connection& connection, const EntryKeys& keys, const Head& head,
                               Access access) {
  std::vector<Piece> pieces;
  bool missing = false;
  const auto receive = [&](std::size_t i) {
    const Reply got = connection.receive_into([&](std::size_t bytes) {
      if (bytes != std::min<std::uint64_t>(piece_bytes, head.size - i * piece_bytes)) {
        throw DamagedData("a piece of an entry has another size");
      }
      return pieces.emplace_back(bytes).bytes();
    });
    connection.check(got);
    if (access == Access::use) connection.check(connection.receive());
    missing = missing || got.is_null();
  };
  std::size_t asked = 0;
  for (std::size_t i = 0; i < head.pieces && !missing; ++i) {
    Request request;
    for (; asked < std::min(head.pieces, i + window); ++asked) {
      add_get(request, keys, keys.pieces(head.id) + std::to_string(asked), access);
    }
    connection.send(request);
    receive(i);
  }
  while (connection.is_due()) connection.receive();
  return pieces;
}

}  // namespace

std::unique_ptr<StoredEntry> read_entry(Connection& connection, const EntryKeys& keys,
                                        const std::string& name, Access access) {
  const std::string key = keys.entry(name);
  std::optional<Head> before;
  for (;;) {
    Request request;
    add_get(request, keys, key, access);
    auto replies = connection.call(request);
    std::string& value = replies.front().text;
    if (replies.front().is_null()) return nullptr;
    const auto head = head_of(value);
    if (!head || (head->pieces == 0 && value.size() != head_bytes + head->size)) {
      throw DamagedData("the Redis server's value of \"" + key + "\" is no entry of a cache");
    }
    if (head->pieces == 0) return std::make_unique<ShortEntry>(std::move(value));
    // A piece that is still missing at the second look was evicted, else the entry was replaced.
    if (head == before) return nullptr;
    before = head;
    auto pieces = read_pieces(connection, keys, *head, access);
    if (pieces.size() == head->pieces) {
      return std::make_unique<LongEntry>(std::move(pieces), head->size);
    }
  }
}

EntryWriter::EntryWriter(Connection& connection, const EntryKeys& keys, const std::string& name)
    : connection_(connection), keys_(keys), name_(name), id_(base::random_name(id_digits)) {}

EntryWriter::~EntryWriter() {
  if (committed_ || pieces_ == 0 || connection_.has_failed()) return;
  try {
    while (connection_.is_due()) connection_.receive();
    Request request;
    for (std::size_t i = 0; i < pieces_; ++i) {
      request.add({"UNLINK", keys_.pieces(id_) + std::to_string(i)});
    }
    connection_.call(request);
  } catch (const std::exception&) {
    // They expire.
  }
}

void EntryWriter::write(std::span<const std::byte> bytes) {
  size_ += bytes.size();
  while (kept_.size() + bytes.size() >= piece_bytes) {
    const std::size_t part = piece_bytes - kept_.size();
    send_piece(bytes.first(part));
    bytes = bytes.subspan(part);
  }
  if (kept_.size() + bytes.size() > short_bytes) kept_.reserve(piece_bytes);
  kept_.insert(kept_.end(), bytes.begin(), bytes.end());
}

/// What is kept, and these.
void EntryWriter::send_piece(std::span<const std::byte> more) {
  const std::string key = keys_.pieces(id_) + std::to_string(pieces_);
  const std::string_view words[] = {"SETEX", key, unfinished_seconds};
  const std::span<const std::byte> parts[] = {kept_, more};
  Request request;
  request.add(words, parts);
  connection_.send(request);
  kept_.clear();
  ++pieces_;
  ++awaited_;
  await_pieces(window - 1);
}

void EntryWriter::await_pieces(std::size_t left) {
  while (awaited_ > left) {
    --awaited_;
    connection_.check(connection_.receive());
  }
}

void EntryWriter::commit() {
  if (size_ > short_bytes && !kept_.empty()) send_piece({});
  await_pieces(0);
  const std::string value = text_of({.size = size_, .pieces = pieces_, .id = id_});
  const std::string key = keys_.entry(name_);
  const std::string text = script(put_script);
  const std::string size = std::to_string(size_);
  const std::string pieces = std::to_string(pieces_);
  const std::string piece_key = keys_.pieces(id_);
  const std::string usage = keys_.usage();
  const std::string_view words[] = {"EVAL",        text,         "2",  key,    usage,
                                    keys_.front(), keys_.time(), size, pieces, piece_key};
  const std::span<const std::byte> parts[] = {std::as_bytes(std::span(value)), kept_};
  Request request;
  request.add(words, parts);
  if (connection_.call(request).front().integer == 0) {
    throw SystemError("the Redis server has removed a part of an entry before its end was there",
                      ENOMEM);
  }
  committed_ = true;
}

std::uint64_t remove_entries(Connection& connection, const EntryKeys& keys,
                             const std::vector<std::string>& names) {
  const std::string text = script(remove_script);
  Request request;
  for (const std::string& name : names) {
    request.add({"EVAL", text, "2", keys.entry(name), keys.usage(), keys.front(), keys.time()});
  }
  std::uint64_t removed = 0;
  for (const Reply& reply : connection.call(request)) {
    removed += static_cast<std::uint64_t>(reply.integer);
  }
  return removed;
}

std::vector<StoreItem> describe_entries(Connection& connection, const EntryKeys& keys,
                                        const std::vector<std::string>& names) {
  Request request;
  for (const std::string& name : names) {
    request.add({"GETRANGE", keys.entry(name), "0", std::to_string(head_bytes - 1)});
    request.add({"PTTL", keys.entry(name)});
  }
  connection.send(request);
  const auto now = std::chrono::system_clock::now();
  std::vector<StoreItem> items;
  for (const std::string& name : names) {
    const Reply begin = connection.receive();
    const Reply time = connection.receive();
    // There may be anything under a key, which is no reason to keep what are entries.
    if (!begin.text.starts_with("WRONGTYPE")) connection.check(begin);
    connection.check(time);
    const std::int64_t left = time.integer;
    const auto head = head_of(begin.text);
    if (!head) continue;
    // Each use sets the time anew.
    const std::chrono::milliseconds unused(std::stoll(keys.time()) - left);
    items.push_back({.name = name, .bytes = head->size, .last_used = now - unused});
  }
  return items;
}

std::optional<StoreUsage> read_usage(Connection& connection, const EntryKeys& keys) {
  const Reply reply = connection.call({"HMGET", keys.usage(), "items", "bytes"});
  if (reply.items.size() != 2 || reply.items[0].is_null() || reply.items[1].is_null()) {
    return std::nullopt;
  }
  const auto number = [](const std::string& text) {
    std::int64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return static_cast<std::uint64_t>(std::max<std::int64_t>(value, 0));
  };
  return StoreUsage{.items = number(reply.items[0].text), .bytes = number(reply.items[1].text)};
}

void correct_usage(Connection& connection, const EntryKeys& keys, const StoreUsage& recorded,
                   const StoreUsage& counted) {
  if (counted.items == recorded.items && counted.bytes == recorded.bytes) return;
  const auto difference = [](std::uint64_t is, std::uint64_t was) {
    return std::to_string(static_cast<std::int64_t>(is - was));
  };
  Request request;
  request.add({"HINCRBY", keys.usage(), "items", difference(counted.items, recorded.items)});
  request.add({"HINCRBY", keys.usage(), "bytes", difference(counted.bytes, recorded.bytes)});
  request.add({"PEXPIRE", keys.usage(), keys.time()});
  connection.call(request);
}

}  // namespace hoist::detail::redis
