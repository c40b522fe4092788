// SPDX-License-Identifier: BSD-3-Clause
#include "sample.hpp"

#include <initializer_list>

#include "defaults.hpp"

// Values the compiler can't see through, so that nothing below is computed at compile time.
static int opaque(int x) {
  asm volatile("" : "+r"(x));
  return x;
}
template <class T>
static T* opaque(T* p) {
  asm volatile("" : "+r"(p));
  return p;
}

#ifdef U_FUNCTION_BEFORE
SAMPLE_KEEP static int unrelated_before(int x) {
  int sum = 0;
  for (int i = 0; i < x; ++i) sum += i * 77 + unrelated_in_other_unit(i);
  return sum;
}
#endif
#ifdef U_TABLE_BEFORE
SAMPLE_KEEP static const int* unrelated_table_before(int x) {
  static const int values[] = {901, 902, 903, 904, 905};
  return values + x;
}
#endif
#ifdef U_GLOBAL_BEFORE
__attribute__((used)) int unrelated_global_before[5] = {1, 2, 3, 4, 5};
#endif

// --- Data ----------------------------------------------------------------------------------------

static const int table[8] = {3, 1, 4, 1, 5, K_TABLE, 2, 6};
static const double factors[3] = {0.5, K_DOUBLE_TABLE, 2.5};
static const char* const names[4] = {"alpha", K_NAME, "gamma", "delta"};
int level = K_GLOBAL;
const char* greeting = K_GREETING;
thread_local int thread_level = K_THREAD_LOCAL;

struct Config {
  int width;
  int height;
  const char* title;
};
extern const Config config;
const Config config = {640, K_CONFIG, "window"};

struct Limits {
  static const int upper;
};
const int Limits::upper = K_STATIC_MEMBER;

enum class Mode { slow = 3, fast = K_ENUM };

// --- Functions -----------------------------------------------------------------------------------

SAMPLE_KEEP static int deep(int x) { return x * K_DEEP + 1; }

SAMPLE_KEEP static int middle(int x) { return deep(x ^ 5) K_OPERATOR x; }

SAMPLE_KEEP static int callee(int x) { return middle(x + K_CALLEE) + 2; }

static inline int blend(int a, int b) { return a * K_INLINED + b * 3; }

SAMPLE_KEEP static int padded(int x, int by = K_DEFAULT_ARGUMENT) { return x + opaque(by) * 7; }

SAMPLE_KEEP static int count(const char* text, char wanted) {
  int n = 0;
  for (; *text != 0; ++text) n += *text == wanted ? 1 : 0;
  return n;
}

SAMPLE_KEEP static int loop(int x) {
  int sum = x;
  for (int i = 0; i < K_LOOP_BOUND; ++i) sum = sum * 31 + opaque(i);
  return sum;
}

SAMPLE_KEEP static int over_table(int x) {
  int sum = 0;
  for (const int value : table) sum += value * x;
  return sum;
}

SAMPLE_KEEP static int part_of_table(int x) {
  int sum = 0;
  for (int i = 0; i < K_TABLE_LENGTH; ++i) sum += opaque(table)[i] ^ x;
  return sum;
}

SAMPLE_KEEP static int branches(int x, int y) {
  switch (x) {
    case 0: return callee(y);
    case 1: return y - 7;
    case 2: return padded(y);
    case 3: return y * y;
    case K_CASE: return loop(y) + 11;
    case 5: return y ^ K_CASE_RESULT;
    case 6: return y / 3;
    default: return -1;
  }
}

SAMPLE_KEEP static int lookup(int x) {
  switch (x) {
    case 0: return 71;
    case 1: return 13;
    case 2: return K_LOOKUP;
    case 3: return 1999;
    case 4: return 5;
    case 5: return -77;
    default: return 0;
  }
}

SAMPLE_KEEP static const char* word(int x) {
  switch (x) {
    case 0: return "zero";
    case 1: return "one";
    case 2: return K_WORD;
    case 3: return "three";
    case 4: return "four";
    default: return "many";
  }
}

SAMPLE_KEEP static int local_array(int x) {
  const int primes[] = {2, 3, 5, 7, 11, 13, 17, 19, K_LOCAL_ARRAY, 29, 31, 37, 41, 43, 47, 53};
  return opaque(primes)[x & 15];
}

SAMPLE_KEEP static int units(int x) {
  const char text[4][8] = {"mm", "cm", K_UNIT, "km"};
  return opaque(text)[x & 3][0] + opaque(text)[x & 3][1];
}

SAMPLE_KEEP static int total(std::initializer_list<int> values) {
  int sum = 0;
  for (const int value : values) sum = sum * 3 + value;
  return sum;
}

SAMPLE_KEEP static double scaled(double x) { return x * K_DOUBLE + 0.125; }
SAMPLE_KEEP static float scaled(float x) { return x / K_FLOAT; }

SAMPLE_KEEP static int divided(int x) { return static_cast<int>(static_cast<K_TYPE>(x) / 5); }

SAMPLE_KEEP static bool in_range(int x) { return x K_COMPARISON Limits::upper; }

template <class T>
SAMPLE_KEEP static T twice(T x) {
  return x * 2 + T(K_TEMPLATE);
}

SAMPLE_KEEP static int with_lambda(int x) {
  const auto each = [x](int i) { return i * x + K_LAMBDA; };
  int sum = 0;
  for (int i = 0; i < opaque(4); ++i) sum += each(i);
  return sum;
}

SAMPLE_KEEP static int recursive(int n) {
  return n <= 0 ? K_RECURSION : recursive(n - 1) * 2 + recursive(n - 2);
}

SAMPLE_KEEP static int first(int x) { return x * 19; }
SAMPLE_KEEP static int second(int x) { return x * 23; }
SAMPLE_KEEP static int tail(int x) { return K_TAIL_CALL(x + 1); }

static int add(int a, int b) { return a + b; }
static int subtract(int a, int b) { return a - b + K_POINTED; }
static int multiply(int a, int b) { return a * b; }
static int (*const operations[3])(int, int) = {K_POINTERS};
static int shift(int a, int b) { return a << (b & K_MUTABLE_POINTED); }
int (*mutable_operation)(int, int) = shift;

SAMPLE_KEEP static int counted() {
  static int calls = K_STATIC_LOCAL;
  return ++calls;
}

#ifdef U_VIRTUAL_CLASS
struct UnrelatedBase {
  virtual ~UnrelatedBase() {}
  virtual int turn(int x) { return x + 1; }
};
struct UnrelatedDerived : UnrelatedBase {
  int turn(int x) override { return x - 5; }
};
SAMPLE_KEEP UnrelatedBase* make_unrelated() { return new UnrelatedDerived; }
#endif

struct Shape {
  virtual ~Shape() {}
  virtual int area(int x) const { return x; }
  virtual int corners(int x) const { return x + K_INHERITED; }
};
struct Square : Shape {
  explicit Square(int s) : side(s * K_CONSTRUCTOR) {}
  int area(int x) const override { return side * x + K_OVERRIDE; }
#ifdef K_NEW_OVERRIDE
  int corners(int x) const override { return x + 4; }
#endif
  int side;
};
struct Circle : Shape {
  int area(int x) const override { return K_SECOND_OVERRIDE * x * x; }
};

SAMPLE_KEEP static Shape* make_shape(int x) {
  if (x > 3) return new Square(x);
  return new Circle;
}

struct Guard {
  explicit Guard(int* t) : target(t) {}
  ~Guard() { *target += K_DESTRUCTOR; }
  int* target;
};

SAMPLE_KEEP static int guarded(int x) {
  int result = x;
  {
    Guard guard(opaque(&result));
    result = callee(result);
  }
  return result;
}

struct BadInput {
  int code;
};
struct BadState {
  int code;
};

SAMPLE_KEEP static int checked(int x) {
  if (x < 0) throw BadInput{K_THROWN};
  if (x > 1000) throw BadState{2};
  return x;
}

SAMPLE_KEEP static int caught(int x) {
  try {
    return checked(x);
  } catch (const K_CAUGHT&) {
    return K_HANDLER;
  }
}

SAMPLE_KEEP static int mode(Mode m) { return static_cast<int>(m) * 3; }

extern "C" SAMPLE_KEEP int sample_entry(int x) {
  // Names of locals and comments don't matter.
  int K_LOCAL_NAME = x + K_ENTRY;
  int result = blend(K_LOCAL_NAME, opaque(x));
  result += branches(x, result);
#ifndef K_REMOVED_CALL
  result += lookup(x & 7);
#endif
  result += over_table(x) + part_of_table(x) + local_array(x) + units(x);
  result +=
      count(word(x), 'e') + count(names[x & 3], 'a') + count(K_STRING, 'l') + count(greeting, 'h');
  result += static_cast<int>(scaled(factors[x % 3])) + static_cast<int>(scaled(float(x)));
  result += divided(x) + (in_range(x) ? 1 : 0) + twice(x) + static_cast<int>(twice(0.5 * x));
  result += with_lambda(x) + recursive(x) + tail(x) + counted() + guarded(x) + caught(x);
  result += operations[x % 3](x, 4) + mutable_operation(x, 2) + level + thread_level;
  result += from_other_unit(x) + opaque(&config)->height + total({5, K_LIST, 9, x});
  result += mode(x > 5 ? Mode::fast : Mode::slow) + shared_weights[x % 6];
  Shape* shape = opaque(make_shape(x));
  result += shape->area(x) + shape->corners(x);
  delete shape;
  return result;
}

// --- What the function doesn't reach -------------------------------------------------------------

#ifndef U_REMOVED
SAMPLE_KEEP static int unrelated(int x) { return x * U_CONSTANT + unrelated_in_other_unit(x); }
#endif
SAMPLE_KEEP static int unrelated_text(int x) { return count(U_STRING, 'o') + x; }
__attribute__((used)) static const int unrelated_table[6] = {1, 2, 3, 4, 5, U_TABLE};
__attribute__((used)) int unrelated_global = U_GLOBAL;
#ifdef U_SECOND_FIRST
SAMPLE_KEEP static int unrelated_second(int x) { return x * 43 + 8; }
SAMPLE_KEEP static int unrelated_first(int x) { return x * 41 + 9; }
#else
SAMPLE_KEEP static int unrelated_first(int x) { return x * 41 + 9; }
SAMPLE_KEEP static int unrelated_second(int x) { return x * 43 + 8; }
#endif

#ifdef U_FUNCTION_AFTER
SAMPLE_KEEP static double unrelated_after(double x) { return x * 3.25 + 1e9; }
#endif
#ifdef U_SWITCH
SAMPLE_KEEP static int unrelated_switch(int x, int y) {
  switch (x) {
    case 0: return callee(y) + 1;
    case 1: return y - 17;
    case 2: return padded(y, 3);
    case 3: return y * y * y;
    case 4: return loop(y) + 12;
    case 5: return unrelated_first(y);
    default: return -2;
  }
}
#endif
#ifdef U_LOOKUP
SAMPLE_KEEP static int unrelated_lookup(int x) {
  switch (x) {
    case 0: return 711;
    case 1: return 131;
    case 2: return 1211;
    case 3: return 19991;
    case 4: return 51;
    default: return 0;
  }
}
#endif
#ifdef U_STRINGS
SAMPLE_KEEP static const char* unrelated_strings(int x) {
  static const char* const texts[] = {"some", "quite", "unrelated", "texts, one of them longer"};
  return texts[x & 3];
}
#endif
#ifdef U_TAIL_OF_STRING
// The linker makes this literal the tail of one that the function uses.
SAMPLE_KEEP static int unrelated_tail(int x) { return count("world", 'o') + x; }
#endif
#ifdef U_ARRAY
SAMPLE_KEEP static int unrelated_array(int x) {
  const int odd[] = {102, 103, 105, 107, 111, 113, 117, 119,
                     123, 129, 131, 137, 141, 143, 147, 153};
  return opaque(odd)[x & 15];
}
#endif
#ifdef U_TEMPLATE
template SAMPLE_KEEP short twice<short>(short x);
SAMPLE_KEEP static short unrelated_instantiation(short x) { return twice<short>(x); }
#endif
#ifdef U_THREAD_LOCAL
thread_local int unrelated_thread_level[7] = {9};
SAMPLE_KEEP static int* unrelated_thread(int x) { return unrelated_thread_level + x; }
#endif
#ifdef U_ZERO
__attribute__((used)) char unrelated_space[1 << 20];
#endif
#ifdef U_DYNAMIC
__attribute__((used)) int unrelated_dynamic = opaque(5);
#endif
#ifdef U_LAMBDA
SAMPLE_KEEP static int unrelated_lambda(int x) {
  const auto f = [](int i) { return opaque(i) * 5; };
  return f(x) + f(x + 1);
}
#endif
#ifdef U_STATIC_LOCAL
SAMPLE_KEEP static int unrelated_counted() {
  static int calls = 12;
  return ++calls;
}
#endif
#ifdef U_EXCEPTION
struct UnrelatedError {
  int code;
};
SAMPLE_KEEP static int unrelated_handler(int x) {
  try {
    if (opaque(x) == 5) throw UnrelatedError{4};
    return checked(x);
  } catch (const UnrelatedError& error) {
    return error.code;
  }
}
#endif
#ifdef U_CALLER
// Calls what the function calls too.
SAMPLE_KEEP static int unrelated_caller(int x) {
  Shape* shape = opaque(make_shape(x));
  const int result = callee(x) + shape->area(x) + operations[1](x, x) + local_array(x) + units(x);
  delete shape;
  return result;
}
#endif
