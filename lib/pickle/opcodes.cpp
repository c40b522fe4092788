// SPDX-License-Identifier: BSD-3-Clause
#include "pickle/opcodes.hpp"

#include <algorithm>
#include <bit>
#include <limits>

#include "dynamic/elements.hpp"

namespace hoist::detail::pickle {

namespace {

std::size_t alignment(const DType& dtype) {
  if (dtype.base) return alignment(*dtype.base);
  if (!dtype.fields) return 1;
  std::size_t most = 1;
  for (const auto& field : *dtype.fields) most = std::max(most, alignment(field.type));
  return most;
}

}  // namespace

void PickleOpcodes::flush() {
  if (!buffer_.empty()) out_.write(std::as_bytes(std::span(buffer_)));
  buffer_.clear();
}

void PickleOpcodes::text_at_once(std::string_view bytes) {
  flush();
  out_.write(std::as_bytes(std::span(bytes)));
}

void PickleOpcodes::long_bytes(std::string_view bytes) {
  if (bytes.size() < 256) {
    op(0x8A);
    op(static_cast<unsigned char>(bytes.size()));
  } else {
    op(0x8B);
    number(static_cast<std::int32_t>(bytes.size()));
  }
  text(bytes);
}

void PickleOpcodes::integer(std::int64_t value) {
  if (value >= 0 && value < 256) {
    op('K');
    op(static_cast<unsigned char>(value));
  } else if (value >= 0 && value < 65536) {
    op('M');
    number(static_cast<std::uint16_t>(value));
  } else if (value >= std::numeric_limits<std::int32_t>::min() &&
             value <= std::numeric_limits<std::int32_t>::max()) {
    op('J');
    number(static_cast<std::int32_t>(value));
  } else {
    long_bytes({reinterpret_cast<const char*>(&value), sizeof value});
  }
}

void PickleOpcodes::real(double value) {
  op('G');
  number(__builtin_bswap64(std::bit_cast<std::uint64_t>(value)));
}

void PickleOpcodes::string(std::string_view value) {
  if (!dynamic::is_utf8(value)) return bytes(value);
  if (value.size() < 256) {
    op(0x8C);
    op(static_cast<unsigned char>(value.size()));
  } else if (value.size() <= std::numeric_limits<std::uint32_t>::max()) {
    op('X');
    number(static_cast<std::uint32_t>(value.size()));
  } else {
    op(0x8D);
    number(std::uint64_t{value.size()});
  }
  text(value);
}

void PickleOpcodes::bytes(std::string_view value) {
  if (value.size() < 256) {
    op('C');
    op(static_cast<unsigned char>(value.size()));
  } else if (value.size() <= std::numeric_limits<std::uint32_t>::max()) {
    op('B');
    number(static_cast<std::uint32_t>(value.size()));
  } else {
    op(0x8E);
    number(std::uint64_t{value.size()});
  }
  text(value);
}

void PickleOpcodes::global(std::string_view module, std::string_view name) {
  op('c');
  text(module);
  text("\n");
  text(name);
  text("\n");
}

void PickleOpcodes::extents(const Shape& shape) {
  tuple(shape.size(), [&] {
    for (const std::size_t extent : shape) integer(static_cast<std::int64_t>(extent));
  });
}

void PickleOpcodes::dtype(const DType& type) {
  const bool object = type.kind == 'O';
  const bool flexible = type.kind == 'S' || type.kind == 'U' || type.kind == 'V';
  const bool time = type.kind == 'M' || type.kind == 'm';
  const std::size_t size = type.kind == 'U' ? type.itemsize / 4 : type.itemsize;
  global("numpy", "dtype");
  string(type.kind + std::to_string(size));
  text("\x89\x88\x87R(");  // False, True; call; then the state
  integer(time ? 4 : 3);
  const bool no_order = type.kind == 'S' || type.kind == 'V' || object || type.itemsize == 1;
  string(no_order ? "|" : type.big_endian ? ">" : "<");
  if (type.base) {
    tuple(2, [&] {
      dtype(*type.base);
      extents(type.shape);
    });
  } else {
    op('N');
  }
  type.fields ? fields(*type.fields) : text("NN");
  integer(flexible ? static_cast<std::int64_t>(type.itemsize) : -1);
  integer(type.kind == 'U' ? 4 : flexible ? static_cast<std::int64_t>(alignment(type)) : -1);
  integer(object ? 63 : type.kind == 'U' ? 8 : type.fields ? 16 : 0);
  if (time) {
    tuple(2, [&] {
      op('}');
      tuple(4, [&] {
        bytes(type.unit);
        integer(type.unit_count);
        integer(1);
        integer(1);
      });
    });
  }
  text("tb");
}

void PickleOpcodes::fields(const std::vector<DType::Field>& all) {
  tuple(all.size(), [&] {
    for (const auto& field : all) string(field.name);
  });
  text("}(");
  for (const auto& field : all) {
    string(field.name);
    tuple(2, [&] {
      dtype(field.type);
      integer(static_cast<std::int64_t>(field.offset));
    });
  }
  op('u');
}

void PickleOpcodes::memo(unsigned char short_op, unsigned char long_op, std::uint32_t index) {
  if (index < 256) {
    op(short_op);
    op(static_cast<unsigned char>(index));
  } else {
    op(long_op);
    number(index);
  }
}

}  // namespace hoist::detail::pickle
