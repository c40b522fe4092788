// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/memory_entry.hpp>
#include <hoist/store.hpp>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

namespace hoist::detail::memory {

/// The first and the second part of an entry's name, and what a directory of a function's is.
std::string_view function_part(std::string_view name);
std::string_view version_part(std::string_view name);

/// Visits the entries of a store that a filter lets through.
class Listing final {
 public:
  Listing(StoreBackend& store, const EntryFilter& filter) : store_(store), filter_(filter) {}

  void visit(const std::function<void(const StoreItem&)>& visit);

 private:
  bool is_meant(const StoreItem& item);
  bool is_function_meant(const StoreItem& item);

  StoreBackend& store_;
  const EntryFilter& filter_;
  /// By the functions' directories.
  std::unordered_map<std::string, bool> functions_;
};

/// An entry to look at; throws NotFound where it is gone.
std::unique_ptr<StoredEntry> open_entry(StoreBackend& store, const std::string& name);
/// The metadata of an entry; throws NotFound, DamagedData or SystemError.
EntryMetadata metadata_of(StoreBackend& store, const std::string& name);

/// What the entries are of, by name.
std::vector<StoredFunction> stored_functions(StoreBackend& store, const EntryFilter& filter);

}  // namespace hoist::detail::memory
