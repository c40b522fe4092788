// SPDX-License-Identifier: BSD-3-Clause
//
// Wrote the files beside it, linked with hoist 0.1. A version whose formats differ gets a folder of
// its own before it is released; files of old versions stay as they are.
#include <string>

#include "support/corpus.hpp"

int main() {
  const corpus::Model model = corpus::model();
  hoist::dump(model, "model.hoist");
  for (const std::string codec : {"zlib", "lz4", "zstd"}) {
    hoist::dump(model, "model." + codec + ".hoist", {.compress = {codec, 3}});
  }
  for (const std::string extension : {"gz", "bz2", "xz", "lz4", "zst"}) {
    hoist::dump(model, "model.hoist." + extension);
  }
  hoist::dump(model, "model.joblib");
  hoist::dump(corpus::ramp(60, 16), "ramp.npy");
  auto written = hoist::open_array<float>("written.hoist", {5, 7}, hoist::MmapMode::write);
  for (std::size_t i = 0; i < written.size(); ++i) written[i] = static_cast<float>(i);
}
