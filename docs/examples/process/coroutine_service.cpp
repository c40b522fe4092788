// SPDX-License-Identifier: BSD-3-Clause
//
// A TCP service with one thread: it answers simple requests at once while worker processes compute
// what takes long, and a timer reports what is under way. Its client is in the same program.

#include <hoist/asio.hpp>
#include <hoist/hoist.hpp>

#include <boost/asio.hpp>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <exception>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using namespace std::chrono_literals;

long fibonacci(long n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }

struct Service {
  hoist::ProcessPoolExecutor workers{{.max_workers = 2}};
  int under_way = 0;
  int most_under_way = 0;
};

/// Answers the lines of one client: "ping", or a number whose Fibonacci number is wanted.
asio::awaitable<void> serve(Service& service, tcp::socket client) {
  std::string buffer;
  for (;;) {
    const auto [error, length] = co_await asio::async_read_until(
        client, asio::dynamic_buffer(buffer), '\n', asio::as_tuple(asio::use_awaitable));
    if (error) co_return;  // it has gone
    const std::string line = buffer.substr(0, length - 1);
    buffer.erase(0, length);
    std::string answer = "pong\n";
    if (line != "ping") {
      ++service.under_way;
      const long result = co_await hoist::async_run(service.workers, fibonacci, std::stol(line));
      --service.under_way;
      answer = std::to_string(result) + '\n';
    }
    co_await asio::async_write(client, asio::buffer(answer), asio::use_awaitable);
  }
}

asio::awaitable<void> accept(Service& service, tcp::acceptor& acceptor) {
  for (;;) {
    tcp::socket client = co_await acceptor.async_accept(asio::use_awaitable);
    asio::co_spawn(acceptor.get_executor(), serve(service, std::move(client)), asio::detached);
  }
}

asio::awaitable<void> report(Service& service) {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  for (;;) {
    service.most_under_way = std::max(service.most_under_way, service.under_way);
    timer.expires_after(1ms);
    co_await timer.async_wait(asio::use_awaitable);
  }
}

asio::awaitable<std::string> ask(tcp::endpoint address, std::string question) {
  tcp::socket server(co_await asio::this_coro::executor);
  co_await server.async_connect(address, asio::use_awaitable);
  question += '\n';
  co_await asio::async_write(server, asio::buffer(question), asio::use_awaitable);
  std::string answer;
  co_await asio::async_read_until(server, asio::dynamic_buffer(answer), '\n', asio::use_awaitable);
  answer.pop_back();
  co_return answer;
}

asio::awaitable<void> be_client(tcp::endpoint address) {
  std::vector<asio::awaitable<std::string>> questions;
  for (const int n : {38, 37, 36}) questions.push_back(ask(address, std::to_string(n)));
  questions.push_back(ask(address, "ping"));
  auto answers = hoist::as_completed(questions);
  // The service is not kept from answering by what it computes.
  std::printf("first: %s\n", (co_await answers.next())->c_str());
  long sum = 0;
  while (const auto answer = co_await answers.next()) sum += std::stol(*answer);
  std::printf("sum of the others: %ld\n", sum);
}

}  // namespace

int main() {
  Service service;
  asio::io_context io;
  tcp::acceptor acceptor(io, {asio::ip::address_v4::loopback(), 0});
  asio::co_spawn(io, accept(service, acceptor), asio::detached);
  asio::co_spawn(io, report(service), asio::detached);
  asio::co_spawn(io, be_client(acceptor.local_endpoint()), [&](const std::exception_ptr& error) {
    if (error) std::rethrow_exception(error);
    io.stop();
  });
  io.run();
  std::printf("several calls were under way at a time: %s\n",
              service.most_under_way > 1 ? "yes" : "no");
}
