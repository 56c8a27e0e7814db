#include "common/jwt_claims.h"

#include "common/buf.h"
#include "common/event_types.h"
#include "common/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Later than this, seconds since 1970, is never: the year 9999. */
#define FARTHEST 253402300799.0

/* How many patterns a token may hold. */
#define PATTERNS_MAX 256

static enum evh_rc
refuse(struct api_error *e, const char *error, const char *claim, const char *text)
{
	api_error_fail(e, 401, error, claim, "%s", text);
	return EVH_DENIED;
}

static enum evh_rc
no_memory(struct api_error *e)
{
	api_error_fail(e, 503, "out_of_memory", "", "out of memory");
	return EVH_NOMEM;
}

/* The value of a claim, or NULL if it is not there. */
static struct json_object *
claim(struct json_object *claims, const char *name)
{
	struct json_object *v = NULL;

	(void)json_object_object_get_ex(claims, name, &v);
	return v;
}

/* A NumericDate (RFC 7519 section 2), which may have a fraction.  *there says
 * whether it is present; null is not a number. */
static enum evh_rc
numeric_date(
	struct json_object *claims, const char *name, double *seconds, bool *there, struct api_error *e)
{
	struct json_object *v = NULL;

	*there = json_object_object_get_ex(claims, name, &v);
	if (!*there)
		return EVH_OK;
	if (!json_object_is_type(v, json_type_int) && !json_object_is_type(v, json_type_double))
		return refuse(e, "invalid_claim", name, "the claim is not a number of seconds");
	*seconds = json_object_get_double(v);
	if (!isfinite(*seconds) || *seconds < 0)
		return refuse(e, "invalid_claim", name, "the claim is not a number of seconds");
	return EVH_OK;
}

static enum evh_rc
check_times(struct json_object *claims, const struct jwt_rules *rules, int64_t now_us,
	struct auth_principal *who, struct api_error *e)
{
	double now = (double)now_us / 1e6, leeway = (double)rules->leeway_us / 1e6, exp = 0, nbf = 0,
	       iat = 0;
	bool has_exp, has_nbf, has_iat;
	enum evh_rc rc = numeric_date(claims, "exp", &exp, &has_exp, e);

	if (rc == EVH_OK)
		rc = numeric_date(claims, "nbf", &nbf, &has_nbf, e);
	if (rc == EVH_OK)
		rc = numeric_date(claims, "iat", &iat, &has_iat, e);
	if (rc != EVH_OK)
		return rc;
	if (!has_exp)
		return refuse(e, "missing_claim", "exp", "the token does not say when it expires");
	if (now >= exp + leeway)
		return refuse(e, "token_expired", "exp", "the token has expired");
	if (has_nbf && now + leeway < nbf)
		return refuse(e, "token_not_yet_valid", "nbf", "the token is not valid yet");
	exp += leeway;
	if (exp > FARTHEST)
		exp = FARTHEST;
	who->expires_at = (int64_t)exp;
	if ((double)who->expires_at < exp)
		who->expires_at++; /* the second in which it ends is its last */
	return EVH_OK;
}

static enum evh_rc
check_issuer(struct json_object *claims, const struct jwt_rules *rules, struct api_error *e)
{
	const char *issuer = json_plain_string(claim(claims, "iss"));

	if (rules->issuer[0] == '\0' || (issuer != NULL && strcmp(issuer, rules->issuer) == 0))
		return EVH_OK;
	return refuse(e, "invalid_issuer", "iss", "the token is not from the issuer that is trusted");
}

static bool
is_audience(struct json_object *v, const char *wanted)
{
	const char *text = json_plain_string(v);

	return text != NULL && strcmp(text, wanted) == 0;
}

/* One string or an array of them (RFC 7519 section 4.1.3).  A token that is
 * meant for somebody is not for us if we do not know who we are. */
static enum evh_rc
check_audience(struct json_object *claims, const struct jwt_rules *rules, struct api_error *e)
{
	struct json_object *v = NULL;
	bool there = json_object_object_get_ex(claims, "aud", &v), found = false;

	if (!there && rules->audience[0] == '\0')
		return EVH_OK;
	if (json_object_is_type(v, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(v); i++) {
			struct json_object *one = json_object_array_get_idx(v, i);

			if (!json_object_is_type(one, json_type_string))
				return refuse(e, "invalid_claim", "aud",
					"the claim holds something else than text");
			found = found || is_audience(one, rules->audience);
		}
	} else {
		found = is_audience(v, rules->audience);
	}
	if (found && rules->audience[0] != '\0')
		return EVH_OK;
	return refuse(e, "invalid_audience", "aud", "the token is meant for another audience");
}

/* Whether text is at most 255 characters without control characters. */
static bool
fit_for_a_name(const char *text)
{
	size_t characters = 0;

	for (const char *p = text; *p != '\0'; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return false;
		characters += ((unsigned char)*p & 0xc0) != 0x80;
	}
	return characters <= 255 && strlen(text) < AUTH_NAME_MAX;
}

static enum evh_rc
read_user(struct json_object *claims, const struct jwt_rules *rules, struct auth_principal *who,
	struct api_error *e)
{
	struct json_object *v = claim(claims, rules->user_claim);
	const char *user = json_plain_string(v), *name = json_plain_string(claim(claims, "name"));

	if (v == NULL)
		return refuse(
			e, "missing_claim", rules->user_claim, "the token does not say whose it is");
	if (user == NULL || user[0] == '\0' || !fit_for_a_name(user))
		return refuse(e, "invalid_claim", rules->user_claim,
			"the claim is not the name of a user: text of 1 to 255 characters");
	if (name == NULL || !fit_for_a_name(name))
		name = ""; /* for people only */
	return auth_principal_set(who, user, name);
}

/* Appends the words of a claim, which is text with words between blanks or an
 * array of texts, to out, a blank between two.  False if it is something else. */
static bool
gather_words(struct json_object *v, struct buf *out)
{
	size_t count = json_object_is_type(v, json_type_array) ? json_object_array_length(v) : 0;
	const char *text = json_plain_string(v);

	if (text != NULL) {
		buf_puts(out, text);
		return true;
	}
	if (!json_object_is_type(v, json_type_array))
		return false;
	for (size_t i = 0; i < count; i++) {
		text = json_plain_string(json_object_array_get_idx(v, i));
		if (text == NULL || text[0] == '\0' || strchr(text, ' ') != NULL)
			return false;
		buf_puts(out, i > 0 ? " " : "");
		buf_puts(out, text);
	}
	return true;
}

/* Words that are none of ours are somebody else's scopes. */
static enum evh_rc
read_scopes(struct json_object *claims, const struct jwt_rules *rules, struct auth_principal *who,
	struct api_error *e)
{
	struct json_object *v = NULL;
	struct buf words = BUF_INIT;
	enum evh_rc rc = EVH_OK;

	if (rules->scopes_claim[0] == '\0') {
		who->scopes = AUTH_SUBSCRIBE;
		return EVH_OK;
	}
	if (!json_object_object_get_ex(claims, rules->scopes_claim, &v))
		return EVH_OK; /* none: it is for the endpoint to say what is missing */
	if (!gather_words(v, &words))
		rc = refuse(e, "invalid_claim", rules->scopes_claim,
			"the claim is neither text nor an array of words");
	else if (words.failed)
		rc = no_memory(e);
	else
		who->scopes = auth_scopes_parse(words.data != NULL ? words.data : "");
	buf_free(&words);
	return rc;
}

static enum evh_rc
read_event_types(struct json_object *claims, const struct jwt_rules *rules, struct auth_principal *who,
	struct api_error *e)
{
	struct json_object *v = NULL;
	struct buf words = BUF_INIT;
	enum evh_rc rc = EVH_OK;

	if (rules->event_types_claim[0] == '\0' ||
		!json_object_object_get_ex(claims, rules->event_types_claim, &v))
		return EVH_OK;
	buf_puts(&words, ""); /* an empty list allows nothing, which is not NULL */
	if (!gather_words(v, &words))
		rc = refuse(e, "invalid_claim", rules->event_types_claim,
			"the claim is neither text nor an array of patterns");
	else if (!words.failed && !event_patterns_valid(words.data, PATTERNS_MAX))
		rc = refuse(e, "invalid_claim", rules->event_types_claim,
			"the claim has something that is neither the name of an event type nor such a name and .*");
	else if (words.failed || (who->event_types = buf_take(&words)) == NULL)
		rc = no_memory(e);
	buf_free(&words);
	return rc;
}

enum evh_rc
jwt_claims_check(struct json_object *claims, const struct jwt_rules *rules, int64_t now_us,
	struct auth_principal *who, struct api_error *e)
{
	enum evh_rc rc;

	memset(who, 0, sizeof(*who));
	if (!json_object_is_type(claims, json_type_object))
		return refuse(e, "malformed_token", "token", "the claims are not a JSON object");
	rc = read_user(claims, rules, who, e); /* clears *who: the others add to it */
	if (rc == EVH_OK)
		rc = check_times(claims, rules, now_us, who, e);
	if (rc == EVH_OK)
		rc = check_issuer(claims, rules, e);
	if (rc == EVH_OK)
		rc = check_audience(claims, rules, e);
	if (rc == EVH_OK)
		rc = read_scopes(claims, rules, who, e);
	if (rc == EVH_OK)
		rc = read_event_types(claims, rules, who, e);
	if (rc != EVH_OK)
		auth_principal_free(who);
	return rc;
}
