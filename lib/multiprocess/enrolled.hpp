// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace hoist::detail::multiprocess {

/// What this process has of an object in shared memory that knows its processes: is told when the
/// process forks, and when it ends in order.
class Enrolled {
 public:
  Enrolled(const Enrolled&) = delete;
  Enrolled& operator=(const Enrolled&) = delete;
  virtual ~Enrolled() = default;

  /// In a forked child.
  virtual void inherit() = 0;
  virtual void end_with_process() {}

 protected:
  Enrolled() = default;
  /// From here on until withdraw(), which is to come before anything of the object is destroyed.
  void enroll();
  void withdraw();
  /// Has this process call end_with_process(). A forked child has to ask anew, but not in
  /// inherit().
  static void see_end();
};

}  // namespace hoist::detail::multiprocess
