#include "CSSL.h"

#include "CLoader.h"

#define SSL_FUNCTIONS(F) \
    F(int, SSL_CTX_check_private_key, (const SSL_CTX *ctx), (ctx)) \
    F(long, SSL_CTX_ctrl, (SSL_CTX * ctx, int cmd, long larg, void *parg), (ctx, cmd, larg, parg)) \
    F(void, SSL_CTX_free, (SSL_CTX * ctx), (ctx)) \
    F(int, SSL_CTX_load_verify_file, (SSL_CTX * ctx, const char *file), (ctx, file)) \
    F(SSL_CTX *, SSL_CTX_new, (const SSL_METHOD *method), (method)) \
    F(void, SSL_CTX_set_default_passwd_cb, (SSL_CTX * ctx, pem_password_cb *cb), (ctx, cb)) \
    F(int, SSL_CTX_set_default_verify_paths, (SSL_CTX * ctx), (ctx)) \
    F(uint64_t, SSL_CTX_set_options, (SSL_CTX * ctx, uint64_t options), (ctx, options)) \
    F(void, SSL_CTX_set_verify, (SSL_CTX * ctx, int mode, SSL_verify_cb callback), (ctx, mode, callback)) \
    F(int, SSL_CTX_use_PrivateKey_file, (SSL_CTX * ctx, const char *file, int type), (ctx, file, type)) \
    F(int, SSL_CTX_use_certificate_chain_file, (SSL_CTX * ctx, const char *file), (ctx, file)) \
    F(int, SSL_connect, (SSL * ssl), (ssl)) \
    F(long, SSL_ctrl, (SSL * ssl, int cmd, long larg, void *parg), (ssl, cmd, larg, parg)) \
    F(void, SSL_free, (SSL * ssl), (ssl)) \
    F(X509_VERIFY_PARAM *, SSL_get0_param, (SSL * ssl), (ssl)) \
    F(int, SSL_get_error, (const SSL *ssl, int result), (ssl, result)) \
    F(long, SSL_get_verify_result, (const SSL *ssl), (ssl)) \
    F(SSL *, SSL_new, (SSL_CTX * ctx), (ctx)) \
    F(int, SSL_read, (SSL * ssl, void *buffer, int count), (ssl, buffer, count)) \
    F(int, SSL_set1_host, (SSL * ssl, const char *name), (ssl, name)) \
    F(int, SSL_set_fd, (SSL * ssl, int descriptor), (ssl, descriptor)) \
    F(int, SSL_write, (SSL * ssl, const void *buffer, int count), (ssl, buffer, count)) \
    F(const SSL_METHOD *, TLS_client_method, (void), ())

TGP_LAZY_LIBRARY(SSL_FUNCTIONS, TGP_NO_VARIADIC, "libssl.so.3", "libssl3")

SSL_CTX *tgp_tls_context(void) {
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (context == NULL) return NULL;
    SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, TLS1_2_VERSION, NULL);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_ctrl(
        context, SSL_CTRL_MODE, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS,
        NULL);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    return context;
}

bool tgp_tls_expect_name(SSL *session, const char *name) {
    // An address in digits stands in another field of a certificate, and is not told to the server beforehand.
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), name)) return true;
    ERR_clear_error();
    return SSL_set1_host(session, name) == 1 &&
           SSL_ctrl(session, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, (void *)name) == 1;
}
