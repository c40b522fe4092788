// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

// The handshake of a connection by a socket; docs/formats/connection.md has it byte by byte. Each
// side sends a hello, then the client proves that it has the key, then the listener does.

namespace hoist::detail::sockets {

enum class Role : std::uint8_t { listener, client };

/// The secret that both sides have, or one that everybody has. Wiped at the end.
class AuthenticationKey {
 public:
  /// Throws BadArgument for an empty one.
  explicit AuthenticationKey(const std::optional<std::string>& secret);
  AuthenticationKey(const AuthenticationKey&) = default;
  AuthenticationKey& operator=(const AuthenticationKey&) = default;
  ~AuthenticationKey();

  bool is_secret() const { return is_secret_; }
  const std::string& text() const { return text_; }

 private:
  bool is_secret_;
  std::string text_;
};

/// Who takes part in a handshake.
struct Hello {
  std::array<char, 8> magic{};
  std::uint32_t version = 0;
  std::uint32_t has_secret = 0;
  std::array<std::byte, 32> nonce{};
};

enum class Verdict : std::uint32_t { accepted = 0, wrong_key = 1 };

struct Proof {
  Verdict verdict{};
  std::uint32_t any_program = 0;
  std::uint32_t identity_bytes = 0;
  std::uint32_t path_bytes = 0;
  std::array<char, 64> identity{};  // of the program
  std::array<char, 256> path{};     // its end, if it is longer
  std::array<std::byte, 32> mac{};
};

/// One side of a handshake, without the socket. What it takes is untrusted, and of fixed size.
class Handshake {
 public:
  /// `peer` is what messages call the other side.
  Handshake(Role role, const AuthenticationKey& key, bool any_program, std::string peer);

  /// Where the next bytes go. Empty when nothing more is to come.
  std::span<std::byte> room();
  /// So many have come. Throws AuthenticationError where the other side is not accepted, and
  /// DamagedData where it isn't hoist; what output() has then is still to be sent.
  void take(std::size_t bytes);
  /// To be sent.
  std::span<const std::byte> output() const;
  void sent(std::size_t bytes) { sent_ += bytes; }
  bool is_done() const { return step_ == Step::done && output().empty(); }
  const std::string& peer() const { return peer_; }

  /// When it is done: both sides are one program, and neither has asked for others.
  bool is_same_program() const { return same_program_; }

 private:
  enum class Step : std::uint8_t { hello, proof, done };

  void take_hello();
  void take_proof();
  void check_program(const Proof& theirs);
  Proof own_proof() const;
  std::array<std::byte, 32> mac_of(Role role, const Proof& proof) const;
  void write(const void* data, std::size_t bytes);

  const Role role_;
  const AuthenticationKey key_;
  const bool any_program_;
  const std::string peer_;
  Step step_ = Step::hello;
  std::array<std::byte, sizeof(Proof)> input_;
  std::size_t filled_ = 0;
  std::array<std::byte, sizeof(Hello) + sizeof(Proof)> output_;
  std::size_t written_ = 0;
  std::size_t sent_ = 0;
  std::array<Hello, 2> hellos_;  // by role
  bool same_program_ = false;
};

}  // namespace hoist::detail::sockets
