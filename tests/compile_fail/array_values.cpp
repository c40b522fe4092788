// SPDX-License-Identifier: BSD-3-Clause
//
// Values in braces are no array of them: a list is a shape and stands in parentheses.
// expect: no matching

#include <hoist/array.hpp>

int main() { return hoist::Array<int>{2, 3, 4}.empty() ? 1 : 0; }
