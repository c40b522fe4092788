// SPDX-License-Identifier: BSD-3-Clause
#include "parallel/inner_threads.hpp"

#include <dlfcn.h>

#include <initializer_list>

namespace hoist::detail {

namespace {

using Set = void (*)(int);
using Get = int (*)();

/// Found once: a library that is loaded while loops run is not seen.
struct OpenMp {
  Set set = reinterpret_cast<Set>(::dlsym(RTLD_DEFAULT, "omp_set_num_threads"));
  Get get = reinterpret_cast<Get>(::dlsym(RTLD_DEFAULT, "omp_get_max_threads"));
};

const OpenMp& openmp() {
  static const OpenMp found;
  return found;
}

}  // namespace

InnerThreads::InnerThreads(unsigned limit) {
  const OpenMp& omp = openmp();
  if (limit == 0 || omp.set == nullptr || omp.get == nullptr) return;
  before_ = omp.get();
  omp.set(static_cast<int>(limit));
}

InnerThreads::~InnerThreads() {
  if (before_ > 0) openmp().set(before_);
}

void limit_inner_threads(unsigned limit) {
  for (const char* name : {"omp_set_num_threads", "openblas_set_num_threads", "MKL_Set_Num_Threads",
                           "bli_thread_set_num_threads"}) {
    if (auto set = reinterpret_cast<Set>(::dlsym(RTLD_DEFAULT, name))) {
      set(static_cast<int>(limit));
    }
  }
}

}  // namespace hoist::detail
