// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace support {

/// How much `counter`, which the functions under test raise, grows while `work` is done.
int growth(const auto& counter, const auto& work) {
  const int before = counter;
  work();
  return counter - before;
}

}  // namespace support
