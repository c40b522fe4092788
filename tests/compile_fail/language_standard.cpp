// SPDX-License-Identifier: BSD-3-Clause
// flags: -std=c++17
// first: hoist needs C++20

#include <hoist/hoist.hpp>

int main() {}
