// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace hoist::tool {

struct WebPage {
  std::string type;  ///< its media type
  std::string content;
};

/// Serves pages at "HOST:PORT", a loopback address, until SIGINT or SIGTERM. Prints the address as
/// `name`, with a secret in its path that only those know who can read the output: other users of
/// this machine can connect, but are refused. So is what other sites make a browser ask for.
///
/// `page` gets the part of the path behind the secret, "" for the start page, and answers with
/// nothing where there is no such page. What it throws is told to the reader. It is called in this
/// thread, for one request at a time.
///
/// Throws BadArgument for other addresses and SystemError where one can't be bound.
void serve_pages(const std::string& address, std::string_view name,
                 const std::function<std::optional<WebPage>(std::string_view path)>& page);

}  // namespace hoist::tool
