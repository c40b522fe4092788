// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace CLI {  // NOLINT(readability-identifier-naming)
class App;
}

namespace hoist::tool {

/// How the tool ends. Usage errors and trouble (a file that isn't there) are one code, as with diff
/// and grep.
enum ExitCode : int { success = 0, differs = 1, trouble = 2 };

/// What the tool returns if its command throws nothing; `success` at first.
void set_exit_code(ExitCode code);

/// Each adds one command, or one with commands of its own, to the tool.
void add_cache(CLI::App& app);
void add_cache_list(CLI::App& cache);
void add_cache_show(CLI::App& cache);
void add_cache_explain(CLI::App& cache);
void add_cache_stats(CLI::App& cache);
void add_cache_prune(CLI::App& cache);
void add_cache_verify(CLI::App& cache);
void add_cache_clear(CLI::App& cache);
void add_cache_transfer(CLI::App& cache);
void add_show(CLI::App& app);
void add_convert(CLI::App& app);
void add_diff(CLI::App& app);
void add_hash(CLI::App& app);
void add_check(CLI::App& app);
void add_env(CLI::App& app);
void add_trace(CLI::App& app);
void add_workers(CLI::App& app);
void add_top(CLI::App& app);
/// Made from the definitions of all others.
void add_completion(CLI::App& app);
void add_man(CLI::App& app);

}  // namespace hoist::tool
