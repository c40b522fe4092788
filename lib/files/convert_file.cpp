// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/convert_file.hpp>

#include <hoist/array.hpp>
#include <hoist/codec.hpp>
#include <hoist/error.hpp>
#include <hoist/value.hpp>

#include <complex>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dynamic/dtype_check.hpp"
#include "dynamic/schema_parser.hpp"
#include "dynamic/schema_types.hpp"
#include "files/dump_plan.hpp"
#include "files/opened_file.hpp"
#include "formats/npy.hpp"
#include "os/atomic_file.hpp"
#include "os/run_parallel.hpp"

namespace hoist::detail::files {

namespace {

/// The schema of an array of numbers; null for other elements, and for numbers that need another
/// byte order.
const Schema* schema_of_array(const DType& dtype) {
  if (dtype.big_endian) return nullptr;
  const std::size_t size = dtype.itemsize;
  switch (dtype.kind) {
    case 'i':
      return size == 1   ? &schema_of<Array<std::int8_t>>()
             : size == 2 ? &schema_of<Array<std::int16_t>>()
             : size == 4 ? &schema_of<Array<std::int32_t>>()
             : size == 8 ? &schema_of<Array<std::int64_t>>()
                         : nullptr;
    case 'u':
      return size == 1   ? &schema_of<Array<std::uint8_t>>()
             : size == 2 ? &schema_of<Array<std::uint16_t>>()
             : size == 4 ? &schema_of<Array<std::uint32_t>>()
             : size == 8 ? &schema_of<Array<std::uint64_t>>()
                         : nullptr;
    case 'f':
      return size == 4   ? &schema_of<Array<float>>()
             : size == 8 ? &schema_of<Array<double>>()
                         : nullptr;
    case 'c':
      return size == 8    ? &schema_of<Array<std::complex<float>>>()
             : size == 16 ? &schema_of<Array<std::complex<double>>>()
                          : nullptr;
    default: return nullptr;
  }
}

/// The head of an array in a .npy file, whose elements come next.
std::optional<formats::NpyHeader> npy_array(OpenedFile& file) {
  std::string start(12, '\0');
  base::PeekableSource& in = file.source();
  const auto peeked = in.peek(start.size());
  if (peeked.size() < start.size()) return std::nullopt;
  std::memcpy(start.data(), peeked.data(), start.size());
  const auto byte = [&](std::size_t i) {
    return static_cast<std::size_t>(static_cast<unsigned char>(start[i]));
  };
  if (byte(6) < 1 || byte(6) > 3 || byte(7) != 0) return std::nullopt;
  const bool is_short = byte(6) == 1;
  const std::size_t front = is_short ? 10 : 12;
  const std::size_t bytes =
      byte(8) | byte(9) << 8 | (is_short ? 0 : byte(10) << 16 | byte(11) << 24);
  if (bytes > (std::size_t{1} << 20)) return std::nullopt;
  const auto all = in.peek(front + bytes);
  if (all.size() < front + bytes) return std::nullopt;
  const std::string text(reinterpret_cast<const char*>(all.data()) + front, bytes);
  auto head = formats::parse_npy_header(text, byte(6) == 3);
  if (schema_of_array(head.dtype) == nullptr) return std::nullopt;
  in.take(front + bytes);
  return head;
}

/// The same of an array in a container, whose segment comes next.
std::optional<formats::NpyHeader> container_array(formats::ContainerReader& reader) {
  const dynamic::ParsedSchema schema(reader.schema());
  if (schema.root().kind != dynamic::SchemaNode::Kind::array) return std::nullopt;
  const auto layout = dynamic::element_layout(schema.root().part(0));
  if (!layout || schema_of_array(layout->dtype) == nullptr) return std::nullopt;
  formats::NpyHeader head{.dtype = layout->dtype, .shape = {}};
  Decoder decoder(reader);
  traverse_extents(decoder, head.shape, head.order);
  return head;
}

/// The segment of an array.
class SegmentSource final : public ByteSource {
 public:
  explicit SegmentSource(formats::ContainerReader& reader) : reader_(reader) {}
  /// Whole blocks are asked for, but for the last one.
  std::size_t read(std::byte* to, std::size_t n) override {
    std::size_t got = 0;
    while (got < n) {
      const std::size_t part = reader_.read_block({to + got, n - got});
      if (part == 0) break;
      got += part;
    }
    return got;
  }

 private:
  formats::ContainerReader& reader_;
};

/// Copies the elements, in whole blocks.
void copy(ByteSource& from, ByteSink& to, std::uint64_t bytes) {
  std::vector<std::byte> piece(std::size_t{8} << 20);
  for (std::uint64_t left = bytes; left > 0; left -= piece.size()) {
    piece.resize(static_cast<std::size_t>(std::min<std::uint64_t>(left, piece.size())));
    if (from.read(piece.data(), piece.size()) != piece.size()) {
      throw DamagedData("an array is cut short");
    }
    to.write(piece);
  }
}

/// `check_end` is called before the file gets its name.
void write_array(const formats::NpyHeader& head, std::uint64_t bytes, ByteSource& elements,
                 const std::function<void()>& check_end, const std::filesystem::path& path,
                 const DumpOptions& options) {
  const DumpPlan plan = plan_dump(path, options.compress);
  os::AtomicFile file(path);
  std::unique_ptr<ByteSink> stream;
  if (plan.stream != nullptr) {
    stream = plan.stream->compressor(file, plan.level, os::transfer_threads(options.threads));
  }
  ByteSink& out = stream ? *stream : file;
  if (plan.format == Format::npy) {
    const std::string front = formats::npy_preamble(head);
    out.write(std::as_bytes(std::span(front)));
    copy(elements, out, bytes);
  } else {
    formats::ContainerWriter writer(out, *schema_of_array(head.dtype), plan.blocks, plan.level,
                                    options.filter, options.threads);
    Encoder encoder;
    Shape shape = head.shape;
    Order order = head.order;
    traverse_extents(encoder, shape, order);
    writer.emit(encoder.take().meta, {});
    if (bytes > 0) {
      writer.emit_from(elements, bytes, static_cast<std::uint32_t>(head.dtype.itemsize));
    }
    writer.finish();
  }
  check_end();
  if (stream) stream->finish();
  file.commit(options.fsync);
}

/// Converts a file of one array of numbers without having it in memory. False if it is none, and
/// can be opened again.
bool convert_array(const std::filesystem::path& from, const std::filesystem::path& to,
                   const DumpOptions& options) {
  const auto target = format_for_name(to);
  if (target && target != Format::npy) return false;
  OpenedFile file(from);
  const auto is_none = [&] {
    file.expect_regular();
    return false;
  };
  if (file.format() == Format::npy) {
    const auto head = npy_array(file);
    if (!head) return is_none();
    const std::uint64_t bytes = dynamic::checked_bytes(head->dtype, head->shape);
    const auto check_end = [&] {
      if (!file.source().peek(1).empty()) throw DamagedData("there are bytes after its array");
    };
    write_array(*head, bytes, file.source(), check_end, to, options);
    return true;
  }
  if (file.format()) return is_none();
  formats::ContainerReader reader = file.container();
  const auto head = container_array(reader);
  if (!head) return is_none();
  const std::uint64_t bytes = dynamic::checked_bytes(head->dtype, head->shape);
  if (bytes > 0) reader.expect_segment(static_cast<std::size_t>(bytes));
  SegmentSource elements(reader);
  const auto check_end = [&] {
    std::byte beyond;
    if (bytes > 0) elements.read(&beyond, 1);  // nothing: it is checked
    reader.finish();
    reader.expect_end();
  };
  write_array(*head, bytes, elements, check_end, to, options);
  return true;
}

}  // namespace

}  // namespace hoist::detail::files

namespace hoist {

void convert_file(const std::filesystem::path& from, const std::filesystem::path& to,
                  const DumpOptions& options) {
  try {
    if (detail::files::convert_array(from, to, options)) return;
  } catch (const DamagedData& error) {
    const std::string name = from.string();
    if (std::string_view(error.what()).find(name) != std::string_view::npos) throw;
    throw DamagedData("\"" + name + "\": " + error.what());
  }
  dump(load<Value>(from), to, options);
}

}  // namespace hoist
