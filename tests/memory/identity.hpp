// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace hoist {
class Memory;
}

// Functions of identity_twin.cpp.
int (*identity_twin_local())(int);
int (*identity_twin_static())(int);
int identity_twin_lambda(const hoist::Memory& memory, int x);
