// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

// How commands write what they have found: for people and as JSON.

namespace hoist::tool {

/// "1.5 MiB", "2.5 ms", "3 days ago", "1,000,000", "2.5/s", and as ISO 8601 in UTC.
std::string bytes_text(std::uint64_t bytes);
std::string duration_text(std::chrono::nanoseconds duration);
std::string age_text(std::chrono::system_clock::time_point time);
std::string count_text(std::uint64_t count);
std::string rate_text(double per_second);
std::string utc_text(std::chrono::system_clock::time_point time);
/// "1 entry", "2 entries".
std::string counted(std::uint64_t count, std::string_view one, std::string_view many);

/// Text in bold, or faint, where stdout is a terminal and NO_COLOR isn't set.
std::string bold(std::string_view text);
std::string faint(std::string_view text);
std::string red(std::string_view text);
bool has_colours();
/// Whether stderr is a terminal, on which progress may be shown.
bool shows_progress();

/// A text without what a terminal obeys, and with ? in place of what is no UTF-8.
std::string printable(std::string_view text);
/// Columns of a terminal that a text takes: its code points.
std::size_t width_of(std::string_view text);

/// Rows with aligned columns, written to stdout.
class Table {
 public:
  /// Columns whose heading begins with '>' are aligned to the right.
  explicit Table(std::vector<std::string> headings);
  void add(std::vector<std::string> row);
  void print() const;

 private:
  std::vector<bool> right_;
  std::vector<std::vector<std::string>> rows_;
};

/// For CLI::Option::check: what is wrong with an argument that is to be a number from `least` to
/// `most`; empty if nothing is.
std::string number_fault(const std::string& text, double least, double most);

/// Writes a file that appears whole or not at all, as an AtomicFile does. Throws NotFound or
/// SystemError.
void write_whole(const std::filesystem::path& path, std::string_view content);

}  // namespace hoist::tool
