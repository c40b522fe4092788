// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <typeinfo>

namespace hoist::detail {

class Decoder;
class Encoder;

/// An address inside a loaded program file, in a form that another process which has loaded the
/// same file can resolve, wherever the loader put it.
struct CodeAddress {
  std::uint64_t module = 0;  ///< number in the sender's table of modules
  std::uint64_t offset = 0;  ///< from the module's load address
};

/// What another process needs to load the same module; the path of the main program is empty.
struct ModuleName {
  std::string path;
  std::string build_id;  ///< raw bytes of the GNU build-id; empty if the file has none
};

/// The module and offset of `address`. Throws CannotTravel if no loaded file contains it (code
/// generated at run time).
CodeAddress code_address_of(const void* address);
/// The reverse, in the receiving process (or in this one, if it has no peer). Throws CannotTravel
/// if the module can't be loaded here or has another build-id.
const void* resolve_code(CodeAddress address);
/// Likewise by the name of the module, which is loaded if necessary. The program's own is at hand.
const void* resolve_code(const ModuleName& module, std::uint64_t offset);

/// The sender's table of modules so far; it only grows. Number 0 is the main program.
std::size_t module_count() noexcept;
ModuleName module_name(std::size_t number);
/// The receiver's copy of that table, in the sender's order. Loads the module if necessary.
void add_peer_module(const ModuleName& name);
/// Adds one that this process can't load: its functions are errors with this reason.
void add_missing_peer_module(std::string reason);
std::size_t peer_module_count();

/// `int (*)(double)` instead of PFidE.
std::string readable_type(const std::type_info& type);

/// Encodes an object's bytes. Words that point to code or constants of a loaded file are
/// translated; a word that points to memory of this process (heap, stack, variables) is a
/// CannotTravel, which names `type` and the offset of the word.
void encode_raw(Encoder& encoder, const void* object, std::size_t bytes,
                const std::type_info& type);
void decode_raw(Decoder& decoder, void* object, std::size_t bytes);
void encode_code(Encoder& encoder, const void* address);
const void* decode_code(Decoder& decoder);

}  // namespace hoist::detail
