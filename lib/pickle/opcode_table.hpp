// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <bit>
#include <charconv>
#include <cstdint>
#include <string>

#include "dynamic/value_node.hpp"

namespace hoist::detail::pickle {

/// Decodes the opcodes of protocols 0 to 5 for a receiver: a PickleMachine, which makes values, or
/// a Survey, which only counts them.
///
/// The table reads an opcode's operands with the receiver's `number<T>()` and calls the receiver's
/// function for what the opcode means. For operands on the stack it passes what the receiver's
/// `last(n)` or `from_mark()` returns: values for a machine, a position for a survey.
template <class Receiver>
class OpcodeTable {
 public:
  /// Runs an opcode other than STOP.
  static void run(Receiver& to, unsigned char code) {
    const Meaning& meaning = meanings[code];
    if (meaning.name == nullptr) to.unknown(code);
    if (meaning.run == nullptr) to.refuse(meaning.name);
    meaning.run(to);
  }

 private:
  using R = Receiver;
  using Kind = dynamic::Kind;
  struct Meaning {
    const char* name;
    void (*run)(R&);
  };
  struct Row {
    unsigned char code;
    Meaning meaning;
  };

  static constexpr std::size_t max_line = 8192;

  template <class T>
  static T number(R& r) {
    return r.template number<T>();
  }

  template <class T>
  static std::uint64_t length(R& r) {
    const T n = number<T>(r);
    if (n < 0) r.damaged("a length is negative");
    return static_cast<std::uint64_t>(n);
  }

  static std::string line(R& r) {
    std::string text;
    for (char c = number<char>(r); c != '\n'; c = number<char>(r)) {
      if (text.size() == max_line) r.limit("a line of text is too long");
      text += c;
    }
    return text;
  }

  static std::uint32_t memo_index(R& r) {
    const std::string text = line(r);
    std::uint32_t index = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
    if (error != std::errc() || end != text.data() + text.size()) {
      r.damaged("a memo index is out of range");
    }
    return index;
  }

  /// Python's own names. Opcodes without a function would reach outside the data.
  static constexpr Row rows[] = {
      // Protocol 0.
      {'(', {"MARK", [](R& r) { r.push_mark(); }}},
      {'0', {"POP", [](R& r) { r.discard_top(); }}},
      {'1', {"POP_MARK", [](R& r) { r.discard(r.from_mark()); }}},
      {'2', {"DUP", [](R& r) { r.duplicate(); }}},
      {'N', {"NONE", [](R& r) { r.push_none(); }}},
      {'I', {"INT", [](R& r) { r.push_decimal(line(r), false); }}},
      {'L', {"LONG", [](R& r) { r.push_decimal(line(r), true); }}},
      {'F', {"FLOAT", [](R& r) { r.push_decimal_real(line(r)); }}},
      {'S', {"STRING", [](R& r) { r.push_quoted_line(); }}},
      {'V', {"UNICODE", [](R& r) { r.push_unicode_line(); }}},
      {'t', {"TUPLE", [](R& r) { r.push_tuple(r.from_mark()); }}},
      {'l', {"LIST", [](R& r) { r.push_filled(Kind::list, r.from_mark()); }}},
      {'d', {"DICT", [](R& r) { r.push_filled(Kind::dict, r.from_mark()); }}},
      {'a', {"APPEND", [](R& r) { r.fill(Kind::list, r.last(1)); }}},
      {'s', {"SETITEM", [](R& r) { r.fill(Kind::dict, r.last(2)); }}},
      {'p', {"PUT", [](R& r) { r.store_top(memo_index(r)); }}},
      {'g', {"GET", [](R& r) { r.push_fetched(memo_index(r)); }}},
      {'c',
       {"GLOBAL",
        [](R& r) {
          const std::string module = line(r);
          r.push_global(module, line(r));
        }}},
      {'R', {"REDUCE", [](R& r) { r.reduce(); }}},
      {'b', {"BUILD", [](R& r) { r.build(); }}},
      {'P', {"PERSID", nullptr}},
      {'i', {"INST", nullptr}},
      // Protocol 1.
      {'J', {"BININT", [](R& r) { r.push_integer(number<std::int32_t>(r)); }}},
      {'K', {"BININT1", [](R& r) { r.push_integer(number<std::uint8_t>(r)); }}},
      {'M', {"BININT2", [](R& r) { r.push_integer(number<std::uint16_t>(r)); }}},
      {'G',
       {"BINFLOAT",
        [](R& r) {
          r.push_real(std::bit_cast<double>(__builtin_bswap64(number<std::uint64_t>(r))));
        }}},
      {'T', {"BINSTRING", [](R& r) { r.push_old_string(length<std::int32_t>(r)); }}},
      {'U', {"SHORT_BINSTRING", [](R& r) { r.push_old_string(number<std::uint8_t>(r)); }}},
      {'X', {"BINUNICODE", [](R& r) { r.push_utf8(number<std::uint32_t>(r)); }}},
      {')', {"EMPTY_TUPLE", [](R& r) { r.push_tuple(r.last(0)); }}},
      {']', {"EMPTY_LIST", [](R& r) { r.begin_container(Kind::list); }}},
      {'}', {"EMPTY_DICT", [](R& r) { r.begin_container(Kind::dict); }}},
      {'e', {"APPENDS", [](R& r) { r.fill(Kind::list, r.from_mark()); }}},
      {'u', {"SETITEMS", [](R& r) { r.fill(Kind::dict, r.from_mark()); }}},
      {'q', {"BINPUT", [](R& r) { r.store_top(number<std::uint8_t>(r)); }}},
      {'r', {"LONG_BINPUT", [](R& r) { r.store_top(number<std::uint32_t>(r)); }}},
      {'h', {"BINGET", [](R& r) { r.push_fetched(number<std::uint8_t>(r)); }}},
      {'j', {"LONG_BINGET", [](R& r) { r.push_fetched(number<std::uint32_t>(r)); }}},
      {'o', {"OBJ", nullptr}},
      {'Q', {"BINPERSID", nullptr}},
      // Protocol 2.
      {0x80, {"PROTO", [](R& r) { r.begin_protocol(number<std::uint8_t>(r)); }}},
      {0x81, {"NEWOBJ", [](R& r) { r.new_object(); }}},
      {0x82, {"EXT1", nullptr}},
      {0x83, {"EXT2", nullptr}},
      {0x84, {"EXT4", nullptr}},
      {0x85, {"TUPLE1", [](R& r) { r.push_tuple(r.last(1)); }}},
      {0x86, {"TUPLE2", [](R& r) { r.push_tuple(r.last(2)); }}},
      {0x87, {"TUPLE3", [](R& r) { r.push_tuple(r.last(3)); }}},
      {0x88, {"NEWTRUE", [](R& r) { r.push_boolean(true); }}},
      {0x89, {"NEWFALSE", [](R& r) { r.push_boolean(false); }}},
      {0x8A, {"LONG1", [](R& r) { r.push_long(number<std::uint8_t>(r)); }}},
      {0x8B, {"LONG4", [](R& r) { r.push_long(length<std::int32_t>(r)); }}},
      // Protocol 3.
      {'B', {"BINBYTES", [](R& r) { r.push_bytes(number<std::uint32_t>(r)); }}},
      {'C', {"SHORT_BINBYTES", [](R& r) { r.push_bytes(number<std::uint8_t>(r)); }}},
      // Protocol 4.
      {0x8C, {"SHORT_BINUNICODE", [](R& r) { r.push_utf8(number<std::uint8_t>(r)); }}},
      {0x8D, {"BINUNICODE8", [](R& r) { r.push_utf8(number<std::uint64_t>(r)); }}},
      {0x8E, {"BINBYTES8", [](R& r) { r.push_bytes(number<std::uint64_t>(r)); }}},
      {0x8F, {"EMPTY_SET", [](R& r) { r.begin_container(Kind::set); }}},
      {0x90, {"ADDITEMS", [](R& r) { r.fill(Kind::set, r.from_mark()); }}},
      {0x91, {"FROZENSET", [](R& r) { r.push_frozen_set(r.from_mark()); }}},
      {0x92, {"NEWOBJ_EX", nullptr}},
      {0x93, {"STACK_GLOBAL", [](R& r) { r.push_global_of_stack(); }}},
      {0x94, {"MEMOIZE", [](R& r) { r.store_top(r.memo_size()); }}},
      {0x95, {"FRAME", [](R& r) { r.begin_frame(number<std::uint64_t>(r)); }}},
      // Protocol 5.
      {0x96, {"BYTEARRAY8", [](R& r) { r.push_bytes(number<std::uint64_t>(r)); }}},
      {0x97, {"NEXT_BUFFER", nullptr}},
      {0x98, {"READONLY_BUFFER", nullptr}},
  };

  static constexpr std::array<Meaning, 256> meanings = [] {
    std::array<Meaning, 256> all{};
    for (const Row& row : rows) all[row.code] = row.meaning;
    return all;
  }();
};

}  // namespace hoist::detail::pickle
