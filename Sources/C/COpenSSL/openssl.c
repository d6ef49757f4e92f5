#include "COpenSSL.h"

#include "CLoader.h"

#define CRYPTO_FUNCTIONS(F) \
    F(int, BIO_free, (BIO *a), (a)) \
    F(BIO *, BIO_new_mem_buf, (const void *buf, int len), (buf, len)) \
    F(void, BN_CTX_free, (BN_CTX *c), (c)) \
    F(BN_CTX *, BN_CTX_new, (void), ()) \
    F(int, BN_add, (BIGNUM *r, const BIGNUM *a, const BIGNUM *b), (r, a, b)) \
    F(BIGNUM *, BN_bin2bn, (const unsigned char *s, int len, BIGNUM *ret), (s, len, ret)) \
    F(int, BN_bn2bin, (const BIGNUM *a, unsigned char *to), (a, to)) \
    F(int, BN_bn2binpad, (const BIGNUM *a, unsigned char *to, int tolen), (a, to, tolen)) \
    F(int, BN_check_prime, (const BIGNUM *p, BN_CTX *ctx, BN_GENCB *cb), (p, ctx, cb)) \
    F(void, BN_clear_free, (BIGNUM *a), (a)) \
    F(int, BN_cmp, (const BIGNUM *a, const BIGNUM *b), (a, b)) \
    F(void, BN_free, (BIGNUM *a), (a)) \
    F(int, BN_is_odd, (const BIGNUM *a), (a)) \
    F(int, BN_mod_exp_mont_consttime, \
      (BIGNUM *rr, const BIGNUM *a, const BIGNUM *p, const BIGNUM *m, BN_CTX *ctx, BN_MONT_CTX *in_mont), \
      (rr, a, p, m, ctx, in_mont)) \
    F(int, BN_mod_mul, (BIGNUM *r, const BIGNUM *a, const BIGNUM *b, const BIGNUM *m, BN_CTX *ctx), (r, a, b, m, ctx)) \
    F(int, BN_mod_sub, (BIGNUM *r, const BIGNUM *a, const BIGNUM *b, const BIGNUM *m, BN_CTX *ctx), (r, a, b, m, ctx)) \
    F(unsigned long, BN_mod_word, (const BIGNUM *a, unsigned long w), (a, w)) \
    F(int, BN_mul, (BIGNUM *r, const BIGNUM *a, const BIGNUM *b, BN_CTX *ctx), (r, a, b, ctx)) \
    F(BIGNUM *, BN_new, (void), ()) \
    F(int, BN_num_bits, (const BIGNUM *a), (a)) \
    F(int, BN_rshift1, (BIGNUM *r, const BIGNUM *a), (r, a)) \
    F(int, BN_set_bit, (BIGNUM *a, int n), (a, n)) \
    F(int, BN_sub, (BIGNUM *r, const BIGNUM *a, const BIGNUM *b), (r, a, b)) \
    F(void, CRYPTO_free, (void *ptr, const char *file, int line), (ptr, file, line)) \
    F(int, CRYPTO_memcmp, (const void *in_a, const void *in_b, size_t len), (in_a, in_b, len)) \
    F(void, ERR_clear_error, (void), ()) \
    F(unsigned long, ERR_peek_last_error, (void), ()) \
    F(const char *, ERR_reason_error_string, (unsigned long e), (e)) \
    F(int, EVP_CIPHER_CTX_ctrl, (EVP_CIPHER_CTX *ctx, int type, int arg, void *ptr), (ctx, type, arg, ptr)) \
    F(void, EVP_CIPHER_CTX_free, (EVP_CIPHER_CTX *c), (c)) \
    F(EVP_CIPHER_CTX *, EVP_CIPHER_CTX_new, (void), ()) \
    F(int, EVP_CIPHER_CTX_set_padding, (EVP_CIPHER_CTX *c, int pad), (c, pad)) \
    F(int, EVP_CipherFinal_ex, (EVP_CIPHER_CTX *ctx, unsigned char *out, int *outl), (ctx, out, outl)) \
    F(int, EVP_CipherInit_ex, \
      (EVP_CIPHER_CTX *ctx, const EVP_CIPHER *cipher, ENGINE *impl, const unsigned char *key, const unsigned char *iv, int enc), \
      (ctx, cipher, impl, key, iv, enc)) \
    F(int, EVP_CipherUpdate, \
      (EVP_CIPHER_CTX *ctx, unsigned char *out, int *outl, const unsigned char *in, int inl), \
      (ctx, out, outl, in, inl)) \
    F(int, EVP_DigestFinal_ex, (EVP_MD_CTX *ctx, unsigned char *md, unsigned int *s), (ctx, md, s)) \
    F(int, EVP_DigestInit_ex, (EVP_MD_CTX *ctx, const EVP_MD *type, ENGINE *impl), (ctx, type, impl)) \
    F(int, EVP_DigestUpdate, (EVP_MD_CTX *ctx, const void *d, size_t cnt), (ctx, d, cnt)) \
    F(int, EVP_EncryptInit_ex, \
      (EVP_CIPHER_CTX *ctx, const EVP_CIPHER *cipher, ENGINE *impl, const unsigned char *key, const unsigned char *iv), \
      (ctx, cipher, impl, key, iv)) \
    F(int, EVP_EncryptUpdate, \
      (EVP_CIPHER_CTX *ctx, unsigned char *out, int *outl, const unsigned char *in, int inl), \
      (ctx, out, outl, in, inl)) \
    F(void, EVP_MD_CTX_free, (EVP_MD_CTX *ctx), (ctx)) \
    F(EVP_MD_CTX *, EVP_MD_CTX_new, (void), ()) \
    F(int, EVP_PBE_scrypt, \
      (const char *pass, size_t passlen, const unsigned char *salt, size_t saltlen, uint64_t N, uint64_t r, uint64_t p, \
       uint64_t maxmem, unsigned char *key, size_t keylen), \
      (pass, passlen, salt, saltlen, N, r, p, maxmem, key, keylen)) \
    F(void, EVP_PKEY_free, (EVP_PKEY *pkey), (pkey)) \
    F(int, EVP_PKEY_get_bn_param, (const EVP_PKEY *pkey, const char *key_name, BIGNUM **bn), (pkey, key_name, bn)) \
    F(const EVP_CIPHER *, EVP_aes_256_cbc, (void), ()) \
    F(const EVP_CIPHER *, EVP_aes_256_ctr, (void), ()) \
    F(const EVP_CIPHER *, EVP_aes_256_ecb, (void), ()) \
    F(const EVP_CIPHER *, EVP_aes_256_gcm, (void), ()) \
    F(const EVP_MD *, EVP_md5, (void), ()) \
    F(const EVP_MD *, EVP_sha1, (void), ()) \
    F(const EVP_MD *, EVP_sha256, (void), ()) \
    F(const EVP_MD *, EVP_sha512, (void), ()) \
    F(unsigned char *, HMAC, \
      (const EVP_MD *evp_md, const void *key, int key_len, const unsigned char *data, size_t data_len, unsigned char *md, unsigned int *md_len), \
      (evp_md, key, key_len, data, data_len, md, md_len)) \
    F(void, OPENSSL_cleanse, (void *ptr, size_t len), (ptr, len)) \
    F(int, PEM_read_bio, \
      (BIO *bp, char **name, char **header, unsigned char **data, long *len), \
      (bp, name, header, data, len)) \
    F(int, PKCS5_PBKDF2_HMAC, \
      (const char *pass, int passlen, const unsigned char *salt, int saltlen, int iter, const EVP_MD *digest, int keylen, unsigned char *out), \
      (pass, passlen, salt, saltlen, iter, digest, keylen, out)) \
    F(int, RAND_bytes, (unsigned char *buf, int num), (buf, num)) \
    F(int, X509_VERIFY_PARAM_set1_ip_asc, (X509_VERIFY_PARAM *param, const char *ipasc), (param, ipasc)) \
    F(const char *, X509_verify_cert_error_string, (long n), (n)) \
    F(EVP_PKEY *, d2i_PUBKEY, (EVP_PKEY **a, const unsigned char **in, long len), (a, in, len)) \
    F(EVP_PKEY *, d2i_PublicKey, (int type, EVP_PKEY **a, const unsigned char **pp, long length), (type, a, pp, length))

TGP_LAZY_LIBRARY(CRYPTO_FUNCTIONS, TGP_NO_VARIADIC, "libcrypto.so.3", "libssl3")
