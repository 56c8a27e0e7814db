/* JWTs.  Lines: a token as it comes, then a header and claims, which are signed
 * here, so that what is behind the signature is reached too. */

#include "common/event_types.h"
#include "common/json.h"
#include "common/jwt_claims.h"
#include "common/verifier.h"
#include "tests/fuzz/fuzz.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SECRET "0123456789abcdef0123456789abcdef"
#define NOW INT64_C(1700000000000000)

static struct verifier *verifier;

static void
set_up(void)
{
	char text[400], why[CONF_WHY_BYTES] = "";
	struct conf conf;
	FILE *f;

	(void)snprintf(text, sizeof(text), "%s/key", fuzz_directory());
	f = fopen(text, "w");
	FUZZ_CHECK(f != NULL && fputs(SECRET, f) >= 0 && fclose(f) == 0 && chmod(text, 0600) == 0);
	FUZZ_CHECK(conf_init(&conf) == EVH_OK);
	(void)snprintf(text, sizeof(text), "jwt.key_file=%s/key", fuzz_directory());
	FUZZ_CHECK(conf_override(&conf, text, why) == EVH_OK);
	FUZZ_CHECK(conf_override(&conf, "jwt.algorithm=HS256", why) == EVH_OK);
	FUZZ_CHECK(conf_override(&conf, "jwt.leeway=0", why) == EVH_OK);
	FUZZ_CHECK(verifier_new(&verifier, &conf, why) == EVH_OK);
	conf_free(&conf);
}

/* Whom a token may never speak for. */
static void
check_principal(const struct auth_principal *who)
{
	FUZZ_CHECK(who->credential_id == 0 && who->user_id[0] != '\0');
	FUZZ_CHECK(who->expires_at >= NOW / 1000000 && who->expires_at < INT64_C(300000000000));
	FUZZ_CHECK(who->event_types == NULL || event_patterns_valid(who->event_types, 256));
}

static enum evh_rc
verify(const char *token)
{
	struct api_error e = API_ERROR_INIT;
	struct auth_principal who;
	enum evh_rc rc = verifier_check(verifier, token, NOW, "authorization", &who, &e);

	if (rc == EVH_OK) {
		FUZZ_CHECK(e.code == 0);
		check_principal(&who);
		auth_principal_free(&who);
	} else {
		FUZZ_CHECK(rc == EVH_DENIED && e.code == 401 && e.count == 1 && who.event_types == NULL);
	}
	api_error_free(&e);
	return rc;
}

static void
add_base64(struct buf *out, const void *bytes, size_t len)
{
	char *text = calloc(1, 4 * (len / 3 + 1) + 1);
	int n;

	FUZZ_CHECK(text != NULL);
	n = EVP_EncodeBlock((unsigned char *)text, bytes, (int)len);
	while (n > 0 && text[n - 1] == '=')
		n--;
	for (int i = 0; i < n; i++)
		text[i] = text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i];
	buf_add(out, text, (size_t)n);
	free(text);
}

/* What the claims say by themselves is what the signed token says. */
static void
check_signed(const char *header, const char *claims)
{
	static const struct jwt_rules rules = { "", "", "sub", "scope", "event_types", 0 };
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned digest_len = 0;
	struct buf token = BUF_INIT;
	struct json_object *object = NULL;
	struct api_error e = API_ERROR_INIT;
	struct auth_principal who;
	char why[JSON_WHY_BYTES];
	bool fine = false;

	add_base64(&token, header, strlen(header));
	buf_puts(&token, ".");
	add_base64(&token, claims, strlen(claims));
	FUZZ_CHECK(HMAC(EVP_sha256(), SECRET, (int)strlen(SECRET), (unsigned char *)token.data,
			   token.len, digest, &digest_len) != NULL);
	buf_puts(&token, ".");
	add_base64(&token, digest, digest_len);
	if (json_parse(claims, strlen(claims), &object, why) == EVH_OK) {
		fine = jwt_claims_check(object, &rules, NOW, &who, &e) == EVH_OK;
		if (fine) {
			check_principal(&who);
			auth_principal_free(&who);
		}
	}
	if (verify(token.data) == EVH_OK)
		FUZZ_CHECK(fine && strstr(header, "HS256") != NULL);
	(void)json_object_put(object);
	api_error_free(&e);
	buf_free(&token);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { (const char *)data, size };
	char *token, *header, *claims;

	if (verifier == NULL)
		set_up();
	token = fuzz_line(&in);
	header = fuzz_line(&in);
	claims = fuzz_line(&in);
	if (token != NULL) {
		(void)verifier_shaped(token);
		FUZZ_CHECK(verify(token) != EVH_OK); /* nobody guesses the secret */
	}
	if (header != NULL && claims != NULL) {
		check_signed(header, claims);
		check_signed("{\"alg\":\"HS256\"}", claims);
	}
	free(token);
	free(header);
	free(claims);
	return 0;
}
