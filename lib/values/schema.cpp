// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/detail/hasher.hpp>
#include <hoist/detail/schema.hpp>

#include <algorithm>

namespace hoist::detail {

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

Schema::Schema(std::string schema, std::vector<MemberDefaults> aggregates)
    : text(std::move(schema)),
      digest(hash_bytes(text.data(), text.size())),
      defaults(std::move(aggregates)) {}

}  // namespace hoist::detail
