// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/codec.hpp>
#include <hoist/dump.hpp>
#include <hoist/hash.hpp>
#include <hoist/value.hpp>

#include <bit>
#include <map>
#include <sstream>
#include <string>

#include "dynamic/elements.hpp"
#include "support/json.hpp"
#include "support/sha256.hpp"
#include "support/temp_dir.hpp"

// Files that Python wrote; tests/data/interop/manifest.json describes their content. Values are
// trees {"t": kind, ...}, arrays are given by the SHA-256 of their elements in C order,
// little-endian, packed.

using hoist::DType;
using hoist::load;
using hoist::Value;
using support::Json;
using support::TempDir;
using Kind = hoist::Value::Kind;

namespace {

const std::filesystem::path corpus = std::filesystem::path(HOIST_TEST_DATA) / "interop";

std::string bits(double number) {
  const auto word = std::bit_cast<std::uint64_t>(number);
  std::string bytes;
  for (int shift = 56; shift >= 0; shift -= 8) bytes += static_cast<char>(word >> shift);
  return support::hex(bytes);
}

std::size_t code_points(std::string_view text) {
  std::size_t n = 0;
  for (const char c : text) n += (c & 0xC0) != 0x80 ? 1U : 0U;
  return n;
}

bool same_dtype(const Json& want, const DType& got) {
  if (want.is_text()) return want.text == got.text();
  if (want["itemsize"].number() != static_cast<long>(got.itemsize)) return false;
  if (want.has("base")) {
    if (!got.base || want["shape"].items.size() != got.shape.size()) return false;
    return same_dtype(want["base"], *got.base);
  }
  if (!got.fields || want["fields"].items.size() != got.fields->size()) return false;
  for (std::size_t i = 0; i < got.fields->size(); ++i) {
    const Json& field = want["fields"].items[i];
    const auto& is = (*got.fields)[i];
    if (field["name"].text != is.name || field["offset"].number() != static_cast<long>(is.offset) ||
        (field.has("title") && field["title"].text != is.title) ||
        !same_dtype(field["dtype"], is.type)) {
      return false;
    }
  }
  return true;
}

std::string packed(const Value::Elements& elements) {
  std::string bytes;
  hoist::detail::dynamic::for_each_packed(elements, [&](std::span<const std::byte> part) {
    bytes.append(reinterpret_cast<const char*>(part.data()), part.size());
  });
  return bytes;
}

/// Compares a value with its tree; reports the position of the first difference.
class Comparison {
 public:
  std::string run(const Json& want, const Value& got) {
    compare(want, got, "value");
    return difference_;
  }

 private:
  void differ(const std::string& where, const Json& want, const Value& got) {
    if (difference_.empty()) {
      difference_ = where + ": " + (want.has("t") ? want["t"].text : "?") + " wanted, " +
                    got.kind_name() + " " + got.to_string(200) + " found";
    }
  }

  void compare(const Json& want, const Value& got, const std::string& where) {
    if (!difference_.empty()) return;
    if (want["t"].text == "ref") {
      if (shared_[want["to"].text] != got.node()) differ(where + " (shared)", want, got);
      return;
    }
    if (want.has("id")) shared_[want["id"].text] = got.node();
    if (!matches(want, got, where)) differ(where, want, got);
  }

  bool items(const Json& want, const Value& got, const std::string& where) {
    if (want.items.size() != got.items().size()) return false;
    for (std::size_t i = 0; i < want.items.size(); ++i) {
      compare(want.items[i], got.items()[i], where + "[" + std::to_string(i) + "]");
    }
    return true;
  }

  /// Sets have no order: each wanted item must be among those found.
  bool unordered(const Json& want, const Value& got) {
    if (want.items.size() != got.items().size()) return false;
    for (const Json& item : want.items) {
      bool found = false;
      for (const Value& candidate : got.items()) {
        found = found || Comparison().run(item, candidate).empty();
      }
      if (!found) return false;
    }
    return true;
  }

  bool bytes(const Json& want, std::string_view got) {
    if (want.has("hex")) return want["hex"].text == support::hex(got);
    return want["len"].number() == static_cast<long>(got.size()) &&
           want["sha256"].text == support::sha256(got);
  }

  bool moment(const Json& want, const Value& got, Kind kind) {
    if (got.kind() != kind) return false;
    auto when = got.as_moment();
    std::string iso = want["iso"].text;
    if (want.has("fold") && want["fold"].number() != when.fold) return false;
    if (want.has("utcoffset_us")) {
      const Json& offset = want["utcoffset_us"];
      if ((offset.kind == Json::Kind::null) != !when.utc_offset_us) return false;
      if (when.utc_offset_us && offset.number() != *when.utc_offset_us) return false;
    }
    when.fold = 0;
    when.utc_offset_us.reset();
    return Value::moment(kind, when).to_string() == iso;
  }

  bool array(const Json& want, const Value& got, const std::string& where) {
    if (got.kind() != Kind::array && got.kind() != Kind::objects) return false;
    if (want["shape"].items.size() != got.shape().size()) return false;
    for (std::size_t i = 0; i < got.shape().size(); ++i) {
      if (want["shape"].items[i].number() != static_cast<long>(got.shape()[i])) return false;
    }
    if (!same_dtype(want["dtype"], got.dtype())) return false;
    if ((want["order"].text == "F") != (got.order() == hoist::Order::fortran)) return false;
    if (got.kind() == Kind::objects) return items(want["items"], got, where);
    const std::string data = packed(got.elements());
    return want["nbytes"].number() == static_cast<long>(data.size()) &&
           want["sha256"].text == support::sha256(data);
  }

  bool matches(const Json& want, const Value& got, const std::string& where) {
    const std::string& t = want["t"].text;
    const Kind kind = got.kind();
    if (t == "none") return got.is_none();
    if (t == "bool") return kind == Kind::boolean && got.as_bool() == (want["v"].text == "true");
    if (t == "int") {
      return (kind == Kind::integer || kind == Kind::natural || kind == Kind::big_integer) &&
             got.to_string() == want["v"].text;
    }
    if (t == "float") return kind == Kind::real && bits(got.as_double()) == want["bits"].text;
    if (t == "complex") {
      return kind == Kind::complex && bits(got.as_complex().real()) == want["re"].text &&
             bits(got.as_complex().imag()) == want["im"].text;
    }
    if (t == "str") {
      if (kind != Kind::text) return false;
      if (want.has("v")) return got.as_text() == want["v"].text;
      return want["len"].number() == static_cast<long>(code_points(got.as_text())) &&
             want["sha256"].text == support::sha256(got.as_text());
    }
    if (t == "bytes" || t == "bytearray") return kind == Kind::bytes && bytes(want, got.as_bytes());
    if (t == "list" || t == "deque") return kind == Kind::list && items(want["v"], got, where);
    if (t == "tuple") return kind == Kind::tuple && items(want["v"], got, where);
    if (t == "slice") return kind == Kind::slice && items(want["v"], got, where);
    if (t == "range") return kind == Kind::range && items(want["v"], got, where);
    if (t == "set") return kind == Kind::set && unordered(want["v"], got);
    if (t == "frozenset") return kind == Kind::frozen_set && unordered(want["v"], got);
    if (t == "timedelta") {
      if (kind != Kind::timedelta) return false;
      for (std::size_t i = 0; i < 3; ++i) {
        if (want["v"].items[i].number() != got.items()[i].as_int()) return false;
      }
      return true;
    }
    if (t == "date") return moment(want, got, Kind::date);
    if (t == "time") return moment(want, got, Kind::time);
    if (t == "datetime") return moment(want, got, Kind::datetime);
    if (t == "npscalar") {
      if (kind != Kind::scalar || !same_dtype(want["dtype"], got.dtype())) return false;
      const auto* data = reinterpret_cast<const std::byte*>(got.as_bytes().data());
      const Value::Elements one{got.dtype(), {}, hoist::Order::c, nullptr, data};
      return support::hex(packed(one)) == want["hex"].text;
    }
    if (t == "ndarray") return array(want, got, where);
    if (t == "dict" || t == "odict" || t == "defaultdict" || t == "npz") {
      const Json& all = t == "npz" ? want["members"] : want["v"];
      if (kind != Kind::dict || all.items.size() != got.entries().size()) return false;
      for (std::size_t i = 0; i < all.items.size(); ++i) {
        const auto& [key, value] = got.entries()[i];
        const Json& name = all.items[i].items[0];
        if (t == "npz") {
          if (key.as_text() != name.text) return false;
        } else {
          compare(name, key, where + " key " + std::to_string(i));
        }
        compare(all.items[i].items[1], value, where + "[" + key.to_string(60) + "]");
      }
      return true;
    }
    throw std::runtime_error("the manifest has an unknown kind " + t);
  }

  std::map<std::string, const Value::Node*> shared_;
  std::string difference_;
};

const Json& manifest() {
  static const Json json = Json::parse(support::slurp(corpus / "manifest.json"));
  return json;
}

/// The class of hoist's errors for each kind of refusal in the manifest.
bool refused_as(const Json& kinds, const hoist::Error& error) {
  for (const Json& kind : kinds.items) {
    if (kind.text == "*") return true;
    if (kind.text == "unsafe-global") {
      if (dynamic_cast<const hoist::UnsafeData*>(&error) != nullptr) return true;
    } else if (kind.text == "limit") {
      if (dynamic_cast<const hoist::LimitExceeded*>(&error) != nullptr) return true;
    } else if (dynamic_cast<const hoist::DamagedData*>(&error) != nullptr) {
      return true;
    }
  }
  return false;
}

}  // namespace

TEST_CASE("every file of the corpus holds what its manifest says") {
  std::size_t seen = 0;
  for (const Json& entry : manifest()["files"].items) {
    const std::string name = entry["file"].text;
    CAPTURE(name);
    REQUIRE(support::sha256(support::slurp(corpus / name)) == entry["sha256"].text);
    ++seen;
    const Json& expect = entry["expect"];
    if (expect.has("reject")) {
      try {
        (void)load<Value>(corpus / name);
        FAIL("accepted");
      } catch (const hoist::Error& error) {
        CAPTURE(error.what());
        CHECK(refused_as(expect["reject"], error));
        CHECK(std::string(error.what()).find(name) != std::string::npos);
      }
      continue;
    }
    try {
      CHECK(Comparison().run(expect, load<Value>(corpus / name)) == "");
      const bool mappable = entry["codec"].text == "none" && entry["format"].text != "npz";
      if (mappable) {
        const auto mapped = load<Value>(corpus / name, {.mmap = hoist::MmapMode::read});
        CHECK(Comparison().run(expect, mapped) == "");
      } else {
        CHECK_THROWS_AS(load<Value>(corpus / name, {.mmap = hoist::MmapMode::read}),
                        hoist::BadArgument);
      }
    } catch (const hoist::Error& error) {
      FAIL_CHECK(error.what());
    }
  }
  CHECK(seen == 66);
}

TEST_CASE("what came from Python goes back through each of hoist's formats") {
  const TempDir dir;
  for (const Json& entry : manifest()["files"].items) {
    const std::string name = entry["file"].text;
    const Json& expect = entry["expect"];
    if (expect.has("reject")) continue;
    CAPTURE(name);
    Value value;
    try {
      value = load<Value>(corpus / name);
      hoist::dump(value, dir / "v.hoist");
      hoist::dump(value, dir / "v.joblib");
      if (expect["t"].text == "npz") hoist::dump(value, dir / "v.npz");
      const bool plain = expect["t"].text == "ndarray" && value.kind() == Kind::array;
      if (plain) hoist::dump(value, dir / "v.npy");
    } catch (const hoist::BadArgument& error) {
      // .npy can't express fields out of order.
      CHECK(std::string(error.what()).find("order") != std::string::npos);
    }
    for (const auto& file : std::filesystem::directory_iterator(dir.path())) {
      CAPTURE(file.path());
      // By hash, because some hold NaN, which is not equal to itself.
      CHECK(hoist::hash(load<Value>(file.path())) == hoist::hash(value));
      std::filesystem::remove(file.path());
    }
  }
}

TEST_CASE("every strict prefix of a small file is refused") {
  for (const Json& entry : manifest()["files"].items) {
    const std::string name = entry["file"].text;
    if (entry["expect"].has("reject") || entry["size"].number() > 1000) continue;
    CAPTURE(name);
    const std::string good = support::slurp(corpus / name);
    for (std::size_t n = 0; n < good.size(); ++n) {
      std::istringstream cut(good.substr(0, n));
      bool refused = false;
      try {
        (void)load<Value>(cut);
      } catch (const hoist::Error&) {
        refused = true;
      }
      if (!refused) FAIL_CHECK("accepted with " << n << " bytes");
    }
    const TempDir dir;
    support::spill(dir / "cut", good.substr(0, good.size() - 1));
    CHECK_THROWS_AS(load<Value>(dir / "cut"), hoist::Error);
    support::spill(dir / "long", good + "!");
    CHECK_THROWS_AS(load<Value>(dir / "long"), hoist::Error);
  }
}

TEST_CASE("every changed byte of a small file gives a value or an error") {
  const hoist::LoadOptions bounded{.limits = {.max_bytes = 1 << 24, .max_memory = 1 << 24}};
  for (const Json& entry : manifest()["files"].items) {
    const std::string name = entry["file"].text;
    if (entry["size"].number() > 600) continue;
    CAPTURE(name);
    const std::string good = support::slurp(corpus / name);
    for (std::size_t i = 0; i < good.size(); ++i) {
      for (const int mask : {0x01, 0x80, 0xFF}) {
        std::string bad = good;
        bad[i] = static_cast<char>(bad[i] ^ mask);
        std::istringstream in(bad);
        try {
          (void)load<Value>(in, bounded).to_string();
        } catch (const hoist::Error&) {
        }
      }
    }
  }
}
