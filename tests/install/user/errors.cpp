// SPDX-License-Identifier: BSD-3-Clause
#include "errors.hpp"

int parse(int line) {
  if (line % 2 == 1) throw ParseError("odd", line);
  return line;
}
