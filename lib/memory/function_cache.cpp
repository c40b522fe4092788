// SPDX-License-Identifier: BSD-3-Clause
#include "memory/function_cache.hpp"

#include <hoist/error.hpp>

#include <vector>

#include "fingerprint/code_fingerprint.hpp"

namespace hoist::detail::memory {

namespace {

FunctionName name_for(const FunctionInfo& info, const CacheOptions& options) {
  if (options.name.empty()) return name_of(info);
  FunctionName name{options.name, options.name, options.name, {}};
  if (options.version.empty()) name.code = name_of(info).code;
  return name;
}

std::uint64_t mask_of(const FunctionInfo& info, const CacheOptions& options) {
  std::uint64_t mask = 0;
  const std::size_t parameters = info.unhashable.size();
  for (const int index : options.ignore) {
    if (index < 0 || static_cast<std::size_t>(index) >= parameters || index >= 64) {
      throw BadArgument("CacheOptions::ignore: the function has no parameter " +
                        std::to_string(index) + "; its " + std::to_string(parameters) +
                        " parameters count from 0");
    }
    mask |= std::uint64_t{1} << index;
  }
  for (std::size_t i = 0; i < parameters; ++i) {
    if (info.unhashable[i].empty() || (i < 64 && (mask >> i & 1) != 0)) continue;
    throw BadArgument("Memory::cache: parameter " + std::to_string(i) + " (of type " +
                      info.unhashable[i] +
                      ") can't be part of a key, because hoist can't hash it or because it is a "
                      "non-const reference: give it a hoist-storable type, declare it as "
                      "hoist::ignored<T>, or list it in CacheOptions::ignore");
  }
  return mask;
}

}  // namespace

FunctionCache::FunctionCache(std::shared_ptr<MemoryCore> memory, const FunctionInfo& info,
                             const CacheOptions& options)
    : memory_(std::move(memory)),
      options_(options),
      name_(name_for(info, options)),
      code_(info.code),
      ignored_(mask_of(info, options)),
      mmap_(options.mmap_mode.value_or(memory_->options().mmap_mode)),
      verbose_(options.verbose.value_or(memory_->options().verbose)),
      counters_(memory_->counters(name_.readable)) {
  const Compression& compress =
      options.compress.is_set() ? options.compress : memory_->options().compress;
  codec_ = entry_codec(compress, mmap_);
  level_ = compress.level();
  if (info.code == nullptr && (options.name.empty() || options.version.empty())) {
    throw BadArgument(
        "Memory::cache: which code a virtual member function runs depends on the object: give "
        "CacheOptions::name and version, or cache a function that calls it");
  }
  // Without a store it takes time only where a computation with a store calls the function.
  if (memory_->store() == nullptr) return;
  directory_ = known().function + "/" + known().version + "/";
  directory_digest_ = hash_bytes(directory_.data(), directory_.size());
}

const KnownFunction& FunctionCache::known() {
  std::call_once(identified_, [this] { known_ = identify(); });
  return *known_;
}

std::unique_ptr<KnownFunction> FunctionCache::identify() {
  std::string function = directory_name(name_.label, name_.identity);
  const auto of_version = [&](std::string version) {
    return std::make_unique<KnownFunction>(std::move(function), std::move(version),
                                           std::vector<fingerprint::VariableBytes>());
  };
  if (!options_.version.empty()) {
    return of_version(directory_name(options_.version, "version " + options_.version));
  }
  if (options_.code == CodeCheck::none) return of_version("any");
  fingerprint::CodeFingerprint fingerprint = fingerprint::fingerprint_code(code_, options_.code);
  if (!fingerprint.exact && verbose_ >= 1 && memory_->store() != nullptr) {
    memory_->note_once("the code of " + name() + " can't be looked into (" + fingerprint.note +
                       "): its results are computed anew after every rebuild");
  }
  if (!fingerprint.caller_by_pointer.empty() && verbose_ >= 1 && memory_->store() != nullptr) {
    memory_->note_once(fingerprint.caller_by_pointer + ", which " + name() +
                       " reaches, calls functions through pointers: of what these lead to, only "
                       "cached functions and what the code mentions are part of its key (see "
                       "hoist::explain)");
  }
  return std::make_unique<KnownFunction>(std::move(function), fingerprint.digest.hex(),
                                         std::move(fingerprint.variables));
}

/// With what the function reads of variables in its key.
Call FunctionCache::with_variables(const Call& call) const {
  Call result = call;
  if (memory_->store() == nullptr || known_->variables.empty()) return result;
  const Digest parts[] = {call.key, fingerprint::digest_values(known_->variables)};
  result.key = hash_bytes(parts, sizeof parts);
  return result;
}

Digest FunctionCache::hot_key(const Call& call) const {
  return {.low = call.key.low ^ directory_digest_.low,
          .high = call.key.high ^ directory_digest_.high};
}

EntryAddress FunctionCache::address_of(const Call& call) const {
  const std::string hash = call.key.hex();
  EntryAddress address{.mmap_mode = static_cast<std::uint8_t>(mmap_)};
  std::string& name = address.name;
  name.reserve(directory_.size() + 3 + hash.size());
  name += directory_;
  name.append(hash, 0, 2);
  name += '/';
  name += hash;
  return address;
}

void FunctionCache::clear() {
  if (memory_->store() == nullptr) return;
  memory_->check_writable("CachedFunction::clear");
  memory_->store()->clear(directory_.substr(0, directory_.find('/')));
  if (HotResults* hot = memory_->hot()) hot->clear();
}

std::vector<EntryAddress> FunctionCache::entries() {
  std::vector<EntryAddress> found;
  if (memory_->store() == nullptr) return found;
  memory_->store()->list(directory_.substr(0, directory_.size() - 1), [&](const StoreItem& item) {
    found.push_back({.name = item.name, .mmap_mode = static_cast<std::uint8_t>(mmap_)});
  });
  return found;
}

CacheParts FunctionCache::parts() const {
  if (options_.validate) {
    throw CannotTravel("the cached function " + name() +
                       " has a validate callback, which can't be sent to another process: make the "
                       "cached function there, from a Memory that is sent");
  }
  CacheParts parts;
  parts.name = options_.name;
  parts.version = options_.version;
  parts.ignore.assign(options_.ignore.begin(), options_.ignore.end());
  parts.code = static_cast<std::uint8_t>(options_.code);
  if (options_.mmap_mode) parts.mmap_mode = static_cast<std::uint8_t>(*options_.mmap_mode);
  parts.compress = options_.compress.is_set();
  parts.codec = options_.compress.codec();
  parts.level = options_.compress.level();
  parts.verbose = options_.verbose;
  parts.tags = options_.tags;
  return parts;
}

}  // namespace hoist::detail::memory
