// SPDX-License-Identifier: BSD-3-Clause
//
// CodeWalk: from an address to a node.
#include <algorithm>

#include "fingerprint/code_flow.hpp"
#include "fingerprint/code_walk.hpp"
#include "program/symbol_names.hpp"
#include "program/unwind_tables.hpp"

namespace hoist::detail::fingerprint {

namespace {

bool is_data(const program::ElfSection* section) {
  return section != nullptr && section->kind != program::SectionKind::code;
}

bool is_writable(const program::ElfSection& section) {
  return section.kind == program::SectionKind::variable ||
         section.kind == program::SectionKind::zero;
}

/// Compilers fold a constant index into the address of a table, so that an address somewhat before
/// a table may be meant for it. How far before depends on how it is used: an instruction with index
/// registers and a 32-bit displacement takes any constant, an address taken in advance few.
constexpr std::uint64_t reach_of_index = 64;
constexpr std::uint64_t reach_of_address = 16;

}  // namespace

bool CodeWalk::is_followed(program::Module& module) const {
  return module.origin() == program::ModuleOrigin::user && module.is_walkable();
}

CodeWalk::Edge CodeWalk::code_edge(program::Module& module, std::uint64_t address) {
  if (!is_followed(module)) return {external(&module, {}, address), 0};
  program::ElfImage& image = *module.image();
  const program::ElfSection* section = image.section_at(address);
  // A weak function that nobody defines is called at address zero.
  if (section == nullptr || section->kind != program::SectionKind::code) return {};
  const program::ElfSymbol* symbol = image.function_at(address);
  if (symbol == nullptr) {
    if (const std::uint64_t slot = plt_slot(image, address)) return slot_edge(module, slot);
  }
  std::string_view name;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  if (symbol != nullptr) {
    name = image.name_of(*symbol);
    begin = symbol->address;
    end = symbol->end();
  }
  if (end == begin) {
    // Assembly without a size, or a local symbol that was stripped.
    if (const auto frame = program::find_frame(image, address)) {
      begin = frame->begin;
      end = frame->end;
    } else if (symbol != nullptr) {
      end = section->end();
      const program::ElfSymbol* after = image.function_after(begin);
      if (after != nullptr) end = std::min(end, after->address);
    } else {
      return {external(&module, {}, address), 0};
    }
  }
  if (const auto known = numbers_.find({&module, begin, Shape::symbol}); known != numbers_.end()) {
    return {known->second, address - begin};
  }
  // The function asked about is always entered.
  if (!nodes_.empty()) {
    const bool own_part =
        program::is_split_part(name) && program::base_name(name) == program::base_name(start_name_);
    const bool by_name = check_ == CodeCheck::function && name != start_name_ && !own_part;
    if (!name.empty() &&
        (by_name || (program::is_hoist_entity(name) && name != start_name_ && !own_part))) {
      return {external(&module, name, address), address - begin};
    }
  }
  const std::uint32_t node =
      add_node({&module, begin, Shape::symbol}, CodeNode::Kind::function, name, end);
  return {node, address - begin};
}

CodeWalk::Edge CodeWalk::slot_edge(program::Module& module, std::uint64_t slot) {
  return target_edge(module, modules_.slot(module, slot));
}

CodeWalk::Edge CodeWalk::target_edge(program::Module& /*module*/,
                                     const program::SlotTarget& target) {
  switch (target.kind) {
    case program::SlotTarget::Kind::location: break;
    case program::SlotTarget::Kind::tls:
      if (target.location.module == nullptr) return {external(nullptr, target.name, 0), 0};
      return tls_edge(*target.location.module, target.location.address);
    case program::SlotTarget::Kind::undefined: return {external(nullptr, target.name, 0), 0};
    case program::SlotTarget::Kind::none: return {};
  }
  program::Module& owner = *target.location.module;
  if (!target.name.empty() && (!is_followed(owner) || program::is_hoist_entity(target.name))) {
    return {external(&owner, target.name, target.location.address), 0};
  }
  return pointer_edge(owner, target.location.address);
}

CodeWalk::Edge CodeWalk::tls_edge(program::Module& module, std::uint64_t offset) {
  if (!is_followed(module)) return {external(&module, {}, offset), 0};
  program::ElfImage& image = *module.image();
  const program::ElfSymbol* symbol = image.tls_at(offset);
  if (symbol == nullptr) return {external(nullptr, "(thread-local)", 0), 0};
  const std::uint64_t base = image.tls_image_address();
  const std::uint32_t node =
      add_node({&module, base + symbol->address, Shape::tls}, CodeNode::Kind::variable,
               image.name_of(*symbol), base + symbol->end());
  return {node, offset - symbol->address};
}

/// Where a pointer found in data leads.
CodeWalk::Edge CodeWalk::pointer_edge(program::Module& module, std::uint64_t address) {
  if (!is_followed(module)) return {external(&module, {}, address), 0};
  program::ElfImage& image = *module.image();
  const program::ElfSection* section = image.section_at(address);
  if (section != nullptr && section->kind == program::SectionKind::code)
    return code_edge(module, address);
  if (section != nullptr && section->kind == program::SectionKind::metadata) {
    // In a program linked to a fixed address it may be a mere number.
    const std::uint64_t place = module.bias == 0 ? address - section->address : 0;
    return {external(nullptr, section->name, 0), place};
  }
  if (const program::ElfSymbol* symbol = image.object_at(address)) {
    return object_edge(module, *symbol, address);
  }
  if (section != nullptr && section->kind == program::SectionKind::constant &&
      section->has_content) {
    return unnamed_edge(module, address, Shape::unnamed, no_node);
  }
  if (const program::ElfSymbol* symbol = image.object_ending_at(address)) {
    return object_edge(module, *symbol, address);
  }
  return {external(nullptr, "(unnamed variable)", 0), 0};
}

CodeWalk::Edge CodeWalk::object_edge(program::Module& module, const program::ElfSymbol& symbol,
                                     std::uint64_t address) {
  const std::uint64_t offset = address - symbol.address;
  const auto known = numbers_.find({&module, symbol.address, Shape::symbol});
  if (known != numbers_.end()) return {known->second, offset};
  program::ElfImage& image = *module.image();
  const std::string_view name = image.name_of(symbol);
  const bool vtable = program::is_vtable(name);
  if (program::is_hoist_entity(name) || (vtable && check_ == CodeCheck::function)) {
    return {external(&module, name, address), offset};
  }
  const auto relocations = image.relocations(symbol.address, symbol.address + 1);
  // A variable of a shared object that the linker gave a place in the program (R_X86_64_COPY).
  if (!relocations.empty() && relocations.front().symbol != 0 &&
      modules_.target(module, relocations.front()).kind == program::SlotTarget::Kind::none) {
    const std::string_view copied = image.dynamic_symbol(relocations.front().symbol).name;
    const program::Location source = modules_.copy_source(module, copied);
    if (source.module == nullptr || !is_followed(*source.module)) {
      return {external(source.module, copied, source.address), offset};
    }
    const Edge edge = pointer_edge(*source.module, source.address + offset);
    if (edge.node != no_node) copies_[edge.node] = {&module, symbol.address};
    return edge;
  }
  const program::ElfSection* section = image.section_at(symbol.address);
  CodeNode::Kind kind = CodeNode::Kind::constant;
  if (vtable) kind = CodeNode::Kind::vtable;
  if (section != nullptr && is_writable(*section)) kind = CodeNode::Kind::variable;
  return {add_node({&module, symbol.address, Shape::symbol}, kind, name, symbol.end()), offset};
}

CodeWalk::Edge CodeWalk::unnamed_edge(program::Module& module, std::uint64_t address, Shape shape,
                                      std::uint32_t owner) {
  const std::size_t known = nodes_.size();
  const std::uint32_t node =
      add_node({&module, address, shape}, CodeNode::Kind::constant, {}, address);
  if (node == known) nodes_[node].owner = owner;
  return {node, 0};
}

/// Collects what the function mentions before any of it is resolved: whether an address is the end
/// of an array can't be told without knowing the others.
void CodeWalk::note_objects(Function& function) {
  program::ElfImage& image = *function.module->image();
  function.symbols.assign(function.code->refs.size(), nullptr);
  function.objects.clear();
  function.unnamed.clear();
  for (std::size_t i = 0; i < function.code->refs.size(); ++i) {
    const CodeRef& ref = function.code->refs[i];
    if (ref.use == RefUse::branch || ref.use == RefUse::tls) continue;
    const program::ElfSymbol* symbol = image.object_at(ref.target);
    function.symbols[i] = symbol;
    if (symbol != nullptr) {
      function.objects.push_back(symbol->address);
      continue;
    }
    const program::ElfSection* section = image.section_at(ref.target);
    if (ref.use == RefUse::access || section == nullptr ||
        section->kind != program::SectionKind::constant) {
      continue;
    }
    if (is_only_compared(image, *function.code, ref)) {
      not_bounds_[function.module].insert(ref.target);
    } else {
      function.unnamed.push_back(ref.target);
    }
  }
  std::sort(function.objects.begin(), function.objects.end());
  std::sort(function.unnamed.begin(), function.unnamed.end());
}

void CodeWalk::resolve(Function& function, std::size_t index) {
  const CodeRef& ref = function.code->refs[index];
  program::Module& module = *function.module;
  program::ElfImage& image = *module.image();
  if (ref.use == RefUse::branch) {
    edges_.push_back(code_edge(module, ref.target));
    return;
  }
  if (ref.use == RefUse::tls) {
    edges_.push_back(tls_edge(module, ref.target));
    note_use(function, ref, ref.use, edges_.back());
    return;
  }
  const program::ElfSection* section = image.section_at(ref.target);
  if (section != nullptr && section->kind == program::SectionKind::got) {
    edges_.push_back(slot_edge(module, ref.target));
    note_use(function, ref, RefUse::address, edges_.back());
  } else if (section != nullptr && section->kind == program::SectionKind::code) {
    edges_.push_back(code_edge(module, ref.target));
  } else if (ref.use == RefUse::access && section != nullptr &&
             section->kind == program::SectionKind::constant && section->has_content &&
             ref.size <= section->end() - ref.target) {
    // Just these bytes count, not what else is in the table.
    put_content(module, ref.target, ref.target + ref.size);
  } else {
    resolve_address(function, ref, function.symbols[index]);
  }
}

/// An address of data that is taken, or used with an index: any of what lies there may be meant.
void CodeWalk::resolve_address(Function& function, const CodeRef& ref,
                               const program::ElfSymbol* symbol) {
  program::Module& module = *function.module;
  program::ElfImage& image = *module.image();
  const std::uint64_t address = ref.target;
  const program::ElfSection* section = image.section_at(address);
  // Where the function counts up to zero, or mentions what lies before, this may be the end of it.
  const std::uint64_t count = function.code->counts_from_end;
  const bool may_be_end =
      count != 0 || (!function.objects.empty() && function.objects.front() < address);
  const program::ElfSymbol* before = may_be_end ? image.object_ending_at(address) : nullptr;

  // One past the last element of an array is where something unrelated starts.
  if (before != nullptr &&
      std::binary_search(function.objects.begin(), function.objects.end(), before->address) &&
      is_only_compared(image, *function.code, ref)) {
    edges_.push_back(object_edge(module, *before, address));
    return;
  }
  // It also is the start for a loop that counts up to zero.
  if (before != nullptr && count != 0 && count <= before->size) {
    edges_.push_back(object_edge(module, *before, address));
  }
  if (symbol == nullptr && (section == nullptr || section->kind != program::SectionKind::constant ||
                            !section->has_content)) {
    edges_.push_back(pointer_edge(module, address));
    return;
  }
  const bool relative = section->kind == program::SectionKind::constant && address % 4 == 0 &&
                        is_relative_table(image, *function.code, ref);
  if (relative) {
    edges_.push_back(unnamed_edge(module, address, Shape::relative, function.node));
  } else if (symbol != nullptr) {
    edges_.push_back(object_edge(module, *symbol, address));
    note_use(function, ref, ref.use, edges_.back());
  } else if (not_bounds_[&module].contains(address) &&
             is_only_compared(image, *function.code, ref)) {
    // The end of an array without a symbol: its distance from the start is what counts.
    const auto start = std::lower_bound(function.unnamed.begin(), function.unnamed.end(), address);
    if (start != function.unnamed.begin()) {
      stream_.put64(address - *std::prev(start));
    }
    return;
  } else {
    edges_.push_back(unnamed_edge(module, address, Shape::unnamed, function.node));
  }

  const bool interior = symbol != nullptr && address != symbol->address &&
                        !program::is_vtable(image.name_of(*symbol));
  const bool padding = symbol == nullptr && is_data(section);
  if (!interior && !padding) return;
  const program::ElfSymbol* after = image.object_after(address);
  if (after == nullptr || after->address >= section->end()) return;
  const std::uint64_t distance = after->address - address;
  const std::uint64_t reach =
      ref.use == RefUse::indexed || padding ? reach_of_index : reach_of_address;
  if (distance > reach) return;
  if (padding) {
    if (!image.relocations(address, after->address).empty()) return;
    const auto between = image.bytes(address, distance);
    if (std::any_of(between.begin(), between.end(), [](std::byte b) { return b != std::byte{}; })) {
      return;
    }
  }
  edges_.push_back(object_edge(module, *after, after->address));
}

}  // namespace hoist::detail::fingerprint
