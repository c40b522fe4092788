// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/bytes.hpp>

namespace hoist {

ByteSink::~ByteSink() = default;
ByteSource::~ByteSource() = default;

}  // namespace hoist
