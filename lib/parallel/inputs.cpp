// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/detail/loop_results.hpp>
#include <hoist/detail/tuple_views.hpp>
#include <hoist/error.hpp>

#include <string>

namespace hoist::detail {

void throw_no_room(std::size_t room) {
  throw BadArgument("map_into: the input has more elements than the output, which has " +
                    std::to_string(room) + "; they must have as many");
}

void throw_wrong_room(std::size_t room, std::size_t results) {
  throw BadArgument("map_into: the input has " + std::to_string(results) +
                    " elements and the output " + std::to_string(room) +
                    "; they must have as many");
}

void throw_too_many_combinations() {
  throw BadArgument("product: there are more combinations than can be counted (2^63)");
}

}  // namespace hoist::detail
