// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/error.hpp>
#include <hoist/open_array.hpp>

#include <system_error>
#include <utility>

#include "dynamic/dtype_check.hpp"
#include "dynamic/schema_types.hpp"
#include "formats/container.hpp"
#include "formats/npy.hpp"
#include "os/atomic_file.hpp"

namespace hoist::detail {

namespace {

std::string text_of(const Shape& shape) {
  std::string text = "(";
  for (const std::size_t extent : shape) {
    text += text.size() > 1 ? ", " : "";
    text += std::to_string(extent);
  }
  return text + ")";
}

void write_container(os::AtomicFile& file, const Schema& schema, Shape shape, Order order,
                     std::uint64_t bytes, std::size_t element_bytes) {
  formats::ContainerWriter writer(file, schema, nullptr, 0);
  Encoder encoder;
  traverse_extents(encoder, shape, order);
  writer.emit(encoder.meta(), {});
  if (bytes > 0) writer.emit_open(file, bytes, static_cast<std::uint32_t>(element_bytes));
  writer.finish();
}

}  // namespace

void create_array_file(const std::filesystem::path& path, const DType& dtype, const Schema& schema,
                       const Shape& shape, Order order, MmapMode mode) {
  const bool replace = mode == MmapMode::write;
  std::error_code unknown;  // what it is shows when the file is made
  if (!replace && std::filesystem::exists(path, unknown)) return;
  if (order == Order::strided) throw BadArgument("open_array: the order must be C or Fortran");
  auto [base, inner] = dynamic::flattened(dtype);
  const bool as_axes = path.extension() != ".hoist" && !inner.empty();
  if (as_axes && order == Order::fortran && shape.size() > 1) {
    throw BadArgument(
        "open_array: a .npy file has the elements of a std::array as an axis, which "
        "Fortran order would put first: take C order, or a name that ends in .hoist");
  }
  Shape all = shape;
  all.insert(all.end(), inner.begin(), inner.end());
  const std::size_t bytes = dynamic::checked_bytes(base, all);
  os::AtomicFile file(path);
  if (path.extension() == ".hoist") {
    write_container(file, schema, shape, order, bytes, dtype.itemsize);
  } else {
    const std::string head = formats::npy_preamble({std::move(base), std::move(all), order});
    file.write(std::as_bytes(std::span(head)));
    file.extend(bytes);
  }
  if (replace) {
    file.commit();
  } else {
    file.commit_new();
  }
}

void throw_other_shape(const std::filesystem::path& path, const Shape& has, const Shape& asked) {
  throw WrongType("\"" + path.string() + "\" holds an array of shape " + text_of(has) + ", not " +
                  text_of(asked));
}

}  // namespace hoist::detail
