// SPDX-License-Identifier: BSD-3-Clause
// flags: -fno-rtti
// first: hoist needs the types of objects

#include <hoist/hoist.hpp>

int main() {}
