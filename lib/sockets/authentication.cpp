// SPDX-License-Identifier: BSD-3-Clause
#include "sockets/authentication.hpp"

#include <hoist/error.hpp>
#include <hoist/listener.hpp>

#include <sodium.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

#include "program/module_map.hpp"

namespace hoist::detail::sockets {

namespace {

constexpr std::array<char, 8> magic{'h', 'o', 'i', 's', 't', 'c', 'o', 'n'};
constexpr std::uint32_t protocol_version = 1;
constexpr std::size_t label_bytes = 32;

static_assert(sizeof(Hello) == 48 && sizeof(Proof) == 368);
static_assert(sizeof(Proof::mac) == crypto_auth_hmacsha512256_BYTES);

void use_sodium() {
  static const bool works = sodium_init() >= 0;
  if (!works) throw Error("libsodium can't be used: it finds no source of random numbers");
}

/// What a proof says of this program.
struct Program {
  std::string identity;
  std::string path;
};

const Program& this_program() {
  static const Program* const program = [] {
    const auto lock = program::lock_images();
    program::Module& main = *program::loaded_modules()->modules().front();
    std::error_code failed;
    const auto path = std::filesystem::read_symlink("/proc/self/exe", failed);
    return new Program{main.identity(), failed ? main.path : path.string()};
  }();
  return *program;
}

template <std::size_t Size>
std::uint32_t copy_end(std::array<char, Size>& to, std::string_view text) {
  if (text.size() > Size) text.remove_prefix(text.size() - Size);
  std::ranges::copy(text, to.begin());
  return static_cast<std::uint32_t>(text.size());
}

template <std::size_t Size>
std::string_view text_in(const std::array<char, Size>& from, std::uint32_t bytes) {
  return {from.data(), std::min<std::size_t>(bytes, Size)};
}

std::string program_in(const Proof& proof) {
  std::string name = "\"" + std::string(text_in(proof.path, proof.path_bytes)) + "\" (" +
                     std::string(text_in(proof.identity, proof.identity_bytes)) + ")";
  // It may be anything.
  std::ranges::replace_if(name, [](unsigned char c) { return c < ' '; }, '?');
  return name;
}

const char* opposite(Role role) { return role == Role::listener ? "client" : "listener"; }

}  // namespace

AuthenticationKey::AuthenticationKey(const std::optional<std::string>& secret)
    : is_secret_(secret.has_value()), text_(secret.value_or("hoist: no key")) {
  if (text_.empty()) throw BadArgument("authkey is empty: give a secret, or none at all");
}

AuthenticationKey::~AuthenticationKey() { sodium_memzero(text_.data(), text_.size()); }

Handshake::Handshake(Role role, const AuthenticationKey& key, bool any_program, std::string peer)
    : role_(role), key_(key), any_program_(any_program), peer_(std::move(peer)) {
  use_sodium();
  Hello hello{magic, protocol_version, key_.is_secret() ? 1U : 0U, {}};
  randombytes_buf(hello.nonce.data(), hello.nonce.size());
  hellos_[static_cast<std::size_t>(role)] = hello;
  write(&hello, sizeof hello);
}

std::span<std::byte> Handshake::room() {
  const std::size_t size = step_ == Step::hello   ? sizeof(Hello)
                           : step_ == Step::proof ? sizeof(Proof)
                                                  : filled_;
  return std::span(input_).first(size).subspan(filled_);
}

void Handshake::take(std::size_t bytes) {
  filled_ += bytes;
  // What begins otherwise will not get better.
  const std::size_t known = std::min(filled_, magic.size());
  if (step_ == Step::hello && std::memcmp(input_.data(), magic.data(), known) != 0) {
    throw DamagedData("the " + std::string(opposite(role_)) + " (" + peer_ +
                      ") doesn't speak hoist's protocol");
  }
  if (!room().empty()) return;
  if (step_ == Step::hello) {
    take_hello();
  } else {
    take_proof();
  }
}

std::span<const std::byte> Handshake::output() const {
  return std::span(output_).first(written_).subspan(sent_);
}

void Handshake::write(const void* data, std::size_t bytes) {
  std::memcpy(output_.data() + written_, data, bytes);
  written_ += bytes;
}

void Handshake::take_hello() {
  Hello& theirs = hellos_[role_ == Role::listener ? 1 : 0];
  std::memcpy(&theirs, input_.data(), sizeof theirs);
  if (theirs.version != protocol_version) {
    throw AuthenticationError("the " + std::string(opposite(role_)) + " (" + peer_ +
                              ") has another version of hoist: it speaks version " +
                              std::to_string(theirs.version) + " of the protocol, this program " +
                              std::to_string(protocol_version));
  }
  step_ = Step::proof;
  filled_ = 0;
  if (role_ == Role::listener) return;
  const Proof proof = own_proof();
  write(&proof, sizeof proof);
}

void Handshake::take_proof() {
  Proof theirs;
  std::memcpy(static_cast<void*>(&theirs), input_.data(), sizeof theirs);
  const std::string who = "the " + std::string(opposite(role_)) + " (" + peer_ + ") ";
  const bool they_have = hellos_[role_ == Role::listener ? 1 : 0].has_secret != 0;
  const std::string have = !they_have         ? "has no key: give both sides the same authkey"
                           : key_.is_secret() ? "has another key: give both sides the same authkey"
                                              : "has a key: give both sides the same authkey";
  const auto expected = mac_of(role_ == Role::listener ? Role::client : Role::listener, theirs);
  const bool proves = theirs.verdict == Verdict::accepted &&
                      sodium_memcmp(expected.data(), theirs.mac.data(), expected.size()) == 0;
  if (!proves) {
    if (role_ == Role::listener) {
      Proof refusal;
      refusal.verdict = Verdict::wrong_key;
      write(&refusal, sizeof refusal);
    }
    throw AuthenticationError(who + have);
  }
  if (role_ == Role::listener) {
    // Before it is refused, so that the client learns why.
    const Proof proof = own_proof();
    write(&proof, sizeof proof);
  }
  check_program(theirs);
  step_ = Step::done;
}

void Handshake::check_program(const Proof& theirs) {
  const Proof own = own_proof();
  const bool equal =
      text_in(own.identity, own.identity_bytes) == text_in(theirs.identity, theirs.identity_bytes);
  const bool any = any_program_ || theirs.any_program != 0;
  same_program_ = equal && !any;
  if (equal || (any_program_ && theirs.any_program != 0)) return;
  throw AuthenticationError(
      "the " + std::string(opposite(role_)) + " (" + peer_ + ") is " + program_in(theirs) +
      ", this program is " + program_in(own) +
      ": run the same build on both sides, or set any_program on both to exchange values only");
}

Proof Handshake::own_proof() const {
  const Program& program = this_program();
  Proof proof;
  proof.any_program = any_program_ ? 1 : 0;
  proof.identity_bytes = copy_end(proof.identity, program.identity);
  proof.path_bytes = copy_end(proof.path, program.path);
  proof.mac = mac_of(role_, proof);
  return proof;
}

std::array<std::byte, 32> Handshake::mac_of(Role role, const Proof& proof) const {
  std::array<char, label_bytes> label{};
  copy_end(label,
           role == Role::listener ? "hoist connection: listener" : "hoist connection: client");
  crypto_auth_hmacsha512256_state state;
  const auto bytes_of = [](const auto& object) {
    return reinterpret_cast<const unsigned char*>(&object);
  };
  crypto_auth_hmacsha512256_init(&state, reinterpret_cast<const unsigned char*>(key_.text().data()),
                                 key_.text().size());
  crypto_auth_hmacsha512256_update(&state, bytes_of(label), sizeof label);
  crypto_auth_hmacsha512256_update(&state, bytes_of(hellos_[1]), sizeof(Hello));
  crypto_auth_hmacsha512256_update(&state, bytes_of(hellos_[0]), sizeof(Hello));
  crypto_auth_hmacsha512256_update(&state, bytes_of(proof), offsetof(Proof, mac));
  std::array<std::byte, 32> mac{};
  crypto_auth_hmacsha512256_final(&state, reinterpret_cast<unsigned char*>(mac.data()));
  sodium_memzero(&state, sizeof state);
  return mac;
}

}  // namespace hoist::detail::sockets
