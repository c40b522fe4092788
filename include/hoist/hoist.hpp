// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// All of hoist. Including only the headers you use compiles faster:
//
// - values: values.hpp (what can be hashed, stored and sent), polymorphic.hpp, hash.hpp, array.hpp,
//   concatenate.hpp, fields.hpp;
// - files: dump.hpp (dump and load), open_array.hpp, file_info.hpp, convert_file.hpp, codec.hpp,
//   value.hpp and dtype.hpp (content whose type is known only at run time);
// - cached functions: memory.hpp, cached_fn.hpp, file_content.hpp, code.hpp, store.hpp;
// - parallel loops: parallel.hpp, parallel_config.hpp, worker.hpp, share.hpp, stop.hpp,
//   cpu_count.hpp, register_error.hpp, backend.hpp, this_task.hpp, random.hpp (numbers of a task),
//   zip.hpp (several ranges as one);
// - calls beside the program: executor.hpp, future.hpp, pool.hpp, partial.hpp; asio.hpp, for
//   coroutines, has to be included by itself;
// - state that processes share: lock.hpp, sync.hpp (semaphores, events, conditions, barriers),
//   shared.hpp (values and arrays), shared_memory.hpp;
// - processes: process.hpp (functions in processes of their own), queue.hpp, pipe.hpp and
//   listener.hpp (between them; connection.hpp has what connections do), manager.hpp and proxy.hpp
//   (objects in a server);
// - what the library has to say: log.hpp; what programs are doing: running_programs.hpp; its
//   version: version.hpp.
#include <hoist/detail/requirements.hpp>

// First, so that the errors in them don't begin with a long list of includes.
#include <hoist/detail/not_storable.hpp>

#include <hoist/detail/loop_run.hpp>

#include <hoist/array.hpp>
#include <hoist/backend.hpp>
#include <hoist/byte_size.hpp>
#include <hoist/cached_fn.hpp>
#include <hoist/code.hpp>
#include <hoist/codec.hpp>
#include <hoist/concatenate.hpp>
#include <hoist/connection.hpp>
#include <hoist/convert_file.hpp>
#include <hoist/cpu_count.hpp>
#include <hoist/delayed.hpp>
#include <hoist/dtype.hpp>
#include <hoist/dump.hpp>
#include <hoist/error.hpp>
#include <hoist/executor.hpp>
#include <hoist/fields.hpp>
#include <hoist/file_content.hpp>
#include <hoist/file_info.hpp>
#include <hoist/future.hpp>
#include <hoist/hash.hpp>
#include <hoist/listener.hpp>
#include <hoist/lock.hpp>
#include <hoist/log.hpp>
#include <hoist/manager.hpp>
#include <hoist/memory.hpp>
#include <hoist/open_array.hpp>
#include <hoist/parallel.hpp>
#include <hoist/parallel_config.hpp>
#include <hoist/partial.hpp>
#include <hoist/pipe.hpp>
#include <hoist/polymorphic.hpp>
#include <hoist/pool.hpp>
#include <hoist/process.hpp>
#include <hoist/proxy.hpp>
#include <hoist/queue.hpp>
#include <hoist/random.hpp>
#include <hoist/register_error.hpp>
#include <hoist/running_programs.hpp>
#include <hoist/share.hpp>
#include <hoist/shared.hpp>
#include <hoist/shared_memory.hpp>
#include <hoist/stop.hpp>
#include <hoist/store.hpp>
#include <hoist/sync.hpp>
#include <hoist/this_task.hpp>
#include <hoist/value.hpp>
#include <hoist/values.hpp>
#include <hoist/version.hpp>
#include <hoist/worker.hpp>
#include <hoist/zip.hpp>
