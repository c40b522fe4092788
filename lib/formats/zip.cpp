// SPDX-License-Identifier: BSD-3-Clause
#include "formats/zip.hpp"

#include <hoist/error.hpp>

#include <algorithm>
#include <cstring>
#include <set>

#include "dynamic/elements.hpp"

namespace hoist::detail::formats {

namespace {

constexpr std::uint32_t all32 = 0xFFFFFFFF;
constexpr std::uint16_t all16 = 0xFFFF;
constexpr std::uint16_t utf8_flag = 1U << 11;
constexpr std::uint16_t descriptor_flag = 1U << 3;  // checksum and sizes stand behind the data
constexpr std::size_t end_bytes = 22;
constexpr std::size_t local_bytes = 30;
constexpr std::size_t central_bytes = 46;

/// Little-endian numbers at a place in a string.
template <class T>
T at(const std::string& text, std::size_t offset) {
  T value;
  std::memcpy(&value, text.data() + offset, sizeof value);
  return value;
}
template <class T>
void add(std::string& text, T value) {
  text.append(reinterpret_cast<const char*>(&value), sizeof value);
}

/// A name in the code page 437, the format's original one, as UTF-8.
std::string from_code_page_437(std::string_view name) {
  static constexpr std::u16string_view upper_half =
      u"\u00c7\u00fc\u00e9\u00e2\u00e4\u00e0\u00e5\u00e7\u00ea\u00eb\u00e8\u00ef\u00ee\u00ec\u00c4"
      u"\u00c5"
      u"\u00c9\u00e6\u00c6\u00f4\u00f6\u00f2\u00fb\u00f9\u00ff\u00d6\u00dc\u00a2\u00a3\u00a5\u20a7"
      u"\u0192"
      u"\u00e1\u00ed\u00f3\u00fa\u00f1\u00d1\u00aa\u00ba\u00bf\u2310\u00ac\u00bd\u00bc\u00a1\u00ab"
      u"\u00bb"
      u"\u2591\u2592\u2593\u2502\u2524\u2561\u2562\u2556\u2555\u2563\u2551\u2557\u255d\u255c\u255b"
      u"\u2510"
      u"\u2514\u2534\u252c\u251c\u2500\u253c\u255e\u255f\u255a\u2554\u2569\u2566\u2560\u2550\u256c"
      u"\u2567"
      u"\u2568\u2564\u2565\u2559\u2558\u2552\u2553\u256b\u256a\u2518\u250c\u2588\u2584\u258c\u2590"
      u"\u2580"
      u"\u03b1\u00df\u0393\u03c0\u03a3\u03c3\u00b5\u03c4\u03a6\u0398\u03a9\u03b4\u221e\u03c6\u03b5"
      u"\u2229"
      u"\u2261\u00b1\u2265\u2264\u2320\u2321\u00f7\u2248\u00b0\u2219\u00b7\u221a\u207f\u00b2\u25a0"
      u"\u00a0";
  static_assert(upper_half.size() == 128);
  std::string text;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      text += c;
    } else {
      dynamic::append_code_point(text, upper_half[byte - 0x80U]);
    }
  }
  return text;
}

struct Directory {
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
  std::uint64_t offset = 0;
  std::uint64_t end = 0;  // where the records of the end begin
};

Directory find_directory(const ZipBytes& zip) {
  const std::size_t most = std::size_t{all16} + end_bytes;
  const auto tail_bytes = static_cast<std::size_t>(std::min<std::uint64_t>(zip.size(), most));
  const std::uint64_t tail_at = zip.size() - tail_bytes;
  const std::string tail = zip.text(tail_at, tail_bytes);
  const std::size_t found = tail.rfind("PK\5\6");
  if (found == std::string::npos || tail.size() - found < end_bytes) {
    zip.damaged("it is cut short: the zip archive has no end");
  }
  const std::string end = tail.substr(found);
  const std::size_t used = end_bytes + at<std::uint16_t>(end, 20);
  if (end.size() < used) zip.damaged("it is cut short: the zip archive has no end");
  // Media and programs that write whole blocks fill the last one with zeros.
  if (end.find_first_not_of('\0', used) != std::string::npos) {
    zip.damaged("there are bytes behind the end of the zip archive");
  }
  if (at<std::uint32_t>(end, 4) != 0 || at<std::uint16_t>(end, 8) != at<std::uint16_t>(end, 10)) {
    zip.damaged("the zip archive is in several parts");
  }
  Directory all{at<std::uint16_t>(end, 10), at<std::uint32_t>(end, 12), at<std::uint32_t>(end, 16),
                tail_at + found};
  if (all.entries == all16 || all.bytes == all32 || all.offset == all32) {
    if (all.end < 20) zip.damaged("its zip64 record is missing");
    const std::string locator = zip.text(all.end - 20, 20);
    if (!locator.starts_with("PK\6\7")) zip.damaged("its zip64 record is missing");
    const auto record_at = at<std::uint64_t>(locator, 8);
    if (record_at > zip.size() || zip.size() - record_at < 56)
      zip.damaged("its zip64 record is missing");
    const std::string record = zip.text(record_at, 56);
    if (!record.starts_with("PK\6\6")) zip.damaged("its zip64 record is missing");
    all.entries = at<std::uint64_t>(record, 32);
    all.bytes = at<std::uint64_t>(record, 40);
    all.offset = at<std::uint64_t>(record, 48);
    all.end = record_at;
  }
  return all;
}

/// Takes the sizes that did not fit from the zip64 extra field.
void apply_zip64(const std::string& extra, ZipMember& member) {
  for (std::size_t i = 0; i + 4 <= extra.size();) {
    const auto tag = at<std::uint16_t>(extra, i);
    const std::size_t size = at<std::uint16_t>(extra, i + 2);
    i += 4;
    if (size > extra.size() - i) return;
    if (tag == 1) {
      std::size_t next = i;
      for (std::uint64_t* number : {&member.size, &member.stored, &member.offset}) {
        if (*number != all32 || i + size - next < 8) continue;
        *number = at<std::uint64_t>(extra, next);
        next += 8;
      }
    }
    i += size;
  }
}

}  // namespace

ZipBytes::ZipBytes(os::FileSource& file, std::string name)
    : file_(&file), size_(*os::regular_size(file.fd())), name_(std::move(name)) {}

void ZipBytes::damaged(const std::string& what) const { throw DamagedData(name_ + ": " + what); }

void ZipBytes::read(std::uint64_t from, std::byte* to, std::size_t n) const {
  if (from > size_ || n > size_ - from) damaged("a part of the zip archive lies outside it");
  if (file_ == nullptr) {
    std::memcpy(to, bytes_.data() + from, n);
  } else if (os::read_at(file_->fd(), to, n, from, file_->path().native()) != n) {
    damaged("it is cut short");
  }
}

std::string ZipBytes::text(std::uint64_t from, std::size_t n) const {
  if (from > size_ || n > size_ - from) damaged("a part of the zip archive lies outside it");
  std::string result(n, '\0');
  read(from, reinterpret_cast<std::byte*>(result.data()), n);
  return result;
}

std::vector<ZipMember> zip_members(const ZipBytes& zip, std::uint64_t most) {
  const Directory all = find_directory(zip);
  if (all.entries > most) {
    throw LimitExceeded(zip.name() + ": it has more than " + std::to_string(most) +
                        " members, which LoadOptions::limits.max_nodes allows");
  }
  if (all.offset > all.end || all.bytes > all.end - all.offset ||
      all.bytes > all.entries * (central_bytes + 3 * std::size_t{all16})) {
    zip.damaged("its directory lies outside it");
  }
  const std::string directory = zip.text(all.offset, static_cast<std::size_t>(all.bytes));
  std::vector<ZipMember> members;
  std::set<std::string> names;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> spans;
  std::size_t i = 0;
  for (std::uint64_t k = 0; k < all.entries; ++k) {
    if (directory.size() - i < central_bytes || directory.compare(i, 4, "PK\1\2") != 0) {
      zip.damaged("its directory is damaged");
    }
    const auto flags = at<std::uint16_t>(directory, i + 8);
    const auto method = at<std::uint16_t>(directory, i + 10);
    const std::size_t name_bytes = at<std::uint16_t>(directory, i + 28);
    const std::size_t extra_bytes = at<std::uint16_t>(directory, i + 30);
    const std::size_t comment_bytes = at<std::uint16_t>(directory, i + 32);
    if (directory.size() - i - central_bytes < name_bytes + extra_bytes + comment_bytes) {
      zip.damaged("its directory is damaged");
    }
    ZipMember member{.name = directory.substr(i + central_bytes, name_bytes),
                     .method = static_cast<ZipMethod>(method),
                     .crc = at<std::uint32_t>(directory, i + 16),
                     .size = at<std::uint32_t>(directory, i + 24),
                     .stored = at<std::uint32_t>(directory, i + 20),
                     .offset = at<std::uint32_t>(directory, i + 42)};
    apply_zip64(directory.substr(i + central_bytes + name_bytes, extra_bytes), member);
    i += central_bytes + name_bytes + extra_bytes + comment_bytes;
    if ((flags & 1U) != 0) zip.damaged("its members are encrypted");
    if (member.method != ZipMethod::stored && member.method != ZipMethod::deflated &&
        member.method != ZipMethod::bzip2) {
      zip.damaged("a member is compressed by method " + std::to_string(method) +
                  "; only stored, deflated and bzip2 ones can be read");
    }
    if (!names.insert(member.name).second) zip.damaged("two members have one name");
    if (member.offset > all.offset || all.offset - member.offset < local_bytes) {
      zip.damaged("a member lies outside it");
    }
    if (member.name.ends_with('/') && member.size == 0) continue;
    const std::string local = zip.text(member.offset, local_bytes);
    if (!local.starts_with("PK\3\4")) zip.damaged("a member has no header");
    // No checksum covers a name; that it stands there twice does nearly as well.
    if (at<std::uint16_t>(local, 26) != member.name.size() ||
        zip.text(member.offset + local_bytes, member.name.size()) != member.name) {
      zip.damaged("a member has two names");
    }
    if ((flags & utf8_flag) == 0) {
      member.name = from_code_page_437(member.name);
    } else if (!dynamic::is_utf8(member.name)) {
      zip.damaged("a member's name is not UTF-8");
    }
    const std::uint64_t from = member.offset;
    member.offset += local_bytes + at<std::uint16_t>(local, 26) + at<std::uint16_t>(local, 28);
    if (member.offset > all.offset || member.stored > all.offset - member.offset) {
      zip.damaged("a member lies outside it");
    }
    if (member.method == ZipMethod::stored && member.stored != member.size)
      zip.damaged("a member has two sizes");
    spans.emplace_back(from, member.offset + member.stored);
    members.push_back(std::move(member));
  }
  if (i != directory.size()) zip.damaged("its directory is damaged");
  std::sort(spans.begin(), spans.end());
  for (std::size_t k = 1; k < spans.size(); ++k) {
    if (spans[k].first < spans[k - 1].second) zip.damaged("two members overlap");
  }
  return members;
}

void ZipWriter::put(const std::string& bytes) {
  out_.write(std::as_bytes(std::span(bytes)));
  position_ += bytes.size();
}

namespace {

/// What local header and directory entry have in common, from the flags to the sizes.
void add_common(std::string& text, const ZipMember& member, bool zip64) {
  add(text, static_cast<std::uint16_t>(
                utf8_flag | (member.method == ZipMethod::deflated ? descriptor_flag : 0U)));
  add(text, static_cast<std::uint16_t>(member.method));
  add(text, std::uint16_t{0});             // midnight
  add(text, std::uint16_t{(1 << 5) | 1});  // of 1980-01-01
  add(text, member.crc);
  add(text, zip64 ? all32 : static_cast<std::uint32_t>(member.stored));
  add(text, zip64 ? all32 : static_cast<std::uint32_t>(member.size));
  add(text, static_cast<std::uint16_t>(member.name.size()));
}

/// Decided before a member is deflated, which may make it a little longer.
bool needs_zip64(const ZipMember& member) { return member.size >= 0xF0000000; }

}  // namespace

void ZipWriter::begin(const ZipMember& member) {
  if (member.name.size() > all16) throw BadArgument("the name of a .npz member is too long");
  const bool zip64 = needs_zip64(member);
  members_.push_back(member);
  members_.back().offset = position_;
  std::string head = "PK\3\4";
  add(head, static_cast<std::uint16_t>(zip64 ? 45 : 20));
  ZipMember told = member;
  if (member.method == ZipMethod::deflated) {
    told.crc = 0;
    told.size = told.stored = 0;
  }
  add_common(head, told, zip64);
  add(head, static_cast<std::uint16_t>(zip64 ? 20 : 0));
  head += member.name;
  if (zip64) {
    add(head, std::uint16_t{1});
    add(head, std::uint16_t{16});
    add(head, told.size);
    add(head, told.stored);
  }
  put(head);
}

void ZipWriter::end(std::uint32_t crc, std::uint64_t stored) {
  ZipMember& member = members_.back();
  member.crc = crc;
  member.stored = stored;
  position_ += stored;
  if (member.method == ZipMethod::stored) return;
  std::string descriptor = "PK\7\10";
  add(descriptor, crc);
  if (needs_zip64(member)) {
    add(descriptor, stored);
    add(descriptor, member.size);
  } else {
    add(descriptor, static_cast<std::uint32_t>(stored));
    add(descriptor, static_cast<std::uint32_t>(member.size));
  }
  put(descriptor);
}

void ZipWriter::finish() {
  const std::uint64_t start = position_;
  for (const ZipMember& member : members_) {
    const bool zip64 = needs_zip64(member) || member.offset >= all32;
    std::string entry = "PK\1\2";
    add(entry, static_cast<std::uint16_t>(zip64 ? 45 : 20));
    add(entry, static_cast<std::uint16_t>(zip64 ? 45 : 20));
    add_common(entry, member, zip64);
    add(entry, static_cast<std::uint16_t>(zip64 ? 28 : 0));
    entry.append(10, '\0');  // comment, disk, attributes
    add(entry, zip64 ? all32 : static_cast<std::uint32_t>(member.offset));
    entry += member.name;
    if (zip64) {
      add(entry, std::uint16_t{1});
      add(entry, std::uint16_t{24});
      add(entry, member.size);
      add(entry, member.stored);
      add(entry, member.offset);
    }
    put(entry);
  }
  const std::uint64_t bytes = position_ - start;
  const bool zip64 = members_.size() >= all16 || bytes >= all32 || start >= all32;
  std::string end;
  if (zip64) {
    end = "PK\6\6";
    add(end, std::uint64_t{44});
    add(end, std::uint16_t{45});
    add(end, std::uint16_t{45});
    add(end, std::uint64_t{0});
    add(end, std::uint64_t{members_.size()});
    add(end, std::uint64_t{members_.size()});
    add(end, bytes);
    add(end, start);
    end += "PK\6\7";
    add(end, std::uint32_t{0});
    add(end, position_);
    add(end, std::uint32_t{1});
  }
  const auto count = static_cast<std::uint16_t>(std::min<std::size_t>(members_.size(), all16));
  end += "PK\5\6";
  add(end, std::uint32_t{0});
  add(end, count);
  add(end, count);
  add(end, zip64 ? all32 : static_cast<std::uint32_t>(bytes));
  add(end, zip64 ? all32 : static_cast<std::uint32_t>(start));
  add(end, std::uint16_t{0});
  put(end);
}

}  // namespace hoist::detail::formats
