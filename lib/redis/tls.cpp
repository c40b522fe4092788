// SPDX-License-Identifier: BSD-3-Clause
#include "redis/tls.hpp"

#include <hoist/error.hpp>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <new>
#include <string>

#include "os/socket.hpp"
#include "redis/is_gone.hpp"

namespace hoist::detail::redis {

namespace {

/// What OpenSSL says of the latest failure in this thread.
std::string reason() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  const char* const text = code != 0 ? ERR_reason_error_string(code) : nullptr;
  return text != nullptr ? text : "no reason given";
}

/// Before a call whose outcome is to be told: what the program has left in this thread from its own
/// use of OpenSSL would be taken for that.
void forget_errors() {
  ERR_clear_error();
  errno = 0;
}

int descriptor_of(BIO* bio) {
  return static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio)));
}

int passed_on(BIO* bio, ssize_t done, int retry) {
  BIO_clear_retry_flags(bio);
  if (done < 0 && os::has_no_room(errno)) BIO_set_flags(bio, retry);
  return static_cast<int>(done);
}

/// OpenSSL's own sockets write by write(2), which raises SIGPIPE where the other side is gone.
const BIO_METHOD* quiet_socket() {
  static const BIO_METHOD* const method = [] {
    BIO_METHOD* const made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "hoist");
    if (made == nullptr) throw std::bad_alloc();
    BIO_meth_set_write(made, [](BIO* bio, const char* from, int n) {
      const ssize_t done = repeated(descriptor_of(bio), SO_SNDTIMEO, [&] {
        return ::send(descriptor_of(bio), from, static_cast<std::size_t>(n), MSG_NOSIGNAL);
      });
      return passed_on(bio, done, BIO_FLAGS_WRITE | BIO_FLAGS_SHOULD_RETRY);
    });
    BIO_meth_set_read(made, [](BIO* bio, char* to, int n) {
      const ssize_t done = repeated(descriptor_of(bio), SO_RCVTIMEO, [&] {
        return ::recv(descriptor_of(bio), to, static_cast<std::size_t>(n), 0);
      });
      return passed_on(bio, done, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY);
    });
    BIO_meth_set_ctrl(made, [](BIO*, int command, long, void*) -> long {
      return command == BIO_CTRL_FLUSH ? 1 : 0;
    });
    return made;
  }();
  return method;
}

void use_files(SSL_CTX* context, const Url& url) {
  const auto check = [](int done, const std::string& file) {
    if (done != 1) throw BadArgument("can't use \"" + file + "\" for TLS: " + reason());
  };
  if (url.tls_ca.empty()) {
    check(SSL_CTX_set_default_verify_paths(context), "the system's certificates");
  } else {
    check(SSL_CTX_load_verify_file(context, url.tls_ca.c_str()), url.tls_ca);
  }
  if (url.tls_cert.empty()) return;
  const std::string& key = url.tls_key.empty() ? url.tls_cert : url.tls_key;
  check(SSL_CTX_use_certificate_chain_file(context, url.tls_cert.c_str()), url.tls_cert);
  check(SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM), key);
}

}  // namespace

void Tls::FreeContext::operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
void Tls::Free::operator()(SSL* tls) const { SSL_free(tls); }

Tls::Tls(int fd, const Url& url) : server_(url.server) {
  // Calls may be under way while the process ends.
  OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT, nullptr);
  ERR_clear_error();
  context_.reset(SSL_CTX_new(TLS_client_method()));
  if (context_ == nullptr) throw std::bad_alloc();
  SSL_CTX_set_min_proto_version(context_.get(), TLS1_2_VERSION);
  SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_mode(context_.get(), SSL_MODE_ENABLE_PARTIAL_WRITE);
  use_files(context_.get(), url);
  tls_.reset(SSL_new(context_.get()));
  BIO* const bio = BIO_new(quiet_socket());
  if (tls_ == nullptr || bio == nullptr) throw std::bad_alloc();
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<std::intptr_t>(fd)));
  BIO_set_init(bio, 1);
  SSL_set_bio(tls_.get(), bio, bio);
  const std::string& host = url.address.host();
  X509_VERIFY_PARAM* const verify = SSL_get0_param(tls_.get());
  if (X509_VERIFY_PARAM_set1_ip_asc(verify, host.c_str()) != 1) {
    SSL_set1_host(tls_.get(), host.c_str());
    SSL_set_tlsext_host_name(tls_.get(), host.c_str());
  }
  forget_errors();
  const int done = SSL_connect(tls_.get());
  if (done == 1) return;
  check_end(done, "talk to");
  throw EndOfStream("the Redis server " + server_ +
                    " has closed the connection: does it speak TLS?");
}

Tls::~Tls() = default;

void Tls::check_end(int result, const char* what) {
  const int code = errno;
  const int error = SSL_get_error(tls_.get(), result);
  if (error == SSL_ERROR_ZERO_RETURN ||
      (error == SSL_ERROR_SYSCALL && (code == 0 || is_gone(code)))) {
    return;
  }
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
    throw TimedOut("the Redis server " + server_ + " has been silent for too long" +
                   (SSL_in_init(tls_.get()) != 0 ? ": perhaps it speaks no TLS here" : ""));
  }
  const long verified = SSL_get_verify_result(tls_.get());
  std::string why = reason();
  if (verified != X509_V_OK) {
    why = std::string("its certificate is refused: ") + X509_verify_cert_error_string(verified) +
          " (tls_ca=FILE in the URL names the authority to trust)";
  } else if (SSL_in_init(tls_.get()) != 0) {
    why = "it speaks no TLS here, or wants a certificate (tls_cert=FILE): " + why;
  }
  throw SystemError(
      "can't " + std::string(what) + " the Redis server " + server_ + " by TLS: " + why,
      error == SSL_ERROR_SYSCALL ? code : EPROTO);
}

std::size_t Tls::read(std::span<std::byte> to) {
  forget_errors();
  std::size_t bytes = 0;
  const int done = SSL_read_ex(tls_.get(), to.data(), to.size(), &bytes);
  if (done != 1) check_end(done, "read from");
  return bytes;
}

std::size_t Tls::write(std::span<const std::byte> from) {
  forget_errors();
  std::size_t bytes = 0;
  const int done = SSL_write_ex(tls_.get(), from.data(), from.size(), &bytes);
  if (done != 1) check_end(done, "write to");
  return bytes;
}

bool Tls::has_more() const { return SSL_pending(tls_.get()) > 0; }

}  // namespace hoist::detail::redis
