// SPDX-License-Identifier: BSD-3-Clause
#include "redis/url.hpp"

#include <doctest/doctest.h>
#include <hoist/error.hpp>
#include <hoist/memory.hpp>
#include <hoist/redis.hpp>

#include <cstdlib>
#include <string>

using hoist::detail::redis::Url;
using namespace std::chrono_literals;

namespace {

/// An environment variable, for a scope.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) { ::setenv(name, value, 1); }
  ~Variable() { ::unsetenv(name_); }

 private:
  const char* name_;
};

std::string what_is_wrong(const std::string& text) {
  try {
    const Url url(text);
  } catch (const hoist::BadArgument& error) {
    return error.what();
  }
  return "nothing";
}

}  // namespace

TEST_CASE("the parts of a URL") {
  const Url plain("redis://localhost");
  CHECK(plain.address.host() == "localhost");
  CHECK(plain.address.port() == "6379");
  CHECK(plain.name == "hoist");
  CHECK(plain.database == 0);
  CHECK_FALSE(plain.tls);
  CHECK(plain.password.empty());

  const Url full(
      "rediss://us%3Aer:p%40ss@head.example:7000/3/my%20project?ttl=60&timeout=0.5&tls_ca=/ca.pem");
  CHECK(full.tls);
  CHECK(full.user == "us:er");
  CHECK(full.password == "p@ss");
  CHECK(full.address.host() == "head.example");
  CHECK(full.address.port() == "7000");
  CHECK(full.database == 3);
  CHECK(full.name == "my project");
  CHECK(full.ttl == 60s);
  CHECK(full.timeout == 500ms);
  CHECK(full.tls_ca == "/ca.pem");
  CHECK(full.server == "rediss://head.example:7000");

  CHECK(Url("redis://:secret@[fe80::1]/name").address.host() == "fe80::1");
  CHECK(Url("redis://[::1]:1/2").database == 2);
  CHECK(Url("redis://localhost/a/b").name == "a/b");
  CHECK(Url("redis://localhost/a@b").name == "a@b");
  CHECK(Url("redis://localhost/given", "own").name == "own");

  const Url path("unix://:secret@/run/redis.sock?db=2&name=project");
  CHECK(path.address.path() == "/run/redis.sock");
  CHECK(path.password == "secret");
  CHECK(path.database == 2);
  CHECK(path.name == "project");
}

TEST_CASE("what is no URL is refused, without showing its password") {
  for (const char* text :
       {"http://head", "redis://", "redis://user:secret/@h", "redis://:secret?@h/name",
        "redis://:secret@", "redis://:secret@:1", "redis://:secret@h:x",
        "redis://:secret@h/?what=1", "redis://:secret@h/?ttl=0", "redis://:secret@h/?ttl=soon",
        "redis://:secret@h/{x}", "redis://:secret@h/%zz", "redis://:secret@h/%00",
        "redis://:secret@h/99999999999", "unix://secret", "redis://:secret@h?timeout=-1"}) {
    CAPTURE(text);
    const std::string wrong = what_is_wrong(text);
    CHECK(wrong != "nothing");
    CHECK(wrong.find("secret") == std::string::npos);
  }
}

TEST_CASE("files for TLS are refused where there would be none") {
  // They were ignored, and a certificate took the place of the password.
  for (const char* option : {"tls_ca", "tls_cert", "tls_key"}) {
    const std::string rest = "://head/x?" + std::string(option) + "=/file.pem";
    CHECK(what_is_wrong("redis" + rest).find("rediss://") != std::string::npos);
    CHECK(what_is_wrong("redis://:pw@localhost/x?" + std::string(option) + "=/f") != "nothing");
  }
  CHECK(what_is_wrong("rediss://head/x?tls_cert=/file.pem") == "nothing");
  CHECK_THROWS_AS(hoist::use_redis({.url = "redis://localhost/x", .tls_ca = "/file.pem"}),
                  hoist::BadArgument);
}

TEST_CASE("another machine needs a password") {
  CHECK(what_is_wrong("redis://head/x").find("has no password") != std::string::npos);
  CHECK_THROWS_AS(hoist::Memory("redis://head/x"), hoist::BadArgument);
  // A name that begins with 127 is no address of this machine.
  CHECK(what_is_wrong("redis://127.example/x") != "nothing");
  CHECK(what_is_wrong("redis://127.0.0.2/x") == "nothing");
  CHECK(what_is_wrong("redis://:pw@head/x") == "nothing");
  {
    const Variable password("HOIST_REDIS_PASSWORD", "from outside");
    CHECK(Url("redis://head/x").password == "from outside");
    CHECK(Url("redis://:own@head/x").password == "own");
  }
  const Variable insecure("HOIST_INSECURE", "1");
  CHECK(what_is_wrong("redis://head/x") == "nothing");
}
