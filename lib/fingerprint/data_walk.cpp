// SPDX-License-Identifier: BSD-3-Clause
//
// CodeWalk: what data contain.
#include <algorithm>

#include "fingerprint/code_walk.hpp"
#include "fingerprint/reference_scan.hpp"
#include "fingerprint/text_bytes.hpp"
#include "program/symbol_names.hpp"

namespace hoist::detail::fingerprint {

namespace {

/// Whether a number in data linked to a fixed address is an address: of a place in a function (a
/// jump table's), of constants, or in a variable. Other numbers count as they are.
bool is_pointer(program::ElfImage& image, std::uint64_t value) {
  const program::ElfSection* section = image.section_at(value);
  if (section == nullptr) return false;
  switch (section->kind) {
    case program::SectionKind::code:
      return image.function_at(value) != nullptr || plt_slot(image, value) != 0;
    case program::SectionKind::constant:
    case program::SectionKind::metadata: return true;
    default: {
      const program::ElfSymbol* symbol = image.object_at(value);
      return symbol != nullptr && value - symbol->address <= program::max_pointer_offset;
    }
  }
}

}  // namespace

/// Puts the content of [begin, end) with its pointers blanked, and an edge for each of these.
void CodeWalk::put_content(program::Module& module, std::uint64_t begin, std::uint64_t end) {
  program::ElfImage& image = *module.image();
  const auto bytes = image.bytes(begin, end - begin);
  if (bytes.empty()) return;
  const auto relocations = image.relocations(begin, end);
  if (relocations.empty() && image.is_relocatable()) {
    stream_.put(base::digest_of(bytes));
    return;
  }
  const std::size_t start = stream_.size();
  stream_.put(bytes);
  for (const program::ElfRelocation& relocation : relocations) {
    const std::uint64_t at = relocation.offset - begin;
    stream_.blank(start + at, std::min<std::uint64_t>(8, bytes.size() - at));
    stream_.put64(at);
    edges_.push_back(target_edge(module, modules_.target(module, relocation)));
    note_pointer(edges_.back());
  }
  // The last letters of a text are numbers that could well be addresses.
  if (image.is_relocatable() || is_text(bytes)) return;
  // Linked to a fixed address: pointers are numbers that happen to be where something known starts
  // or lies.
  for (std::uint64_t at = (8 - begin % 8) % 8; at + 8 <= bytes.size(); at += 8) {
    const std::uint64_t value = image.word(begin + at).value_or(0);
    if (!is_pointer(image, value)) continue;
    stream_.blank(start + at, 8);
    stream_.put64(at);
    edges_.push_back(pointer_edge(module, value));
    note_pointer(edges_.back());
  }
}

void CodeWalk::visit_object(std::uint32_t index) {
  Node& node = nodes_[index];
  if (node.kind == CodeNode::Kind::variable) {
    // Which variable it is counts, and what it starts with; what it holds now depends on the run.
    stream_.put(program::base_name(node.name));
    stream_.put64(node.end - node.begin);
  }
  // Thread-local variables that start as zero have no place of their own.
  const program::ElfSection* section = node.module->image()->section_at(node.begin);
  const bool in_image = section != nullptr && section->kind == program::SectionKind::tls;
  if (node.shape != Shape::tls || in_image) {
    put_content(*node.module, node.begin, node.end);
  }
  settle(node);
}

/// Finds the extents of all unnamed data known so far, then visits them.
void CodeWalk::bound_unnamed() {
  std::vector<std::uint32_t> batch;
  batch.swap(unbounded_);
  std::vector<program::Module*> modules;
  for (const std::uint32_t index : batch) {
    program::Module* module = nodes_[index].module;
    if (std::find(modules.begin(), modules.end(), module) == modules.end()) {
      modules.push_back(module);
    }
  }
  for (program::Module* module : modules) {
    program::ElfImage& image = *module->image();
    std::vector<DataWindow> windows;
    for (const std::uint32_t index : batch) {
      const Node& node = nodes_[index];
      if (node.module != module) continue;
      std::uint64_t end = image.section_at(node.begin)->end();
      const program::ElfSymbol* covering = image.object_at(node.begin);
      const program::ElfSymbol* after = image.object_after(node.begin);
      if (covering != nullptr) {
        end = std::min(end, covering->end());
      } else if (after != nullptr) {
        end = std::min(end, after->address);
      }
      windows.push_back({node.begin, end});
    }
    std::sort(windows.begin(), windows.end(),
              [](const DataWindow& a, const DataWindow& b) { return a.begin < b.begin; });
    std::vector<DataWindow> limits = windows;
    narrow_windows(image, windows, not_bounds_[module]);
    for (const std::uint32_t index : batch) {
      Node& node = nodes_[index];
      if (node.module != module) continue;
      const auto found = std::lower_bound(
          windows.begin(), windows.end(), node.begin,
          [](const DataWindow& window, std::uint64_t value) { return window.begin < value; });
      const DataWindow& limit = limits[static_cast<std::size_t>(found - windows.begin())];
      // The linker lets one literal be the tail of another: then there is a reference inside.
      node.end = std::max(found->end, end_of_text(image, node.begin, limit.end));
    }
  }
  for (const std::uint32_t index : batch) visit_unnamed(index);
}

void CodeWalk::visit_unnamed(std::uint32_t index) {
  Node& node = nodes_[index];
  node.visited = true;
  program::ElfImage& image = *node.module->image();
  stream_.put8(static_cast<std::uint8_t>(node.shape));
  if (node.shape == Shape::text) {
    const program::ElfSection* section = image.section_at(node.begin);
    node.end = end_of_text(image, node.begin, section->end());
  }
  if (node.shape == Shape::relative) {
    put_relative_table(node);
  } else if (!put_jump_table(node)) {
    // What follows up to the next thing may be padding, which depends on that thing.
    const auto bytes = image.bytes(node.begin, node.end - node.begin);
    std::uint64_t used = bytes.size();
    const auto relocations = image.relocations(node.begin, node.end);
    const std::uint64_t least =
        relocations.empty() ? 0 : relocations.back().offset + 8 - node.begin;
    while (used > least && bytes[used - 1] == std::byte{}) --used;
    // Where pointers need no relocation, the upper half of one may look like padding.
    if (!image.is_relocatable() && used > 0 && node.begin % 8 == 0) {
      const std::uint64_t last = (used - 1) / 8 * 8;
      const auto value = image.word(node.begin + last);
      if (value && is_pointer(image, *value) && !is_text(bytes)) {
        used = std::min<std::uint64_t>(bytes.size(), last + 8);
      }
    }
    put_content(*node.module, node.begin, node.begin + used);
  }
  settle(node);
}

/// If the data are a table of 32-bit distances to places in the function that mentions it: puts
/// these as edges. The distances themselves depend on where code and data lie.
bool CodeWalk::put_jump_table(const Node& node) {
  if (node.owner == no_node || node.begin % 4 != 0) return false;
  const Node& owner = nodes_[node.owner];
  if (!owner.jumps_indirectly) return false;
  program::Module& module = *node.module;
  program::ElfImage& image = *module.image();
  std::uint32_t count = 0;
  for (std::uint64_t at = node.begin; at + 4 <= node.end; at += 4) {
    const auto entry = image.int32(at);
    if (!entry) break;
    const std::uint64_t target = node.begin + static_cast<std::uint64_t>(std::int64_t{*entry});
    if (!owner.starts_instruction(target)) {
      // A case that is never expected may be in the function's cold part.
      const program::ElfSymbol* symbol = image.function_at(target);
      if (symbol == nullptr || !program::is_split_part(image.name_of(*symbol)) ||
          program::base_name(image.name_of(*symbol)) != program::base_name(owner.name)) {
        break;
      }
    }
    edges_.push_back(code_edge(module, target));
    ++count;
  }
  if (count == 0) return false;
  stream_.put32(count);
  return true;
}

/// A table of 32-bit distances to anything: jump targets, or strings and functions that clang puts
/// instead of pointers.
void CodeWalk::put_relative_table(const Node& node) {
  if (put_jump_table(node)) return;
  program::Module& module = *node.module;
  program::ElfImage& image = *module.image();
  std::uint32_t count = 0;
  for (std::uint64_t at = node.begin; at + 4 <= node.end; at += 4) {
    const auto entry = image.int32(at);
    // Zero would be the table itself: padding.
    if (!entry || *entry == 0) break;
    const std::uint64_t target = node.begin + static_cast<std::uint64_t>(std::int64_t{*entry});
    const program::ElfSection* section = image.section_at(target);
    if (section == nullptr) break;
    if (section->kind == program::SectionKind::constant && image.object_at(target) == nullptr) {
      // Nothing else need refer to what is next to a text, so that its own end has to do.
      const bool text = end_of_text(image, target, section->end()) != target;
      edges_.push_back(unnamed_edge(module, target, text ? Shape::text : Shape::unnamed, no_node));
    } else {
      edges_.push_back(pointer_edge(module, target));
    }
    ++count;
  }
  stream_.put32(count);
}

}  // namespace hoist::detail::fingerprint
