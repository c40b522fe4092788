// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <typeinfo>

namespace hoist::detail {

class Decoder;
class Encoder;

/// A place in a loaded program file, told so that another process that has loaded the same file
/// finds it, wherever the loader put it there.
struct CodeAddress {
  std::uint64_t module = 0;  ///< number in the sender's table of modules
  std::uint64_t offset = 0;  ///< from the address the module is loaded at
};

/// What another process needs to load the same module: empty path for the main program.
struct ModuleName {
  std::string path;
  std::string build_id;  ///< raw bytes of the GNU build-id, empty where the file has none
};

/// Where `address` lies. Throws CannotTravel where it is in no loaded file (code made at run time).
CodeAddress code_address_of(const void* address);
/// The reverse, in the receiving process (or in this one, if it has no peer). Throws CannotTravel
/// where the module could not be loaded here or is another version of it.
const void* resolve_code(CodeAddress address);

/// The sender's table so far; it only grows. Number 0 is the main program.
std::size_t module_count();
ModuleName module_name(std::size_t number);
/// The receiver's copy of it, in the sender's order. Loads the module where it isn't.
void add_peer_module(const ModuleName& name);
std::size_t peer_module_count();

/// `int (*)(double)` rather than PFidE.
std::string readable_type(const std::type_info& type);

/// An object's bytes. Words that point to code or constants of a loaded file are translated; one
/// that points to memory of this process (heap, stack, variables) is a CannotTravel naming `type`
/// and the word's place.
void encode_raw(Encoder& encoder, const void* object, std::size_t bytes,
                const std::type_info& type);
void decode_raw(Decoder& decoder, void* object, std::size_t bytes);
void encode_code(Encoder& encoder, const void* address);
const void* decode_code(Decoder& decoder);

}  // namespace hoist::detail
