// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "os/list_modules.hpp"
#include "program/elf_image.hpp"

namespace hoist::detail::program {

/// Whose code a loaded module is.
enum class ModuleOrigin : std::uint8_t {
  user,       ///< the program and its own shared objects: followed
  installed,  ///< a shared object in a system directory: counts by name and build-id
  runtime,    ///< the C and C++ run time: counts by name
};

/// An executable or shared object mapped into this process.
///
/// The description never changes. What takes a look at the file (`image`, `identity`, `origin`) is
/// found on first use: only while `lock_images` is held.
class Module {
 public:
  struct Segment {
    std::uint64_t address = 0;  ///< link-time
    std::uint64_t size = 0;
    std::uint64_t file_size = 0;
    bool writable = false;
    bool readable = false;

    bool contains(std::uint64_t at) const { return at >= address && at - address < size; }
  };

  std::string path;        ///< of the file, absolute
  std::uint64_t bias = 0;  ///< run-time address = link-time address + bias
  std::vector<Segment> segments;
  Segment relro;                    ///< written by relocation only
  std::vector<std::byte> build_id;  ///< as mapped
  bool is_main = false;

  std::string_view file_name() const;
  /// What is mapped from the beginning of the file; null for a module without segments.
  const void* first_byte() const;
  /// Whether address (link-time) is inside one of the segments.
  bool contains(std::uint64_t address) const;
  /// Whether the program may write at address (link-time).
  bool is_variable(std::uint64_t address) const;
  /// The file, if it can be read and still is what was mapped; otherwise null.
  ElfImage* image();
  /// Whether code in it can be walked: there are a file and a symbol table.
  bool is_walkable() { return image() != nullptr && image()->has_symbol_table(); }
  ModuleOrigin origin();
  /// What stands for the whole module: its build-id, or a hash of what is mapped read-only.
  std::string identity();

 private:
  bool is_same_file(const ElfImage& image) const;

  bool opened_ = false;
  std::unique_ptr<ElfImage> image_;
  std::string identity_;
  std::optional<ModuleOrigin> origin_;
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

/// The modules that were loaded at one time, in load order. Never changes.
class ModuleMap {
 public:
  /// Lists what is loaded now. Modules that `older` has too are taken over with what was read of
  /// their files, unless something was unloaded since: an equal path may be another file then.
  explicit ModuleMap(const ModuleMap* older);

  const os::LoadCounts& counts() const { return counts_; }
  const std::vector<std::shared_ptr<Module>>& modules() const { return modules_; }
  /// The module a run-time address belongs to; null for none.
  Location locate(const void* address) const;

  // These read files: only while `lock_images` is held.

  /// What the slot at `address` of `module` will hold once the program runs.
  SlotTarget slot(Module& module, std::uint64_t address) const;
  /// What a relocation makes of its slot.
  SlotTarget target(Module& module, const ElfRelocation& relocation) const;
  /// The definition a copied variable (R_X86_64_COPY) was copied from.
  Location copy_source(const Module& module, std::string_view name) const;

 private:
  struct Range {
    std::uint64_t begin = 0;  ///< run-time
    std::uint64_t end = 0;
    Module* module = nullptr;
  };

  Location bind(Module& module, const DynamicSymbol& symbol, const ElfRelocation& relocation) const;

  os::LoadCounts counts_;
  std::vector<std::shared_ptr<Module>> modules_;
  std::vector<Range> ranges_;  ///< segments, by address
};

/// The modules loaded now. Thread-safe, and usable from initialisers that dlopen runs. As long as
/// nothing is loaded or unloaded, some 100 ns.
std::shared_ptr<const ModuleMap> loaded_modules();

/// For one thread at a time: reading files of modules. A child process that fork made can take it.
std::unique_lock<std::mutex> lock_images();

}  // namespace hoist::detail::program
