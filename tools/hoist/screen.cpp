// SPDX-License-Identifier: BSD-3-Clause
#include "screen.hpp"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <thread>

namespace hoist::tool {

namespace {

volatile std::sig_atomic_t was_signalled = 0;

void write_out(const std::string& text) {
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
}

}  // namespace

Screen::Screen() {
  struct sigaction action{};
  action.sa_handler = [](int) { was_signalled = 1; };
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaction(signal, &action, nullptr);
  has_keys_ = ::isatty(STDIN_FILENO) == 1 && ::tcgetattr(STDIN_FILENO, &before_) == 0;
  if (has_keys_) {
    termios keys = before_;
    // Each key at once, and unseen; Ctrl-C and Ctrl-Z are keys.
    keys.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO | ISIG);
    ::tcsetattr(STDIN_FILENO, TCSANOW, &keys);
  }
  write_out("\x1b[?1049h\x1b[?25l");  // another screen, without a cursor
}

Screen::~Screen() {
  write_out("\x1b[?25h\x1b[?1049l");
  if (has_keys_) ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
}

Screen::Size Screen::size() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) {
    return {};
  }
  return {.columns = size.ws_col, .rows = size.ws_row};
}

void Screen::draw(const std::vector<std::string>& lines) {
  std::string text = "\x1b[H";
  const std::size_t shown = std::min(lines.size(), size().rows);
  for (std::size_t i = 0; i < shown; ++i) {
    text += lines[i] + "\x1b[K";
    if (i + 1 < shown) text += "\r\n";
  }
  write_out(text + "\x1b[J");
}

bool Screen::wait(std::chrono::milliseconds time) const {
  if (was_signalled != 0) return false;
  if (!has_keys_) {
    ::poll(nullptr, 0, static_cast<int>(time.count()));
    return was_signalled == 0;
  }
  pollfd keys{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
  if (::poll(&keys, 1, static_cast<int>(time.count())) <= 0) return was_signalled == 0;
  char key = 0;
  constexpr char control_c = 3;
  return ::read(STDIN_FILENO, &key, 1) == 1 && key != 'q' && key != 'Q' && key != control_c;
}

}  // namespace hoist::tool
