// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <hoist/entry.hpp>

#include <string>
#include <vector>

#include "fingerprint/variable_values.hpp"

namespace hoist::detail::memory {

/// A cached function of this process, for as long as the object exists.
class KnownFunction {
 public:
  /// `function` and `version` as in CacheDependency; the variables are those in its key.
  KnownFunction(std::string function, std::string version,
                std::vector<fingerprint::VariableBytes> variables);
  ~KnownFunction();
  KnownFunction(const KnownFunction&) = delete;
  KnownFunction& operator=(const KnownFunction&) = delete;

  const std::string function;
  const std::string version;
  const std::vector<fingerprint::VariableBytes> variables;
};

/// The first of these cached functions that is not what it was; null if all are. One that no
/// KnownFunction stands for is looked up by its symbol; a version given by the user is then taken
/// to be the same. Cost: a look into a table for each, and a first look-up by symbol as much as a
/// fingerprint.
const CacheDependency* find_changed(const std::vector<CacheDependency>& dependencies);

}  // namespace hoist::detail::memory
