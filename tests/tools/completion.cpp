// SPDX-License-Identifier: BSD-3-Clause
//
// Completions, as the shells themselves use them.
#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

#include "support/run_tool.hpp"
#include "support/temp_dir.hpp"

using support::has;
using support::run_tool;
using support::TempDir;

namespace {

bool has_shell(const std::string& name) {
  return std::system(("command -v " + name + " >/dev/null").c_str()) == 0;
}

/// What the shell prints that runs this script with these arguments.
std::string output_of(const std::string& shell, const std::string& script,
                      const std::string& arguments) {
  const TempDir dir;
  support::spill(dir / "script", script);
  // Shells read no settings of the user, and keep nothing in his directories.
  const std::string home =
      "HOME=" + dir.path().string() + " XDG_CONFIG_HOME=" + (dir / "x").string();
  const int status = std::system((home + " timeout 60 " + shell + " " + (dir / "script").string() +
                                  " " + arguments + " >" + (dir / "out").string() + " 2>&1")
                                     .c_str());
  CHECK(status == 0);
  return support::slurp(dir / "out");
}

}  // namespace

TEST_CASE("bash completes commands and options") {
  if (!support::has_tool() || !has_shell("bash")) return;
  const std::string script = run_tool("completion bash").out + R"(
COMP_WORDS=(hoist "$@")
COMP_CWORD=$#
_hoist
echo "${COMPREPLY[@]}"
)";
  CHECK(output_of("bash --norc", script, "cache v") == "verify\n");
  CHECK(output_of("bash --norc", script, "cache prune --dry") == "--dry-run\n");
}

TEST_CASE("fish completes commands and options") {
  if (!support::has_tool() || !has_shell("fish")) return;
  const std::string script = run_tool("completion fish").out + "\ncomplete -C \"$argv\"\n";
  CHECK(output_of("fish", script, "'hoist cache v'").starts_with("verify"));
  CHECK(output_of("fish", script, "'hoist cache prune --dry'").starts_with("--dry-run"));
}

TEST_CASE("zsh completes commands and options") {
  if (!support::has_tool() || !has_shell("zsh")) return;
  const TempDir dir;
  support::spill(dir / "_hoist", run_tool("completion zsh").out);
  // A shell on a terminal of its own: the keys typed, and what is to be seen then.
  const std::string script = R"(
zmodload zsh/zpty || exit
zpty shell zsh -f -i
zpty -w shell "PROMPT=; fpath=($1 \$fpath); autoload -Uz compinit; compinit -D -u; print rea''dy"
zpty -r -m shell seen '*ready*'
zpty -w -n shell "$2"$'\t'
zpty -r -m shell seen "*$3*" && print found
zpty -d shell
)";
  const std::string at = dir.path().string();
  CHECK(has(output_of("zsh -f", script, at + " 'hoist cache ver' verify"), "found"));
  CHECK(has(output_of("zsh -f", script, at + " 'hoist cache prune --dry' dry-run"), "found"));
  // Sourced, as by `source <(hoist completion zsh)`.
  CHECK(output_of("zsh -f",
                  "autoload -Uz compinit; compinit -D -u; source $1/_hoist; print $_comps[hoist]",
                  at) == "_hoist\n");
}
