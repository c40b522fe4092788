// SPDX-License-Identifier: BSD-3-Clause
//
// CodeWalk: what is done to variables, which count with their present value, and remarks on nodes.
#include <algorithm>

#include "fingerprint/code_flow.hpp"
#include "fingerprint/code_walk.hpp"
#include "program/symbol_names.hpp"

namespace hoist::detail::fingerprint {

namespace {

template <class Ranges>
bool overlaps(const Ranges& ranges, std::uint64_t begin, std::uint64_t end) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const auto& range) { return range.begin < end && begin < range.end; });
}

template <class Ranges>
void add_range(Ranges& ranges, std::uint64_t begin, std::uint64_t end) {
  const bool known = std::any_of(ranges.begin(), ranges.end(), [&](const auto& range) {
    return range.begin <= begin && end <= range.end;
  });
  if (!known) ranges.push_back({begin, end});
}

}  // namespace

/// What else is hoist's is no variable to the walk.
bool CodeWalk::is_of_program(std::string_view name) {
  return !program::is_run_time_entity(name) && !name.starts_with("_ZN5hoist") &&
         !name.starts_with("_ZZN5hoist") && !name.starts_with("_ZZNK5hoist");
}

/// Notes what an instruction does to the variable that an edge leads to.
void CodeWalk::note_use(const Function& function, const CodeRef& ref, RefUse how,
                        const Edge& edge) {
  if (edge.node == no_node || !nodes_[edge.node].is_of_program) return;
  const Node& reader = nodes_[function.node];
  const Node& variable = nodes_[edge.node];
  // In a program that contains the C library, that one's variables look like the program's own.
  if (has_run_time_ && function.node != 0 && !reader.name.starts_with("_Z")) return;
  VariableUse& use = uses_[edge.node];
  const std::uint64_t size = variable.end - variable.begin;
  std::uint64_t begin = edge.offset;
  std::uint64_t end = std::min<std::uint64_t>(size, begin + ref.size);
  if (how == RefUse::tls && ref.size == 0) how = RefUse::address;
  switch (how) {
    case RefUse::branch:
    case RefUse::compare: return;
    case RefUse::address:
      if (!use.escapes) {
        const bool follow = check_ == CodeCheck::callees;
        use.escapes = !is_only_read(*function.module->image(), *function.code, ref, follow);
      }
      [[fallthrough]];
    case RefUse::indexed:
      begin = 0;
      end = size;
      break;
    case RefUse::access:
    case RefUse::tls: break;
  }
  if (how == RefUse::address || ref.reads) add_range(use.read, begin, end);
  if (how != RefUse::address && ref.writes) add_range(use.written, begin, end);
}

/// Notes that data hold the address of what an edge leads to.
void CodeWalk::note_pointer(const Edge& edge) {
  if (edge.node != no_node && nodes_[edge.node].is_of_program) uses_[edge.node].escapes = true;
}

/// The bytes of a variable that count with their present value.
std::vector<VariableBytes> CodeWalk::value_of(std::uint32_t index) const {
  const auto found = uses_.find(index);
  if (found == uses_.end() || found->second.escapes) return {};
  const VariableUse& use = found->second;
  const Node& node = nodes_[index];
  const bool thread = node.shape == Shape::tls;
  if (thread && !node.module->is_main) return {};
  std::uint64_t start = node.module->bias + node.begin;
  if (thread) {
    const program::ElfImage& image = *node.module->image();
    start = node.begin - image.tls_image_address() - image.tls_block_size();
  } else if (const auto copy = copies_.find(index); copy != copies_.end()) {
    start = copy->second.module->bias + copy->second.address;
  }
  auto ranges = use.read;
  std::erase_if(ranges, [&](const auto& range) {
    return range.begin >= range.end || overlaps(use.written, range.begin, range.end);
  });
  std::sort(ranges.begin(), ranges.end(),
            [](const auto& a, const auto& b) { return a.begin < b.begin; });
  std::vector<VariableBytes> bytes;
  std::uint64_t done = 0;
  for (const auto& range : ranges) {
    const std::uint64_t from = std::max(done, range.begin);
    if (from >= range.end) continue;
    bytes.push_back({start + from, range.end - from, thread});
    done = range.end;
  }
  return bytes;
}

std::vector<VariableBytes> CodeWalk::values() const {
  std::vector<VariableBytes> all;
  if (!exact_) return all;
  for (const auto& [index, use] : uses_) {
    const auto bytes = value_of(index);
    all.insert(all.end(), bytes.begin(), bytes.end());
  }
  return all;
}

std::vector<ReadVariable> CodeWalk::read_variables() const {
  std::vector<ReadVariable> all;
  if (!exact_) return all;
  for (const auto& [index, use] : uses_) {
    for (const VariableBytes& bytes : value_of(index)) {
      if (!bytes.is_thread_local) all.push_back({program::demangled(nodes_[index].name), bytes});
    }
  }
  return all;
}

std::string CodeWalk::remark_on(std::uint32_t index) const {
  if (nodes_[index].calls_by_pointer) {
    return "calls through pointers: what they lead to counts only where the code mentions it";
  }
  const auto found = uses_.find(index);
  if (found == uses_.end()) return {};
  if (found->second.escapes) return "value not in the key: its address is taken";
  const auto bytes = value_of(index);
  if (bytes.empty()) {
    return found->second.read.empty() || !found->second.written.empty()
               ? "value not in the key: the function writes it"
               : "value not in the key: a thread-local variable of a shared object";
  }
  return hold_addresses(bytes) ? "value in the key, without what its addresses lead to"
                               : "value in the key";
}

}  // namespace hoist::detail::fingerprint
