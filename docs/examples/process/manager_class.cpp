// SPDX-License-Identifier: BSD-3-Clause
//
// An object of a class of the program lives in the server of a manager. Processes call its
// functions, and get its exceptions.

#include <hoist/hoist.hpp>

#include <cstdio>
#include <stdexcept>
#include <vector>

namespace {

class Account {
 public:
  explicit Account(long balance) : balance_(balance) {}
  long deposit(long amount) { return balance_ += amount; }
  long withdraw(long amount) {
    if (amount > balance_) throw std::range_error("not enough money");
    return balance_ -= amount;
  }
  long balance() const { return balance_; }

 private:
  long balance_;
};

void save(const hoist::Proxy<Account>& account) {
  for (int i = 0; i < 10; ++i) account.call(&Account::deposit, 10);
}

}  // namespace

int main() {
  const hoist::Manager manager;
  const auto account = manager.make<Account>(100);
  std::vector<hoist::Process> savers;
  for (int i = 0; i < 2; ++i) {
    savers.emplace_back(save, account);
    savers.back().start();
  }
  for (const hoist::Process& saver : savers) saver.join();
  std::printf("balance: %ld\n", account.call(&Account::balance));
  try {
    account.call(&Account::withdraw, 1000);
  } catch (const std::range_error& error) {
    std::printf("%s\n", error.what());
  }
}
