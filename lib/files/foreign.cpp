// SPDX-License-Identifier: BSD-3-Clause
#include "files/foreign.hpp"

#include <hoist/error.hpp>
#include <hoist/value.hpp>

#include <algorithm>

#include "dynamic/conversion.hpp"
#include "dynamic/encoded_stream.hpp"
#include "dynamic/schema_types.hpp"
#include "formats/input.hpp"
#include "formats/npy.hpp"
#include "formats/spool.hpp"
#include "pickle/pickle.hpp"

namespace hoist::detail::files {

namespace {

/// Values of files of less than this can be there more than once.
constexpr std::uint64_t little_bytes = std::uint64_t{1} << 20;

/// The value as a Value that borrows its arrays from it.
Value value_of(const Schema& schema, const EncodeCall& call, Encoded& encoded) {
  if (schema.text == untyped_schema) return *static_cast<const Value*>(call.value);
  Encoder encoder;
  call.run(call.value, encoder);
  encoded = encoder.take();
  dynamic::SharingSource source(encoded, nullptr);
  Decoder decoder(source);
  const dynamic::ParsedSchema parsed(schema.text);
  Value value = dynamic::read_value(parsed.root(), decoder, ~std::uint64_t{0});
  decoder.finish();
  return value;
}

Value read_archive(const ForeignSource& from, const dynamic::SchemaNode* wanted) {
  if (from.options.mmap != MmapMode::none) {
    throw BadArgument(from.name +
                      " is an .npz archive, whose members can't be mapped: load it without "
                      "mmap, or dump each array to a .npy file");
  }
  const formats::NpzReading reading{from.name, from.options, pickle::read_object_array, wanted};
  if (from.file != nullptr) return formats::read_npz(*from.file, reading);
  formats::Spool spool(from.in, from.most, from.name);
  return spool.file() != nullptr ? formats::read_npz(*spool.file(), reading)
                                 : formats::read_npz(spool.bytes(), reading);
}

formats::Input input_of(const ForeignSource& from) {
  if (from.options.mmap != MmapMode::none && from.file == nullptr) {
    throw BadArgument(from.name +
                      " is compressed (or no regular file) and can't be mapped: load it "
                      "without mmap, or dump it with compress = false");
  }
  formats::Input input(from.in, from.file, from.name, from.options, from.most);
  input.set_path(from.path);
  return input;
}

void check_end(formats::Input& input) {
  if (!input.at_end()) input.damaged("there are bytes behind the end of the value");
}

Value read_foreign(Format format, const ForeignSource& from, const dynamic::SchemaNode* wanted) {
  if (format == Format::npz) return read_archive(from, wanted);
  formats::Input input = input_of(from);
  Value value = format == Format::npy ? formats::read_npy(input, pickle::read_object_array, wanted)
                                      : pickle::read_pickle(input);
  check_end(input);
  return value;
}

/// What NumPy calls arr_0, arr_1, ... had no names when it was dumped.
Value without_names(Value value, const dynamic::SchemaNode& schema) {
  using SchemaKind = dynamic::SchemaNode::Kind;
  if (schema.kind == SchemaKind::map || schema.kind == SchemaKind::structure) return value;
  std::vector<Value> items;
  for (const auto& [key, part] : value.entries()) {
    if (key.as_text() != "arr_" + std::to_string(items.size())) return value;
    items.push_back(part);
  }
  const bool several =
      schema.kind == SchemaKind::tuple || schema.kind == SchemaKind::object ||
      ((schema.kind == SchemaKind::list || schema.kind == SchemaKind::fixed_list) &&
       !dynamic::element_layout(schema.part(0)));
  if (several) return Value::tuple(std::move(items));
  return items.size() == 1 ? items[0] : value;
}

dynamic::Conversion conversion(const LoadOptions& options, const Schema& schema) {
  return {.mapped = options.mmap != MmapMode::none,
          .defaults = options.missing_members == MissingMembers::keep_default ? &schema : nullptr,
          .skip_unknown = options.unknown_members == UnknownMembers::skip};
}

/// Decodes a value, which is given up. `little`: what takes less time, but two times the memory.
void decode(const dynamic::SchemaNode& schema, Value value, const dynamic::Conversion& how,
            bool little, const DecodeCall& call) {
  if (!little) {
    return dynamic::encode_while_reading(
        [&](EncodeSink& to) { dynamic::encode_as(schema, std::move(value), how, to); },
        [&](DecodeSource& from) { call.run(call.value, from); });
  }
  Encoded encoded = dynamic::encode_as(schema, value, how);
  value = {};  // so that what is copied next has no other owner
  dynamic::SharingSource source(encoded, nullptr);
  call.run(call.value, source);
}

/// In two passes, so that its parts need not be there all at once. `schema`: null for a Value.
void load_pickle(const ForeignSource& from, const dynamic::SchemaNode* schema,
                 const DecodeCall& call) {
  const bool mapped = from.options.mmap != MmapMode::none;
  formats::Input input = input_of(from);
  input.begin_first_pass();
  auto outline = pickle::survey_pickle(input);
  // Here and not in the second pass: what comes out of a source is read by users' code, perhaps.
  if (outline && !input.at_end()) outline.reset();
  const bool little = outline && input.position() < little_bytes;
  input.rewind();
  if (schema == nullptr || !outline || little) {
    Value value = pickle::read_pickle(input, outline ? &*outline : nullptr);
    check_end(input);
    if (schema != nullptr)
      return decode(*schema, std::move(value), {.mapped = mapped}, little, call);
    *static_cast<Value*>(call.value) = std::move(value);
    return;
  }
  dynamic::encode_while_reading(
      [&](EncodeSink& to) {
        dynamic::encode_parts_as(*schema, mapped, to, [&](dynamic::ValueSink& sink) {
          pickle::give_pickle(input, *outline, sink);
        });
      },
      [&](DecodeSource& source) { call.run(call.value, source); });
}

}  // namespace

std::optional<Format> format_for_name(std::filesystem::path path) {
  if (codec_for_extension(path) != nullptr) path.replace_extension();
  const std::string extension = path.extension().string();
  if (extension == ".npy") return Format::npy;
  if (extension == ".npz") return Format::npz;
  if (extension == ".joblib" || extension == ".pkl" || extension == ".pickle") {
    return Format::pickle;
  }
  return std::nullopt;
}

std::optional<Format> format_of_content(std::span<const std::byte> first) {
  const std::string_view text(reinterpret_cast<const char*>(first.data()), first.size());
  if (text.starts_with("\x93NUMPY")) return Format::npy;
  if (text.starts_with("PK\3\4") || text.starts_with("PK\5\6")) return Format::npz;
  if (text.size() < 2) return std::nullopt;
  if (text[0] == '\x80') return Format::pickle;
  // The opcodes with which protocols 0 and 1, which have no mark of their own, can begin.
  static constexpr std::string_view openers = "(])}cNILFVSTUXKMJG";
  if (openers.find(text[0]) != std::string_view::npos) return Format::pickle;
  return std::nullopt;
}

const char* default_codec(Format format) { return format == Format::pickle ? "zlib" : "gzip"; }

void dump_foreign(Format format, ByteSink& out, bool compressed, int level, unsigned threads,
                  const Schema& schema, const EncodeCall& call) {
  if (format == Format::pickle && schema.text != untyped_schema) {
    const dynamic::ParsedSchema parsed(schema.text);
    return dynamic::read_while_encoding([&](Encoder& encoder) { call.run(call.value, encoder); },
                                        [&](DecodeSource& source) {
                                          Decoder decoder(source);
                                          pickle::write_pickle(out, parsed.root(), decoder,
                                                               compressed);
                                          decoder.finish();
                                        });
  }
  Encoded encoded;
  const Value value = value_of(schema, call, encoded);
  switch (format) {
    case Format::npy: formats::write_npy(out, value); break;
    case Format::npz: formats::write_npz(out, value, compressed ? 0 : level, threads); break;
    case Format::pickle: pickle::write_pickle(out, value, compressed); break;
  }
}

void load_foreign(Format format, const ForeignSource& from, const Schema& schema,
                  const DecodeCall& call) {
  // Codecs and conversions don't know the file's name.
  const auto named = [&](const std::exception& error) {
    const std::string what = error.what();
    return what.find(from.name) != std::string::npos ? what : from.name + ": " + what;
  };
  try {
    const bool untyped = schema.text == untyped_schema;
    const bool little = from.in.left().value_or(little_bytes) < little_bytes;
    const dynamic::Conversion how = conversion(from.options, schema);
    const bool twice = format == Format::pickle && !little && !matches_names(from.options);
    if (untyped) {
      if (twice) return load_pickle(from, nullptr, call);
      *static_cast<Value*>(call.value) = read_foreign(format, from, nullptr);
      return;
    }
    const dynamic::ParsedSchema parsed(schema.text);
    if (twice) return load_pickle(from, &parsed.root(), call);
    Value value = read_foreign(format, from, &parsed.root());
    if (format == Format::npz) value = without_names(std::move(value), parsed.root());
    decode(parsed.root(), std::move(value), how, little, call);
  } catch (const WrongType& error) {
    throw WrongType(named(error));
  } catch (const LimitExceeded& error) {
    throw LimitExceeded(named(error));
  } catch (const UnsafeData& error) {
    throw UnsafeData(named(error));
  } catch (const DamagedData& error) {
    throw DamagedData(named(error));
  }
}

bool matches_names(const LoadOptions& options) {
  return options.missing_members == MissingMembers::keep_default ||
         options.unknown_members == UnknownMembers::skip;
}

void load_converted(formats::ContainerReader& reader, const LoadOptions& options,
                    const Schema& schema, const DecodeCall& call) {
  const dynamic::ParsedSchema in_file(reader.schema());
  Decoder decoder(reader);
  Value value = dynamic::read_value(in_file.root(), decoder, options.limits.max_nodes);
  decoder.finish();
  if (schema.text == untyped_schema) {
    *static_cast<Value*>(call.value) = std::move(value);
  } else {
    const dynamic::ParsedSchema asked(schema.text);
    decode(asked.root(), std::move(value), conversion(options, schema), true, call);
  }
}

}  // namespace hoist::detail::files
