// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/hoist.hpp>

int main() {}
