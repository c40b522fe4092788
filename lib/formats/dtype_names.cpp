// SPDX-License-Identifier: BSD-3-Clause
#include "formats/dtype_names.hpp"

#include <hoist/error.hpp>

#include <charconv>

#include "dynamic/dtype_check.hpp"

namespace hoist::detail::formats {

namespace {

/// The number at the front of `text`, which moves behind it; `none` where there is none.
std::size_t number(std::string_view& text, std::size_t none) {
  std::size_t n = none;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error == std::errc::result_out_of_range)
    throw LimitExceeded("a dtype has an impossible size");
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return n;
}

}  // namespace

DType simple_dtype(std::string_view text) {
  const std::string given(text.substr(0, 80));
  const auto fail = [&]() {
    throw DamagedData("there is no dtype '" + given + "' that can be read");
  };
  DType dtype;
  if (!text.empty() && std::string_view("<>|=").find(text[0]) != std::string_view::npos) {
    dtype.big_endian = text[0] == '>';
    text.remove_prefix(1);
  }
  if (text.empty()) fail();
  dtype.kind = text[0] == '?' ? 'b' : text[0];
  const bool question = text[0] == '?';
  text.remove_prefix(1);
  if (std::string_view("biufcSUVOmM").find(dtype.kind) == std::string_view::npos) fail();
  const bool flexible = dtype.kind == 'S' || dtype.kind == 'U' || dtype.kind == 'V';
  const std::size_t none = question ? 1 : dtype.kind == 'O' ? 8 : 0;
  const std::size_t before = text.size();
  std::size_t size = number(text, none);
  if (before == text.size() && !flexible && none == 0) fail();
  if (dtype.kind == 'O') size = 8;  // 4 where it was written on a 32-bit machine
  if (size > (std::size_t{1} << 31)) throw LimitExceeded("elements of more than 2 GiB");
  dtype.itemsize = dtype.kind == 'U' ? size * 4 : size;
  if (dtype.kind == 'M' || dtype.kind == 'm') {
    dtype.unit = "generic";
    if (text.starts_with('[') && text.ends_with(']')) {
      text = text.substr(1, text.size() - 2);
      const std::size_t count = number(text, 1);
      if (count < 1 || count > 0x7FFFFFFF) fail();
      dtype.unit_count = static_cast<std::uint32_t>(count);
      dtype.unit = std::string(text);
      text = {};
    }
  }
  if (!text.empty()) fail();
  if (flexible || dtype.kind == 'O' || dtype.itemsize == 1) {
    if (dtype.kind != 'U') dtype.big_endian = false;
  }
  dynamic::check_dtype(dtype);
  return dtype;
}

}  // namespace hoist::detail::formats
