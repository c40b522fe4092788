// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "program/elf_image.hpp"

namespace hoist::detail::program {

/// Whose code a loaded module is.
enum class ModuleOrigin : std::uint8_t {
  user,       ///< the program and its own shared objects: followed
  installed,  ///< a shared object in a system directory: counts by name and build-id
  runtime,    ///< the C and C++ run time: counts by name
};

/// An executable or shared object mapped into this process.
class Module {
 public:
  struct Segment {
    std::uint64_t address = 0;  ///< link-time
    std::uint64_t size = 0;
    std::uint64_t file_size = 0;
    bool writable = false;
    bool readable = false;
  };

  std::string path;        ///< empty for the vDSO
  std::uint64_t bias = 0;  ///< run-time address = link-time address + bias
  std::vector<Segment> segments;
  std::vector<std::byte> build_id;  ///< as mapped
  ModuleOrigin origin = ModuleOrigin::user;
  bool is_main = false;

  std::string_view file_name() const;
  /// Whether address (link-time) is inside one of the segments.
  bool contains(std::uint64_t address) const;
  /// The file, if it can be read and still is what was mapped; otherwise null.
  ElfImage* image();
  /// Whether code in it can be walked: there are a file and a symbol table.
  bool is_walkable() { return image() != nullptr && image()->has_symbol_table(); }
  /// What stands for the whole module: its build-id, or a hash of what is mapped read-only.
  std::string identity();

 private:
  bool is_same_file(const ElfImage& image) const;

  bool opened_ = false;
  std::unique_ptr<ElfImage> image_;
  std::string identity_;
};

/// An address in a module. A null module stands for "nowhere".
struct Location {
  Module* module = nullptr;
  std::uint64_t address = 0;  ///< link-time
};

/// What a pointer-sized slot refers to: an address, or a name nobody defines.
struct SlotTarget {
  enum class Kind : std::uint8_t { none, location, undefined, tls };
  Kind kind = Kind::none;
  Location location;      ///< for tls, address is the offset in the module's block
  std::string_view name;  ///< of the symbol the slot is bound to; may be empty
};

/// The modules of this process, in load order. Not thread-safe.
class ModuleMap {
 public:
  /// Reads the list again if something was loaded or unloaded. True if something was unloaded, so
  /// that addresses known from before may mean something else now.
  bool refresh();

  /// The module a run-time address belongs to; null for none.
  Location locate(const void* address);
  /// What the slot at `address` of `module` will hold once the program runs.
  SlotTarget slot(Module& module, std::uint64_t address);
  /// What a relocation makes of its slot.
  SlotTarget target(Module& module, const ElfRelocation& relocation);
  /// The definition a copied variable (R_X86_64_COPY) was copied from.
  Location copy_source(Module& module, std::string_view name);

 private:
  Location bind(Module& module, const DynamicSymbol& symbol, const ElfRelocation& relocation);

  std::vector<std::unique_ptr<Module>> modules_;
  unsigned long long loaded_ = 0;
  unsigned long long unloaded_ = 0;
};

}  // namespace hoist::detail::program
