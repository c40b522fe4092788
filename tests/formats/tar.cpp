// SPDX-License-Identifier: BSD-3-Clause
#include "formats/tar.hpp"

#include <doctest/doctest.h>
#include <hoist/error.hpp>

#include <string>
#include <vector>

#include "base/byte_streams.hpp"

using hoist::detail::base::SpanSource;
using hoist::detail::base::VectorSink;
using hoist::detail::formats::read_tar_head;
using hoist::detail::formats::write_tar_head;

TEST_CASE("names of every length that has room in a head come back") {
  // One of 101 characters ran over its field, and lost its last.
  for (std::size_t front = 1; front <= 155; ++front) {
    for (const std::size_t back : {1, 50, 99, 100}) {
      CAPTURE(front);
      CAPTURE(back);
      const std::string name = std::string(front, 'f') + "/" + std::string(back, 'b');
      std::vector<std::byte> bytes;
      VectorSink sink(bytes);
      write_tar_head(sink, {.name = name, .bytes = 7});
      SpanSource source(bytes);
      const auto member = read_tar_head(source, "archive");
      REQUIRE(member);
      CHECK(member->name == name);
      CHECK(member->bytes == 7);
    }
  }
  std::vector<std::byte> bytes;
  VectorSink sink(bytes);
  for (const std::string& name : {std::string(101, 'x'), std::string(156, 'f') + "/b"}) {
    CAPTURE(name);
    CHECK_THROWS_AS(write_tar_head(sink, {.name = name}), hoist::BadArgument);
  }
}
