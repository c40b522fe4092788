// SPDX-License-Identifier: BSD-3-Clause
#include "memory/entry.hpp"

#include <hoist/error.hpp>

#include <algorithm>
#include <cstring>
#include <limits>
#include <string_view>
#include <vector>

#include "formats/container.hpp"
#include "memory/known_functions.hpp"

namespace hoist {

StoredEntry::~StoredEntry() = default;

Validation expires_after(std::chrono::nanoseconds duration) {
  return [duration](const EntryMetadata& metadata) {
    // A clock that was set back must not make results valid for longer.
    return std::chrono::abs(std::chrono::system_clock::now() - metadata.created) < duration;
  };
}

namespace detail::memory {

namespace {

/// Half of what readers accept in one record.
constexpr std::size_t max_record_bytes = std::size_t{8} << 20;

/// What entries held beside the result before there were tags.
struct FirstMetadata {
  std::string function;
  std::string arguments;
  std::chrono::system_clock::time_point created = {};
  std::chrono::nanoseconds duration = {};
  std::string host;
  std::string hoist_version;
  std::uint64_t arguments_bytes = 0;
  std::uint64_t result_bytes = 0;
  std::vector<CacheDependency> dependencies = {};
};

/// How the schema of an entry with this metadata begins.
template <class Metadata>
const std::string& beginning() {
  static const auto& text = *new std::string("struct{metadata:" + schema_of<Metadata>().text + ",");
  return text;
}

void read_metadata(Decoder& decoder, bool is_first_version, EntryMetadata& metadata) {
  if (!is_first_version) return Form<EntryMetadata>::traverse(decoder, metadata);
  FirstMetadata first;
  Form<FirstMetadata>::traverse(decoder, first);
  metadata = {.function = std::move(first.function),
              .arguments = std::move(first.arguments),
              .created = first.created,
              .duration = first.duration,
              .host = std::move(first.host),
              .hoist_version = std::move(first.hoist_version),
              .arguments_bytes = first.arguments_bytes,
              .result_bytes = first.result_bytes,
              .dependencies = std::move(first.dependencies)};
}

}  // namespace

bool is_equal(std::span<const std::byte> a, std::span<const std::byte> b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}

Encoded encode_result(const Call& call) {
  Encoder encoder;
  call.ops->encode(call.frame, encoder);
  return encoder.take();
}

std::uint64_t encoded_bytes(const Encoded& value) {
  std::uint64_t total = value.meta.size();
  for (const Segment& segment : value.segments) total += segment.bytes;
  return total;
}

void write_entry(ByteSink& out, const Codec* codec, int level, const EntryMetadata& metadata,
                 const Call& call, const Encoded& result) {
  formats::ContainerWriter writer(out, call.ops->entry_schema(), codec, level);
  Encoder encoder(&writer);
  Form<EntryMetadata>::traverse(encoder, metadata);
  encoder.length(call.content.size());
  encoder.block(call.content.data(), call.content.size());
  if (result.meta.size() <= max_record_bytes) {
    Encoded whole = encoder.take();
    whole.meta.insert(whole.meta.end(), result.meta.begin(), result.meta.end());
    whole.segments.insert(whole.segments.end(), result.segments.begin(), result.segments.end());
    writer.emit(whole.meta, whole.segments);
  } else {
    call.ops->encode(call.frame, encoder);
    encoder.finish();
  }
  writer.finish();
}

namespace {

/// Passes on to a sink what is read.
class CopyingSource final : public ByteSource {
 public:
  CopyingSource(ByteSource& from, ByteSink& to) : from_(from), to_(to) {}
  std::size_t read(std::byte* to, std::size_t n) override {
    const std::size_t got = from_.read(to, n);
    to_.write({to, got});
    return got;
  }
  std::optional<std::uint64_t> left() const override { return from_.left(); }

 private:
  ByteSource& from_;
  ByteSink& to_;
};

}  // namespace

void copy_entry(ByteSource& from, ByteSink& to, const std::string& name) {
  CopyingSource copying(from, to);
  formats::ContainerReader reader(
      copying, nullptr, name, {.limits = {.max_bytes = std::numeric_limits<std::uint64_t>::max()}});
  if (!reader.schema().starts_with(beginning<EntryMetadata>()) &&
      !reader.schema().starts_with(beginning<FirstMetadata>())) {
    throw DamagedData(name + " is no entry of a cache, or one of a later version of hoist");
  }
  reader.verify();
}

EntryState read_entry(StoredEntry& entry, const std::string& name, const EntryQuery& query,
                      EntryMetadata& metadata) {
  auto* mappable = query.mmap == MmapMode::none ? nullptr : dynamic_cast<FileEntry*>(&entry);
  ByteSource& bytes = mappable != nullptr ? mappable->file() : entry.bytes();
  // Large arrays are read from a plain file by several threads.
  auto* file = dynamic_cast<os::FileSource*>(&bytes);
  // Entries are as large as results are: what a file of another origin could claim, these may hold.
  const LoadOptions options{.mmap = file != nullptr ? query.mmap : MmapMode::none,
                            .limits = {.max_bytes = std::numeric_limits<std::uint64_t>::max()}};
  formats::ContainerReader reader(bytes, file, name, options);
  const std::string_view schema = reader.schema();
  const std::string& current = beginning<EntryMetadata>();
  const std::string& first = beginning<FirstMetadata>();
  const bool is_first_version = schema.starts_with(first);
  if (!is_first_version && !schema.starts_with(current)) return EntryState::other_type;
  if (query.ops != nullptr) {
    const std::string_view asked = query.ops->entry_schema().text;
    if (schema.substr((is_first_version ? first : current).size()) !=
        asked.substr(current.size())) {
      return EntryState::other_type;
    }
  }
  Decoder decoder(reader);
  read_metadata(decoder, is_first_version, metadata);
  std::vector<unsigned char> content;
  Form<std::vector<unsigned char>>::traverse(decoder, content);
  if (query.content != nullptr && !is_equal(std::as_bytes(std::span(content)), *query.content)) {
    return EntryState::other_arguments;
  }
  if (query.content != nullptr && find_changed(metadata.dependencies) != nullptr) {
    return EntryState::changed;
  }
  if (query.validate != nullptr && *query.validate && !(*query.validate)(metadata)) {
    return EntryState::rejected;
  }
  if (query.frame != nullptr) {
    query.ops->decode(query.frame, decoder);
    decoder.finish();
    reader.finish();
  }
  return EntryState::sound;
}

}  // namespace detail::memory
}  // namespace hoist
