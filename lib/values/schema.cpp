// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/detail/hasher.hpp>
#include <hoist/detail/schema.hpp>

#include <algorithm>
#include <utility>

namespace hoist::detail {

void SchemaWriter::text(std::string_view text) { text_ += text; }

bool SchemaWriter::enter(const void* tag) {
  const auto found = std::find(open_.rbegin(), open_.rend(), tag);
  if (found != open_.rend()) {
    text_ += '^';
    text_ += std::to_string(found - open_.rbegin());
    return false;
  }
  open_.push_back(tag);
  return true;
}

void SchemaWriter::leave() { open_.pop_back(); }

void SchemaWriter::note_defaults(void (*encode)(Encoder&)) {
  defaults_.push_back({text_.size(), encode});
}

Schema SchemaWriter::take() {
  const Digest digest = hash_bytes(text_.data(), text_.size());
  return {std::move(text_), digest, std::move(defaults_)};
}

const Schema& make_schema(void (*describe)(SchemaWriter&)) {
  SchemaWriter writer;
  describe(writer);
  return *new Schema(writer.take());
}

}  // namespace hoist::detail
