// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/detail/requirements.hpp>

#include <hoist/array.hpp>
#include <hoist/dtype.hpp>
#include <hoist/dump.hpp>

#include <filesystem>
#include <type_traits>

namespace hoist {

namespace detail {
/// Creates the file for `open_array` if the mode is `write`, or if it is read_write and there is no
/// file.
void create_array_file(const std::filesystem::path& path, const DType& dtype, const Schema& schema,
                       const Shape& shape, Order order, MmapMode mode);
[[noreturn]] void throw_other_shape(const std::filesystem::path& path, const Shape& has,
                                    const Shape& asked);
}  // namespace detail

/// Opens an array that is stored in a file and mapped, so that threads and processes can fill it
/// together.
///
/// - `write`: creates the file, filled with zeros; an existing file is replaced (processes that
///   have it mapped keep the old one);
/// - `read_write`: maps the file, and creates it first if there is none; if several processes ask
///   for a new file at once, all get the same one;
/// - `copy_on_write`, `read` (with `Array<const T>`): map an existing file.
///
/// A new file is a hoist container if its name ends in .hoist, otherwise a .npy file, which NumPy
/// can map, too. It takes disk space only as it is filled. An existing file may have any
/// uncompressed format that holds such an array; it is recognised by content. `shape` has one
/// extent per axis.
///
/// Stores by other processes are visible at once; the callers must agree who writes which elements.
/// Throws NotFound, WrongType (other elements or another shape), BadArgument (Order::strided, a
/// compressed or .npz file), DamagedData, LimitExceeded or SystemError. Thread-safe. Cost: making
/// and mapping a file; no element is read.
template <class T>
Array<T> open_array(const std::filesystem::path& path, const Shape& shape,
                    MmapMode mode = MmapMode::read_write, Order order = Order::c) {
  if (mode == MmapMode::write || mode == MmapMode::read_write) {
    detail::create_array_file(path, DType::of<std::remove_const_t<T>>(),
                              detail::schema_of<Array<T>>(), shape, order, mode);
  }
  auto array =
      load<Array<T>>(path, {.mmap = mode == MmapMode::write ? MmapMode::read_write : mode});
  if (array.shape() != shape) detail::throw_other_shape(path, array.shape(), shape);
  return array;
}

}  // namespace hoist
