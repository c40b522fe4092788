// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/error.hpp>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/utf8.hpp"
#include "dynamic/elements.hpp"
#include "dynamic/value_node.hpp"

namespace hoist::detail::dynamic {

void append_code_point(std::string& text, char32_t code) {
  const auto push = [&](char32_t byte) { text += static_cast<char>(byte); };
  if (code < 0x80) {
    push(code);
  } else if (code < 0x800) {
    push(0xC0 | (code >> 6));
    push(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    push(0xE0 | (code >> 12));
    push(0x80 | ((code >> 6) & 0x3F));
    push(0x80 | (code & 0x3F));
  } else {
    push(0xF0 | (code >> 18));
    push(0x80 | ((code >> 12) & 0x3F));
    push(0x80 | ((code >> 6) & 0x3F));
    push(0x80 | (code & 0x3F));
  }
}

bool is_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    if (!base::next_code_point(text, at)) return false;
  }
  return true;
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x80; });
}

std::pair<std::size_t, std::size_t> narrow(std::byte* text, std::size_t n) {
  std::size_t read = 0, made = 0;
  while (read < n) {
    const auto lead = std::to_integer<unsigned>(text[read]);
    if (lead < 0x80) {
      text[made++] = text[read++];
      continue;
    }
    if ((lead != 0xC2 && lead != 0xC3) || n - read < 2) break;
    const auto next = std::to_integer<unsigned>(text[read + 1]);
    if ((next & 0xC0) != 0x80) break;
    text[made++] = static_cast<std::byte>(lead << 6 | (next & 0x3F));
    read += 2;
  }
  return {read, made};
}

std::size_t widened_bytes(const std::byte* text, std::size_t n) {
  return n + static_cast<std::size_t>(
                 std::count_if(text, text + n, [](std::byte b) { return b >= std::byte{0x80}; }));
}

std::shared_ptr<Storage> widened(const std::shared_ptr<Storage>& text, std::size_t n,
                                 std::size_t room) {
  constexpr std::size_t step = std::size_t{1} << 20;
  auto result = allocate_storage(std::max(room, widened_bytes(text->data(), n)), Fill::none);
  std::byte* to = result->data();
  for (std::size_t done = 0; done < n;) {
    const std::size_t end = std::min(n, done + step);
    for (; done < end; ++done) {
      const auto code = std::to_integer<unsigned>(text->data()[done]);
      if (code >= 0x80) *to++ = static_cast<std::byte>(0xC0 | code >> 6);
      *to++ = static_cast<std::byte>(code < 0x80 ? code : 0x80 | (code & 0x3F));
    }
    if (text.use_count() == 1) text->give_up(done);
  }
  return result;
}

void TextNode::widen() const {
  latin1 = false;
  const std::size_t wide = widened_bytes(storage->data(), size);
  if (wide != size) storage = widened(storage, size);
  size = wide;
}

std::size_t decode_utf8(std::string_view text, std::size_t& at, std::span<char32_t> to) {
  std::size_t n = 0;
  while (n < to.size() && at < text.size()) {
    const auto code = base::next_code_point(text, at);
    if (!code) throw DamagedData("text is not UTF-8");
    to[n++] = *code;
  }
  return n;
}

std::size_t count_code_points(std::string_view text) {
  std::size_t n = 0;
  std::array<char32_t, 1024> some;
  for (std::size_t at = 0; at < text.size();) n += decode_utf8(text, at, some);
  return n;
}

std::u32string code_points(std::string_view text) {
  std::u32string codes(count_code_points(text), U'\0');
  std::size_t at = 0;
  decode_utf8(text, at, codes);
  return codes;
}

std::string text_of(const DType& dtype, const std::byte* bytes) {
  std::string text;
  if (dtype.kind == 'S') {
    text.assign(reinterpret_cast<const char*>(bytes), dtype.itemsize);
    while (!text.empty() && text.back() == '\0') text.pop_back();
    return text;
  }
  std::u32string codes(dtype.itemsize / 4, U'\0');
  DType native = dtype;
  native.big_endian = false;
  repack(dtype, bytes, native, reinterpret_cast<std::byte*>(codes.data()));
  while (!codes.empty() && codes.back() == U'\0') codes.pop_back();
  for (const char32_t code : codes) {
    if (code > 0x10FFFF) throw DamagedData("a text array holds what is no character");
    append_code_point(text, code);
  }
  return text;
}

}  // namespace hoist::detail::dynamic
