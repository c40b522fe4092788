// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/array.hpp>
#include <hoist/convert_file.hpp>
#include <hoist/dump.hpp>
#include <hoist/file_info.hpp>
#include <hoist/open_array.hpp>
#include <hoist/value.hpp>
#include <hoist/version.hpp>

#include <cmath>
#include <complex>
#include <filesystem>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "support/json.hpp"
#include "support/run_tool.hpp"
#include "support/temp_dir.hpp"

using namespace hoist;
using support::has;
using support::run_tool;
using support::TempDir;

namespace {

struct Layer {
  std::string name = "a \"name\" <b>";
  Array<double> bias;
  std::vector<int> sizes = {3, 4};
};
struct Model {
  std::vector<Layer> layers;
  std::map<std::string, double> scores = {{"x", 0.5}, {"y", 1.5}};
};

Array<double> ramp(std::size_t n) {
  auto values = Array<double>({n / 10, 10});
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = std::sqrt(static_cast<double>(i));
  return values;
}

Model model() {
  Model made;
  for (const std::size_t n : {20U, 30U}) made.layers.push_back({.bias = ramp(n)});
  made.layers[1].bias[7] = std::numeric_limits<double>::quiet_NaN();
  return made;
}

/// A .npy file of that dtype, as its header has it.
std::string npy_of(const std::string& descr, const std::string& shape, const std::string& data) {
  const std::string header =
      "{'descr': " + descr + ", 'fortran_order': False, 'shape': " + shape + "}\n";
  std::string bytes("\x93NUMPY\x01\0", 8);
  bytes += static_cast<char>(header.size());
  bytes += '\0';
  return bytes + header + data;
}

/// A pickle of an array of six objects.
std::string pickle_of(const std::string& shape) {
  return "cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n" + shape +
         "cnumpy\ndtype\n(S'O8'\nI0\nI1\ntR(I3\nS'|'\nNNNI-1\nI-1\nI63\ntbI00\n"
         "(lI1\naI2\naI3\naI4\naI5\naI6\natb.";
}

}  // namespace

TEST_CASE("hoist show draws a file's content as a tree") {
  if (!support::has_tool()) return;
  const TempDir dir;
  const std::string file = dir / "model.hoist";
  dump(model(), file, {.compress = {"zstd", 1}});
  const auto shown = run_tool("show " + file);
  CHECK(shown.code == 0);
  CHECK(has(shown.out, "hoist container, zstd blocks"));
  CHECK(has(shown.out, "layers  list of 2 items"));
  CHECK(has(shown.out, "bias  array of float64, 3 x 10, 240 B: min 0"));
  CHECK(has(shown.out, "1 NaN"));
  const auto part = run_tool("show " + file + " 'layers[1].sizes'");
  CHECK(has(part.out, "[3, 4]"));
  CHECK(has(run_tool("show " + file + " 'layers[0].bias[1]'").out, "array of float64, 10"));
  CHECK(has(run_tool("show --plot " + file + " 'layers[0].bias[1]'").out, "█"));
  for (const char* wrong :
       {"layers[2]", "layers[0].bia", "layers[x]", "scores..x", "layers[0].name.x"}) {
    const auto missing = run_tool("show " + file + " '" + wrong + "'");
    CHECK(missing.code == 2);
    CHECK_FALSE(missing.error.empty());
    CHECK(missing.out.empty());
  }
  const auto as_json = run_tool("show --json " + file);
  CHECK_NOTHROW(support::Json::parse(as_json.out));
  CHECK(has(as_json.out, "\"shape\":[3,10]"));
  const std::string page = dir / "model.html";
  CHECK(run_tool("show --html " + page + " " + file).code == 0);
  const std::string html = support::slurp(page);
  CHECK(has(html, "a &quot;name&quot; &lt;b&gt;"));
  CHECK(has(html, "<polyline"));
  CHECK_FALSE(has(html, "<script"));
  CHECK_FALSE(has(html, "http"));
  // An existing page keeps its mode, and a link to it stays one.
  constexpr auto own = std::filesystem::perms::owner_read | std::filesystem::perms::owner_write;
  std::filesystem::permissions(page, own);
  std::filesystem::create_symlink("model.html", dir / "link.html");
  CHECK(run_tool("show --html " + (dir / "link.html").string() + " " + file).code == 0);
  CHECK(std::filesystem::is_symlink(dir / "link.html"));
  CHECK(std::filesystem::status(page).permissions() == own);
  support::spill(dir / "broken.hoist", support::slurp(file).substr(0, 300));
  CHECK(run_tool("show " + (dir / "broken.hoist").string()).code == 1);
  CHECK(run_tool("show " + (dir / "missing").string()).code == 2);
}

TEST_CASE("a page goes to a pipe, to a name of any length, and through a link to nothing yet") {
  if (!support::has_tool()) return;
  const TempDir dir;
  const std::string file = dir / "a.npy";
  dump(ramp(20), file);
  const auto piped = run_tool("show --html /dev/stdout " + file + " | cat");
  CHECK(piped.error.empty());
  CHECK(has(piped.out, "</html>"));
  const std::string page = dir / std::string(255, 'p');
  CHECK(run_tool("show --html " + page + " " + file).code == 0);
  CHECK(support::slurp(page) == piped.out);
  std::filesystem::create_symlink("made", dir / "link");
  CHECK(run_tool("show --html " + (dir / "link").string() + " " + file).code == 0);
  CHECK(std::filesystem::is_symlink(dir / "link"));
  CHECK(std::filesystem::exists(dir / "made"));
}

TEST_CASE("the beginning of an array is shown without its dtype, whatever that has in it") {
  if (!support::has_tool()) return;
  const TempDir dir;
  const std::string eights(16, '\0');
  support::spill(dir / "times.npy", npy_of("'<M8[ns]'", "(2,)", eights));
  CHECK(has(run_tool("show " + (dir / "times.npy").string()).out, "\n[<M8[ns](0), <M8[ns](0)]\n"));
  support::spill(dir / "rows.npy", npy_of("('<f8', (2,))", "(1,)", eights));
  CHECK(has(run_tool("show " + (dir / "rows.npy").string()).out,
            "\n[array(<f8, (2,), [0.0, 0.0])]\n"));
  // What a terminal would obey.
  const std::string sly = dir / "sly.npy";
  support::spill(sly, npy_of("([('a\\x1b[31m', '<f8')], (2,))", "(1,)", eights));
  const auto shown = run_tool("show " + sly);
  CHECK(has(shown.out, "\n[array({a?[31m: <f8}, (2,), "));
  const std::string list = dir / "list.pkl";
  dump(std::vector<std::string>{"a"}, list);
  CHECK(has(run_tool("diff " + sly + " " + list).out, "array({a?[31m: <f8}[2], (1,), "));
}

TEST_CASE("content from a pipe is read once, or refused") {
  if (!support::has_tool()) return;
  const TempDir dir;
  const std::string file = dir / "a.npy";
  dump(ramp(20), file);
  const std::string list = dir / "a.pkl";
  dump(std::vector<std::string>{"a"}, list);
  const auto hashed = run_tool("hash " + file);
  const std::string piped = "cat " + file + " |";
  CHECK(run_tool("hash /dev/stdin", piped).out.substr(0, 32) == hashed.out.substr(0, 32));
  CHECK(run_tool("diff /dev/stdin " + file, piped).code == 0);
  const std::string made = dir / "made.hoist";
  CHECK(run_tool("convert /dev/stdin " + made, piped).code == 0);
  CHECK(run_tool("check /dev/stdin", "cat " + made + " |").code == 0);
  for (const char* command : {"show", "check"}) {
    const auto refused = run_tool(std::string(command) + " /dev/stdin", piped);
    CHECK(refused.code == 2);
    CHECK(has(refused.out + refused.error, "is a pipe"));
  }
  const auto refused = run_tool("convert /dev/stdin " + made, "cat " + list + " |");
  CHECK(refused.code == 2);
  CHECK(has(refused.error, "is a pipe"));
  CHECK(run_tool("convert /dev/stdin " + (dir / "b.pkl").string(), "cat " + list + " |").code == 0);
}

TEST_CASE("hoist show maps what it shows") {
  if (!support::has_tool()) return;
  const TempDir dir;
  const std::string file = dir / "sparse.npy";
  {
    const auto huge = open_array<double>(file, {std::size_t{1} << 33}, MmapMode::write);
  }
  const auto shown = run_tool("show " + file, "ulimit -t 5;");
  CHECK(shown.code == 0);
  CHECK(has(shown.out, "8,589,934,592"));
  CHECK(has(shown.out, "min 0, max 0, mean 0 (of"));
}

TEST_CASE("convert goes from every format to every format") {
  if (!support::has_tool()) return;
  const TempDir dir;
  const auto values = ramp(300000);  // several blocks, and a part of one
  const std::string npy = dir / "a.npy";
  dump(values, npy);
  const std::string bytes = support::slurp(npy);
  for (const char* name :
       {"b.hoist", "b.hoist.zst", "b.hoist.gz", "b.npy.lz4", "b.npz", "b.joblib", "b.pkl"}) {
    CAPTURE(name);
    const std::string other = dir / name;
    CHECK(run_tool("convert " + npy + " " + other).code == 0);
    CHECK(load<Array<double>>(other) == values);
    // An archive may hold several arrays, which a .npy file can't.
    const bool is_archive = std::string(name) == "b.npz";
    CHECK(run_tool("convert " + other + " " + (dir / "back.npy").string()).code ==
          (is_archive ? 2 : 0));
    if (!is_archive) CHECK(support::slurp(dir / "back.npy") == bytes);
    CHECK(run_tool("check " + other).code == 0);
  }
  const std::string blocks = dir / "blocks.hoist";
  const auto told = run_tool("convert --json --compress zstd:1 " + npy + " " + blocks);
  CHECK_NOTHROW(support::Json::parse(told.out));
  CHECK(file_info(blocks).block_compression == "zstd");
  CHECK(file_info(blocks).schema == "array<f64>");
  CHECK(std::filesystem::file_size(blocks) < bytes.size() * 9 / 10);
  convert_file(blocks, dir / "back.npy");
  CHECK(support::slurp(dir / "back.npy") == bytes);
  // Other types, and no elements.
  dump(Array<std::int16_t>({0, 4}), dir / "empty.npy");
  convert_file(dir / "empty.npy", dir / "empty.hoist");
  CHECK(load<Array<std::int16_t>>(dir / "empty.hoist").shape() == Shape{0, 4});
  dump(model(), dir / "m.hoist");
  CHECK(
      run_tool("convert " + (dir / "m.hoist").string() + " " + (dir / "m.joblib").string()).code ==
      0);
  CHECK(load<Model>(dir / "m.joblib").scores.at("y") == 1.5);
  CHECK(run_tool("convert " + npy + " " + (dir / "x.hoist").string() + " --compress none:3").code ==
        2);
  CHECK(run_tool("convert " + npy + " " + (dir / "x.hoist").string() + " --level 12").code == 2);
  for (const std::string method : {"zstd:3", "3", "none"}) {
    const std::string options = " --level 9 --compress " + method;
    CHECK(run_tool("convert " + npy + " " + (dir / "x.hoist").string() + options).code == 2);
  }
  CHECK(run_tool("convert " + (dir / "m.hoist").string() + " " + (dir / "x.npy").string()).code ==
        2);
  CHECK_FALSE(std::filesystem::exists(dir / "x.hoist"));
  CHECK_FALSE(std::filesystem::exists(dir / "x.npy"));
}

TEST_CASE("a damaged file is converted to nothing") {
  const TempDir dir;
  dump(ramp(400000), dir / "a.npy");
  dump(ramp(400000), dir / "a.hoist");
  dump(ramp(400000), dir / "a.hoist.zst");
  for (const char* name : {"a.npy", "a.hoist", "a.hoist.zst"}) {
    CAPTURE(name);
    const std::string sound = support::slurp(dir / name);
    const std::string broken = dir / (std::string("broken-") + name);
    for (const std::size_t size : {std::size_t{9}, sound.size() / 2, sound.size() - 1}) {
      support::spill(broken, sound.substr(0, size));
      for (const char* to : {"to.npy", "to.hoist"})
        CHECK_THROWS_AS(convert_file(broken, dir / to), DamagedData);
      CHECK_THROWS_AS(verify_file(broken), DamagedData);
    }
    support::spill(broken, sound.substr(0, sound.size() / 2));
    CHECK_THROWS_WITH_AS(convert_file(broken, dir / "to.npy"), doctest::Contains("cut short"),
                         DamagedData);
    if (std::string(name) == "a.npy") continue;  // no checksum
    std::string changed = sound;
    changed[sound.size() / 2] = static_cast<char>(changed[sound.size() / 2] ^ 1);
    support::spill(broken, changed);
    CHECK_THROWS_AS(convert_file(broken, dir / "to.npy"), DamagedData);
    CHECK_THROWS_AS(verify_file(broken), DamagedData);
    support::spill(broken, sound + "x");
    CHECK_THROWS_AS(convert_file(broken, dir / "to.npy"), DamagedData);
    CHECK_THROWS_AS(verify_file(broken), DamagedData);
  }
  CHECK_FALSE(std::filesystem::exists(dir / "to.npy"));
  CHECK_FALSE(std::filesystem::exists(dir / "to.hoist"));
}

TEST_CASE("hoist diff, hash and check compare contents") {
  if (!support::has_tool()) return;
  const TempDir dir;
  const std::string a = dir / "a.hoist";
  const std::string b = dir / "b.joblib";
  dump(model(), a);
  dump(model(), b);
  const auto equal = run_tool("diff " + a + " " + b);
  CHECK(equal.code == 0);
  CHECK(equal.out.empty());
  Model other = model();
  other.layers[0].bias[13] += 1e-6;
  other.layers[1].bias[2] += 1;
  other.scores.erase("x");
  dump(other, b);
  const auto different = run_tool("diff " + a + " " + b);
  CHECK(different.code == 1);
  CHECK(has(different.out, "layers[0].bias[1][3]: 3.6055"));
  CHECK(has(different.out, "3 differences of"));
  CHECK(has(different.out, "the largest is 1"));
  const auto loose = run_tool("diff --tolerance 1e-3 --json " + a + " " + b);
  CHECK(loose.code == 1);
  CHECK_NOTHROW(support::Json::parse(loose.out));
  CHECK(has(loose.out, "\"differences\":2"));
  CHECK(has(loose.out, "\"first\":\"layers[1].bias[0][2]\""));
  CHECK(run_tool("diff " + a + " " + (dir / "missing").string()).code == 2);
  // However loosely, infinity is near nothing else.
  const std::string endless = dir / "endless.hoist";
  dump(std::vector<double>{1, 2}, a);
  dump(std::vector<double>{1, std::numeric_limits<double>::infinity()}, endless);
  CHECK(run_tool("diff --tolerance 1 " + a + " " + endless).code == 1);
  // Integers that doubles don't tell apart, and elements in another order.
  const std::int64_t large = std::int64_t{1} << 53;
  dump(std::vector<std::int64_t>{large, 1}, a);
  dump(std::vector<std::int64_t>{large + 1, 1}, endless);
  const auto close = run_tool("diff " + a + " " + endless);
  CHECK(close.code == 1);
  CHECK(has(close.out, "[0]: 9007199254740992 against 9007199254740993"));
  CHECK(run_tool("diff --tolerance 1 " + a + " " + endless).code == 0);
  Array<double> rows({2, 3});
  auto columns = Array<double>::uninitialized({2, 3}, hoist::Order::fortran);
  for (std::size_t i = 0; i < 6; ++i) {
    rows.data()[i] = static_cast<double>(i);
    columns.data()[i % 3 * 2 + i / 3] = static_cast<double>(i) + 1e-12;
  }
  dump(rows, a);
  dump(columns, endless);
  CHECK(run_tool("diff --tolerance 1e-9 " + a + " " + endless).code == 0);
  CHECK(has(run_tool("diff " + a + " " + endless).out, "[0][0]: 0 against 1e-12"));
  // Complex numbers, alone and as elements.
  using Complex = std::complex<double>;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  dump(std::pair(Complex(1, 2), std::vector<Complex>{{3, nan}, {0, 4}}), a);
  dump(std::pair(Complex(1, 2 + 1e-12), std::vector<Complex>{{3, nan}, {0, 4 + 1e-12}}), endless);
  CHECK(run_tool("diff --tolerance 1e-9 " + a + " " + endless).code == 0);
  CHECK(has(run_tool("diff " + a + " " + endless).out, "2 differences of"));
  dump(std::vector<Complex>{{1, 2}}, a);
  dump(std::vector<Complex>{{1, -2}}, endless);
  CHECK(has(run_tool("diff --tolerance 1 " + a + " " + endless).out, "[0]: 1+2j against 1-2j"));
  // NaN equals itself, alone too; truth values differ without a distance.
  dump(std::pair(nan, true), a);
  CHECK(run_tool("diff " + a + " " + a).code == 0);
  dump(std::pair(nan, false), endless);
  const auto untrue = run_tool("diff " + a + " " + endless);
  CHECK(untrue.code == 1);
  CHECK(has(untrue.out, "[1]: True against False"));
  CHECK(has(untrue.out, "1 difference of"));
  // Objects in other rows.
  support::spill(dir / "wide.pkl", pickle_of("(I2\nI3\nt"));
  support::spill(dir / "high.pkl", pickle_of("(I3\nI2\nt"));
  const auto turned =
      run_tool("diff " + (dir / "wide.pkl").string() + " " + (dir / "high.pkl").string());
  CHECK(turned.code == 1);
  CHECK(has(turned.out, "2 x 3 against 3 x 2"));
  // Keys that only their ends tell apart.
  const std::string same(100, 'k');
  dump(std::map<std::pair<std::string, int>, int>{{{same, 1}, 10}, {{same, 2}, 20}}, a);
  CHECK(run_tool("diff " + a + " " + a).code == 0);
  // Keys that are sets, in which Python's order is another one in each process.
  const std::string up = dir / "up.pkl";
  const std::string down = dir / "down.pkl";
  support::spill(up, "\x80\x04}((K\x01K\x02\x91K\x05u.");
  support::spill(down, "\x80\x04}((K\x02K\x01\x91K\x05u.");
  CHECK(run_tool("diff " + up + " " + down).code == 0);
  support::spill(down, "\x80\x04}((K\x02K\x03\x91K\x05u.");
  CHECK(has(run_tool("diff " + up + " " + down).out, "2 differences of"));

  dump(Value::list({Value::set({nan, 1})}), up);
  dump(Value::list({Value::set({1, nan})}), down);
  CHECK(run_tool("diff " + up + " " + down).code == 0);
  dump(Value::list({Value::set({2, nan})}), down);
  CHECK(run_tool("diff " + up + " " + down).code == 1);

  const std::string c = dir / "c.npy";
  dump(ramp(100), c);
  REQUIRE(run_tool("convert " + c + " " + (dir / "c.hoist.xz").string()).code == 0);
  const auto hashed = run_tool("hash " + c + " " + (dir / "c.hoist.xz").string());
  CHECK(hashed.out.substr(0, 32) == hashed.out.substr(hashed.out.find('\n') + 1, 32));
  for (const char* json : {"", "--json "}) {
    const auto partly = run_tool("hash " + (json + ((dir / "none").string() + " ")) + c);
    CHECK(partly.code == 2);
    CHECK(has(partly.error, "none"));
    CHECK(has(partly.out, hashed.out.substr(0, 32)));
  }
  support::spill(dir / "d.hoist", support::slurp(a).substr(0, 200));
  const auto checked = run_tool("check --json " + a + " " + (dir / "d.hoist").string());
  CHECK(checked.code == 1);
  CHECK_NOTHROW(support::Json::parse(checked.out));
  CHECK(has(checked.out, "\"sound\":true"));
  CHECK(has(checked.out, "\"sound\":false"));
  // One that isn't there keeps none of the others from being checked.
  const auto all = run_tool("check " + (dir / "missing").string() + " " + a + " " +
                            (dir / "d.hoist").string() + " " + c);
  CHECK(all.code == 2);
  CHECK(has(all.out, "missing: can't open"));
  CHECK(has(all.out, "d.hoist: \""));
  CHECK(has(all.out, "c.npy: sound"));
}

TEST_CASE("conventions: help, exit codes, pipes, colours and manual pages") {
  if (!support::has_tool()) return;
  const TempDir dir;
  CHECK(has(run_tool("--help").out, "Exit codes"));
  CHECK(run_tool("--version").out == "hoist " HOIST_VERSION_STRING "\n");
  for (const char* command : {"cache ls", "cache prune", "show", "convert", "diff", "hash", "check",
                              "env", "top", "trace", "cache merge", "cache verify"}) {
    const auto help = run_tool(std::string(command) + " --help");
    CHECK(help.code == 0);
    CHECK(has(help.out, "Example"));
    CHECK(run_tool(std::string(command) + " --nonsense").code == 2);
  }
  CHECK(has(run_tool("dance").error, "no command dance"));
  CHECK(run_tool("dance").code == 2);
  CHECK(run_tool("").code == 2);
  // A reader that goes away is no error that anybody is told of.
  dump(model(), dir / "m.hoist");
  const auto piped = run_tool("show --head 100000 " + (dir / "m.hoist").string() + " | head -n 1");
  CHECK(piped.code == 0);
  CHECK(piped.error.empty());
  // A full disk is.
  if (std::filesystem::exists("/dev/full")) {
    for (const char* command : {" env", " --help", " --version", " cache ls --help"}) {
      CHECK(std::system((support::tool + command + " >/dev/full 2>/dev/null").c_str()) != 0);
    }
  }
  const auto env = run_tool("env --json");
  CHECK_NOTHROW(support::Json::parse(env.out));
  CHECK(has(env.out, "\"cores\""));

  CHECK(run_tool("man " + (dir / "man").string()).code == 0);
  const std::string page = support::slurp(dir / "man/hoist-cache-prune.1");
  CHECK(has(page, "\\-\\-dry\\-run\n"));
  CHECK(has(page, ".SH EXAMPLES"));
  CHECK(has(page, "\\-\\-age VALUE"));
}
