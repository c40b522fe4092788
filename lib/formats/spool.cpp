// SPDX-License-Identifier: BSD-3-Clause
#include "formats/spool.hpp"

#include <hoist/error.hpp>

#include <cerrno>
#include <span>
#include <tuple>
#include <utility>

#include "os/temp_file.hpp"

namespace hoist::detail::formats {

namespace {

constexpr std::size_t step_bytes = std::size_t{1} << 20;
/// Little beside what the threads of a codec hold.
constexpr std::size_t memory_bytes = 8 * step_bytes;

/// The first folder that takes files without names.
std::pair<os::Fd, std::filesystem::path> spool_file(const std::string& name) {
  std::string tried;
  for (const std::filesystem::path& folder : os::temp_folders()) {
    if (os::Fd fd = os::unnamed_file(folder)) return {std::move(fd), folder};
    tried += (tried.empty() ? "\"" : ", \"") + folder.string() + "\"";
  }
  throw SystemError(name + ": can't make a file to hold what comes out of it (in " + tried +
                        "); name a folder as HOIST_TEMP_FOLDER",
                    errno);
}

}  // namespace

Spool::Spool(ByteSource& in, std::uint64_t most, std::string name) : Spool(std::move(name)) {
  std::uint64_t total = 0;
  bytes_.reserve(memory_bytes + step_bytes);  // growing would take two times as much
  for (bool more = true; more;) {
    const std::size_t used = bytes_.size();
    bytes_.resize(used + step_bytes);
    const std::size_t got = in.read(reinterpret_cast<std::byte*>(bytes_.data() + used), step_bytes);
    bytes_.resize(used + got);
    total += got;
    more = got == step_bytes;
    if (total > most) {
      throw LimitExceeded(name_ +
                          ": more bytes come out of it than "
                          "LoadOptions::limits.max_bytes allows");
    }
    if (bytes_.size() > memory_bytes) store();
  }
  end();
}

void Spool::write(std::span<const std::byte> bytes) {
  if (bytes_.size() > step_bytes) bytes_.reserve(memory_bytes + step_bytes);  // as above
  bytes_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (bytes_.size() > memory_bytes) store();
}

void Spool::store() {
  if (!fd_) std::tie(fd_, folder_) = spool_file(name_);
  try {
    os::write_all(fd_.get(), std::as_bytes(std::span(bytes_)), folder_);
  } catch (const SystemError& error) {
    throw SystemError(name_ + ": can't hold what comes out of it in \"" + folder_.string() +
                          "\"; name a folder with more space as HOIST_TEMP_FOLDER",
                      error.code());
  }
  bytes_.clear();
}

void Spool::end() {
  if (!fd_) return;
  store();
  std::string().swap(bytes_);
  file_.emplace(folder_, std::move(fd_));
}

}  // namespace hoist::detail::formats
