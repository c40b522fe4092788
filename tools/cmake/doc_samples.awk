# SPDX-License-Identifier: BSD-3-Clause
#
# Turns the C++ code blocks of one Markdown document into programs, so that the tests compile and run
# every one of them. There is no way to leave a block out.
#
#   awk -v name=docs/guide.md -v out=DIR -f doc_samples.awk docs/guide.md
#
# A block fenced with ```cpp becomes the body of a function of its own. All of a document's blocks
# make one program, DIR/samples.cpp, which runs them in order in one fresh directory. A block sees
# <hoist/hoist.hpp>, the common standard headers and `using namespace hoist`. In a block,
#   - #include lines go to the top of the program;
#   - a line //--- parts what belongs at namespace scope (functions, types; above the line) from the
#     statements (below). Readers see a divider.
# A block with `int main(` is a complete program as it stands: DIR/program_<line>.cpp. These run after
# the others, in the same directory.
#
# An HTML comment on the last non-blank line before the fence says otherwise:
#   <!-- sample: continue -->  the block goes on where the block before it ended, in the same function
#   <!-- sample: file -->      the block is a complete program although it has no `int main(`
#
# Printed: the names of the programs written, one per line.

function fail(line, text) {
  printf "%s:%d: %s\n", name, line, text > "/dev/stderr"
  failed = 1
  exit 1
}

function is_fence(text) { return text ~ /^[ \t]*(```|~~~)/ }

# Files the block that has just ended.
function finish(    i, line, divider, target, above, below) {
  if (mode == "file" || block ~ /(^|\n)[ \t]*int main *\(/) {
    if (mode == "continue") fail(start, "a complete program cannot continue another block")
    target = "program_" start ".cpp"
    printf "#line %d \"%s\"\n%s", start + 1, name, block > (out "/" target)
    close(out "/" target)
    print target
    can_continue = 0
    return
  }
  if (mode == "continue") {
    if (!can_continue) fail(start, "there is no block to continue")
  } else if (mode == "") {
    samples++
    first_line[samples] = start
  } else {
    fail(start, "unknown word in '<!-- sample: " mode " -->'")
  }
  can_continue = 1
  divider = 0
  for (i = 1; i <= lines; i++)
    if (text_of[i] ~ /^[ \t]*\/\/---[ \t]*$/) divider = i
  above = below = ""
  for (i = 1; i <= lines; i++) {
    line = text_of[i]
    if (i == divider) continue
    if (line ~ /^[ \t]*#[ \t]*include/) {
      includes = includes line "\n"
      line = ""
    }
    if (i < divider) above = above line "\n"
    else below = below line "\n"
  }
  if (divider) scope[samples] = scope[samples] "#line " (start + 1) " \"" name "\"\n" above
  body[samples] = body[samples] "#line " (start + 1 + divider) " \"" name "\"\n" below
}

!inside && is_fence($0) {
  fence = $0
  sub(/^[ \t]*/, "", fence)
  match($0, /^[ \t]*/)
  indent = RLENGTH
  closing = substr(fence, 1, 3)
  inside = 1
  wanted = (fence ~ /^(```|~~~)[ \t]*([cC]pp|[cC]\+\+|CPP|cxx)([ \t{]|$)/)
  start = NR
  block = ""
  lines = 0
  next
}

inside {
  bare = $0
  sub(/^[ \t]*/, "", bare)
  sub(/[ \t]*$/, "", bare)
  if (bare == closing) {
    inside = 0
    if (wanted) finish()
    mode = ""
    next
  }
  if (wanted) {
    line = $0
    for (i = 0; i < indent && line ~ /^[ \t]/; i++) line = substr(line, 2)
    block = block line "\n"
    text_of[++lines] = line
  }
  next
}

/^[ \t]*<!-- *sample: *[a-z]+ *-->[ \t]*$/ {
  mode = $0
  sub(/^[ \t]*<!-- *sample: */, "", mode)
  sub(/ *-->[ \t]*$/, "", mode)
  next
}

/[^ \t]/ { mode = "" }

END {
  if (failed) exit 1
  if (inside) fail(start, "the code block does not end")
  if (!samples) exit 0
  target = out "/samples.cpp"
  printf "// Written by doc_samples.awk from %s.\n", name > target
  print "#include <hoist/hoist.hpp>\n" > target
  print "#include <algorithm>\n#include <chrono>\n#include <cmath>\n#include <cstdio>" > target
  print "#include <exception>\n#include <filesystem>\n#include <fstream>" > target
  print "#include <functional>\n#include <iostream>\n#include <map>\n#include <numeric>" > target
  print "#include <optional>\n#include <ranges>\n#include <string>\n#include <thread>" > target
  print "#include <tuple>\n#include <utility>\n#include <variant>\n#include <vector>" > target
  print includes "\nusing namespace hoist;\n" > target
  for (i = 1; i <= samples; i++) {
    printf "namespace sample_%d {\n%s\n", i, scope[i] > target
    printf "void run() {\n%s}\n}  // namespace sample_%d\n\n", body[i], i > target
  }
  print "#line 1 \"samples.cpp\"\nint main() {" > target
  print "  const std::pair<const char*, void (*)()> samples[] = {" > target
  for (i = 1; i <= samples; i++)
    printf "      {\"%s:%d\", sample_%d::run},\n", name, first_line[i], i > target
  print "  };\n  for (const auto& [where, run] : samples) {" > target
  print "    std::fprintf(stderr, \"-- %s\\n\", where);" > target
  print "    try {\n      run();\n    } catch (const std::exception& e) {" > target
  print "      std::fprintf(stderr, \"%s: %s\\n\", where, e.what());\n      return 1;" > target
  print "    }\n  }\n}" > target
  close(target)
  print "samples.cpp"
}
