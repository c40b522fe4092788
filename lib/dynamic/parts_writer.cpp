// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/error.hpp>

#include <algorithm>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/expansion.hpp"
#include "dynamic/schema_types.hpp"
#include "dynamic/value_writer.hpp"

namespace hoist::detail::dynamic {

namespace {

/// Numbers that are encoded one after the other, as the block that they make.
class NumbersSink final : public EncodeSink {
 public:
  explicit NumbersSink(std::size_t bytes) : storage_(allocate_storage(bytes, Fill::none)) {}

  void emit(std::span<const std::byte> meta, std::span<Segment> segments) override {
    fits_ = fits_ && segments.empty() && meta.size() <= storage_->bytes() - used_;
    if (!fits_) return;
    std::memcpy(storage_->data() + used_, meta.data(), meta.size());
    used_ += meta.size();
  }
  /// Null if there were not just so many.
  std::shared_ptr<Storage> take() {
    return fits_ && used_ == storage_->bytes() ? std::move(storage_) : nullptr;
  }

 private:
  std::shared_ptr<Storage> storage_;
  std::size_t used_ = 0;
  bool fits_ = true;
};

/// Encodes what it is given.
class PartsWriter final : public ValueSink, private ValueWriter {
 public:
  PartsWriter(const SchemaNode& root, bool mapped, EncodeSink& to)
      : ValueWriter({.mapped = mapped}, &to), root_(root) {}

  void part(Value value) override;
  bool begin(Kind kind, std::size_t n) override;
  void end() override;
  using ValueWriter::finish;

 private:
  /// What becomes of the parts of a container.
  enum class As : unsigned char { items, numbers, entries, members };

  struct Open {
    As as;
    const Node* node;
    std::size_t path;                              // length of the path to it
    std::size_t next = 0;                          // item, or member that is to be encoded
    bool value_next = false;                       // of `entries` and `members`: the key has come
    std::size_t member = 0;                        // the one whose value comes next
    std::vector<std::optional<Value>> early = {};  // members that came before their turn
    std::unique_ptr<NumbersSink> block = nullptr;
    std::unique_ptr<ValueWriter> numbers = nullptr;  // writes to `block`
  };

  static std::optional<As> taken_as(const Node& node, Kind kind);
  const Node* node_of_next();
  void name_next();
  void written();
  void open(As as, const Node& node, std::size_t n);
  void take_key(Open& at, Value key);
  void take_name(Open& at, const Value& key);
  void put(const Node& node, Value value);

  const Node& root_;
  std::vector<Open> open_;
};

/// How a container is encoded part by part, where it can be.
std::optional<PartsWriter::As> PartsWriter::taken_as(const Node& node, Kind kind) {
  const bool list = kind == Kind::list || kind == Kind::set;
  switch (node.kind) {
    case Node::Kind::list: {
      if (!list) return std::nullopt;
      const auto layout = element_layout(node.part(0));
      if (!layout || !layout->block) return As::items;
      // Room for all is taken at once, for each of which there may be a single byte.
      return layout->dtype.itemsize <= base::expansion_ratio ? std::optional(As::numbers)
                                                             : std::nullopt;
    }
    case Node::Kind::set: return list ? std::optional(As::items) : std::nullopt;
    case Node::Kind::map: return kind == Kind::dict ? std::optional(As::entries) : std::nullopt;
    case Node::Kind::structure:
      return kind == Kind::dict ? std::optional(As::members) : std::nullopt;
    default: return std::nullopt;
  }
}

/// The type of the part that comes next, which is no key; null where that is not encoded at once.
const SchemaNode* PartsWriter::node_of_next() {
  if (open_.empty()) return &root_;
  const Open& at = open_.back();
  switch (at.as) {
    case As::items: return &at.node->part(0);
    case As::numbers: return nullptr;
    case As::entries: return &at.node->part(1);
    case As::members: break;
  }
  return at.member == at.next ? &at.node->part(at.member) : nullptr;
}

/// Steps into an item; keys do so themselves.
void PartsWriter::name_next() {
  if (open_.empty()) return;
  const Open& at = open_.back();
  if (at.as == As::items || at.as == As::numbers) path_ += "[" + std::to_string(at.next) + "]";
}

void PartsWriter::put(const Node& node, Value value) {
  sole_ = !value.is_shared();
  write(node, value);
  value = {};
  sole_ = false;
}

/// A part has been encoded.
void PartsWriter::written() {
  if (open_.empty()) return;
  Open& at = open_.back();
  ++at.next;
  at.value_next = false;
  path_.resize(at.path);
  if (at.as != As::members) return;
  for (; at.next < at.early.size() && at.early[at.next]; ++at.next) {
    path_ += "[\"" + at.node->names[at.next] + "\"]";
    put(at.node->part(at.next), *std::exchange(at.early[at.next], std::nullopt));
    path_.resize(at.path);
  }
}

void PartsWriter::take_name(Open& at, const Value& key) {
  const auto& names = at.node->names;
  const auto found =
      key.kind() == Kind::text ? std::find(names.begin(), names.end(), key.as_text()) : names.end();
  if (found == names.end()) {
    mismatch_unknown(*at.node, key);
  }
  at.member = static_cast<std::size_t>(found - names.begin());
  const bool is_early = at.member < at.early.size() && at.early[at.member];
  if (at.member < at.next || is_early) {
    mismatch("has " + key.to_string(60) + " twice");
  }
  path_ += "[\"" + *found + "\"]";
}

void PartsWriter::take_key(Open& at, Value key) {
  if (at.as == As::members) {
    take_name(at, key);
  } else {
    path_ += "[" + key.to_string(60) + "]";
    put(at.node->part(0), std::move(key));
  }
  at.value_next = true;
}

void PartsWriter::part(Value value) {
  const Node* node = node_of_next();
  if (open_.empty()) return put(*node, std::move(value));
  Open& at = open_.back();
  const bool keyed = at.as == As::entries || at.as == As::members;
  if (keyed && !at.value_next) return take_key(at, std::move(value));
  name_next();
  if (at.as == As::numbers) {
    at.numbers->add(at.node->part(0), std::move(value), path_);
  } else if (node == nullptr) {
    at.early.resize(at.node->parts.size());
    at.early[at.member] = std::move(value);
    at.value_next = false;
    return path_.resize(at.path);
  } else {
    put(*node, std::move(value));
  }
  written();
}

bool PartsWriter::begin(Kind kind, std::size_t n) {
  const Node* node = node_of_next();
  if (node == nullptr) return false;
  const Node* inner = node;
  while (inner->kind == Node::Kind::maybe || inner->kind == Node::Kind::shared) {
    inner = &inner->part(0);
  }
  const auto as = taken_as(*inner, kind);
  if (!as) return false;
  for (; node != inner; node = &node->part(0)) {
    if (node->kind == Node::Kind::maybe) {
      encoder_.scalar(static_cast<unsigned char>(1));
    } else {
      encoder_.length(++shared_);
    }
  }
  name_next();
  open(*as, *inner, n);
  return true;
}

void PartsWriter::open(As as, const Node& node, std::size_t n) {
  Open& at = open_.emplace_back(Open{.as = as, .node = &node, .path = path_.size()});
  if (as != As::members) encoder_.length(n);
  if (as == As::numbers) {
    at.block = std::make_unique<NumbersSink>(n * element_layout(node.part(0))->dtype.itemsize);
    at.numbers = std::make_unique<ValueWriter>(how_, at.block.get());
  }
}

void PartsWriter::end() {
  Open& at = open_.back();
  if (at.as == As::numbers) {
    at.numbers->finish();
    const auto storage = at.block->take();
    if (storage == nullptr) mismatch("has items that " + cut(at.node->text) + " has not");
    if (storage->bytes() < segment_threshold) {
      encoder_.block(storage->data(), storage->bytes());
    } else {
      encoder_.array_block(storage->data(), storage->bytes(), storage);
    }
  }
  if (at.as == As::members && at.next < at.node->parts.size()) {
    mismatch_missing(*at.node, at.node->names[at.next]);
  }
  open_.pop_back();
  written();
}

}  // namespace

ValueSink::~ValueSink() = default;

void encode_parts_as(const SchemaNode& schema, bool mapped, EncodeSink& to,
                     const std::function<void(ValueSink&)>& give) {
  PartsWriter writer(schema, mapped, to);
  give(writer);
  writer.finish();
}

}  // namespace hoist::detail::dynamic
