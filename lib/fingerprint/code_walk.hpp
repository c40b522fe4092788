// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/code.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory_resource>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/digest_stream.hpp"
#include "fingerprint/code_decode.hpp"
#include "fingerprint/read_variables.hpp"
#include "fingerprint/variable_values.hpp"
#include "os/fresh_memory.hpp"
#include "program/module_map.hpp"

namespace hoist::detail::fingerprint {

/// Walks everything that a function reaches and digests it.
///
/// The walk makes a graph. A node is a function, a piece of data or something known by name only;
/// it has a digest of its own content, in which every address is blanked, and an edge for each of
/// these, in order. Nodes are numbered in order of first mention, so that the graph's digest (each
/// node's digest and the numbers its edges lead to) is independent of where anything lies.
class CodeWalk {
 public:
  CodeWalk(const program::ModuleMap& modules, CodeCheck check) : modules_(modules), check_(check) {}

  /// Walks from the function at `start`. Call once.
  void run(const void* start);

  /// Without the nodes unless asked for.
  CodeReport report(bool with_nodes) const;
  /// The variables that count with their present value.
  std::vector<VariableBytes> values() const;
  /// The same with names, without thread-local variables.
  std::vector<ReadVariable> read_variables() const;
  /// The name of a function that calls others through pointers; empty if none does.
  std::string caller_by_pointer() const;

 private:
  static constexpr std::uint32_t no_node = 0xffffffff;

  struct Edge {
    std::uint32_t node = no_node;
    std::uint64_t offset = 0;
  };

  /// How the extent and meaning of data are known.
  enum class Shape : std::uint8_t {
    symbol,    ///< from the symbol table
    unnamed,   ///< up to the next reference
    relative,  ///< likewise, and holds 32-bit distances from its own start
    text,      ///< up to the first zero byte
    tls,       ///< from the symbol table; the addresses may be those of something else too
  };

  struct Node {
    CodeNode::Kind kind = CodeNode::Kind::function;
    Shape shape = Shape::symbol;
    bool visited = false;
    bool jumps_indirectly = false;
    bool calls_by_pointer = false;
    bool is_of_program = false;  ///< variable: not of the run time or of templates of hoist
    program::Module* module = nullptr;
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    std::string_view name;          ///< of the symbol, or what identifies an external
    std::uint32_t owner = no_node;  ///< unnamed data: the function that mentions it
    Digest digest;
    std::span<const Edge> edges;
    std::span<const std::uint32_t> offsets;  ///< function: where instructions start

    std::uint32_t index_of(std::uint64_t address) const;
    bool starts_instruction(std::uint64_t address) const;
  };

  /// What the code does to a variable.
  struct VariableUse {
    struct Range {
      std::uint64_t begin = 0;  ///< in the variable
      std::uint64_t end = 0;
    };
    std::vector<Range> read;
    std::vector<Range> written;
    bool escapes = false;  ///< may be written through its address
  };

  struct Key {
    program::Module* module = nullptr;
    std::uint64_t address = 0;
    Shape shape = Shape::symbol;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const {
      return (key.address * 8 + static_cast<std::size_t>(key.shape)) * 0x9E3779B97F4A7C15u ^
             reinterpret_cast<std::size_t>(key.module);
    }
  };

  /// What is needed while the references of one function are resolved. Used again for the next.
  struct Function {
    std::uint32_t node = no_node;
    program::Module* module = nullptr;
    const DecodedCode* code = nullptr;
    /// For each reference the data symbol that covers its target, null for none.
    std::vector<const program::ElfSymbol*> symbols;
    std::vector<std::uint64_t> objects;  ///< addresses of the data symbols it mentions, sorted
    std::vector<std::uint64_t> unnamed;  ///< other data it takes the address of, sorted
  };

  // code_walk.cpp: the graph.
  void drain();
  void finish();
  void give_up(program::Module* module, std::string_view reason);
  std::uint32_t add_node(const Key& key, CodeNode::Kind kind, std::string_view name,
                         std::uint64_t end);
  std::uint32_t external(program::Module* module, std::string_view name, std::uint64_t address);
  void visit_function(std::uint32_t index);
  void visit_handlers(Function& function);
  CodeNode describe(const Node& node) const;

  // code_refs.cpp: from an address to a node.
  bool is_followed(program::Module& module) const;
  Edge code_edge(program::Module& module, std::uint64_t address);
  Edge slot_edge(program::Module& module, std::uint64_t slot);
  Edge target_edge(program::Module& module, const program::SlotTarget& target);
  Edge pointer_edge(program::Module& module, std::uint64_t address);
  Edge object_edge(program::Module& module, const program::ElfSymbol& symbol,
                   std::uint64_t address);
  Edge unnamed_edge(program::Module& module, std::uint64_t address, Shape shape,
                    std::uint32_t owner);
  Edge tls_edge(program::Module& module, std::uint64_t offset);
  void note_objects(Function& function);
  void resolve(Function& function, std::size_t index);
  void resolve_address(Function& function, const CodeRef& ref, const program::ElfSymbol* symbol);

  // variable_use.cpp: what is done to variables.
  static bool is_of_program(std::string_view name);
  void note_use(const Function& function, const CodeRef& ref, RefUse how, const Edge& edge);
  void note_pointer(const Edge& edge);
  std::vector<VariableBytes> value_of(std::uint32_t index) const;
  std::string remark_on(std::uint32_t index) const;

  // data_walk.cpp: what data contain.
  void put_content(program::Module& module, std::uint64_t begin, std::uint64_t end);
  void visit_object(std::uint32_t index);
  void bound_unnamed();
  void visit_unnamed(std::uint32_t index);
  bool put_jump_table(const Node& node);
  void put_relative_table(const Node& node);

  /// A copy in the walk's memory.
  template <class T>
  std::span<const T> keep(const std::vector<T>& items) {
    auto* const kept = static_cast<T*>(memory_.allocate(items.size() * sizeof(T), alignof(T)));
    std::copy(items.begin(), items.end(), kept);
    return {kept, items.size()};
  }
  /// Ends the visit of a node: its content and edges are complete.
  void settle(Node& node);

  const program::ModuleMap& modules_;
  CodeCheck check_;
  // Few nodes fit into the walk itself; for many there is fresh memory.
  std::array<std::byte, 16384> first_memory_;
  std::pmr::monotonic_buffer_resource more_memory_{std::size_t{128} << 10, os::fresh_memory()};
  std::pmr::monotonic_buffer_resource memory_{first_memory_.data(), first_memory_.size(),
                                              &more_memory_};
  // A deque: nodes stay where they are while others are added.
  std::pmr::deque<Node> nodes_{&memory_};
  std::pmr::unordered_map<Key, std::uint32_t, KeyHash> numbers_{&memory_};
  std::unordered_map<std::string, std::uint32_t> externals_;
  // Of the node being visited.
  DecodedCode code_;
  Function function_;
  base::DigestStream stream_{&memory_};
  std::vector<Edge> edges_;
  std::map<std::uint32_t, VariableUse> uses_;  ///< by node
  /// Where variables are whose definition the linker has copied.
  std::unordered_map<std::uint32_t, program::Location> copies_;
  bool has_run_time_ = false;             ///< the program contains the C library
  std::vector<std::uint32_t> unbounded_;  ///< unnamed data, extent not known yet
  /// Addresses that don't bound unnamed data, per module.
  std::unordered_map<const program::Module*, std::unordered_set<std::uint64_t>> not_bounds_;
  std::string start_name_;
  std::uint64_t code_bytes_ = 0;
  Digest digest_;
  bool exact_ = true;
  std::string note_;
};

}  // namespace hoist::detail::fingerprint
