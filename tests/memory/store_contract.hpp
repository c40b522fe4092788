// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <doctest/doctest.h>
#include <hoist/store.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace support {

/// What every store has to do. `open` opens the store under test, empty at first; opened again, it
/// shows the same entries.
class StoreContract {
 public:
  using Open = std::function<std::unique_ptr<hoist::StoreBackend>()>;

  explicit StoreContract(Open open) : open_(std::move(open)), store_(open_()) {}

  void run() {
    absent();
    put_and_get();
    replaced();
    failing_writer();
    listed();
    removed_while_open();
    locked();
    many_threads();
  }

 private:
  static std::string entry(int i) {
    return "f-1/v" + std::to_string(i % 2) + "/a" + std::to_string(i % 8) + "/" + std::to_string(i);
  }
  static std::string content(std::size_t size, char c) { return std::string(size, c); }

  void put(const std::string& name, const std::string& text) {
    store_->put(name, [&](hoist::ByteSink& out) {
      // In pieces, like entries.
      const auto bytes = std::as_bytes(std::span(text));
      out.write(bytes.first(bytes.size() / 3));
      out.write(bytes.subspan(bytes.size() / 3));
    });
  }

  static std::string read(hoist::StoredEntry& entry) {
    std::string text(entry.size() + 1, '\0');
    text.resize(entry.bytes().read(reinterpret_cast<std::byte*>(text.data()), text.size()));
    return text;
  }

  std::string get(const std::string& name) {
    const auto entry = store_->get(name);
    return entry ? read(*entry) : "(none)";
  }

  void absent() {
    CHECK(store_->get(entry(1)) == nullptr);
    CHECK_FALSE(store_->contains(entry(1)));
    CHECK_FALSE(store_->remove(entry(1)));
    CHECK(store_->usage().items == 0);
    store_->list("", [](const hoist::StoreItem&) { CHECK(false); });
    store_->clear("");
  }

  void put_and_get() {
    for (const std::size_t size : {0U, 1U, 1000U, 4095U, 4096U, 4097U, 100000U, 3000000U}) {
      CAPTURE(size);
      put(entry(1), content(size, 'x'));
      CHECK(get(entry(1)) == content(size, 'x'));
      CHECK(store_->contains(entry(1)));
    }
    CHECK(store_->usage().items == 1);
    CHECK(store_->usage().bytes == 3000000);
    store_ = open_();
    CHECK(get(entry(1)).size() == 3000000);
  }

  void replaced() {
    const auto before = store_->get(entry(1));
    put(entry(1), "short");
    CHECK(get(entry(1)) == "short");
    CHECK(read(*before).size() == 3000000);
    CHECK(store_->usage().items == 1);
    CHECK(store_->usage().bytes == 5);
  }

  void failing_writer() {
    for (const auto& name : {entry(1), entry(2)}) {
      CHECK_THROWS_AS(store_->put(name,
                                  [](hoist::ByteSink& out) {
                                    out.write(std::as_bytes(std::span("part", 4)));
                                    throw std::domain_error("no more");
                                  }),
                      std::domain_error);
    }
    CHECK(get(entry(1)) == "short");
    CHECK(store_->get(entry(2)) == nullptr);
  }

  std::set<std::string> names(const std::string& prefix) {
    std::set<std::string> found;
    store_->list(prefix, [&](const hoist::StoreItem& item) {
      CHECK(found.insert(item.name).second);
      CHECK(item.bytes == 3);
      CHECK(item.last_used.time_since_epoch().count() > 0);
    });
    return found;
  }

  void listed() {
    store_->clear("");
    for (int i = 0; i < 40; ++i) put(entry(i), "abc");
    put("f-12/v0/aa/x", "abc");
    CHECK(names("").size() == 41);
    CHECK(names("f-1").size() == 40);
    CHECK(names("f-1/v0").size() == 20);
    CHECK(names("f-1/v0/a2").size() == 5);
    CHECK(names("f-12") == std::set<std::string>{"f-12/v0/aa/x"});
    CHECK(names("nothing").empty());
    CHECK(store_->usage().items == 41);
    CHECK(store_->usage().bytes == 123);
    // The most recently used one is listed as such, by a store that counts milliseconds.
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    get(entry(7));
    std::string newest;
    std::chrono::system_clock::time_point last;
    store_->list("", [&](const hoist::StoreItem& item) {
      if (item.last_used >= last) {
        last = item.last_used;
        newest = item.name;
      }
    });
    CHECK(newest == entry(7));
    store_->clear("f-1/v0");
    CHECK(names("").size() == 21);
    store_->clear("f-1");
    CHECK(names("").size() == 1);
    CHECK(store_->remove("f-12/v0/aa/x"));
    CHECK(names("").empty());
    CHECK(store_->usage().items == 0);
  }

  void removed_while_open() {
    put(entry(3), content(50000, 'y'));
    const auto open = store_->get(entry(3));
    CHECK(store_->remove(entry(3)));
    CHECK(store_->get(entry(3)) == nullptr);
    CHECK(read(*open) == content(50000, 'y'));
  }

  void locked() {
    const auto other = open_();
    std::atomic<int> inside{0};
    std::atomic<int> most{0};
    int unguarded = 0;
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        auto& store = t % 2 == 0 ? *store_ : *other;
        for (int i = 0; i < 50; ++i) {
          const auto lock = store.lock(entry(4));
          most = std::max(most.load(), ++inside);
          ++unguarded;
          --inside;
        }
      });
    }
    threads.clear();
    CHECK(most == 1);
    CHECK(unguarded == 200);
    // Locks of distinct names don't wait for each other.
    const auto one = store_->lock(entry(5));
    const auto two = store_->lock(entry(6));
    CHECK(one != nullptr);
    CHECK(two != nullptr);
  }

  void many_threads() {
    std::vector<std::jthread> threads;
    std::atomic<int> wrong{0};
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 200; ++i) {
          const std::string name = entry(i % 10);
          if ((i + t) % 3 == 0) {
            put(name,
                content(static_cast<std::size_t>(1000 + i % 10), static_cast<char>('a' + i % 10)));
          } else if ((i + t) % 7 == 0) {
            store_->remove(name);
          } else if (const auto found = store_->get(name)) {
            const std::string text = read(*found);
            const std::string whole =
                content(static_cast<std::size_t>(1000 + i % 10), static_cast<char>('a' + i % 10));
            if (text != whole) ++wrong;
          }
        }
      });
    }
    threads.clear();
    CHECK(wrong == 0);
    store_->clear("");
  }

  Open open_;
  std::unique_ptr<hoist::StoreBackend> store_;
};

}  // namespace support
