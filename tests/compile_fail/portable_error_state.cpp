// SPDX-License-Identifier: BSD-3-Clause
// expect: an exception with members arrives as itself if it has a member

#include <hoist/register_error.hpp>

#include <stdexcept>

class Refused : public std::runtime_error, hoist::PortableError<Refused> {
 public:
  explicit Refused(const std::string& text, int code = 0) : std::runtime_error(text), code_(code) {}
  int code() const { return code_; }

 private:
  int code_;
};

int main() { throw Refused("no", 5); }
