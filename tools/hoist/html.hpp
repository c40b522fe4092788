// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <string_view>

namespace hoist::tool {

/// A text as it stands in HTML, between elements and in quoted attributes.
std::string escaped(std::string_view text);

/// Colours and letters of pages, light and dark, as CSS.
inline constexpr std::string_view page_style = R"css(
  :root { color-scheme: light dark; --ink: #1b2733; --paper: #fbfbf9; --faint: #5d6b78;
          --line: #d9dee3; --mark: #2f6aa8; }
  @media (prefers-color-scheme: dark) {
    :root { --ink: #e4e9ee; --paper: #14191e; --faint: #a3b0bc; --line: #2c353d; --mark: #6aa5d8; }
  }
  body { margin: 2rem auto; max-width: 60rem; padding: 0 1rem; background: var(--paper);
         color: var(--ink); font: 15px/1.6 system-ui, sans-serif; overflow-wrap: anywhere; }
  h1 { font-size: 1.3rem; margin-bottom: 0; }
  .faint { color: var(--faint); }
)css";

}  // namespace hoist::tool
