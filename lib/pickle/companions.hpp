// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/bytes.hpp>
#include <hoist/value.hpp>

#include <memory>
#include <span>
#include <string>

#include "formats/input.hpp"

// Files of joblib before 0.10: compressed ones have a container of their own, and large arrays are
// in files beside the pickle.

namespace hoist::detail::pickle {

/// Whether data begin as a compressed file of that time.
bool is_old_joblib(std::span<const std::byte> first);
/// The decompressed content of such a file, which begins at `in`'s position. Reading throws
/// DamagedData if its size is not the one that the file states.
std::unique_ptr<ByteSource> open_old_joblib(ByteSource& in, const Limits& limits, unsigned threads);

/// The array in the .npy file of that name beside the file that `in` reads. Throws UnsafeData
/// unless the caller has allowed companions and the name is one of a plain file in the same folder.
Value read_companion(const formats::Input& in, const std::string& name);
/// The bytes in such a compressed file.
Value read_compressed_companion(const formats::Input& in, const std::string& name);

}  // namespace hoist::detail::pickle
