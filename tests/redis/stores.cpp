// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/error.hpp>
#include <hoist/memory.hpp>
#include <hoist/store.hpp>

#include <memory>
#include <stdexcept>
#include <string>

#include "memory/store.hpp"
#include "memory/store_contract.hpp"
#include "support/hard_limit.hpp"
#include "support/redis_server.hpp"

using support::HardLimit;
using support::RedisServer;
using support::TempDir;

namespace {

std::unique_ptr<hoist::StoreBackend> open_store(const std::string& url) {
  return hoist::detail::memory::make_store("redis", {.location = url});
}

/// Bytes that differ from piece to piece.
std::string bytes_of(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; i += 1000) text[i] = static_cast<char>(i / 1000 % 251);
  return text;
}

void put(hoist::StoreBackend& store, const std::string& name, const std::string& text,
         std::size_t step) {
  store.put(name, [&](hoist::ByteSink& out) {
    auto left = std::as_bytes(std::span(text));
    while (!left.empty()) {
      const std::size_t part = std::min(step, left.size());
      out.write(left.first(part));
      left = left.subspan(part);
    }
  });
}

std::string get(hoist::StoreBackend& store, const std::string& name) {
  const auto entry = store.get(name);
  if (entry == nullptr) return "(none)";
  std::string text(entry->size() + 1, '\0');
  std::size_t got = 0;
  while (const std::size_t part =
             entry->bytes().read(reinterpret_cast<std::byte*>(text.data()) + got, 777777)) {
    got += part;
    if (text.size() - got < 777777) text.resize(got + 777777);
  }
  text.resize(got);
  return text;
}

constexpr std::size_t mebibyte = std::size_t{1} << 20;

std::size_t lines_of(const std::string& text) {
  return text.empty() ? 0 : static_cast<std::size_t>(std::ranges::count(text, '\n')) + 1;
}

}  // namespace

TEST_CASE("a store on a Redis server keeps the contract") {
  const HardLimit limit;
  const RedisServer server;
  support::StoreContract([&] { return open_store(server.url()); }).run();
  CHECK(server.command("KEYS '*'").empty());
}

TEST_CASE("so does one by TCP with a user, a password and a database") {
  const HardLimit limit;
  const std::string port = std::to_string(support::free_port());
  const RedisServer server({"--port", port, "--user", "default", "off", "--user", "me", "on",
                            ">word", "~{hoist:test}:*", "-@all", "+@read", "+@write", "+@scripting",
                            "+@connection", "+info", "+client|list"});
  support::StoreContract([&] {
    return open_store("redis://me:word@127.0.0.1:" + port + "/3/test");
  }).run();
}

TEST_CASE("and one by TLS, whose server has to prove its name") {
  const HardLimit limit;
  const TempDir certificates;
  support::make_certificates(certificates);
  const std::string port = std::to_string(support::free_port());
  const std::string d = certificates.path().string();
  RedisServer server({"--tls-port", port, "--tls-cert-file", d + "/server.pem", "--tls-key-file",
                      d + "/server.key", "--tls-ca-cert-file", d + "/ca.pem", "--tls-auth-clients",
                      "no"});
  const std::string trusted = "?tls_ca=" + d + "/ca.pem";
  const std::string url = "rediss://localhost:" + port + "/test" + trusted;
  support::StoreContract([&] { return open_store(url); }).run();
  const auto store = open_store(url);
  const std::string large = bytes_of(40 * mebibyte);
  put(*store, "f/v/aa/large", large, 5 * mebibyte);
  CHECK(get(*store, "f/v/aa/large") == large);

  const auto error_of = [](const std::string& text) -> std::string {
    try {
      open_store(text)->get("f/v/aa/x");
      return "none";
    } catch (const hoist::Error& error) {
      return error.what();
    }
  };
  // Another name than the certificate's, nobody to trust, no TLS here, no TLS there.
  CHECK(error_of("rediss://127.0.0.1:" + port + "/test" + trusted).find("certificate") !=
        std::string::npos);
  CHECK(error_of("rediss://localhost:" + port).find("tls_ca=") != std::string::npos);
  CHECK(error_of("redis://localhost:" + port).find("rediss://") != std::string::npos);
  const std::string plain_port = std::to_string(support::free_port());
  const RedisServer plain({"--port", plain_port});
  CHECK(error_of("rediss://localhost:" + plain_port + trusted + "&timeout=0.5").find("no TLS") !=
        std::string::npos);
  CHECK(error_of("rediss://localhost:" + port + "?tls_ca=/nowhere").find("/nowhere") !=
        std::string::npos);

  // With certificates for both sides.
  server.stop();
  const RedisServer strict({"--tls-port", port, "--tls-cert-file", d + "/server.pem",
                            "--tls-key-file", d + "/server.key", "--tls-ca-cert-file",
                            d + "/ca.pem"});
  CHECK(error_of(url) != "none");
  CHECK(error_of(url + "&tls_cert=" + d + "/server.pem&tls_key=" + d + "/server.key") == "none");
}

TEST_CASE("long entries are kept in pieces, of which nothing is left over") {
  const HardLimit limit;
  const RedisServer server;
  const auto store = open_store(server.url());
  const std::string name = "f/v/aa/long";
  for (const std::size_t size : {65 * std::size_t{1024}, 16 * mebibyte - 1, 16 * mebibyte,
                                 16 * mebibyte + 1, 50 * mebibyte}) {
    CAPTURE(size);
    const std::string text = bytes_of(size);
    for (const std::size_t step : {size, 3 * mebibyte + 1}) {
      put(*store, name, text, step);
      CHECK(get(*store, name) == text);
      const std::size_t pieces = (size + 16 * mebibyte - 1) / (16 * mebibyte);
      CHECK(lines_of(server.command("KEYS '{hoist:test}:p:*'")) == pieces);
    }
  }
  // A reader has the old entry as a whole.
  const auto old = store->get(name);
  put(*store, name, "short", 5);
  CHECK(old->size() == 50 * mebibyte);
  CHECK(get(*store, name) == "short");
  CHECK(server.command("KEYS '{hoist:test}:p:*'").empty());
  // A writer that fails.
  CHECK_THROWS_AS(store->put(name,
                             [&](hoist::ByteSink& out) {
                               const std::string text(40 * mebibyte, 'x');
                               out.write(std::as_bytes(std::span(text)));
                               throw std::domain_error("no more");
                             }),
                  std::domain_error);
  CHECK(get(*store, name) == "short");
  CHECK(server.command("KEYS '{hoist:test}:p:*'").empty());
  // A piece that the server has evicted.
  put(*store, name, bytes_of(40 * mebibyte), 40 * mebibyte);
  const std::string piece = server.command("KEYS '{hoist:test}:p:*:1'");
  CHECK(server.command("DEL '" + piece + "'") == "1");
  CHECK(store->get(name) == nullptr);
  CHECK(store->remove(name));
  CHECK(server.command("KEYS '*'").empty());
}

TEST_CASE("what is another's on the server stays as it is") {
  const HardLimit limit;
  const RedisServer server;
  server.command("SET user:1 precious");
  server.command("SET '{hoist:other}:e:f/v/aa/x' precious");
  const auto store = open_store(server.url("t[e]st*"));
  CHECK(store->usage().items == 0);
  put(*store, "f/v/aa/x", "mine", 4);
  put(*store, "f/v/aa/y", "mine", 4);
  CHECK(store->usage().items == 2);
  CHECK(store->usage().bytes == 8);
  store->clear("");
  CHECK(server.command("GET user:1") == "precious");
  CHECK(server.command("DBSIZE") == "2");
  // Under a key of ours there may be anything.
  for (const char* value : {"rubbish", "HE1:", "HE1:zzzzzzzzzzzzzzzz:00000000:0000000000000000:x",
                            "HE1:0000000000000005:00000000:0000000000000000:abc"}) {
    CAPTURE(value);
    server.command("SET '{hoist:t[e]st*}:e:f/v/aa/x' '" + std::string(value) + "'");
    CHECK_THROWS_AS(store->get("f/v/aa/x"), hoist::DamagedData);
    // It can be removed and replaced, also where the server keeps count.
    CHECK(store->remove("f/v/aa/x"));
    put(*store, "f/v/aa/y", "mine", 4);
    server.command("SET '{hoist:t[e]st*}:e:f/v/aa/y' '" + std::string(value) + "'");
    put(*store, "f/v/aa/y", "mine", 4);
    CHECK(get(*store, "f/v/aa/y") == "mine");
    store->list("", [](const hoist::StoreItem&) {});
    CHECK(store->usage().items == 1);
  }
  server.command("LPUSH '{hoist:t[e]st*}:e:f/v/aa/x' 1");
  CHECK_THROWS_AS(store->get("f/v/aa/x"), hoist::SystemError);
  store->clear("");
  CHECK_FALSE(store->contains("f/v/aa/x"));
}

TEST_CASE("a store that is only read sends nothing that writes") {
  const HardLimit limit;
  const RedisServer server({"--user", "reader", "on", ">word", "~{hoist:test}:*", "-@all", "+@read",
                            "+@connection", "+info"});
  const std::string large = bytes_of(20 * mebibyte);
  const auto store = open_store(server.url());
  put(*store, "f/v/aa/short", "short", 5);
  put(*store, "f/v/aa/long", large, mebibyte);
  server.command("PEXPIRE '{hoist:test}:e:f/v/aa/short' 100000");
  const auto reader = hoist::detail::memory::make_store(
      "redis",
      {.location = "unix://reader:word@" + server.socket() + "?name=test", .read_only = true});
  CHECK(get(*reader, "f/v/aa/short") == "short");
  CHECK(get(*reader, "f/v/aa/long") == large);
  CHECK(get(*reader, "f/v/aa/none") == "(none)");
  CHECK(reader->peek("f/v/aa/long")->size() == large.size());
  CHECK(reader->contains("f/v/aa/short"));
  // A record that is wrong stays so.
  server.command("HSET '{hoist:test}:usage' items 7");
  int items = 0;
  reader->list("", [&](const hoist::StoreItem&) { ++items; });
  CHECK(items == 2);
  CHECK(server.command("HGET '{hoist:test}:usage' items") == "7");
  // Nor does a look count as a use.
  CHECK(store->peek("f/v/aa/short") != nullptr);
  CHECK(std::stoll(server.command("PTTL '{hoist:test}:e:f/v/aa/short'")) <= 100000);
  CHECK(get(*store, "f/v/aa/short") == "short");
  CHECK(std::stoll(server.command("PTTL '{hoist:test}:e:f/v/aa/short'")) > 100000);
}

TEST_CASE("all keys expire, entries a while after they were last used") {
  const HardLimit limit;
  const RedisServer server;
  const auto store = open_store(server.url("test", "&ttl=1"));
  put(*store, "f/v/aa/short", "short", 5);
  put(*store, "f/v/aa/long", bytes_of(20 * mebibyte), mebibyte);
  CHECK(store->usage().items == 2);
  const auto lock = store->lock("f/v/aa/short");
  const auto wait = store->announce_wait("f/v/aa/long", {"f/v/aa/short"});
  const std::string all = server.command(
      "EVAL \"for _,k in ipairs(redis.call('KEYS','*')) do if redis.call('PTTL',k)<=0 then return "
      "k "
      "end end return 'all'\" 0");
  CHECK(all == "all");
  CHECK(server.command("DBSIZE") == "7");
  // Longer than a second, used all the time.
  for (int i = 0; i < 15; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    CHECK(get(*store, "f/v/aa/short") == "short");
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(1200));
  CHECK(store->get("f/v/aa/short") == nullptr);
  CHECK(store->usage().items == 0);
}
