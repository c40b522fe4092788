// SPDX-License-Identifier: BSD-3-Clause
#include "redis/url.hpp"

#include <hoist/error.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <string_view>
#include <system_error>
#include <utility>

namespace hoist::detail::redis {

namespace {

constexpr std::string_view schemes[] = {"redis://", "rediss://", "unix://"};
constexpr std::size_t max_name = 200;

/// The message must not show a password, so it doesn't show the URL.
[[noreturn]] void throw_bad(const std::string& what) {
  throw BadArgument("the URL of a Redis server " + what +
                    "; write redis://:PASSWORD@HOST:PORT/NAME, rediss:// for TLS, or "
                    "unix:///PATH/OF/SOCKET?name=NAME");
}

/// What stands for a byte as %XX.
std::string decoded(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned byte = static_cast<unsigned char>(text[i]);
    if (text[i] == '%') {
      const char* const end = text.data() + std::min(text.size(), i + 3);
      const auto [at, error] = std::from_chars(text.data() + i + 1, end, byte, 16);
      if (error != std::errc() || at != text.data() + i + 3)
        throw_bad("has a % without two digits");
      i += 2;
    }
    plain += static_cast<char>(byte);
  }
  if (plain.find('\0') != std::string::npos) throw_bad("has a zero byte");
  return plain;
}

/// Cuts off `text` what is behind the first `mark`, and returns that.
std::string_view cut(std::string_view& text, char mark) {
  const auto at = text.find(mark);
  if (at == std::string_view::npos) return {};
  const std::string_view rest = text.substr(at + 1);
  text = text.substr(0, at);
  return rest;
}

bool is_number(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

unsigned database_of(std::string_view text) {
  unsigned number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) throw_bad("has no such database");
  return number;
}

std::chrono::milliseconds seconds_of(const std::string& text) {
  double seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  const bool is_whole = error == std::errc() && end == text.data() + text.size();
  if (!is_whole || !(seconds >= 0.001 && seconds <= 1e9)) {
    throw_bad("has a time that is no number of seconds above zero");
  }
  return std::chrono::milliseconds(std::llround(seconds * 1000));
}

void set_option(Url& url, std::string_view option) {
  const std::string value = decoded(cut(option, '='));
  const std::pair<std::string_view, std::string*> texts[] = {{"name", &url.name},
                                                             {"tls_ca", &url.tls_ca},
                                                             {"tls_cert", &url.tls_cert},
                                                             {"tls_key", &url.tls_key}};
  for (const auto& [known, field] : texts) {
    if (option == known) {
      *field = value;
      return;
    }
  }
  if (option == "db") {
    url.database = database_of(value);
  } else if (option == "timeout") {
    url.timeout = seconds_of(value);
  } else if (option == "ttl") {
    url.ttl = seconds_of(value);
  } else {
    throw_bad("has the unknown option \"" + std::string(option) + "\"");
  }
}

/// The path of a URL: a database, a name, or both.
void set_path(Url& url, std::string_view path) {
  std::string_view rest = path;
  const std::string_view behind = cut(rest, '/');
  if (is_number(rest)) {
    url.database = database_of(rest);
    path = behind;
  }
  if (!path.empty()) url.name = decoded(path);
}

struct Parts {
  std::string_view scheme;
  std::string_view login;
  std::string_view place;  // with what is behind it
};

Parts parts_of(std::string_view text) {
  for (const std::string_view scheme : schemes) {
    if (!text.starts_with(scheme)) continue;
    text.remove_prefix(scheme.size());
    const auto end = text.find_first_of("/?");
    const auto at = text.substr(0, end).rfind('@');
    if (at == std::string_view::npos) {
      // What seems to be a port then may be the beginning of a password.
      const auto colon = text.substr(0, end).rfind(':');
      if (scheme != "unix://" && !text.starts_with('[') && colon != std::string_view::npos &&
          !is_number(text.substr(colon + 1, end - colon - 1)) &&
          text.find('@') != std::string_view::npos) {
        throw_bad("has a / or a ? in its password, which are %2F and %3F there");
      }
      return {scheme, {}, text};
    }
    return {scheme, text.substr(0, at), text.substr(at + 1)};
  }
  throw_bad("has another scheme");
}

sockets::SocketAddress address_of(const Parts& parts) {
  std::string_view place = parts.place;
  cut(place, '?');
  if (parts.scheme == "unix://") {
    if (!place.starts_with('/')) throw_bad("has no absolute path of a socket");
    return sockets::SocketAddress(decoded(place));
  }
  cut(place, '/');
  const auto bracket = place.rfind(']');
  const auto colon = place.rfind(':');
  const bool has_port =
      colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket);
  if (place.empty() || (has_port && colon == 0)) throw_bad("has no host");
  return sockets::SocketAddress(std::string(place) + (has_port ? "" : ":6379"));
}

/// Whoever names files for TLS would take a connection without it for a safe one.
void check_tls(const Url& url) {
  if (url.tls || (url.tls_ca.empty() && url.tls_cert.empty() && url.tls_key.empty())) return;
  throw_bad("has files for TLS, but its scheme is another than rediss://");
}

bool is_on_this_machine(const sockets::SocketAddress& address) {
  const std::string& host = address.host();
  return address.is_path() || host == "localhost" || host == "::1" ||
         (host.starts_with("127.") &&
          std::ranges::all_of(host, [](char c) { return c == '.' || (c >= '0' && c <= '9'); }));
}

}  // namespace

Url url_of(const RedisOptions& options) {
  Url url(options.url, options.name);
  if (!options.tls_ca.empty()) url.tls_ca = options.tls_ca.string();
  check_tls(url);
  return url;
}

bool is_url(const std::string& text) {
  return std::ranges::any_of(schemes, [&](auto scheme) { return text.starts_with(scheme); });
}

Url::Url(const std::string& text, const std::string& own_name)
    : address(address_of(parts_of(text))) {
  const Parts parts = parts_of(text);
  tls = parts.scheme == "rediss://";
  server = std::string(parts.scheme) + address.text();
  std::string_view name_of_user = parts.login;
  password = decoded(cut(name_of_user, ':'));
  user = decoded(name_of_user);
  if (const char* secret = std::getenv("HOIST_REDIS_PASSWORD"); password.empty() && secret) {
    password = secret;
  }
  std::string_view place = parts.place;
  for (std::string_view rest = cut(place, '?'); !rest.empty();) {
    std::string_view option = rest;
    rest = cut(option, '&');
    set_option(*this, option);
  }
  if (!address.is_path()) set_path(*this, cut(place, '/'));
  if (!own_name.empty()) name = own_name;
  if (name.empty()) name = "hoist";
  if (name.size() > max_name || name.find_first_of("{}") != std::string::npos) {
    throw_bad("has a name that is too long or has braces");
  }
  check_tls(*this);
  const char* insecure = std::getenv("HOIST_INSECURE");
  const bool may = insecure != nullptr && std::string_view(insecure) == "1";
  if (password.empty() && tls_cert.empty() && !may && !is_on_this_machine(address)) {
    throw BadArgument("the URL of the Redis server " + server +
                      " has no password: who can reach the server could change what this program "
                      "computes with. Give the server one (requirepass) and the URL, or "
                      "HOIST_REDIS_PASSWORD; HOIST_INSECURE=1 allows to do without");
  }
}

}  // namespace hoist::detail::redis
