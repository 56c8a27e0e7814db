#include "wsd/tls.h"

#include "common/log.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Of TLS 1.2, for which OpenSSL would offer more; those of 1.3 are all good. */
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"

struct tls_pair {
	X509 *certificate;
	STACK_OF(X509) * chain;
	EVP_PKEY *key;
};

bool
tls_wanted(const struct conf *conf)
{
	return conf->tls_certificate[0] != '\0';
}

void
tls_free(struct tls_pair **pair)
{
	struct tls_pair *p = *pair;

	if (p == NULL)
		return;
	X509_free(p->certificate);
	sk_X509_pop_free(p->chain, X509_free);
	EVP_PKEY_free(p->key);
	free(p);
	*pair = NULL;
}

/* What OpenSSL complained of first, which is nearest to the cause. */
static enum evh_rc
complain(char why[CONF_WHY_BYTES], const char *key, const char *path, const char *text)
{
	const char *reason = ERR_reason_error_string(ERR_peek_error());

	(void)snprintf(why, CONF_WHY_BYTES, "%s: %s: %s%s%s", key, path, text,
		reason != NULL ? ": " : "", reason != NULL ? reason : "");
	ERR_clear_error();
	return EVH_INVALID;
}

static FILE *
open_file(const char *key, const char *path, enum evh_rc *rc, char why[CONF_WHY_BYTES])
{
	FILE *fp = fopen(path, "re");

	ERR_clear_error();
	if (fp == NULL) {
		*rc = errno == ENOENT ? EVH_NOT_FOUND : EVH_DENIED;
		(void)snprintf(why, CONF_WHY_BYTES, "%s: %s: %s", key, path, strerror(errno));
	}
	return fp;
}

/* There is nobody who could type a passphrase. */
static int
no_passphrase(char *buf, int size, int writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

static enum evh_rc
read_chain(struct tls_pair *p, const char *path, char why[CONF_WHY_BYTES])
{
	enum evh_rc rc = EVH_OK;
	FILE *fp = open_file("tls_certificate", path, &rc, why);
	X509 *more;

	if (fp == NULL)
		return rc;
	p->chain = sk_X509_new_null();
	p->certificate = PEM_read_X509_AUX(fp, NULL, no_passphrase, NULL);
	if (p->certificate == NULL || p->chain == NULL)
		rc = complain(why, "tls_certificate", path, "holds no certificate in PEM form");
	while (rc == EVH_OK && (more = PEM_read_X509(fp, NULL, no_passphrase, NULL)) != NULL) {
		if (sk_X509_push(p->chain, more) <= 0) {
			X509_free(more);
			rc = EVH_NOMEM;
		}
	}
	if (rc == EVH_OK && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
		rc = complain(why, "tls_certificate", path, "its chain cannot be read");
	ERR_clear_error(); /* the end of the file is one */
	(void)fclose(fp);
	return rc;
}

static enum evh_rc
read_key(struct tls_pair *p, const char *path, char why[CONF_WHY_BYTES])
{
	enum evh_rc rc = EVH_OK;
	FILE *fp = open_file("tls_key", path, &rc, why);
	struct stat st;

	if (fp == NULL)
		return rc;
	if (fstat(fileno(fp), &st) != 0 || !S_ISREG(st.st_mode)) {
		(void)snprintf(why, CONF_WHY_BYTES, "tls_key: %s: not a file", path);
		rc = EVH_INVALID;
	} else if ((st.st_mode & S_IRWXO) != 0) {
		(void)snprintf(why, CONF_WHY_BYTES,
			"tls_key: %s: everybody on this machine may use it (mode %04o); chmod o= it, and renew a"
			" key that others may have read",
			path, (unsigned)st.st_mode & 07777);
		rc = EVH_DENIED;
	} else {
		p->key = PEM_read_PrivateKey(fp, NULL, no_passphrase, NULL);
		if (p->key == NULL)
			rc = complain(why, "tls_key", path,
				"holds no private key in PEM form, or one with a passphrase");
	}
	(void)fclose(fp);
	return rc;
}

/* A pair that clients will not like is the operator's to judge. */
static void
tell_dates(const X509 *certificate, const char *path)
{
	if (X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0)
		log_warn("certificate_expired", "tls_certificate=%s", path);
	else if (X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0)
		log_warn("certificate_not_yet_valid", "tls_certificate=%s", path);
}

enum evh_rc
tls_load(struct tls_pair **out, const struct conf *conf, char why[CONF_WHY_BYTES])
{
	struct tls_pair *p = calloc(1, sizeof(*p));
	enum evh_rc rc;

	*out = NULL;
	why[0] = '\0';
	if (p == NULL)
		return EVH_NOMEM;
	rc = read_chain(p, conf->tls_certificate, why);
	if (rc == EVH_OK)
		rc = read_key(p, conf->tls_key, why);
	if (rc == EVH_OK && X509_check_private_key(p->certificate, p->key) != 1)
		rc = complain(why, "tls_key", conf->tls_key, "is not the key of tls_certificate");
	if (rc != EVH_OK) {
		tls_free(&p);
		return rc;
	}
	tell_dates(p->certificate, conf->tls_certificate);
	*out = p;
	return EVH_OK;
}

enum evh_rc
tls_set_up(void *ssl_ctx)
{
	SSL_CTX *ctx = ssl_ctx;

	(void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	/* tickets hold the state of a session; buffers are given back while a
	 * connection is idle, which most are */
	(void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	(void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
			SSL_CTX_set_max_proto_version(ctx, 0) == 1 &&
			SSL_CTX_set_cipher_list(ctx, CIPHERS) == 1
		? EVH_OK
		: EVH_INVALID;
}

enum evh_rc
tls_use(void *ssl_ctx, const struct tls_pair *pair)
{
	if (SSL_CTX_use_cert_and_key(ssl_ctx, pair->certificate, pair->key, pair->chain, 1) == 1)
		return EVH_OK;
	ERR_clear_error();
	return EVH_INVALID;
}

/* Connections */

static int name_index = -1;
static void (*on_done)(void *conn);

static void
on_info(const SSL *ssl, int where, int ret)
{
	void *conn = SSL_get_ex_data(ssl, name_index);

	(void)ret;
	if ((where & SSL_CB_HANDSHAKE_DONE) != 0 && conn != NULL)
		on_done(conn);
}

void
tls_tell_done(void *ssl_ctx, void (*done)(void *conn))
{
	if (name_index < 0)
		name_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	on_done = done;
	SSL_CTX_set_info_callback(ssl_ctx, on_info);
}

enum evh_rc
tls_name(void *ssl, void *conn)
{
	if (name_index < 0 || SSL_set_ex_data(ssl, name_index, conn) != 1)
		return EVH_NOMEM;
	if (SSL_is_init_finished(ssl))
		on_done(conn);
	return EVH_OK;
}

bool
tls_peek(void *ssl, char *to, size_t size, size_t *len)
{
	int n;

	*len = 0;
	ERR_clear_error();
	n = SSL_peek(ssl, to, (int)size);
	if (n > 0) {
		*len = (size_t)n;
		return true;
	}
	n = SSL_get_error(ssl, n);
	ERR_clear_error();
	return n == SSL_ERROR_WANT_READ || n == SSL_ERROR_WANT_WRITE;
}

void
tls_skip(void *ssl, size_t len)
{
	char scratch[256];

	while (len > 0) {
		int n = SSL_read(ssl, scratch, (int)(len < sizeof(scratch) ? len : sizeof(scratch)));

		if (n <= 0)
			return;
		len -= (size_t)n;
	}
}

size_t
tls_pending(const void *ssl)
{
	int n = SSL_pending(ssl);

	return n > 0 ? (size_t)n : 0;
}

void
tls_say_goodbye(void *ssl)
{
	ERR_clear_error();
	(void)SSL_shutdown(ssl);
	ERR_clear_error();
}
