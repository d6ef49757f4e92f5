#pragma once
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdbool.h>

/// Makes the settings of a client: TLS 1.2 or later, the server's certificate is verified, no renegotiation. Returns NULL without memory.
SSL_CTX *tgp_tls_context(void);

/// Sets the host name or the address in digits that the server's certificate must hold. Returns whether it could.
bool tgp_tls_expect_name(SSL *session, const char *name);
