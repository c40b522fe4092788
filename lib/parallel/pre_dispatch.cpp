// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/error.hpp>

#include <cctype>
#include <charconv>
#include <cmath>
#include <string>
#include <string_view>
#include <system_error>

#include "parallel/settings.hpp"

namespace hoist::detail::parallel {

namespace {

constexpr double max_value = 1e6;
constexpr std::size_t max_length = 100;

/// A recursive descent parser of
///   sum:     product (('+' | '-') product)*
///   product: sign (('*' | '/' | '//' | '%') sign)*
///   sign:    '-' sign | power
///   power:   atom ('**' sign)?
///   atom:    number | n_jobs | '(' sum ')'
class Expression {
 public:
  Expression(const std::string& text, unsigned n_jobs) : text_(text), left_(text), jobs_(n_jobs) {
    if (text.size() > max_length) fail("is too long");
  }

  double value() {
    const double value = sum();
    if (!next().empty()) fail("can't be understood from \"" + std::string(left_) + "\" on");
    return value;
  }

 private:
  [[noreturn]] void fail(const std::string& how) {
    throw BadArgument(
        "pre_dispatch \"" + text_ + "\" " + how +
        "; it must be a number, \"all\", or an expression in n_jobs with + - * / // % "
        "** and parentheses");
  }
  double checked(double value) {
    if (!(std::fabs(value) <= max_value)) fail("goes beyond a million");
    return value;
  }
  std::string_view next() {
    while (!left_.empty() && std::isspace(static_cast<unsigned char>(left_.front())) != 0) {
      left_.remove_prefix(1);
    }
    return left_;
  }
  bool eat(std::string_view token) {
    if (!next().starts_with(token)) return false;
    left_.remove_prefix(token.size());
    return true;
  }
  double divisor() {
    const double value = sign();
    if (value == 0) fail("divides by zero");
    return value;
  }
  double sum() {
    double value = product();
    for (;;) {
      if (eat("+")) {
        value = checked(value + product());
      } else if (eat("-")) {
        value = checked(value - product());
      } else {
        return value;
      }
    }
  }
  double product() {
    double value = sign();
    for (;;) {
      if (eat("//")) {
        value = checked(std::floor(value / divisor()));
      } else if (eat("/")) {
        value = checked(value / divisor());
      } else if (eat("%")) {
        const double by = divisor();
        value = checked(value - std::floor(value / by) * by);
      } else if (eat("*")) {
        value = checked(value * sign());
      } else {
        return value;
      }
    }
  }
  double sign() { return eat("-") ? -sign() : power(); }
  double power() {
    const double base = atom();
    return eat("**") ? checked(std::pow(base, sign())) : base;
  }
  double atom() {
    if (eat("(")) {
      const double value = sum();
      if (!eat(")")) fail("lacks a closing parenthesis");
      return value;
    }
    if (eat("n_jobs")) return jobs_;
    const std::string_view rest = next();
    if (rest.empty()) fail("ends too early");
    double value = 0;
    // Not std::stod, for which the point may be a comma.
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
    const bool is_number = std::isdigit(static_cast<unsigned char>(rest[0])) != 0 || rest[0] == '.';
    if (!is_number || error != std::errc()) {
      fail("can't be understood from \"" + std::string(rest) + "\" on");
    }
    left_.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    return checked(value);
  }

  const std::string& text_;
  std::string_view left_;
  double jobs_;
};

}  // namespace

std::size_t evaluate_pre_dispatch(const std::string& text, unsigned n_jobs) {
  const double value = Expression(text, n_jobs).value();
  return value < 1 ? 0 : static_cast<std::size_t>(value);
}

}  // namespace hoist::detail::parallel
