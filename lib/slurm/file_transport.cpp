// SPDX-License-Identifier: BSD-3-Clause
#include "slurm/file_transport.hpp"

#include <hoist/digest.hpp>
#include <hoist/error.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>
#include <system_error>

#include "base/digest_stream.hpp"
#include "os/file.hpp"
#include "os/machine_name.hpp"
#include "os/own_thread.hpp"
#include "slurm/queue.hpp"

namespace hoist::detail::slurm {

namespace {

namespace fs = std::filesystem;
using remote::Peer;

constexpr auto beat = std::chrono::seconds(2);
constexpr auto lease = std::chrono::seconds(10);
constexpr auto farewell = std::chrono::seconds(5);
/// Between two looks: a sixteenth of the time since something has happened.
std::chrono::microseconds pause_after(std::chrono::steady_clock::duration idle) {
  constexpr std::chrono::microseconds shortest{500};
  constexpr std::chrono::microseconds longest{100'000};
  return std::clamp(std::chrono::duration_cast<std::chrono::microseconds>(idle) / 16, shortest,
                    longest);
}
/// Bytes on the file system that an end has not read.
constexpr std::size_t most_unconfirmed = 4 * remote::max_message;
constexpr std::size_t confirm_after = remote::max_message;
constexpr const char* master_folder = "master";

constexpr std::uint32_t message_magic = 0x6d736c68;  // "hlsm"
constexpr std::uint32_t flag_hello = 1;              // the first; its message is the name
constexpr std::uint32_t flag_bye = 2;                // the last

struct MessageHead {
  std::uint32_t magic = 0;
  std::uint32_t flags = 0;
  std::uint64_t confirmed = 0;  // files of the other end that were read
};

template <class T>
void append(std::vector<std::byte>& to, const T& value) {
  const auto* const from = reinterpret_cast<const std::byte*>(&value);
  to.insert(to.end(), from, from + sizeof value);
}

std::string host_name() {
  const char* const node = std::getenv("SLURMD_NODENAME");
  return (node != nullptr ? std::string(node) : os::machine_name()) + " (process " +
         std::to_string(::getpid()) + ")";
}

/// A whole file; nothing if it can't be read.
std::optional<std::vector<std::byte>> content_of(const os::Fd& fd, const fs::path& path) {
  const auto size = os::regular_size(fd.get());
  if (!size || *size > 2 * most_unconfirmed) return std::nullopt;
  std::vector<std::byte> content(static_cast<std::size_t>(*size));
  try {
    content.resize(os::read_at(fd.get(), content.data(), content.size(), 0, path.native()));
  } catch (const Error&) {
    return std::nullopt;
  }
  return content;
}

/// Takes what is before the digest of all; nothing where that is another's.
std::optional<std::span<const std::byte>> checked(std::span<const std::byte> content) {
  if (content.size() < sizeof(MessageHead) + sizeof(Digest)) return std::nullopt;
  const auto body = content.first(content.size() - sizeof(Digest));
  Digest digest;
  std::memcpy(&digest, content.data() + body.size(), sizeof digest);
  if (digest != base::digest_of(body)) return std::nullopt;
  return body;
}

/// "HOST.NUMBER"
std::optional<std::pair<std::string, std::uint64_t>> parse(const std::string& file) {
  const std::size_t dot = file.rfind('.');
  if (dot == std::string::npos || dot == 0) return std::nullopt;
  std::uint64_t number = 0;
  const char* const end = file.data() + file.size();
  const auto [at, error] = std::from_chars(file.data() + dot + 1, end, number);
  if (error != std::errc() || at != end) return std::nullopt;
  return std::pair(file.substr(0, dot), number);
}

}  // namespace

FileTransport::FileTransport(fs::path directory, Role role)
    : directory_(std::move(directory)),
      role_(role),
      name_(role == Role::master ? master_folder : new_name()) {
  const auto make = [](const fs::path& path) {
    if (::mkdir(path.c_str(), 0700) != 0) os::throw_system("make the directory", path, errno);
  };
  if (role == Role::master) make(directory_);
  make(directory_ / name_);
  make(directory_ / (name_ + ".new"));
  active_ = Clock::now();
  if (role == Role::host) {
    const Peer peer = ++last_peer_;
    Link& link = links_[peer];
    link.folder = master_folder;
    link.heard = active_;
    peers_[master_folder] = peer;
    events_.push_back({.kind = Event::Kind::joined, .peer = peer, .text = master_folder});
    const std::string name = host_name();
    const auto bytes = std::as_bytes(std::span(name));
    link.waiting.emplace_back(bytes.begin(), bytes.end());
    link.waiting_bytes = bytes.size();
    if (const int error = write(link, flag_hello); error != 0) {
      os::throw_system("write into", directory_ / master_folder, error);
    }
  }
  thread_ = os::own_thread("hoist-files", [this] { run(); });
}

FileTransport::~FileTransport() { stop_thread(); }

void FileTransport::stop_thread() {
  {
    const std::lock_guard lock(mutex_);
    is_closed_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void FileTransport::run() {
  std::unique_lock lock(mutex_);
  while (!is_closed_) {
    const auto before = events_.size();
    if (scan()) active_ = Clock::now();
    const auto now = Clock::now();
    if (flush(now)) active_ = now;
    look_for_silence(now);
    if (events_.size() != before) {
      lock.unlock();
      wake();
      lock.lock();
    }
    if (is_closed_) return;
    changed_.wait_for(lock, pause_after(now - active_));
  }
}

// --- Reading -------------------------------------------------------------------------------------

/// Reads what has come, each end's in order. Returns whether anything has.
bool FileTransport::scan() {
  std::map<std::string, std::vector<std::uint64_t>> there;
  std::error_code error;
  // Opened anew, whereupon network file systems ask for what has changed.
  fs::directory_iterator at(directory_ / name_, error);
  for (const fs::directory_iterator end; !error && at != end; at.increment(error)) {
    if (const auto file = parse(at->path().filename().string())) {
      there[file->first].push_back(file->second);
    }
  }
  if (error == std::errc::no_such_file_or_directory) {
    while (!links_.empty()) lose(links_.begin()->first, "is gone: so is its directory");
    return false;
  }
  if (error) return false;
  bool any = false;
  for (auto& [from, numbers] : there) {
    std::ranges::sort(numbers);
    for (const std::uint64_t number : numbers) {
      if (!read(from + "." + std::to_string(number), from, number)) break;
      any = true;
    }
  }
  return any;
}

/// False where its turn has not come.
bool FileTransport::read(const std::string& file, const std::string& from, std::uint64_t number) {
  const fs::path path = directory_ / name_ / file;
  auto known = peers_.find(from);
  if (known == peers_.end()) {
    if (number != 1 || role_ == Role::host) {
      ::unlink(path.c_str());  // of one that was given up
      return true;
    }
    known = peers_.emplace(from, ++last_peer_).first;
    links_[last_peer_].folder = from;
  }
  const Peer peer = known->second;
  Link& link = links_.at(peer);
  if (number != link.read + 1) return false;
  const os::Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  // Too many descriptors, or a file system that is at a loss: seen again at the next look.
  if (!fd) return false;
  const auto content = content_of(fd, path);
  const auto body = content ? checked(*content) : std::nullopt;
  MessageHead head;
  if (body) std::memcpy(&head, body->data(), sizeof head);
  if (!body || head.magic != message_magic || head.confirmed > link.written) {
    ::unlink(path.c_str());
    lose(peer, "is given up: its message " + path.string() + " is damaged");
    return true;
  }
  ::unlink(path.c_str());
  link.read = number;
  link.heard = Clock::now();
  has_heard_ = true;
  link.read_since += content->size();
  while (link.sizes.size() > link.written - head.confirmed) {
    link.unconfirmed -= link.sizes.front();
    link.sizes.pop_front();
  }
  auto left = body->subspan(sizeof head);
  bool is_first = (head.flags & flag_hello) != 0;
  while (left.size() >= sizeof(std::uint64_t)) {
    std::uint64_t bytes = 0;
    std::memcpy(&bytes, left.data(), sizeof bytes);
    left = left.subspan(sizeof bytes);
    const auto message = left.first(std::min<std::size_t>(left.size(), bytes));
    left = left.subspan(message.size());
    if (link.is_dropped) continue;
    if (std::exchange(is_first, false)) {
      events_.push_back(
          {.kind = Event::Kind::joined,
           .peer = peer,
           .text = std::string(reinterpret_cast<const char*>(message.data()), message.size())});
    } else {
      events_.push_back(
          {.kind = Event::Kind::message, .peer = peer, .bytes = {message.begin(), message.end()}});
    }
  }
  if ((head.flags & flag_bye) != 0) {
    // It waits for the answer.
    if (!is_closed_) write(link, flag_bye);
    lose(peer, "has left");
  }
  return true;
}

void FileTransport::look_for_silence(Clock::time_point now) {
  std::vector<Peer> silent;
  for (const auto& [peer, link] : links_) {
    if (now - link.heard >= lease) silent.push_back(peer);
  }
  for (const Peer peer : silent) lose(peer, "was not heard of for ten seconds");
  is_abandoned_ = is_abandoned_ || (role_ == Role::host && !silent.empty());
}

void FileTransport::lose(Peer peer, const std::string& why) {
  const auto node = links_.extract(peer);
  if (!node) return;
  peers_.erase(node.mapped().folder);
  if (node.mapped().is_dropped) return;
  events_.push_back({.kind = Event::Kind::lost, .peer = peer, .text = why});
}

// --- Writing -------------------------------------------------------------------------------------

bool FileTransport::flush(Clock::time_point now) {
  bool any = false;
  std::vector<std::pair<Peer, int>> gone;
  for (auto& [peer, link] : links_) {
    int error = 0;
    while (error == 0 && !link.waiting.empty() && link.unconfirmed < most_unconfirmed) {
      error = write(link, 0);
      any = true;
    }
    if (error == 0 && (now - link.told >= beat || link.read_since >= confirm_after)) {
      error = write(link, 0);
    }
    // No descriptor is left now, and nothing was taken from what waits.
    if (error == EMFILE || error == ENFILE) continue;
    if (error != 0 || (link.is_dropped && link.waiting.empty())) gone.emplace_back(peer, error);
  }
  for (const auto& [peer, error] : gone) {
    lose(peer, error == ENOENT ? "is gone: so is its directory"
                               : "can't be written to: " + std::generic_category().message(error));
  }
  return any;
}

/// Writes what waits, as much as is for one file. Returns 0 or an errno.
int FileTransport::write(Link& link, std::uint32_t flags) {
  const fs::path temporary = directory_ / (name_ + ".new") / std::to_string(++temporaries_);
  os::Fd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) return errno;
  std::vector<std::byte> content;
  append(content, MessageHead{.magic = message_magic, .flags = flags, .confirmed = link.read});
  while (!link.waiting.empty() && content.size() < remote::max_message) {
    const auto& message = link.waiting.front();
    append(content, std::uint64_t{message.size()});
    content.insert(content.end(), message.begin(), message.end());
    link.waiting_bytes -= message.size();
    link.waiting.pop_front();
  }
  append(content, base::digest_of(content));
  const fs::path path = directory_ / link.folder / (name_ + "." + std::to_string(link.written + 1));
  try {
    os::write_all(fd.get(), content, temporary);
  } catch (const SystemError& error) {
    ::unlink(temporary.c_str());
    return error.code();
  }
  fd.reset();
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary.c_str());
    return error;
  }
  ++link.written;
  link.sizes.push_back(content.size());
  link.unconfirmed += content.size();
  link.read_since = 0;
  link.told = Clock::now();
  return 0;
}

// --- What masters and hosts call -----------------------------------------------------------------

void FileTransport::send(Peer to, std::vector<std::byte> message) {
  const std::lock_guard lock(mutex_);
  const auto at = links_.find(to);
  if (at == links_.end() || at->second.is_dropped) return;
  at->second.waiting_bytes += message.size();
  at->second.waiting.push_back(std::move(message));
}

std::size_t FileTransport::unsent(Peer to) const {
  const std::lock_guard lock(mutex_);
  const auto at = links_.find(to);
  return at != links_.end() ? at->second.waiting_bytes : 0;
}

bool FileTransport::poll(Events& events) {
  std::vector<Event> taken;
  bool any = false;
  {
    const std::lock_guard lock(mutex_);
    const auto now = Clock::now();
    any = !is_closed_ && flush(now);
    if (any) active_ = now;
    taken = std::exchange(events_, {});
  }
  if (any) changed_.notify_one();  // an answer may be near
  for (const Event& event : taken) {
    if (event.kind == Event::Kind::joined) events.joined(event.peer, event.text);
    if (event.kind == Event::Kind::message) events.received(event.peer, event.bytes);
    if (event.kind == Event::Kind::lost) events.lost(event.peer, event.text);
  }
  return any || !taken.empty();
}

bool FileTransport::has_heard() const {
  const std::lock_guard lock(mutex_);
  return has_heard_;
}

bool FileTransport::is_abandoned() const {
  const std::lock_guard lock(mutex_);
  return is_abandoned_;
}

void FileTransport::drop(Peer peer) {
  const std::lock_guard lock(mutex_);
  const auto at = links_.find(peer);
  if (at == links_.end()) return;
  at->second.is_dropped = true;
  std::erase_if(events_, [peer](const Event& event) { return event.peer == peer; });
}

void FileTransport::close() {
  stop_thread();
  const std::lock_guard lock(mutex_);
  for (auto& [peer, link] : links_) {
    link.is_dropped = true;
    while (!link.waiting.empty() && write(link, 0) == 0) {
    }
    write(link, flag_bye);
  }
  if (role_ == Role::master) {
    const auto since = Clock::now();
    while (!links_.empty() && Clock::now() - since < farewell) {
      scan();
      std::this_thread::sleep_for(pause_after(Clock::now() - since));
    }
  }
  std::error_code ignored;
  if (role_ == Role::master) {
    fs::remove_all(directory_, ignored);
  } else {
    fs::remove_all(directory_ / name_, ignored);
    fs::remove_all(directory_ / (name_ + ".new"), ignored);
  }
  links_.clear();
  peers_.clear();
}

}  // namespace hoist::detail::slurm
