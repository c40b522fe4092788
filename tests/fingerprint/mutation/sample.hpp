// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The sample program of the mutation test. Every K_ macro is a place that one variant edits.

#define SAMPLE_KEEP __attribute__((noinline, used))

/// What a user would cache; everything else is reached from here.
extern "C" int sample_entry(int x);

// other.cpp
SAMPLE_KEEP int from_other_unit(int x);
SAMPLE_KEEP int unrelated_in_other_unit(int x);
extern const int shared_weights[6];
