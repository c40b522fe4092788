// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/dtype.hpp>
#include <hoist/error.hpp>

#include "dynamic/conversion.hpp"
#include "dynamic/schema_types.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    // The schema, a zero byte, and an encoded value of it.
    const std::string_view all(reinterpret_cast<const char*>(data), size);
    const std::string_view text = all.substr(0, all.find(char{0}));
    const hoist::detail::dynamic::ParsedSchema schema{std::string(text)};
    (void)hoist::detail::dynamic::element_layout(schema.root());
    if (text.size() == size) return 0;
    hoist::detail::Encoded encoded;
    const auto* from = reinterpret_cast<const std::byte*>(data);
    encoded.meta.assign(from + text.size() + 1, from + size);
    hoist::detail::dynamic::SharingSource source(encoded, nullptr);
    hoist::detail::Decoder decoder(source);
    const hoist::Value value = hoist::detail::dynamic::read_value(schema.root(), decoder, 100000);
    (void)value.to_string(1000);
    (void)hoist::detail::dynamic::encode_as(schema.root(), value, false);
  } catch (const hoist::Error&) {
  }
  return 0;
}
