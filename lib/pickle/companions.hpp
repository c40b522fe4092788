// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/bytes.hpp>
#include <hoist/value.hpp>

#include <memory>
#include <span>
#include <string>

#include "formats/input.hpp"

// What joblib wrote before 0.10: a container of its own for compressed files, and large arrays in files
// beside the pickle.

namespace hoist::detail::pickle {

/// Whether data begin as a compressed file of that time.
bool is_old_joblib(std::span<const std::byte> first);
/// What comes out of one, which begins where `in` stands. Throws DamagedData where that is not as much
/// as the file says.
std::unique_ptr<ByteSource> open_old_joblib(ByteSource& in, const Limits& limits, unsigned threads);

/// The array in the .npy file of that name beside the file that `in` reads. Throws UnsafeData unless
/// the caller has allowed companions and the name is that of a plain file in the same folder.
Value read_companion(const formats::Input& in, const std::string& name);
/// The bytes in such a compressed file.
Value read_compressed_companion(const formats::Input& in, const std::string& name);

}  // namespace hoist::detail::pickle
