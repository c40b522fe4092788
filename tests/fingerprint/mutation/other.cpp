// SPDX-License-Identifier: BSD-3-Clause
#include "sample.hpp"

#include "defaults.hpp"

#ifdef U_OTHER_BEFORE
SAMPLE_KEEP int unrelated_added_to_other_unit(int x) { return x * 5 + 3; }
#endif

const int shared_weights[6] = {10, 20, 30, K_OTHER_TABLE, 50, 60};

SAMPLE_KEEP static int hidden(int x) { return x % K_OTHER_HIDDEN; }

int from_other_unit(int x) { return hidden(x) * 3 + K_OTHER; }

int unrelated_in_other_unit(int x) { return x ^ U_OTHER; }
