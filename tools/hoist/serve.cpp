// SPDX-License-Identifier: BSD-3-Clause
#include "serve.hpp"

#include <fmt/format.h>
#include <hoist/error.hpp>

#include <sys/random.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <memory>
#include <system_error>
#include <utility>

#include "base/quoted.hpp"

namespace hoist::tool {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using Handler = std::function<std::optional<WebPage>(std::string_view)>;
using Answer = http::response<http::string_body>;

/// A browser opens six. Who holds more, or is silent for so long, is let go.
constexpr int most_connections = 32;
constexpr std::chrono::seconds patience{15};
constexpr std::chrono::milliseconds pause{100};
constexpr std::uint32_t longest_request = 16 * 1024;

tcp::endpoint parse(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  std::string host = address.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (host == "localhost") host = "127.0.0.1";
  boost::system::error_code error;
  const auto ip = asio::ip::make_address(host, error);
  const auto digits =
      colon == std::string::npos ? std::string_view() : std::string_view(address).substr(colon + 1);
  std::uint16_t port = 0;
  const auto read = std::from_chars(digits.begin(), digits.end(), port);
  if (error || read.ec != std::errc() || read.ptr != digits.end()) {
    throw BadArgument(detail::base::quoted(address) +
                      " is no address: it is to be as 127.0.0.1:8080, or 127.0.0.1:0 for a port "
                      "that is free");
  }
  if (!ip.is_loopback()) {
    throw BadArgument(detail::base::quoted(address) +
                      " can be reached from other machines: serve at 127.0.0.1 and come from there "
                      "by ssh -L");
  }
  return {ip, port};
}

std::string make_secret() {
  std::array<unsigned char, 16> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    throw SystemError("can't get random bytes", errno);
  }
  return fmt::format("{:02x}", fmt::join(bytes, ""));
}

struct Site {
  const Handler& page;
  std::string host;    ///< as browsers name it
  std::string prefix;  ///< of all paths: "/SECRET/"
  int connections = 0;
};

Answer error_answer(http::status status, const std::string& text) {
  Answer answer(status, 11);
  answer.set(http::field::content_type, "text/plain; charset=utf-8");
  answer.body() = text + "\n";
  return answer;
}

Answer find(const Site& site, const http::request<http::empty_body>& request) {
  // A name that leads here from elsewhere, or another site's page that asks.
  if (request[http::field::host] != site.host) {
    return error_answer(http::status::misdirected_request, "ask for http://" + site.host);
  }
  const auto from = request["Sec-Fetch-Site"];
  if (!from.empty() && from != "same-origin" && from != "none") {
    return error_answer(http::status::forbidden, "other sites get nothing");
  }
  const std::string target(request.target());
  if (!target.starts_with(site.prefix)) {
    return error_answer(http::status::forbidden, "use the whole address that was printed");
  }
  if (request.method() != http::verb::get && request.method() != http::verb::head) {
    return error_answer(http::status::method_not_allowed, "there is nothing to change here");
  }
  try {
    auto page = site.page(std::string_view(target).substr(site.prefix.size()));
    if (!page) return error_answer(http::status::not_found, "there is no such page");
    Answer answer(http::status::ok, 11);
    answer.set(http::field::content_type, page->type + "; charset=utf-8");
    answer.body() = std::move(page->content);
    return answer;
  } catch (const std::exception& error) {
    return error_answer(http::status::service_unavailable, error.what());
  }
}

Answer answer_to(const Site& site, const http::request<http::empty_body>& request) {
  Answer answer = find(site, request);
  answer.set(http::field::cache_control, "no-store");
  answer.set("Content-Security-Policy",
             "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
             "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
  answer.set("Cross-Origin-Resource-Policy", "same-origin");
  answer.set("Referrer-Policy", "no-referrer");
  answer.set("X-Content-Type-Options", "nosniff");
  answer.keep_alive(request.keep_alive());
  answer.prepare_payload();
  if (request.method() == http::verb::head) answer.body().clear();
  return answer;
}

/// One connection. Lives as long as something of it is under way.
class Visitor : public std::enable_shared_from_this<Visitor> {
 public:
  Visitor(tcp::socket socket, Site& site) : stream_(std::move(socket)), site_(site) {
    ++site_.connections;
  }
  ~Visitor() { --site_.connections; }
  Visitor(const Visitor&) = delete;
  Visitor& operator=(const Visitor&) = delete;

  void read() {
    parser_.emplace();
    parser_->header_limit(longest_request);
    parser_->body_limit(0);
    stream_.expires_after(patience);
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](const beast::error_code& error, std::size_t) {
                       if (!error) self->answer();
                     });
  }

 private:
  void answer() {
    answer_ = answer_to(site_, parser_->get());
    stream_.expires_after(patience);
    http::async_write(stream_, answer_,
                      [self = shared_from_this()](const beast::error_code& error, std::size_t) {
                        if (!error && self->answer_.keep_alive()) self->read();
                      });
  }

  beast::tcp_stream stream_;
  Site& site_;
  beast::flat_buffer buffer_{longest_request};
  std::optional<http::request_parser<http::empty_body>> parser_;
  Answer answer_;
};

void accept(tcp::acceptor& acceptor, Site& site) {
  acceptor.async_accept([&](const beast::error_code& error, tcp::socket socket) {
    if (error == asio::error::operation_aborted) return;
    if (!error && site.connections < most_connections) {
      std::make_shared<Visitor>(std::move(socket), site)->read();
    }
    if (!error) return accept(acceptor, site);
    // No descriptor is left, say: the one who knocks stays at the door.
    auto timer = std::make_shared<asio::steady_timer>(acceptor.get_executor(), pause);
    timer->async_wait([&, timer](const beast::error_code&) { accept(acceptor, site); });
  });
}

}  // namespace

void serve_pages(const std::string& address, std::string_view name, const Handler& page) {
  const tcp::endpoint endpoint = parse(address);
  Site site{.page = page, .host = {}, .prefix = "/" + make_secret() + "/"};
  asio::io_context context(1);  // ends visitors, who know the site
  try {
    tcp::acceptor acceptor(context, endpoint);
    const tcp::endpoint bound = acceptor.local_endpoint();
    const std::string ip = bound.address().to_string();
    site.host = bound.address().is_v6() ? "[" + ip + "]" : ip;
    if (bound.port() != 80) site.host += ":" + std::to_string(bound.port());
    asio::signal_set signals(context, SIGINT, SIGTERM);
    signals.async_wait([&](const beast::error_code&, int) { context.stop(); });
    accept(acceptor, site);
    fmt::print("{}: http://{}{}\n", name, site.host, site.prefix);
    std::fflush(stdout);
    context.run();
  } catch (const boost::system::system_error& error) {
    throw SystemError("can't serve at " + detail::base::quoted(address), error.code().value());
  }
}

}  // namespace hoist::tool
