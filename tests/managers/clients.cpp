// SPDX-License-Identifier: BSD-3-Clause
//
// What a server knows of its clients by the address.
#include <doctest/doctest.h>
#include <hoist/error.hpp>

#include <memory>

#include "managers/agents.hpp"
#include "managers/objects.hpp"

using namespace hoist;
using namespace hoist::detail::managers;

TEST_CASE("a client that has connected anew is still there when its old connection ends") {
  const Client client{.is_remote = true, .number = 7};
  Objects objects;
  Agents agents;
  for (int i = 0; i < 2; ++i) {
    objects.enter(client);
    agents.add(client);
  }
  const auto object = objects.add(std::make_shared<int>(1), client);
  const auto agent = agents.find(client);

  agents.end(client, false);
  objects.leave(client);
  objects.sweep();
  CHECK_NOTHROW(objects.find(object));
  CHECK(agents.find(client) == agent);

  agents.end(client, false);
  objects.leave(client);
  objects.sweep();
  CHECK_THROWS_AS(objects.find(object), NotFound);
  CHECK_THROWS_AS(agents.find(client), ManagerDied);
}
