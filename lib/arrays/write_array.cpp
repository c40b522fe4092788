// SPDX-License-Identifier: BSD-3-Clause
#include <hoist/detail/write_array.hpp>

#include <algorithm>
#include <ostream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace hoist::detail {

namespace {

constexpr std::size_t most_elements = 1000;  // NumPy's threshold
constexpr std::size_t most_columns = 75;     // NumPy's line width

/// How many entries at both ends of an axis are shown.
struct Ends {
  std::size_t first;
  std::size_t last;
};

bool few(const Shape& shape, std::size_t most_per_axis) {
  std::size_t n = 1;
  for (const std::size_t extent : shape) {
    const std::size_t shown = std::min(extent, most_per_axis);
    if (shown > most_elements / n) return false;
    n *= shown;
  }
  return true;
}

Ends choose_ends(const Shape& shape) {
  // NumPy shows three at both ends whatever the number of axes is, six to the power of it.
  for (const std::size_t n : {3U, 2U, 1U}) {
    if (few(shape, 2 * n)) return {n, n};
  }
  return {1, 0};
}

class ArrayText {
 public:
  ArrayText(const Shape& shape, bool all) : shape_(shape), all_(all), ends_(choose_ends(shape)) {}

  void collect(std::ostringstream& scratch, const Strides& strides, const void* elements,
               WriteElement write, std::size_t axis = 0, std::ptrdiff_t at = 0) {
    if (axis == shape_.size()) {
      scratch.str({});
      write(scratch, elements, at);
      width_ = std::max(width_, texts_.emplace_back(scratch.str()).size());
      return;
    }
    for_each_shown(axis, [&](std::size_t i) {
      const std::ptrdiff_t step = strides[axis] * static_cast<std::ptrdiff_t>(i);
      collect(scratch, strides, elements, write, axis + 1, at + step);
    });
  }

  std::string take() {
    print(0);
    return std::move(out_);
  }

 private:
  static constexpr auto nothing = [] {};

  template <class Show, class Gap = decltype(nothing)>
  void for_each_shown(std::size_t axis, Show show, Gap gap = nothing) const {
    const std::size_t extent = shape_[axis];
    const bool whole = all_ || extent <= ends_.first + ends_.last;
    for (std::size_t i = 0; i < (whole ? extent : ends_.first); ++i) show(i);
    if (whole) return;
    gap();
    for (std::size_t i = extent - ends_.last; i < extent; ++i) show(i);
  }

  void print(std::size_t axis) {
    if (axis == shape_.size()) {
      const std::string& text = texts_[next_++];
      out_.append(width_ - text.size(), ' ') += text;
      return;
    }
    out_ += '[';
    bool first = true;
    const auto part = [&](std::size_t columns) {
      if (!std::exchange(first, false)) separate(axis, columns);
    };
    for_each_shown(
        axis,
        [&](std::size_t) {
          part(width_);
          print(axis + 1);
        },
        [&] {
          part(3);
          out_ += "...";
        });
    out_ += ']';
  }

  /// A space, or a line's end between sub-arrays and before what no longer fits into the line.
  void separate(std::size_t axis, std::size_t columns) {
    const std::size_t inner = shape_.size() - 1 - axis;
    const std::size_t line = out_.size() - (out_.rfind('\n') + 1);
    if (inner == 0 && line + 1 + columns < most_columns) {
      out_ += ' ';
    } else {
      out_.append(std::max<std::size_t>(inner, 1), '\n').append(axis + 1, ' ');
    }
  }

  const Shape& shape_;
  bool all_;
  Ends ends_;
  std::vector<std::string> texts_;
  std::size_t width_ = 0;
  std::size_t next_ = 0;
  std::string out_;
};

}  // namespace

std::ostream& write_array(std::ostream& to, const Shape& shape, const Strides& strides,
                          const void* elements, WriteElement write) {
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return to << "[]";
  ArrayText text(shape, few(shape, most_elements + 1));
  std::ostringstream scratch;
  scratch.copyfmt(to);
  scratch.width(0);
  text.collect(scratch, strides, elements, write);
  return to << text.take();
}

}  // namespace hoist::detail
