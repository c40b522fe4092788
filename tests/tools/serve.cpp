// SPDX-License-Identifier: BSD-3-Clause
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <string>
#include <vector>

#include "support/hard_limit.hpp"
#include "support/json.hpp"
#include "support/publishing.hpp"
#include "support/redis_server.hpp"
#include "support/run_tool.hpp"

using namespace std::chrono_literals;
using support::has;
using support::Json;
using support::RuntimeDir;

namespace {

/// `hoist top --serve`, and what it has printed.
struct Server {
  explicit Server(const RuntimeDir& dir)
      : log((dir / "served").string()),
        process({support::tool, "top", "--serve", "127.0.0.1:0", "--interval", "0.1"}, log) {
    REQUIRE(support::within(20s, [&] { return has(support::slurp(log), "/\n"); }));
    const std::string line = support::slurp(log);
    const std::string scheme = "hoist top: http://127.0.0.1:";
    REQUIRE(line.starts_with(scheme));
    port = std::stoi(line.substr(scheme.size()));
    prefix = line.substr(line.find('/', scheme.size()));
    prefix.pop_back();
    host = "127.0.0.1:" + std::to_string(port);
  }

  int connect() const {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = ::htons(static_cast<std::uint16_t>(port));
    name.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(fd, reinterpret_cast<sockaddr*>(&name), sizeof name) == 0);
    return fd;
  }

  /// What is answered to bytes, until the server closes the connection.
  std::string answer_to(const std::string& bytes) const {
    const int fd = connect();
    CHECK(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(bytes.size()));
    std::string answer;
    char buffer[4096];
    for (ssize_t got = 0; (got = ::recv(fd, buffer, sizeof buffer, 0)) > 0;) {
      answer.append(buffer, static_cast<std::size_t>(got));
    }
    ::close(fd);
    return answer;
  }

  std::string get(const std::string& path, const std::string& headers = "") const {
    return answer_to("GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n" +
                     headers + "\r\n");
  }

  std::string log;
  support::Daemon process;
  int port = 0;
  std::string prefix;
  std::string host;
};

std::string status(const std::string& answer) { return answer.substr(0, answer.find("\r\n")); }
std::string body(const std::string& answer) { return answer.substr(answer.find("\r\n\r\n") + 4); }

}  // namespace

TEST_CASE("publishes <b> until told" * doctest::skip()) { support::publish_until_told("threads"); }

TEST_CASE("hoist top --serve shows running programs as a page and as JSON") {
  if (!support::has_tool()) return;
  const support::HardLimit limit;
  const RuntimeDir dir;
  support::ChildProgram child("publishes <b> until told");
  Server server(dir);
  Json program;
  REQUIRE(support::within(20s, [&] {
    const Json programs = Json::parse(body(server.get(server.prefix + "programs.json")));
    if (programs.items.size() != 1) return false;
    program = programs.items[0];
    return support::is_at_rest(program);
  }));
  CHECK(program["pid"].text == std::to_string(child.pid()));
  const std::string page = server.get(server.prefix);
  CHECK(status(page) == "HTTP/1.1 200 OK");
  CHECK(has(page, "Content-Type: text/html; charset=utf-8\r\n"));
  CHECK(has(page, "Content-Security-Policy: default-src 'none'"));
  CHECK(has(page, "<progress max=\"10\" value=\"4\""));
  CHECK(has(page, "<td>half<td>2<td>6<td>25 %"));
  CHECK(has(page, "publishes &lt;b&gt; until told"));
  CHECK_FALSE(has(page, "<b>"));
  CHECK(has(server.get(server.prefix + "top.css"), "Content-Type: text/css"));
  CHECK(has(server.get(server.prefix + "top.js"), "setTimeout(look, 100);"));
  const std::string head =
      server.answer_to("HEAD " + server.prefix + " HTTP/1.0\r\nHost: " + server.host + "\r\n\r\n");
  CHECK(status(head) == "HTTP/1.1 200 OK");
  CHECK(body(head).empty());
  dir.release();
  REQUIRE(child.ends_within(20s));
  CHECK(support::within(20s, [&] { return has(server.get(server.prefix), "No program"); }));
  ::kill(server.process.pid(), SIGTERM);
  CHECK(support::within(20s, [&] { return server.process.has_ended(); }));
}

TEST_CASE("hoist top --serve answers nobody but those who know its whole address") {
  if (!support::has_tool()) return;
  const support::HardLimit limit;
  const RuntimeDir dir;
  const Server server(dir);
  CHECK(status(server.get("/")) == "HTTP/1.1 403 Forbidden");
  CHECK(status(server.get("/favicon.ico")) == "HTTP/1.1 403 Forbidden");
  CHECK(status(server.get("/" + std::string(32, '0') + "/")) == "HTTP/1.1 403 Forbidden");
  CHECK(status(server.get(server.prefix + "other")) == "HTTP/1.1 404 Not Found");
  CHECK(status(server.get(server.prefix, "Sec-Fetch-Site: cross-site\r\n")) ==
        "HTTP/1.1 403 Forbidden");
  CHECK(status(server.get(server.prefix, "Sec-Fetch-Site: same-origin\r\n")) == "HTTP/1.1 200 OK");
  const auto ask = [&](const std::string& first, const std::string& host) {
    return status(
        server.answer_to(first + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n"));
  };
  CHECK(ask("GET " + server.prefix, "rebound.example:" + std::to_string(server.port)) ==
        "HTTP/1.1 421 Misdirected Request");
  CHECK(ask("DELETE " + server.prefix, server.host) == "HTTP/1.1 405 Method Not Allowed");
  // Nothing, and no more memory than that of one request.
  CHECK(server.answer_to("no HTTP\r\n\r\n").empty());
  CHECK(server.answer_to("GET /" + std::string(100'000, 'x')).empty());
  CHECK(server.answer_to("GET " + server.prefix + " HTTP/1.1\r\nContent-Length: 1000000000\r\n\r\n")
            .empty());
  // Those who are silent keep nobody out for long, and no more of them are let in.
  std::vector<int> silent;
  for (int i = 0; i < 40; ++i) silent.push_back(server.connect());
  char byte = 0;
  CHECK(::recv(silent.back(), &byte, 1, 0) == 0);
  for (const int fd : silent) ::close(fd);
  CHECK(
      support::within(20s, [&] { return status(server.get(server.prefix)) == "HTTP/1.1 200 OK"; }));

  for (const char* address : {"0.0.0.0:0", "192.0.2.1:80", "[::]:0"}) {
    const auto ran = support::run_tool("top --serve " + std::string(address));
    CHECK(ran.code == 2);
    CHECK(has(ran.error, "can be reached from other machines"));
  }
  for (const char* address : {"127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:99999", "x:1"}) {
    const auto ran = support::run_tool("top --serve " + std::string(address));
    CHECK(ran.code == 2);
    CHECK(has(ran.error, "is no address"));
  }
  const auto taken = support::run_tool("top --serve " + server.host);
  CHECK(taken.code == 2);
  CHECK(has(taken.error, "can't serve at \"" + server.host + "\": "));
}
