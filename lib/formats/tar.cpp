// SPDX-License-Identifier: BSD-3-Clause
#include "formats/tar.hpp"

#include <hoist/error.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <span>
#include <string_view>

namespace hoist::detail::formats {

namespace {

struct TarHead {
  char name[100];
  char mode[8];
  char uid[8];
  char gid[8];
  char size[12];
  char mtime[12];
  char checksum[8];
  char type;
  char link[100];
  char magic[6];
  char version[2];
  char user[32];
  char group[32];
  char major[8];
  char minor[8];
  char prefix[155];
  char padding[12];
};
static_assert(sizeof(TarHead) == tar_block);

/// Sizes that eleven octal digits can't express are binary, with the first bit set.
constexpr std::uint64_t octal_limit = std::uint64_t{1} << 33;

template <std::size_t n>
void put_octal(char (&field)[n], std::uint64_t value) {
  field[n - 1] = '\0';
  for (std::size_t i = n - 1; i-- > 0; value >>= 3) {
    field[i] = static_cast<char>('0' + (value & 7));
  }
}

void put_size(char (&field)[12], std::uint64_t value) {
  if (value < octal_limit) return put_octal(field, value);
  field[0] = static_cast<char>(0x80);
  for (std::size_t i = 12; i-- > 1; value >>= 8) field[i] = static_cast<char>(value & 0xff);
}

/// Nothing for what is no number, or a number that is too large.
std::optional<std::uint64_t> number(std::span<const char> field) {
  std::uint64_t value = 0;
  if ((field[0] & 0x80) != 0) {
    for (std::size_t i = 1; i < field.size(); ++i) {
      if (value >> 55 != 0) return std::nullopt;
      value = value << 8 | static_cast<unsigned char>(field[i]);
    }
    return value;
  }
  std::string_view text(field.data(), ::strnlen(field.data(), field.size()));
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  if (text.empty()) return 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 8);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// Of all bytes, those of the field for it taken as spaces.
std::uint64_t sum_of(const TarHead& head) {
  TarHead copy = head;
  std::memset(copy.checksum, ' ', sizeof copy.checksum);
  std::uint64_t sum = 0;
  for (const std::byte one : std::as_bytes(std::span(&copy, 1))) {
    sum += std::to_integer<std::uint64_t>(one);
  }
  return sum;
}

std::string text_of(std::span<const char> field) {
  return {field.data(), ::strnlen(field.data(), field.size())};
}

}  // namespace

void write_tar_head(ByteSink& out, const TarMember& member) {
  TarHead head{};
  const std::string& name = member.name;
  // The last components, as many as fit, in `name`; the others in `prefix`.
  if (name.size() <= sizeof head.name) {
    std::memcpy(head.name, name.data(), name.size());
  } else {
    const std::size_t slash = name.find('/', name.size() - sizeof head.name - 1);
    if (slash > sizeof head.prefix) {  // or there is none
      throw BadArgument("the name " + name + " is too long for a tar archive");
    }
    std::memcpy(head.prefix, name.data(), slash);
    std::memcpy(head.name, name.data() + slash + 1, name.size() - slash - 1);
  }
  put_octal(head.mode, 0644);
  put_octal(head.uid, 0);
  put_octal(head.gid, 0);
  put_size(head.size, member.bytes);
  put_octal(head.mtime, 0);
  head.type = '0';
  std::memcpy(head.magic, "ustar", 6);
  std::memcpy(head.version, "00", 2);
  char checksum[7];
  put_octal(checksum, sum_of(head));
  std::memcpy(head.checksum, checksum, sizeof checksum);
  head.checksum[7] = ' ';
  out.write(std::as_bytes(std::span(&head, 1)));
}

void write_tar_padding(ByteSink& out, std::uint64_t bytes) {
  static constexpr std::array<std::byte, tar_block> zeros{};
  out.write(std::span(zeros).first((tar_block - bytes % tar_block) % tar_block));
}

void write_tar_end(ByteSink& out) {
  static constexpr std::array<std::byte, 2 * tar_block> zeros{};
  out.write(zeros);
}

namespace {

/// What stands in front of a member says of it.
struct Extension {
  std::optional<std::string> name;
  std::optional<std::uint64_t> bytes;
};

/// Records "LENGTH KEY=VALUE\n" (POSIX pax). Returns whether they are sound.
bool read_records(std::string_view records, Extension& to) {
  while (!records.empty()) {
    std::size_t length = 0;
    const auto [end, error] =
        std::from_chars(records.data(), records.data() + records.size(), length);
    const auto digits = static_cast<std::size_t>(end - records.data());
    if (error != std::errc() || length > records.size() || length < digits + 2) return false;
    const std::string_view record = records.substr(digits + 1, length - digits - 2);
    records.remove_prefix(length);
    const std::size_t equals = record.find('=');
    const std::string_view key = record.substr(0, equals);
    const std::string_view value = equals < record.size() ? record.substr(equals + 1) : "";
    if (key == "path") to.name = value;
    if (key == "size") {
      const auto [last, wrong] = std::from_chars(value.begin(), value.end(), to.bytes.emplace());
      if (wrong != std::errc() || last != value.end()) return false;
    }
  }
  return true;
}

/// Takes the content of a member that speaks of the next one.
bool read_extension(ByteSource& in, char type, std::uint64_t bytes, Extension& to) {
  constexpr std::uint64_t most = std::uint64_t{1} << 20;
  if (bytes > most) return false;
  std::string text((bytes + tar_block - 1) / tar_block * tar_block, '\0');
  if (in.read(reinterpret_cast<std::byte*>(text.data()), text.size()) != text.size()) return false;
  text.resize(bytes);
  if (type == 'x') return read_records(text, to);
  to.name = text_of(text);
  return true;
}

}  // namespace

std::optional<TarMember> read_tar_head(ByteSource& in, const std::string& archive) {
  for (Extension extension;;) {
    TarHead head{};
    if (in.read(reinterpret_cast<std::byte*>(&head), sizeof head) != sizeof head) {
      throw DamagedData(archive + " is no tar archive, or it is cut short");
    }
    const auto bytes = std::as_bytes(std::span(&head, 1));
    if (std::ranges::all_of(bytes, [](std::byte one) { return one == std::byte{0}; })) {
      return std::nullopt;
    }
    const auto size = number(head.size);
    if (!size || number(head.checksum) != sum_of(head)) {
      throw DamagedData(archive + " is no tar archive, or it is changed");
    }
    if (head.type == 'L' || head.type == 'x') {
      if (read_extension(in, head.type, *size, extension)) continue;
      throw DamagedData(archive + " is cut short, or changed where it tells a long name");
    }
    TarMember member{.name = text_of(head.name),
                     .bytes = extension.bytes.value_or(*size),
                     .is_file = head.type == '0' || head.type == '\0'};
    // With its NUL: GNU tar, which writes spaces, has other things in the place of `prefix`.
    if (std::memcmp(head.magic, "ustar", 6) == 0 && head.prefix[0] != '\0') {
      member.name = text_of(head.prefix) + "/" + member.name;
    }
    if (extension.name) member.name = *extension.name;
    return member;
  }
}

}  // namespace hoist::detail::formats
