// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/dump.hpp>
#include <hoist/error.hpp>

#include "base/byte_streams.hpp"
#include "base/expansion.hpp"
#include "base/iostreams.hpp"
#include "base/quoted.hpp"
#include "codecs/open.hpp"
#include "files/dump_plan.hpp"
#include "files/foreign.hpp"
#include "formats/container.hpp"
#include "os/atomic_file.hpp"
#include "os/file.hpp"
#include "os/run_parallel.hpp"
#include "pickle/companions.hpp"

namespace hoist::detail {

namespace {

/// How many bytes a file may turn out to hold when decompressed.
std::uint64_t most_bytes(const LoadOptions& options, std::optional<std::uint64_t> file_bytes) {
  return std::max(options.limits.max_bytes, base::expanded(file_bytes.value_or(0)));
}

/// Where two schemas begin to differ, with the text around.
std::string difference(const std::string& file, const std::string& asked) {
  std::size_t at = 0;
  while (at < file.size() && at < asked.size() && file[at] == asked[at]) ++at;
  std::size_t from = at;
  while (from > 0 && file[from - 1] != ',' && file[from - 1] != '{' && file[from - 1] != '(')
    --from;
  const auto part = [&](const std::string& text) {
    return from < text.size() ? text.substr(from, 60) : std::string("(nothing)");
  };
  return "the file has " + part(file) + " where " + part(asked) + " is asked for";
}

void write_container(ByteSink& out, const files::DumpPlan& plan, const DumpOptions& options,
                     const Schema& schema, const EncodeCall& call) {
  formats::ContainerWriter writer(out, schema, plan.blocks, plan.level, options.filter,
                                  options.threads);
  Encoder encoder(&writer);
  call.run(call.value, encoder);
  encoder.finish();
  writer.finish();
}

}  // namespace

void dump_value(const std::filesystem::path& path, const DumpOptions& options, const Schema& schema,
                const EncodeCall& call) {
  const files::DumpPlan plan = files::plan_dump(path, options.compress);
  os::AtomicFile file(path);
  std::unique_ptr<ByteSink> stream;
  if (plan.stream != nullptr)
    stream = plan.stream->compressor(file, plan.level, os::transfer_threads(options.threads));
  ByteSink& out = stream ? *stream : file;
  if (plan.format) {
    files::dump_foreign(*plan.format, out, stream != nullptr, plan.level,
                        os::transfer_threads(options.threads), schema, call);
  } else {
    write_container(out, plan, options, schema, call);
  }
  if (stream) stream->finish();
  file.commit(options.fsync);
}

void dump_value(std::ostream& out, const DumpOptions& options, const Schema& schema,
                const EncodeCall& call) {
  base::OstreamSink sink(out);
  write_container(sink, files::plan_dump({}, options.compress), options, schema, call);
}

namespace {

/// Decoders don't know the file's name.
template <class E>
[[noreturn]] void rethrow_named(const E& error, const std::string& name) {
  if (std::string_view(error.what()).find(name) != std::string_view::npos) throw error;
  throw E(name + ": " + error.what());
}

void read_container(formats::ContainerReader& reader, const std::string& name,
                    const LoadOptions& options, const Schema& schema, const DecodeCall& call) {
  const bool differs = reader.schema() != schema.text;
  const bool converts = schema.text == files::untyped_schema || files::matches_names(options);
  if (differs && !converts) {
    const bool has_members = schema.text.find("struct{") != std::string::npos;
    throw WrongType(
        name + " holds a value of type " + reader.schema() +
        ", which differs from the one asked for: " + difference(reader.schema(), schema.text) +
        (has_members ? " (LoadOptions::missing_members and unknown_members read files "
                       "of earlier versions of a struct)"
                     : ""));
  }
  try {
    if (differs) {
      files::load_converted(reader, options, schema, call);
    } else {
      call.run(call.value, reader);
    }
  } catch (const WrongType& error) {
    rethrow_named(error, name);
  } catch (const LimitExceeded& error) {
    rethrow_named(error, name);
  } catch (const DamagedData& error) {
    rethrow_named(error, name);
  }
  reader.finish();
}

/// Where a value is read from.
struct Origin {
  base::PeekableSource& source;
  os::FileSource* file;  // `source` itself if it is an uncompressed regular file, else null
  std::uint64_t most;    // bytes that may come out of it
  std::filesystem::path path;
  std::string name;
  bool alone;  // nothing may follow the value
};

void load_uncompressed(const Origin& from, const LoadOptions& options, const Schema& schema,
                       const DecodeCall& call) {
  if (const auto format = files::format_of_content(from.source.peek(codecs::first_bytes))) {
    return files::load_foreign(
        *format, {from.source, from.file, from.most, from.path, from.name, options}, schema, call);
  }
  formats::ContainerReader reader(from.source, from.file, from.name, options);
  read_container(reader, from.name, options, schema, call);
  if (from.alone) reader.expect_end();
}

void load_from(const Origin& from, const LoadOptions& options, const Schema& schema,
               const DecodeCall& call) {
  std::unique_ptr<ByteSource> content;
  if (pickle::is_old_joblib(from.source.peek(codecs::first_bytes))) {
    content = pickle::open_old_joblib(from.source, options.limits, options.threads);
  } else if (const Codec* codec = codecs::codec_of(from.source)) {
    content = codecs::open_compressed(*codec, from.source, options.limits, options.threads);
  } else {
    return load_uncompressed(from, options, schema, call);
  }
  base::PeekedSource peeked(*content);
  load_uncompressed({peeked, nullptr, from.most, from.path, from.name, true}, options, schema,
                    call);
}

/// `mmap` is all that is looked at from here on.
LoadOptions with_one_mode(LoadOptions options) {
  const MmapMode mode = options.mmap_mode.value_or(options.mmap);
  if (options.mmap != MmapMode::none && options.mmap != mode) {
    throw BadArgument("LoadOptions: mmap and mmap_mode are one option, but have different values");
  }
  options.mmap = mode;
  return options;
}

}  // namespace

void load_value(const std::filesystem::path& path, const LoadOptions& given, const Schema& schema,
                const DecodeCall& call) {
  const LoadOptions options = with_one_mode(given);
  os::FileSource file(path);
  const auto bytes = file.left();
  load_from(
      {file, bytes ? &file : nullptr, most_bytes(options, bytes), path, base::quoted(path), true},
      options, schema, call);
}

void load_value(std::istream& in, const LoadOptions& given, const Schema& schema,
                const DecodeCall& call) {
  const LoadOptions options = with_one_mode(given);
  if (options.mmap != MmapMode::none) {
    throw BadArgument("a stream can't be mapped: load without mmap, or from a file by its path");
  }
  base::IstreamSource source(in);
  if (source.peek(codecs::first_bytes).empty()) {
    throw NotFound("the stream has ended: no further value is in it");
  }
  load_from({source, nullptr, options.limits.max_bytes, {}, "the stream", false}, options, schema,
            call);
}

}  // namespace hoist::detail
