// SPDX-License-Identifier: BSD-3-Clause
// expect: f can't be called with an element of the range

#include <hoist/hoist.hpp>

#include <string>
#include <vector>

std::size_t length(const std::string& text) { return text.size(); }

int main() { hoist::Parallel().map(std::vector{1, 2}, length); }
