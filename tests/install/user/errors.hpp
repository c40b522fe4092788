// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/register_error.hpp>

#include <stdexcept>
#include <string>

/// Thrown by a library of the user's.
class ParseError : public std::runtime_error, hoist::PortableError<ParseError> {
 public:
  explicit ParseError(const std::string& text = {}, int line = 0)
      : std::runtime_error(text), line_(line) {}
  int line() const { return line_; }
  template <class Ar>
  void serialize(Ar& ar) {
    ar(line_);
  }

 private:
  int line_;
};

int parse(int line);
