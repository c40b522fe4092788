// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

#include "support/hard_limit.hpp"
#include "support/json.hpp"
#include "support/publishing.hpp"
#include "support/run_tool.hpp"

using namespace std::chrono_literals;
using support::has;
using support::Json;
using support::run_tool;
using support::RuntimeDir;

TEST_CASE("publishes until told" * doctest::skip()) { support::publish_until_told("threads"); }

TEST_CASE("hoist top shows a running program, as text, as JSON and on a terminal") {
  if (!support::has_tool()) return;
  const support::HardLimit limit;
  const RuntimeDir dir;
  support::ChildProgram child("publishes until told");
  Json program;
  REQUIRE(support::within(20s, [&] {
    const auto ran = run_tool("top --json");
    CHECK(ran.code == 0);
    const Json programs = Json::parse(ran.out);
    if (programs.items.size() != 1) return false;
    program = programs.items[0];
    return support::is_at_rest(program);
  }));
  const std::string pid = std::to_string(child.pid());
  CHECK(program["pid"].text == pid);
  CHECK(program["processes"].text == "1");
  CHECK(program["memory_bytes"].number() > 1'000'000);
  CHECK(program["functions"].items.at(0)["name"].text == "half");
  CHECK(program["functions"].items[0]["hit_rate"].text == "0.25");
  CHECK(program["ended_loops"].text == "1");
  const Json& executor = program["loops"].items[0];
  CHECK(executor["kind"].text == "executor");
  CHECK(executor["tasks_per_second"].text == "0");
  const Json& loop = program["loops"].items[1];
  CHECK(loop["kind"].text == "loop");
  CHECK(loop["total"].text == "10");
  CHECK(std::stod(loop["tasks_per_second"].text) > 0);
  CHECK(std::stod(loop["seconds_left"].text) > 0);

  const auto shown = run_tool("top --once " + pid);
  CHECK(shown.code == 0);
  CHECK(has(shown.out, pid));
  CHECK(has(shown.out, "  executor threads x1  1 of 1 call done"));
  const std::string bar = "[████████············]";
  CHECK(has(shown.out, "  loop     threads x2  " + bar + "  40 %  4/10"));
  CHECK(has(shown.out, "  cached   half  2 hits (25 %), 6 misses"));
  CHECK(has(shown.out, "  ended    1 loop with 3 tasks"));
  CHECK_FALSE(has(shown.out, "\x1b"));
  // No terminal: as with --once.
  CHECK(has(run_tool("top").out, "  loop     threads x2"));
  const auto other = run_tool("top --once 1");
  CHECK(other.code == 2);
  CHECK(has(other.error, "process 1 is no program"));

  if (std::system("command -v script >/dev/null") == 0) {
    // On a terminal, which is as it was when the user has left.
    const auto on_terminal = [&](const std::string& keys, const std::string& arguments) {
      const std::string out = (dir / "screen").string();
      CHECK(std::system(("(sleep 0.5; printf '" + keys + "') | timeout 20 script -qec '" +
                         support::tool + " top " + arguments + "' /dev/null >" + out)
                            .c_str()) == 0);
      return support::slurp(out);
    };
    for (const std::string keys : {"q", "x\\003"}) {
      const std::string screen = on_terminal(keys, "--interval 0.2");
      CHECK(has(screen, "\x1b[?1049h"));
      CHECK(has(screen, "\x1b[?25h\x1b[?1049l"));
      CHECK(has(screen, "4/10"));
    }
    CHECK_FALSE(has(on_terminal("q", "--once"), "\x1b[?1049h"));
  }
  dir.release();
  REQUIRE(child.ends_within(20s));
  const auto nothing = run_tool("top");
  CHECK(nothing.code == 0);
  CHECK(has(nothing.out, "No program"));
}

TEST_CASE("hoist top says what keeps it from looking") {
  if (!support::has_tool()) return;
  const auto without = run_tool("top", "XDG_RUNTIME_DIR=");
  CHECK(without.code == 2);
  CHECK(has(without.error, "XDG_RUNTIME_DIR names no absolute path"));
  CHECK(has(run_tool("top", "XDG_RUNTIME_DIR=run").error, "names no absolute path"));
  CHECK(run_tool("top --interval 0").code == 2);
  CHECK(has(run_tool("top --interval nan").error, "nan is no number from 0.1 to 3600"));
  CHECK(run_tool("top -- -3").code == 2);
}
