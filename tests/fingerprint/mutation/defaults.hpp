// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The text of each place that a variant edits, as it is before the edit.

#ifndef K_ENTRY
#define K_ENTRY 17
#endif
#ifndef K_LOCAL_NAME
#define K_LOCAL_NAME sum
#endif
#ifndef K_CALLEE
#define K_CALLEE 3
#endif
#ifndef K_DEEP
#define K_DEEP 11
#endif
#ifndef K_OPERATOR
#define K_OPERATOR +
#endif
#ifndef K_INLINED
#define K_INLINED 7
#endif
#ifndef K_DEFAULT_ARGUMENT
#define K_DEFAULT_ARGUMENT 8
#endif
#ifndef K_STRING
#define K_STRING "hello, world"
#endif
#ifndef K_LOOP_BOUND
#define K_LOOP_BOUND 100
#endif
#ifndef K_TABLE
#define K_TABLE 9
#endif
#ifndef K_TABLE_LENGTH
#define K_TABLE_LENGTH 8
#endif
#ifndef K_DOUBLE_TABLE
#define K_DOUBLE_TABLE 1.5
#endif
#ifndef K_NAME
#define K_NAME "beta"
#endif
#ifndef K_WORD
#define K_WORD "two"
#endif
#ifndef K_GREETING
#define K_GREETING "hail"
#endif
#ifndef K_GLOBAL
#define K_GLOBAL 4
#endif
#ifndef K_THREAD_LOCAL
#define K_THREAD_LOCAL 6
#endif
#ifndef K_CONFIG
#define K_CONFIG 480
#endif
#ifndef K_STATIC_MEMBER
#define K_STATIC_MEMBER 250
#endif
#ifndef K_ENUM
#define K_ENUM 8
#endif
#ifndef K_CASE
#define K_CASE 4
#endif
#ifndef K_CASE_RESULT
#define K_CASE_RESULT 99
#endif
#ifndef K_LOOKUP
#define K_LOOKUP 121
#endif
#ifndef K_LOCAL_ARRAY
#define K_LOCAL_ARRAY 23
#endif
#ifndef K_UNIT
#define K_UNIT "dm"
#endif
#ifndef K_LIST
#define K_LIST 14
#endif
#ifndef K_DOUBLE
#define K_DOUBLE 1.375
#endif
#ifndef K_FLOAT
#define K_FLOAT 3.1f
#endif
#ifndef K_TYPE
#define K_TYPE int
#endif
#ifndef K_COMPARISON
#define K_COMPARISON <
#endif
#ifndef K_TEMPLATE
#define K_TEMPLATE 5
#endif
#ifndef K_LAMBDA
#define K_LAMBDA 9
#endif
#ifndef K_RECURSION
#define K_RECURSION 1
#endif
#ifndef K_TAIL_CALL
#define K_TAIL_CALL first
#endif
#ifndef K_POINTED
#define K_POINTED 0
#endif
#ifndef K_POINTERS
#define K_POINTERS add, subtract, multiply
#endif
#ifndef K_MUTABLE_POINTED
#define K_MUTABLE_POINTED 7
#endif
#ifndef K_STATIC_LOCAL
#define K_STATIC_LOCAL 30
#endif
#ifndef K_INHERITED
#define K_INHERITED 2
#endif
#ifndef K_CONSTRUCTOR
#define K_CONSTRUCTOR 3
#endif
#ifndef K_OVERRIDE
#define K_OVERRIDE 1
#endif
#ifndef K_SECOND_OVERRIDE
#define K_SECOND_OVERRIDE 3
#endif
#ifndef K_DESTRUCTOR
#define K_DESTRUCTOR 5
#endif
#ifndef K_THROWN
#define K_THROWN 1
#endif
#ifndef K_CAUGHT
#define K_CAUGHT BadInput
#endif
#ifndef K_HANDLER
#define K_HANDLER -3
#endif
#ifndef K_OTHER
#define K_OTHER 12
#endif
#ifndef K_OTHER_HIDDEN
#define K_OTHER_HIDDEN 7
#endif
#ifndef K_OTHER_TABLE
#define K_OTHER_TABLE 40
#endif
#ifndef U_CONSTANT
#define U_CONSTANT 37
#endif
#ifndef U_STRING
#define U_STRING "some unrelated text"
#endif
#ifndef U_TABLE
#define U_TABLE 6
#endif
#ifndef U_GLOBAL
#define U_GLOBAL 10
#endif
#ifndef U_OTHER
#define U_OTHER 21
#endif
