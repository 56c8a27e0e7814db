#include "common/jwt_key.h"

#include "common/conf_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX_BYTES 65536
#define RSA_BITS_MIN 2048

/* What each algorithm takes: a secret of so many bytes at least (RFC 7518
 * section 3.2), or a public key of this type, on this curve. */
struct kind {
	const char *name;
	size_t secret_bytes;
	int type;
	const char *curve;
};

static const struct kind kinds[] = {
	[CONF_JWT_OFF] = { "off", 0, EVP_PKEY_NONE, NULL },
	[CONF_JWT_HS256] = { "HS256", 32, EVP_PKEY_NONE, NULL },
	[CONF_JWT_HS384] = { "HS384", 48, EVP_PKEY_NONE, NULL },
	[CONF_JWT_HS512] = { "HS512", 64, EVP_PKEY_NONE, NULL },
	[CONF_JWT_RS256] = { "RS256", 0, EVP_PKEY_RSA, NULL },
	[CONF_JWT_RS384] = { "RS384", 0, EVP_PKEY_RSA, NULL },
	[CONF_JWT_RS512] = { "RS512", 0, EVP_PKEY_RSA, NULL },
	[CONF_JWT_ES256] = { "ES256", 0, EVP_PKEY_EC, "prime256v1" },
	[CONF_JWT_ES384] = { "ES384", 0, EVP_PKEY_EC, "secp384r1" },
	[CONF_JWT_ES512] = { "ES512", 0, EVP_PKEY_EC, "secp521r1" },
	[CONF_JWT_EDDSA] = { "EdDSA", 0, EVP_PKEY_ED25519, NULL },
};

/* Opens what only those may read and write who should. */
static enum evh_rc
open_key(const char *path, bool secret, int *fd, off_t *size, char why[CONF_WHY_BYTES])
{
	struct stat st;
	mode_t forbidden = secret ? S_IRWXO : S_IWOTH;

	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (*fd < 0 || fstat(*fd, &st) != 0) {
		enum evh_rc rc = errno == EACCES ? EVH_DENIED : EVH_NOT_FOUND;

		(void)conf_complain(why, "jwt.key_file: %s cannot be read: %s", path, strerror(errno));
		return rc;
	}
	*size = st.st_size;
	if (!S_ISREG(st.st_mode))
		return conf_complain(why, "jwt.key_file: %s is not a file", path);
	if ((st.st_mode & forbidden) != 0) {
		(void)conf_complain(why,
			"jwt.key_file: %s can be %s by everybody (mode %04o); chmod o= %s", path,
			secret ? "read or written" : "written", (unsigned)st.st_mode & 07777U, path);
		return EVH_DENIED;
	}
	if (st.st_size > FILE_MAX_BYTES)
		return conf_complain(
			why, "jwt.key_file: %s is longer than any key (%d bytes)", path, FILE_MAX_BYTES);
	return EVH_OK;
}

static enum evh_rc
read_key(struct jwt_key *key, const char *path, bool secret, char why[CONF_WHY_BYTES])
{
	off_t size = 0;
	int fd;
	enum evh_rc rc = open_key(path, secret, &fd, &size, why);
	ssize_t n = 0;

	if (rc == EVH_OK) {
		key->bytes = malloc((size_t)size + 1);
		if (key->bytes == NULL) {
			(void)conf_complain(why, "jwt.key_file: out of memory");
			rc = EVH_NOMEM;
		}
	}
	if (rc == EVH_OK) {
		do
			n = read(fd, key->bytes, (size_t)size);
		while (n < 0 && errno == EINTR);
		if (n != size)
			rc = conf_complain(why, "jwt.key_file: %s cannot be read: %s", path,
				n < 0 ? strerror(errno) : "it has just changed");
		key->len = n > 0 ? (size_t)n : 0;
		key->bytes[key->len] = '\0';
	}
	if (fd >= 0)
		(void)close(fd);
	return rc;
}

static enum evh_rc
check_secret(struct jwt_key *key, const struct kind *kind, const char *path, char why[CONF_WHY_BYTES])
{
	static const char pem[] = "-----BEGIN ";

	if (memmem(key->bytes, key->len, pem, sizeof(pem) - 1) != NULL)
		return conf_complain(why,
			"jwt.key_file: %s holds a key in PEM, which is no secret for %s", path,
			kind->name);
	/* an editor ends the last line; the secret does not */
	if (key->len > 0 && key->bytes[key->len - 1] == '\n')
		key->len--;
	if (key->len > 0 && key->bytes[key->len - 1] == '\r')
		key->len--;
	if (key->len < kind->secret_bytes)
		return conf_complain(why,
			"jwt.key_file: the secret in %s has %zu bytes; %s needs %zu, as many as its hash",
			path, key->len, kind->name, kind->secret_bytes);
	return EVH_OK;
}

static bool
on_curve(EVP_PKEY *pkey, const char *curve)
{
	char name[64] = "";
	size_t len;

	return curve == NULL ||
		(EVP_PKEY_get_group_name(pkey, name, sizeof(name), &len) == 1 &&
			strcmp(name, curve) == 0);
}

static enum evh_rc
check_pkey(EVP_PKEY *pkey, const struct kind *kind, const char *path, char why[CONF_WHY_BYTES])
{
	if (EVP_PKEY_get_base_id(pkey) != kind->type || !on_curve(pkey, kind->curve))
		return conf_complain(why, "jwt.key_file: the key in %s is not one for %s%s%s", path,
			kind->name, kind->curve != NULL ? ", which needs an EC key on " : "",
			kind->curve != NULL ? kind->curve : "");
	if (kind->type == EVP_PKEY_RSA && EVP_PKEY_get_bits(pkey) < RSA_BITS_MIN)
		return conf_complain(why, "jwt.key_file: the RSA key in %s has %d bits; it needs %d",
			path, EVP_PKEY_get_bits(pkey), RSA_BITS_MIN);
	return EVH_OK;
}

static enum evh_rc
check_public(
	const struct jwt_key *key, const struct kind *kind, const char *path, char why[CONF_WHY_BYTES])
{
	static const char private[] = "PRIVATE KEY-----";
	BIO *bio;
	EVP_PKEY *pkey;
	enum evh_rc rc;

	if (memmem(key->bytes, key->len, private, sizeof(private) - 1) != NULL)
		return conf_complain(why,
			"jwt.key_file: %s holds a private key; only the public one is needed here (openssl pkey -pubout)",
			path);
	bio = BIO_new_mem_buf(key->bytes, (int)key->len);
	pkey = bio != NULL ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
	(void)BIO_free(bio);
	if (pkey == NULL)
		return conf_complain(
			why, "jwt.key_file: %s holds no public key in PEM (\"BEGIN PUBLIC KEY\")", path);
	rc = check_pkey(pkey, kind, path, why);
	EVP_PKEY_free(pkey);
	return rc;
}

enum evh_rc
jwt_key_load(struct jwt_key *key, enum conf_jwt_algorithm algorithm, const char *path,
	char why[CONF_WHY_BYTES])
{
	const struct kind *kind = &kinds[algorithm];
	enum evh_rc rc = read_key(key, path, kind->secret_bytes > 0, why);

	if (rc == EVH_OK)
		rc = kind->secret_bytes > 0 ? check_secret(key, kind, path, why)
					    : check_public(key, kind, path, why);
	if (rc != EVH_OK)
		jwt_key_free(key);
	return rc;
}

void
jwt_key_free(struct jwt_key *key)
{
	if (key->bytes != NULL)
		OPENSSL_cleanse(key->bytes, key->len);
	free(key->bytes);
	key->bytes = NULL;
	key->len = 0;
}
