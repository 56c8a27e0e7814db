/* What claims mean, and the vectors of RFC 7515 through the whole verifier.
 * The attacks are in tests/integration/test_jwt.py, with tokens that another
 * library makes. */

#include "common/event_types.h"
#include "common/json.h"
#include "common/jwt_claims.h"
#include "common/verifier.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define NOW INT64_C(1000000000) /* seconds */

static const struct jwt_rules usual = { "me", "us", "sub", "scope", "event_types", 0 };

#define REST "\"iss\":\"me\",\"aud\":\"us\",\"exp\":1000000100"

static enum evh_rc
check(const char *text, const struct jwt_rules *rules, struct auth_principal *who, struct api_error *e)
{
	char why[JSON_WHY_BYTES];
	struct json_object *claims;
	enum evh_rc rc;

	if (json_parse(text, strlen(text), &claims, why) != EVH_OK)
		fail_msg("%s: %s", text, why);
	rc = jwt_claims_check(claims, rules, NOW * 1000000, who, e);
	(void)json_object_put(claims);
	return rc;
}

static void
accepted(const char *text, const struct jwt_rules *rules, struct auth_principal *who)
{
	struct api_error e = API_ERROR_INIT;

	if (check(text, rules, who, &e) != EVH_OK)
		fail_msg("%s: %s", text, e.stack.data);
	api_error_free(&e);
}

static void
refused(const char *text, const struct jwt_rules *rules, const char *error, const char *path)
{
	struct api_error e = API_ERROR_INIT;
	struct auth_principal who;
	char wanted[200];

	if (check(text, rules, &who, &e) != EVH_DENIED)
		fail_msg("accepted: %s", text);
	(void)snprintf(wanted, sizeof(wanted), "\"error\":\"%s\",\"path\":\"%s\"", error, path);
	if (strstr(e.stack.data, wanted) == NULL)
		fail_msg("%s: %s", text, e.stack.data);
	assert_int_equal(e.code, 401);
	assert_null(who.event_types);
	api_error_free(&e);
}

static void
says_who_it_is(void **state)
{
	struct auth_principal who;

	(void)state;
	accepted("{\"sub\":\"alice\",\"name\":\"Alice A.\",\"scope\":\"openid publish\"," REST "}",
		&usual, &who);
	assert_string_equal(who.user_id, "alice");
	assert_string_equal(who.username, "Alice A.");
	assert_int_equal(who.scopes, AUTH_PUBLISH);
	assert_int_equal(who.credential_id, 0);
	assert_int_equal(who.expires_at, NOW + 100);
	assert_null(who.event_types);
	auth_principal_free(&who);
}

static void
lists_are_texts_or_arrays(void **state)
{
	struct auth_principal who;

	(void)state;
	accepted(
		"{\"sub\":\"a\",\"scope\":[\"subscribe\",\"x\",\"admin\"],\"event_types\":[\"a\",\"b.*\"]," REST
		"}",
		&usual, &who);
	assert_int_equal(who.scopes, AUTH_SUBSCRIBE | AUTH_ADMIN);
	assert_string_equal(who.event_types, "a b.*");
	auth_principal_free(&who);
	accepted("{\"sub\":\"a\",\"event_types\":\" a  b.* \"," REST "}", &usual, &who);
	assert_int_equal(who.scopes, 0);
	assert_true(event_type_allowed(who.event_types, "b.c"));
	auth_principal_free(&who);
	accepted("{\"sub\":\"a\",\"event_types\":[]," REST "}", &usual, &who);
	assert_non_null(who.event_types);
	assert_false(event_type_allowed(who.event_types, "a"));
	auth_principal_free(&who);
	refused("{\"sub\":\"a\",\"event_types\":[\"a b\"]," REST "}", &usual, "invalid_claim",
		"event_types");
	refused("{\"sub\":\"a\",\"event_types\":\"a*\"," REST "}", &usual, "invalid_claim",
		"event_types");
	refused("{\"sub\":\"a\",\"scope\":{}," REST "}", &usual, "invalid_claim", "scope");
}

static void
what_is_not_asked_for(void **state)
{
	const struct jwt_rules lax = { "", "", "uid", "", "", 0 };
	struct auth_principal who;

	(void)state;
	accepted("{\"uid\":\"a\",\"scope\":7,\"event_types\":7,\"exp\":2e9}", &lax, &who);
	assert_int_equal(who.scopes, AUTH_SUBSCRIBE);
	assert_null(who.event_types);
	refused("{\"uid\":\"a\",\"exp\":2e9,\"aud\":\"\"}", &lax, "invalid_audience", "aud");
	refused("{\"sub\":\"a\",\"exp\":2e9}", &lax, "missing_claim", "uid");
}

static void
times_to_the_second(void **state)
{
	struct jwt_rules r = usual;
	struct auth_principal who;

	(void)state;
#define AT(exp, nbf) "{\"sub\":\"a\",\"iss\":\"me\",\"aud\":\"us\",\"exp\":" exp ",\"nbf\":" nbf "}"
	refused(AT("1000000000", "0"), &r, "token_expired", "exp");
	accepted(AT("1000000000.5", "1000000000"), &r, &who);
	assert_int_equal(who.expires_at, NOW + 1);
	accepted(AT("1000000001", "0"), &r, &who);
	assert_int_equal(who.expires_at, NOW + 1);
	refused(AT("2e9", "1000000000.1"), &r, "token_not_yet_valid", "nbf");
	refused(AT("-1", "0"), &r, "invalid_claim", "exp");
	refused(AT("1e999", "0"), &r, "invalid_claim", "exp");
	accepted(AT("1e300", "0"), &r, &who);
	assert_true(who.expires_at > NOW && who.expires_at < INT64_C(300000000000));
	r.leeway_us = 10000000;
	accepted(AT("999999991", "1000000010"), &r, &who);
	assert_int_equal(who.expires_at, NOW + 1);
	refused(AT("999999990", "0"), &r, "token_expired", "exp");
	refused(AT("2e9", "1000000011"), &r, "token_not_yet_valid", "nbf");
#undef AT
}

/* RFC 7515 appendix A.1 and A.3: the claims are {"iss":"joe","exp":1300819380,…}. */
#define PAYLOAD                                                                          \
	"eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc1" \
	"9yb290Ijp0cnVlfQ"
#define HS256                                               \
	"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." PAYLOAD \
	".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
#define ES256                           \
	"eyJhbGciOiJFUzI1NiJ9." PAYLOAD \
	".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"

static const unsigned char hs_secret[64] = { 3, 35, 53, 75, 43, 15, 165, 188, 131, 126, 6, 101, 119, 123,
	166, 143, 90, 179, 40, 230, 240, 84, 201, 40, 169, 15, 132, 178, 210, 80, 46, 191, 211, 251, 90,
	146, 210, 6, 71, 239, 150, 138, 180, 195, 119, 98, 61, 34, 61, 46, 33, 114, 5, 46, 79, 8, 192,
	205, 154, 245, 103, 208, 128, 163 };

/* x and y of the appendix as SubjectPublicKeyInfo */
static const char es_key[] = "-----BEGIN PUBLIC KEY-----\n"
			     "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7\n"
			     "6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\n"
			     "-----END PUBLIC KEY-----\n";

static struct verifier *
verifier_of(const char *dir, const char *algorithm, const void *key, size_t len)
{
	char assignment[600], why[CONF_WHY_BYTES] = "";
	const char *path = unit_path(dir, "key");
	FILE *f = fopen(path, "wb");
	struct verifier *v;
	struct conf conf;

	assert_non_null(f);
	assert_int_equal(fwrite(key, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(conf_init(&conf), EVH_OK);
	(void)snprintf(assignment, sizeof(assignment), "jwt.algorithm=%s", algorithm);
	assert_int_equal(conf_override(&conf, assignment, why), EVH_OK);
	(void)snprintf(assignment, sizeof(assignment), "jwt.key_file=%s", path);
	assert_int_equal(conf_override(&conf, assignment, why), EVH_OK);
	assert_int_equal(conf_override(&conf, "jwt.user_claim=iss", why), EVH_OK);
	if (verifier_new(&v, &conf, why) != EVH_OK)
		fail_msg("%s", why);
	conf_free(&conf);
	return v;
}

static void
expect(struct verifier *v, const char *token, const char *error)
{
	struct api_error e = API_ERROR_INIT;
	struct auth_principal who;
	enum evh_rc rc =
		verifier_check(v, token, INT64_C(1300819379) * 1000000, "authorization", &who, &e);

	if (error == NULL) {
		if (rc != EVH_OK)
			fail_msg("%s: %s", token, e.stack.data);
		assert_string_equal(who.user_id, "joe");
		assert_int_equal(who.expires_at, 1300819380 + 10); /* the leeway that is the default */
		auth_principal_free(&who);
	} else {
		assert_int_equal(rc, EVH_DENIED);
		if (strstr(e.stack.data, error) == NULL)
			fail_msg("%s: %s", token, e.stack.data);
	}
	api_error_free(&e);
}

static void
vectors_of_the_rfc(void **state)
{
	struct verifier *hs = verifier_of(*state, "HS256", hs_secret, sizeof(hs_secret));
	struct verifier *es = verifier_of(*state, "ES256", es_key, sizeof(es_key) - 1), *same;

	expect(hs, HS256, NULL);
	expect(es, ES256, NULL);
	expect(hs, ES256, "wrong_algorithm");
	expect(es, HS256, "wrong_algorithm");
	expect(hs,
		"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." PAYLOAD
		".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXg",
		"invalid_signature");
	/* the two bits of the last character that say nothing */
	expect(hs,
		"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." PAYLOAD
		".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXl",
		"malformed_token");
	expect(hs, "eyJhbGciOiJub25lIn0." PAYLOAD ".AA", "wrong_algorithm");
	same = verifier_ref(hs);
	verifier_unref(&hs);
	assert_null(hs);
	expect(same, HS256, NULL);
	verifier_unref(&same);
	verifier_unref(&es);
}

static void
shapes(void **state)
{
	(void)state;
	assert_true(verifier_shaped("a.b.c"));
	assert_true(verifier_shaped(".."));
	assert_false(verifier_shaped("a.b"));
	assert_false(verifier_shaped("a.b.c.d"));
	assert_false(verifier_shaped(""));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_who_it_is),
		cmocka_unit_test(lists_are_texts_or_arrays),
		cmocka_unit_test(what_is_not_asked_for),
		cmocka_unit_test(times_to_the_second),
		cmocka_unit_test_setup_teardown(vectors_of_the_rfc, unit_dir_setup, unit_dir_teardown),
		cmocka_unit_test(shapes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
