// SPDX-License-Identifier: BSD-3-Clause
#include "slurm/frame_file.hpp"

#include <hoist/detail/code_address.hpp>
#include <hoist/error.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include "base/digest_stream.hpp"
#include "base/quoted.hpp"
#include "remote/wire.hpp"

namespace hoist::detail::slurm {

namespace {

constexpr std::array<char, 8> magic = {'h', 'o', 'i', 's', 't', 's', 'l', 'u'};
constexpr std::uint32_t file_version = 1;
/// The last frame, by which a file that was cut is known.
constexpr ipc::Kind end_of_file{0};

struct FileHead {
  std::array<char, 8> magic{};
  std::uint32_t version = 0;
  FileType type{};
  std::uint32_t build_id_bytes = 0;
};

Digest check_of(const remote::FrameHead& head, std::span<const std::byte> content) {
  base::DigestStream stream;
  stream.put(std::as_bytes(std::span(&head, 1)));
  stream.put(base::digest_of(content));
  return stream.digest();
}

template <class T>
std::span<const std::byte> bytes_of(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

}  // namespace

FrameFileWriter::FrameFileWriter(const std::filesystem::path& path, FileType type) : file_(path) {
  const std::string build_id = module_name(0).build_id;
  file_.write(bytes_of(FileHead{.magic = magic,
                                .version = file_version,
                                .type = type,
                                .build_id_bytes = static_cast<std::uint32_t>(build_id.size())}));
  file_.write(std::as_bytes(std::span(build_id)));
}

void FrameFileWriter::put(ipc::Kind kind, std::span<const std::byte> content) {
  const remote::FrameHead head{content.size(), kind, 0};
  file_.write(bytes_of(head));
  file_.write(content);
  file_.write(bytes_of(check_of(head, content)));
}

void FrameFileWriter::commit() {
  put(end_of_file, {});
  // Who reads it is on another machine, and may come long after this one has failed.
  file_.commit(true);
}

FrameFileReader::FrameFileReader(const std::filesystem::path& path, FileType type)
    : source_(std::make_unique<os::FileSource>(path)), path_(path) {
  FileHead head;
  read(&head, sizeof head);
  const std::string own = module_name(0).build_id;
  if (head.magic != magic || head.type != type) throw_damaged();
  std::string build_id;
  if (head.version == file_version && head.build_id_bytes <= 256) {
    build_id.resize(head.build_id_bytes);
    read(build_id.data(), build_id.size());
  }
  if (head.version != file_version || build_id != own) {
    throw BadArgument(base::quoted(path.string()) +
                      " was written by another build of this program, whose functions may compute "
                      "something else: use another SlurmOptions::directory, or remove this one");
  }
}

void FrameFileReader::read(void* to, std::size_t bytes) {
  if (source_->read(static_cast<std::byte*>(to), bytes) != bytes) throw_damaged();
}

void FrameFileReader::throw_damaged() const {
  throw DamagedData(base::quoted(path_.string()) +
                    " is damaged: remove it, and what it was about is computed again");
}

bool FrameFileReader::next() {
  remote::FrameHead head;
  read(&head, sizeof head);
  const auto left = source_->left();
  if (left && head.bytes > *left) throw_damaged();
  content_.resize(static_cast<std::size_t>(head.bytes));
  read(content_.data(), content_.size());
  Digest check;
  read(&check, sizeof check);
  if (check != check_of(head, content_)) throw_damaged();
  kind_ = head.kind;
  return kind_ != end_of_file;
}

}  // namespace hoist::detail::slurm
