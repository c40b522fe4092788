// SPDX-License-Identifier: BSD-3-Clause
// flags: -fno-exceptions
// first: hoist reports errors by exceptions

#include <hoist/hoist.hpp>

int main() {}
