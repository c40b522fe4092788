// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/value.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "formats/input.hpp"
#include "pickle/pickle.hpp"

namespace support {

/// Assembles a Value from the parts that it is given. The bits of `refused`, used cyclically, say
/// whether it refuses a container's parts and takes it as a whole.
class Rebuilder final : public hoist::detail::dynamic::ValueSink {
 public:
  using Value = hoist::Value;

  explicit Rebuilder(std::uint64_t refused = 0) : refused_(refused) {}
  Value take() { return std::move(whole_); }
  std::size_t begun() const { return begun_; }
  bool complete() const { return open_.empty(); }

  void part(Value value) override {
    (open_.empty() ? whole_ : open_.back().second.emplace_back()) = std::move(value);
  }
  bool begin(Value::Kind kind, std::size_t) override {
    const bool takes = (refused_ & 1) == 0;
    refused_ = refused_ >> 1 | refused_ << 63;
    if (takes) open_.emplace_back(kind, std::vector<Value>());
    if (takes) ++begun_;
    return takes;
  }
  void end() override {
    auto [kind, items] = std::move(open_.back());
    open_.pop_back();
    if (kind != Value::Kind::dict) return part(Value::sequence(kind, std::move(items)));
    std::vector<Value::Entry> entries;
    for (std::size_t i = 0; i + 1 < items.size(); i += 2)
      entries.emplace_back(items[i], items[i + 1]);
    part(Value::dict(std::move(entries)));
  }

 private:
  std::uint64_t refused_;
  std::size_t begun_ = 0;
  std::vector<std::pair<Value::Kind, std::vector<Value>>> open_;
  Value whole_;
};

/// The value that `read_pickle` reads, in two passes; empty if the first pass finds no outline.
inline std::optional<hoist::Value> read_in_two_passes(hoist::detail::formats::Input& in,
                                                      Rebuilder& to) {
  in.begin_first_pass();
  const auto outline = hoist::detail::pickle::survey_pickle(in);
  in.rewind();
  if (!outline) return std::nullopt;
  hoist::detail::pickle::give_pickle(in, *outline, to);
  return to.take();
}

}  // namespace support
