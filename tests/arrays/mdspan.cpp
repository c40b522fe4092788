// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/mdspan.hpp>

TEST_CASE("an array is seen as a std::mdspan, where there is one") {
#if defined(__cpp_lib_mdspan)
  using hoist::Array;
  using hoist::as_mdspan;
  const Array<int> a({2, 3});
  const auto span = as_mdspan<2>(a);
  span[1, 2] = 50;
  CHECK(a(1, 2) == 50);
  const Array<const int> columns = a.transposed();
  CHECK(as_mdspan<2>(columns)[2, 1] == 50);
  CHECK(as_mdspan<2>(columns).extent(0) == 3);
  const Array<int> every_other = a.slice(1, 0, 3, 2);
  CHECK(as_mdspan<2>(every_other)[1, 1] == 50);
  const Array<int> empty({0, 3});
  CHECK(as_mdspan<2>(empty).size() == 0);
  CHECK_THROWS_AS(as_mdspan<1>(a), hoist::BadArgument);
#endif
}
