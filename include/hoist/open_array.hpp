// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/array.hpp>
#include <hoist/dtype.hpp>
#include <hoist/dump.hpp>

#include <filesystem>
#include <type_traits>

namespace hoist {

namespace detail {
/// Makes the file for `open_array` where the mode asks for it or (read_write) there is none yet.
void create_array_file(const std::filesystem::path& path, const DType& dtype, const Schema& schema,
                       const Shape& shape, Order order, MmapMode mode);
[[noreturn]] void throw_other_shape(const std::filesystem::path& path, const Shape& has,
                                    const Shape& asked);
}  // namespace detail

/// An array that lives in a file, mapped, so that many threads and processes can fill it together.
///
/// - `write`: makes the file, filled with zeros; one that is there is replaced (who has it mapped
///   keeps the old one);
/// - `read_write`: maps the file and makes it first if there is none; of several processes that ask
///   for a new one at once all get the same;
/// - `copy_on_write`, `read` (ask for `Array<const T>`): map a file that must be there.
///
/// A new file is a hoist container if its name ends in .hoist, else a .npy file (loading goes by
/// content), which NumPy maps too. It takes room on disk only as it is filled. A file that is there may be any uncompressed one that holds
/// such an array. Stores of other processes are seen at once; who writes which elements is the
/// callers' to arrange. Throws NotFound, WrongType for other elements or another shape, SystemError.
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
