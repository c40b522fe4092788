// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/parallel.hpp>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "support/temp_dir.hpp"

using namespace hoist;

namespace {

const std::string tool = HOIST_BIN_DIR "/hoist";

int run(const std::string& command) { return std::system(command.c_str()); }

std::string chromium() {
  for (const char* name : {"chromium", "chromium-browser", "google-chrome"}) {
    if (run(std::string("command -v ") + name + " >/dev/null 2>&1") == 0) return name;
  }
  return {};
}

}  // namespace

TEST_CASE("hoist trace makes one page that needs nothing else") {
  if (!std::filesystem::exists(tool)) return;  // HOIST_BUILD_TOOLS is off
  const support::TempDir dir;
  const std::string trace = (dir / "run.json").string();
  const std::string page = (dir / "run.html").string();
  const auto outcomes =
      Parallel({.n_jobs = 2, .trace = trace}).map_outcomes(std::views::iota(0, 50), [](int i) {
        if (i == 7) throw std::runtime_error("</script>");
        return i;
      });
  CHECK(outcomes.size() == 50);
  REQUIRE(run(tool + " trace " + trace + " -o " + page) == 0);
  const std::string html = support::slurp(page);
  CHECK(html.starts_with("<!doctype html>"));
  CHECK(html.find("task 49") != std::string::npos);
  CHECK(html.find("\"failed\":true,\"error\":\"") != std::string::npos);
  CHECK(html.find("src=") == std::string::npos);
  CHECK(html.find("http") == std::string::npos);

  if (const std::string browser = chromium(); !browser.empty()) {
    const std::string dom = (dir / "dom.html").string();
    REQUIRE(
        run("timeout 60 " + browser +
            " --headless --no-sandbox --disable-gpu --virtual-time-budget=5000 --dump-dom file://" +
            page + " > " + dom + " 2>/dev/null") == 0);
    const std::string seen = support::slurp(dom);
    CHECK(seen.find("data-ready=\"yes\"") != std::string::npos);
    CHECK(seen.find("50 runs of tasks (1 failed)") != std::string::npos);
    // The error's text stands in the table, as text.
    CHECK(seen.find("&lt;/script&gt;</td>") != std::string::npos);
  }
}

TEST_CASE("hoist trace says what is wrong with its arguments") {
  if (!std::filesystem::exists(tool)) return;
  const support::TempDir dir;
  support::spill(dir / "other.json", "{}");
  const std::string quiet = " 2>/dev/null >/dev/null";
  CHECK(run(tool + " trace " + (dir / "other.json").string() + " -o " + (dir / "x").string() +
            quiet) != 0);
  CHECK(run(tool + " trace " + (dir / "missing").string() + quiet) != 0);
  CHECK(run(tool + " dance" + quiet) != 0);
  CHECK(!std::filesystem::exists(dir / "x"));
}
