// SPDX-License-Identifier: BSD-3-Clause
#include "fingerprint/code_walk.hpp"

#include <algorithm>
#include <cstdio>

#include "fingerprint/handler_table.hpp"
#include "fingerprint/instruction.hpp"
#include "program/symbol_names.hpp"
#include "program/unwind_tables.hpp"

namespace hoist::detail::fingerprint {

namespace {

/// Changes whenever the same code would get another digest: part of every digest.
constexpr std::string_view format = "hoist code 1";

/// Above this the module's build-id is the better fingerprint: a walk costs 15 ms per MiB.
constexpr std::uint64_t max_code_bytes = std::uint64_t{32} << 20;
constexpr std::size_t max_nodes = 500'000;

/// The text of a string literal, shortened, for a report.
std::string preview(std::span<const std::byte> bytes) {
  constexpr std::size_t longest = 40;
  const std::string_view all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const std::string_view text = all.substr(0, all.find('\0'));
  const bool printable = std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 0x20 && c < 0x7f) || c == '\n' || c == '\t';
  });
  if (text.empty() || !printable) return "(unnamed data)";
  std::string shown = "\"";
  for (const char c : text.substr(0, longest)) {
    if (c == '\n') {
      shown += "\\n";
    } else if (c == '\t') {
      shown += "\\t";
    } else {
      shown += c;
    }
  }
  return shown + (text.size() > longest ? "...\"" : "\"");
}

}  // namespace

std::uint32_t CodeWalk::Node::index_of(std::uint64_t address) const {
  const auto found = std::lower_bound(offsets.begin(), offsets.end(), address - begin);
  return static_cast<std::uint32_t>(found - offsets.begin());
}

bool CodeWalk::Node::starts_instruction(std::uint64_t address) const {
  return address >= begin && address < end &&
         std::binary_search(offsets.begin(), offsets.end(), address - begin);
}

void CodeWalk::run(const void* start) {
  const program::Location location = modules_.locate(start);
  if (location.module == nullptr) {
    give_up(nullptr, "the function's code belongs to no file");
    return;
  }
  program::Module& module = *location.module;
  const std::string file(module.is_main ? "the program" : module.file_name());
  if (!can_decode()) {
    give_up(&module, "this processor's code can't be read: the build-id of " + file +
                         " stands for the function");
    return;
  }
  if (module.origin() != program::ModuleOrigin::user) {
    note_ = "the function belongs to the system library " + file + ": it counts by name";
  } else if (!module.is_walkable()) {
    give_up(&module, file + " has no symbol table (stripped?) or its file has changed: its " +
                         "build-id stands for the function");
    return;
  } else if (const program::ElfSymbol* symbol = module.image()->function_at(location.address)) {
    start_name_ = module.image()->name_of(*symbol);
  }
  has_run_time_ =
      std::none_of(modules_.modules().begin(), modules_.modules().end(),
                   [](const auto& loaded) { return loaded->file_name().starts_with("libc."); });
  const Edge edge = code_edge(module, location.address);
  if (edge.node == no_node || nodes_[edge.node].kind == CodeNode::Kind::module) {
    give_up(&module,
            "nothing tells where the function ends: the build-id of " + file + " stands for it");
    return;
  }
  drain();
  if (exact_) finish();
}

void CodeWalk::give_up(program::Module* module, std::string_view reason) {
  exact_ = false;
  note_ = reason;
  nodes_.clear();
  base::DigestStream stream;
  stream.put(format);
  stream.put(module != nullptr ? module->identity() : std::string());
  digest_ = stream.digest();
  if (module == nullptr) return;
  Node& node = nodes_.emplace_back();
  node.kind = CodeNode::Kind::module;
  node.module = module;
  node.name = externals_.try_emplace(module->identity(), 0).first->first;
  node.digest = digest_;
}

std::uint32_t CodeWalk::add_node(const Key& key, CodeNode::Kind kind, std::string_view name,
                                 std::uint64_t end) {
  const auto [place, is_new] = numbers_.try_emplace(key, static_cast<std::uint32_t>(nodes_.size()));
  if (!is_new) return place->second;
  Node& node = nodes_.emplace_back();
  node.kind = kind;
  node.shape = key.shape;
  node.module = key.module;
  node.begin = key.address;
  node.end = end;
  node.name = name;
  node.is_of_program = kind == CodeNode::Kind::variable && is_of_program(name);
  return place->second;
}

/// A node for what isn't followed. Its name is all there is to it, with the file it comes from and,
/// unless that is the run time or hoist itself, which build of that.
std::uint32_t CodeWalk::external(program::Module* module, std::string_view name,
                                 std::uint64_t address) {
  std::string identity(program::base_name(name));
  program::Module* owner = program::is_hoist_entity(name) ? nullptr : module;
  CodeNode::Kind kind = CodeNode::Kind::external;
  if (owner != nullptr) {
    if (identity.empty() && owner->image() != nullptr) {
      if (const auto symbol = owner->image()->exported_at(address)) identity = symbol->name;
    }
    if (identity.empty()) kind = CodeNode::Kind::module;
    identity += '@';
    if (!owner->is_main) identity += owner->file_name();
    if (owner->origin() != program::ModuleOrigin::runtime && check_ == CodeCheck::callees) {
      identity += '@' + owner->identity();
    }
    if (owner->origin() == program::ModuleOrigin::user && !owner->is_walkable() && note_.empty()) {
      note_ = std::string(owner->file_name()) +
              " has no symbol table: its build-id stands for what is used of it";
    }
  }
  const auto [place, is_new] =
      externals_.try_emplace(identity, static_cast<std::uint32_t>(nodes_.size()));
  if (!is_new) return place->second;
  Node& node = nodes_.emplace_back();
  node.kind = kind;
  node.module = module;
  node.name = place->first;
  node.visited = true;
  base::DigestStream stream;
  stream.put(identity);
  node.digest = stream.digest();
  return place->second;
}

void CodeWalk::drain() {
  std::size_t next = 0;
  for (;;) {
    // Unnamed data wait until all that is known by then has been visited: one search for their
    // bounds serves them all.
    for (; next < nodes_.size(); ++next) {
      Node& node = nodes_[next];
      if (node.visited) continue;
      if (node.shape == Shape::unnamed || node.shape == Shape::relative) {
        unbounded_.push_back(static_cast<std::uint32_t>(next));
        continue;
      }
      node.visited = true;
      if (node.kind == CodeNode::Kind::function) {
        code_bytes_ += node.end - node.begin;
        if (code_bytes_ > max_code_bytes || nodes_.size() > max_nodes) {
          give_up(nodes_.front().module,
                  "the function reaches too much code: the module's build-id stands for it");
          return;
        }
        visit_function(static_cast<std::uint32_t>(next));
      } else if (node.shape == Shape::text) {
        visit_unnamed(static_cast<std::uint32_t>(next));
      } else {
        visit_object(static_cast<std::uint32_t>(next));
      }
    }
    if (unbounded_.empty()) return;
    bound_unnamed();
  }
}

void CodeWalk::visit_function(std::uint32_t index) {
  Node& node = nodes_[index];
  code_ = decode_code(*node.module->image(), node.begin, node.end, std::move(code_));
  node.offsets = keep(code_.offsets);
  node.jumps_indirectly = code_.jumps_indirectly;
  node.calls_by_pointer = code_.calls_by_pointer;
  function_.node = index;
  function_.module = node.module;
  function_.code = &code_;
  note_objects(function_);

  stream_.put(code_.digest);
  for (std::size_t i = 0; i < code_.refs.size(); ++i) resolve(function_, i);
  visit_handlers(function_);
  settle(node);
}

void CodeWalk::settle(Node& node) {
  node.edges = keep(edges_);
  node.digest = stream_.digest();
  edges_.clear();
  stream_.clear();
}

void CodeWalk::visit_handlers(Function& function) {
  program::Module& module = *function.module;
  const auto frame = program::find_frame(*module.image(), function.code->begin);
  if (!frame || frame->handlers == 0) return;
  for (const CaughtType& type :
       put_handlers(*module.image(), frame->handlers, *function.code, stream_)) {
    if (type.address == 0) {
      edges_.push_back({});
    } else if (type.indirect) {
      edges_.push_back(slot_edge(module, type.address));
    } else {
      edges_.push_back(pointer_edge(module, type.address));
    }
  }
}

void CodeWalk::finish() {
  stream_.put(format);
  for (const Node& node : nodes_) {
    stream_.put8(static_cast<std::uint8_t>(node.kind));
    stream_.put(node.digest);
    stream_.put32(static_cast<std::uint32_t>(node.edges.size()));
    for (const Edge& edge : node.edges) {
      stream_.put32(edge.node);
      const bool code = edge.node != no_node && nodes_[edge.node].kind == CodeNode::Kind::function;
      if (!code) {
        stream_.put64(edge.offset);
        continue;
      }
      // A place inside a function is an instruction, whatever the lengths of those before it. What
      // lies inside an instruction is a number that looks like an address, and counts in full.
      const Node& target = nodes_[edge.node];
      stream_.put64(target.index_of(target.begin + edge.offset));
      if (!std::ranges::binary_search(target.offsets, edge.offset)) stream_.put64(edge.offset);
    }
  }
  digest_ = stream_.digest();
}

CodeNode CodeWalk::describe(const Node& node) const {
  CodeNode result;
  result.kind = node.kind;
  result.size = node.end - node.begin;
  result.digest = node.digest;
  if (node.module != nullptr) {
    result.module = node.module->is_main ? "(program)" : std::string(node.module->file_name());
  }
  switch (node.kind) {
    case CodeNode::Kind::module: result.name = node.name; break;
    case CodeNode::Kind::external:
      result.name = program::demangled(node.name.substr(0, node.name.find('@')));
      break;
    default:
      if (!node.name.empty()) {
        result.name = program::demangled(node.name);
      } else if (node.kind == CodeNode::Kind::function) {
        result.name = "(unnamed function)";
      } else if (node.module != nullptr) {
        result.name = preview(node.module->image()->bytes(node.begin, node.end - node.begin));
      }
  }
  return result;
}

std::string CodeWalk::caller_by_pointer() const {
  const auto found = std::find_if(nodes_.begin(), nodes_.end(),
                                  [](const Node& node) { return node.calls_by_pointer; });
  return found != nodes_.end() ? describe(*found).name : std::string();
}

CodeReport CodeWalk::report(bool with_nodes) const {
  CodeReport report;
  report.digest = digest_;
  report.exact = exact_;
  report.note = note_;
  if (with_nodes) {
    for (std::uint32_t i = 0; i < nodes_.size(); ++i) {
      report.nodes.push_back(describe(nodes_[i]));
      report.nodes.back().remark = remark_on(i);
    }
  }
  return report;
}

}  // namespace hoist::detail::fingerprint
