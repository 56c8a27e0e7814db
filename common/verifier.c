#include "common/verifier.h"

#include "common/buf.h"
#include "common/conf_priv.h"
#include "common/json.h"
#include "common/jwt_claims.h"
#include "common/jwt_key.h"

#include <errno.h>
#include <jwt.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct verifier {
	atomic_int references;
	const char *algorithm; /* as tokens name it */
	struct jwt_key key;
	struct jwt_rules rules;
	char *texts[5]; /* of the rules */
};

/* The three parts of a token and their bytes. */
struct parts {
	struct buf header, claims, signature;
};

static const char *const algorithms[] = {
	[CONF_JWT_OFF] = NULL,
	[CONF_JWT_HS256] = "HS256",
	[CONF_JWT_HS384] = "HS384",
	[CONF_JWT_HS512] = "HS512",
	[CONF_JWT_RS256] = "RS256",
	[CONF_JWT_RS384] = "RS384",
	[CONF_JWT_RS512] = "RS512",
	[CONF_JWT_ES256] = "ES256",
	[CONF_JWT_ES384] = "ES384",
	[CONF_JWT_ES512] = "ES512",
	[CONF_JWT_EDDSA] = "EdDSA",
};

static void
destroy(struct verifier *v)
{
	jwt_key_free(&v->key);
	for (size_t i = 0; i < sizeof(v->texts) / sizeof(v->texts[0]); i++)
		free(v->texts[i]);
	free(v);
}

/* The configuration may be gone before the verifier is. */
static enum evh_rc
copy_rules(struct verifier *v, const struct conf *conf)
{
	const char *const from[] = { conf->jwt.issuer, conf->jwt.audience, conf->jwt.user_claim,
		conf->jwt.scopes_claim, conf->jwt.event_types_claim };
	const char **const to[] = { &v->rules.issuer, &v->rules.audience, &v->rules.user_claim,
		&v->rules.scopes_claim, &v->rules.event_types_claim };

	for (size_t i = 0; i < sizeof(v->texts) / sizeof(v->texts[0]); i++) {
		v->texts[i] = strdup(from[i]);
		if (v->texts[i] == NULL)
			return EVH_NOMEM;
		*to[i] = v->texts[i];
	}
	v->rules.leeway_us = conf->jwt.leeway * 1000;
	return EVH_OK;
}

enum evh_rc
verifier_new(struct verifier **out, const struct conf *conf, char why[CONF_WHY_BYTES])
{
	struct verifier *v;
	enum evh_rc rc;

	*out = NULL;
	if (conf->jwt.algorithm == CONF_JWT_OFF)
		return EVH_OK;
	v = calloc(1, sizeof(*v));
	if (v == NULL)
		return EVH_NOMEM;
	atomic_init(&v->references, 1);
	v->algorithm = algorithms[conf->jwt.algorithm];
	if (jwt_str_alg(v->algorithm) == JWT_ALG_INVAL)
		rc = conf_complain(
			why, "jwt.algorithm: this evhub's libjwt does not know %s", v->algorithm);
	else
		rc = copy_rules(v, conf);
	if (rc == EVH_OK)
		rc = jwt_key_load(
			&v->key, (enum conf_jwt_algorithm)conf->jwt.algorithm, conf->jwt.key_file, why);
	if (rc != EVH_OK) {
		destroy(v);
		return rc;
	}
	*out = v;
	return EVH_OK;
}

struct verifier *
verifier_ref(struct verifier *v)
{
	if (v != NULL)
		(void)atomic_fetch_add(&v->references, 1);
	return v;
}

void
verifier_unref(struct verifier **v)
{
	if (*v != NULL && atomic_fetch_sub(&(*v)->references, 1) == 1)
		destroy(*v);
	*v = NULL;
}

bool
verifier_shaped(const char *token)
{
	const char *first = strchr(token, '.'), *second = first != NULL ? strchr(first + 1, '.') : NULL;

	return second != NULL && strchr(second + 1, '.') == NULL;
}

/* The value of a character of base64url (RFC 4648 section 5), -1 if it is none. */
static int
sextet(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '-' ? 62 : c == '_' ? 63 : -1;
}

/* Decodes text[0..len), which has no padding; one text for each value: bits
 * that are not used must be 0.  False if it is not that. */
static bool
decode(const char *text, size_t len, struct buf *out)
{
	unsigned held = 0, bits = 0;

	if (len == 0 || len % 4 == 1)
		return false;
	for (size_t i = 0; i < len; i++) {
		int value = sextet(text[i]);
		char byte;

		if (value < 0)
			return false;
		held = held << 6 | (unsigned)value;
		bits += 6;
		if (bits < 8)
			continue;
		bits -= 8;
		byte = (char)(held >> bits & 0xff);
		buf_add(out, &byte, 1);
	}
	return (held & ((1U << bits) - 1)) == 0;
}

static bool
take_apart(const char *token, struct parts *parts)
{
	const char *first = strchr(token, '.'), *second = first != NULL ? strchr(first + 1, '.') : NULL;

	return second != NULL && decode(token, (size_t)(first - token), &parts->header) &&
		decode(first + 1, (size_t)(second - first - 1), &parts->claims) &&
		decode(second + 1, strlen(second + 1), &parts->signature);
}

static void
parts_free(struct parts *parts)
{
	buf_free(&parts->header);
	buf_free(&parts->claims);
	buf_free(&parts->signature);
}

static enum evh_rc
refuse(struct api_error *e, const char *error, const char *path, const char *text)
{
	api_error_fail(e, 401, error, path, "%s", text);
	return EVH_DENIED;
}

static enum evh_rc
no_memory(struct api_error *e)
{
	api_error_fail(e, 503, "out_of_memory", "", "out of memory");
	return EVH_NOMEM;
}

static enum evh_rc
parse_object(const struct buf *text, const char *path, struct json_object **out, struct api_error *e)
{
	char why[JSON_WHY_BYTES];
	enum evh_rc rc = json_parse(text->data, text->len, out, why);

	if (rc == EVH_NOMEM)
		return no_memory(e);
	if (rc == EVH_OK && json_object_is_type(*out, json_type_object))
		return EVH_OK;
	return refuse(e, "malformed_token", path, "the token is not made of JSON objects");
}

/* The header names our algorithm and asks for nothing that we do not know. */
static enum evh_rc
check_header(const struct verifier *v, struct json_object *header, const char *path, struct api_error *e)
{
	struct json_object *alg = NULL, *typ = NULL, *crit = NULL;
	const char *text;

	(void)json_object_object_get_ex(header, "alg", &alg);
	text = json_plain_string(alg);
	if (text == NULL || strcmp(text, v->algorithm) != 0)
		return refuse(e, "wrong_algorithm", path,
			"the token is not signed in the way that is asked for");
	if (json_object_object_get_ex(header, "typ", &typ)) {
		text = json_plain_string(typ);
		if (text == NULL || strcasecmp(text, "JWT") != 0)
			return refuse(
				e, "malformed_token", path, "the token is of another type than JWT");
	}
	if (json_object_object_get_ex(header, "crit", &crit)) /* RFC 7515 section 4.1.11 */
		return refuse(e, "malformed_token", path,
			"the token asks for an extension that is not known here");
	return EVH_OK;
}

static enum evh_rc
check_signature(const struct verifier *v, const char *token, const char *path, struct api_error *e)
{
	jwt_t *jwt = NULL;
	int failed = jwt_decode(&jwt, token, v->key.bytes, (int)v->key.len);
	bool ours = failed == 0 && strcmp(jwt_alg_str(jwt_get_alg(jwt)), v->algorithm) == 0;

	jwt_free(jwt);
	if (failed == ENOMEM)
		return no_memory(e);
	if (!ours)
		return refuse(e, "invalid_signature", path, "the signature of the token is not right");
	return EVH_OK;
}

static enum evh_rc
check_parts(const struct verifier *v, const char *token, const struct parts *parts, int64_t now_us,
	const char *path, struct auth_principal *who, struct api_error *e)
{
	struct json_object *header = NULL, *claims = NULL;
	enum evh_rc rc = parse_object(&parts->header, path, &header, e);

	if (rc == EVH_OK)
		rc = check_header(v, header, path, e);
	if (rc == EVH_OK)
		rc = parse_object(&parts->claims, path, &claims, e);
	if (rc == EVH_OK)
		rc = check_signature(v, token, path, e);
	if (rc == EVH_OK)
		rc = jwt_claims_check(claims, &v->rules, now_us, who, e);
	(void)json_object_put(header);
	(void)json_object_put(claims);
	return rc;
}

enum evh_rc
verifier_check(const struct verifier *v, const char *token, int64_t now_us, const char *path,
	struct auth_principal *who, struct api_error *e)
{
	struct parts parts = { BUF_INIT, BUF_INIT, BUF_INIT };
	enum evh_rc rc;

	memset(who, 0, sizeof(*who));
	if (strlen(token) > VERIFIER_TOKEN_MAX)
		return refuse(e, "token_too_large", path, "the token is longer than 8192 bytes");
	if (!take_apart(token, &parts))
		rc = refuse(
			e, "malformed_token", path, "the token is not made of three parts in base64url");
	else if (parts.header.failed || parts.claims.failed || parts.signature.failed)
		rc = no_memory(e);
	else
		rc = check_parts(v, token, &parts, now_us, path, who, e);
	parts_free(&parts);
	return rc;
}
