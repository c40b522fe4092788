// SPDX-License-Identifier: BSD-3-Clause
#include "slurm/journal.hpp"

#include <hoist/detail/code_address.hpp>
#include <hoist/error.hpp>

#include <charconv>
#include <fstream>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/quoted.hpp"
#include "os/atomic_file.hpp"
#include "os/file.hpp"

namespace hoist::detail::slurm {

namespace {

namespace fs = std::filesystem;

constexpr const char* folders[] = {"jobs", "chunks", "results", "blobs", "output"};
constexpr std::size_t tail_bytes = 4000;
constexpr int tail_lines = 20;

/// Names of files, but for temporaries. The directory is opened anew, whereupon network file
/// systems ask for what has changed.
std::vector<std::string> list(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    std::string name = at->path().filename().string();
    if (!name.starts_with('.')) names.push_back(std::move(name));
  }
  return names;
}

/// Results of another build were computed by other code.
void check_build(const fs::path& directory) {
  const fs::path path = directory / "build";
  std::string own;
  for (const char byte : module_name(0).build_id) {
    constexpr const char* digits = "0123456789abcdef";
    own += digits[(byte >> 4) & 15];
    own += digits[byte & 15];
  }
  if (const auto known = os::read_text(path)) {
    if (*known == own) return;
    throw BadArgument(base::quoted(path) +
                      " says that this journal is of another build of the program (build-id " +
                      known->substr(0, 64) + " there, " + own +
                      " here), whose functions may compute something else: use another "
                      "SlurmOptions::directory, or remove this one");
  }
  os::AtomicFile file(path);
  file.write(std::as_bytes(std::span(own)));
  file.commit();
}

}  // namespace

Journal::Journal(fs::path directory) : directory_(std::move(directory)) {
  for (const char* folder : folders) {
    std::error_code error;
    fs::create_directories(directory_ / folder, error);
    if (error) os::throw_system("make the directory", directory_ / folder, error.value());
  }
  check_build(directory_.parent_path());
}

std::set<std::string> Journal::results() const {
  const auto names = list(directory_ / "results");
  return {names.begin(), names.end()};
}

void Journal::remove_result(const TaskKey& key) const {
  std::error_code ignored;
  fs::remove(result(key), ignored);
}

void Journal::add(const Submission& submission) const {
  std::string text;
  for (const auto& element : submission.elements) {
    for (const TaskKey& key : element) text += key.name() + " ";
    text += "\n";
  }
  os::AtomicFile file(in("jobs", submission.name));
  file.write(std::as_bytes(std::span(text)));
  file.commit(true);
}

std::vector<Submission> Journal::submissions() const {
  std::vector<Submission> all;
  for (const std::string& name : list(directory_ / "jobs")) {
    if (name.ends_with(".sh")) continue;
    Submission one{.name = name, .elements = {}};
    std::ifstream file(in("jobs", name));
    for (std::string line; std::getline(file, line);) {
      auto& keys = one.elements.emplace_back();
      for (std::string_view left = line; !left.empty();) {
        const std::string_view word = left.substr(0, left.find(' '));
        left.remove_prefix(std::min(left.size(), word.size() + 1));
        TaskKey key;
        const auto [end, error] = std::from_chars(word.begin(), word.end(), key.index);
        // What is no key is no task's.
        if (error != std::errc() || word.end() - end != 33) continue;
        try {
          key.digest = Digest::from_hex(std::string_view(end + 1, word.end()));
          keys.push_back(key);
        } catch (const BadArgument&) {
        }
      }
    }
    all.push_back(std::move(one));
  }
  return all;
}

void Journal::forget(const std::string& job) const {
  std::error_code ignored;
  fs::remove(in("jobs", job), ignored);
  fs::remove(script(job), ignored);
  for (const std::string& name : list(directory_ / "chunks")) {
    if (name.starts_with(job + ".")) fs::remove(in("chunks", name), ignored);
  }
}

std::string last_lines(const fs::path& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return {};
  const auto size = static_cast<std::size_t>(file.tellg());
  const std::size_t bytes = std::min(size, tail_bytes);
  file.seekg(static_cast<std::streamoff>(size - bytes));
  std::string text(bytes, '\0');
  file.read(text.data(), static_cast<std::streamsize>(bytes));
  while (text.ends_with('\n')) text.pop_back();
  std::size_t from = text.size();
  for (int lines = 0; lines < tail_lines && from != std::string::npos; ++lines) {
    from = from == 0 ? std::string::npos : text.rfind('\n', from - 1);
  }
  return from == std::string::npos ? text : text.substr(from + 1);
}

}  // namespace hoist::detail::slurm
