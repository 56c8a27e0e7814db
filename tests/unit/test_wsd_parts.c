/* The small pure parts of evhub-wsd: frames, timing wheel, groups, addresses,
 * origins, and what clients say. */

#include "wsd/client.h"
#include "wsd/close_code.h"
#include "wsd/frame.h"
#include "wsd/group.h"
#include "wsd/hub.h"
#include "wsd/inbound.h"
#include "wsd/pace.h"
#include "wsd/remote_addr.h"
#include "wsd/wheel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
test_frame_header_lengths(void **state)
{
	/* RFC 6455 section 5.2: 7, 16 or 64 bits, the shortest that fits */
	static const struct {
		uint64_t len;
		size_t header;
		uint8_t second;
	} cases[] = { { 0, 2, 0 }, { 125, 2, 125 }, { 126, 4, 126 }, { 65535, 4, 126 },
		{ 65536, 10, 127 } };
	uint8_t out[FRAME_HEADER_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t len = 0;

		assert_int_equal(frame_header(out, FRAME_TEXT, cases[i].len), cases[i].header);
		assert_int_equal(out[0], 0x81);
		assert_int_equal(out[1], cases[i].second);
		for (size_t k = 2; k < cases[i].header; k++)
			len = len << 8 | out[k];
		if (cases[i].header > 2)
			assert_int_equal(len, cases[i].len);
	}
}

static void
test_close_codes(void **state)
{
	/* RFC 6455 section 7.4 */
	static const struct {
		const char *payload;
		size_t len;
		uint16_t answer;
	} cases[] = { { NULL, 0, 0 }, { "\x03", 1, CLOSE_PROTOCOL }, { "\x03\xe8", 2, 1000 },
		{ "\x03\xe8"
		  "Bye",
			5, 1000 },
		{ "\x03\xe8\xe2\x98\x83", 5, 1000 }, { "\x03\xe8\xe2\x98", 4, CLOSE_NOT_UTF8 },
		{ "\x03\xec", 2, CLOSE_PROTOCOL }, { "\x03\xef", 2, 1007 }, { "\x03\xf6", 2, 1014 },
		{ "\x03\xf7", 2, CLOSE_PROTOCOL }, { "\x0b\xb7", 2, CLOSE_PROTOCOL },
		{ "\x0b\xb8", 2, 3000 }, { "\x13\x87", 2, 4999 }, { "\x13\x88", 2, CLOSE_PROTOCOL },
		{ "\0\0", 2, CLOSE_PROTOCOL } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(close_code_answer(cases[i].payload, cases[i].len), cases[i].answer);
}

static void
test_message_members_in_order(void **state)
{
	struct message m = { .id = "e-1",
		.ref_id = "r",
		.event_type = "t",
		.timestamp = "T",
		.text = "a\"b",
		.text_len = 3,
		.body = "{\"n\":1.10}",
		.body_len = 10,
		.client_id = "c" };
	struct buf b = BUF_INIT;
	struct frame *f = frame_new(&m);

	(void)state;
	message_json(&b, &m);
	assert_string_equal(b.data,
		"{\"id\":\"e-1\",\"ref_id\":\"r\",\"event_type\":\"t\",\"timestamp\":\"T\","
		"\"message\":\"a\\\"b\",\"body\":{\"n\":1.10},\"client_id\":\"c\"}");
	assert_int_equal(f->len, b.len + 2);
	assert_memory_equal(f->bytes + 2, b.data, b.len);
	free(f);
	buf_free(&b);
}

static void
test_wheel_fires_each_once_when_due(void **state)
{
	static struct wheel_entry entries[500];
	static uint32_t due[500], fired[500];
	struct wheel wheel;

	(void)state;
	srand(1);
	wheel_init(&wheel);
	memset(entries, 0, sizeof(entries));
	for (int i = 0; i < 500; i++) {
		due[i] = 1 + (uint32_t)rand() % 300;
		wheel_set(&wheel, &entries[i], due[i]);
	}
	for (int i = 0; i < 500; i += 7) { /* some change their mind */
		due[i] = 1 + (uint32_t)rand() % 300;
		wheel_set(&wheel, &entries[i], due[i]);
	}
	wheel_remove(&entries[3]);
	for (uint32_t now = 1; now <= 300; now++) {
		struct wheel_entry *e;

		wheel_tick(&wheel);
		while ((e = wheel_due(&wheel)) != NULL) {
			assert_int_equal(due[e - entries], now);
			fired[e - entries]++;
		}
	}
	for (int i = 0; i < 500; i++)
		assert_int_equal(fired[i], i == 3 ? 0 : 1);
}

static void
test_groups_are_shared_and_freed(void **state)
{
	struct grouping g = { 0 };
	uint32_t ab[] = { 0, 1 }, ba[] = { 1, 0, 1 }, far[] = { 70 }, some[] = { 70, 1, 70, 3 };
	uint32_t changed[4], count;
	struct group *one, *same, *more, *less, *alone;
	char name[16];

	(void)state;
	for (int i = 0; i < 80; i++) {
		(void)snprintf(name, sizeof(name), "t%d", i);
		assert_int_equal(grouping_set_type(&g, name, true, false), EVH_OK);
	}
	one = grouping_enter(&g, ab, 2);
	same = grouping_enter(&g, ba, 3);
	assert_ptr_equal(one, same);
	assert_int_equal(one->members, 2);
	assert_int_equal(g.types[0]->group_count, 1);
	more = grouping_with(&g, one, some, 4, true, changed, &count);
	assert_true(
		group_has(more, 70) && group_has(more, 3) && group_has(more, 0) && !group_has(one, 70));
	assert_int_equal(count, 2);
	assert_true(changed[0] == 70 && changed[1] == 3);
	less = grouping_with(&g, more, changed, 2, false, changed, &count);
	assert_ptr_equal(less, one);
	assert_int_equal(count, 2);
	/* one group for all of them, none for what is between */
	assert_int_equal(g.types[0]->group_count, 2);
	assert_ptr_equal(grouping_with(&g, one, ab, 2, true, changed, &count), one);
	assert_int_equal(count, 0);
	grouping_leave(&g, one);
	alone = grouping_enter(&g, far, 1);
	assert_ptr_equal(alone, g.types[70]->groups[1]);
	grouping_leave(&g, more);
	assert_int_equal(g.types[0]->group_count, 1);
	assert_int_equal(g.types[70]->group_count, 1);
	grouping_leave(&g, one);
	grouping_leave(&g, one);
	grouping_leave(&g, one);
	assert_int_equal(g.types[1]->group_count, 0);
	assert_ptr_equal(g.types[70]->groups[0], alone);
	grouping_leave(&g, alone);
	grouping_free(&g);
}

static void
test_clients_are_found_while_others_go(void **state)
{
	static struct client *list[3000];
	struct clients all = { 0 };

	(void)state;
	srand(2);
	for (int i = 0; i < 3000; i++) {
		list[i] = clients_add(&all, i % 2 == 0 ? "even" : "odd", "192.0.2.1", i);
		assert_non_null(list[i]);
	}
	assert_int_equal(clients_of_user(&all, "even"), 1500);
	assert_int_equal(clients_of_address(&all, "192.0.2.1"), 3000);
	for (int i = 0; i < 3000; i += 1 + rand() % 3) {
		uint8_t id[EVH_UUID_BYTES];

		memcpy(id, list[i]->id, sizeof(id));
		clients_remove(&all, &list[i]);
		assert_null(clients_find(&all, id));
	}
	for (int i = 0; i < 3000; i++) {
		if (list[i] == NULL)
			continue;
		assert_ptr_equal(clients_find(&all, list[i]->id), list[i]);
		clients_remove(&all, &list[i]);
	}
	assert_int_equal(clients_of_user(&all, "odd"), 0);
	assert_null(all.users);
	assert_null(all.addresses);
	clients_free(&all);
}

static void
test_remote_address(void **state)
{
	static char four[] = "10.0.0.0/8", six[] = "2001:db8::/32", local[] = "unix";
	static char *proxies[] = { four, six, local };
	struct conf_list usual = { NULL, 0 }, own = { proxies, 3 };
	static const struct {
		const char *peer, *header;
		int own;
		const char *expected; /* "!" in front: refused */
	} cases[] = {
		{ "192.0.2.1", NULL, 0, "192.0.2.1" },
		{ "192.0.2.1", "203.0.113.5", 0, "192.0.2.1" }, /* anybody can write that */
		{ "127.0.0.1", "203.0.113.5", 0, "203.0.113.5" },
		{ "unix", "203.0.113.5", 0, "203.0.113.5" },
		{ "::1", "1.2.3.4, 203.0.113.5", 0,
			"203.0.113.5" }, /* the right one is the proxy's word */
		{ "127.0.0.1", "203.0.113.5, 127.0.0.1", 0, "203.0.113.5" },
		{ "127.0.0.1", "garbage", 0, "!127.0.0.1" },
		{ "127.0.0.1", "203.0.113.5, garbage", 0, "!127.0.0.1" },
		{ "127.0.0.1", "garbage, 203.0.113.5", 0, "203.0.113.5" }, /* not looked at */
		{ "127.0.0.1", "garbage, 127.0.0.2", 0, "!127.0.0.2" },
		{ "127.0.0.1", "unix", 0, "!127.0.0.1" },
		{ "127.0.0.1", "203.0.113.5, unknown", 0, "127.0.0.1" },
		{ "127.0.0.1", "203.0.113.5, _gazonk", 0, "127.0.0.1" },
		{ "127.0.0.1", ", ,203.0.113.5,, ,", 0, "203.0.113.5" },
		{ "127.0.0.1", "203.0.113.5:4711", 0, "203.0.113.5" },
		{ "127.0.0.1", "203.0.113.5:", 0, "!127.0.0.1" },
		{ "127.0.0.1", "203.0.113.5:471100", 0, "!127.0.0.1" },
		{ "127.0.0.1", "203.0.113.5 198.51.100.1", 0, "!127.0.0.1" },
		{ "127.0.0.1", "\"203.0.113.5\"", 0, "!127.0.0.1" },
		{ "127.0.0.1", "203.0.113.5/8", 0, "!127.0.0.1" },
		{ "127.0.0.1", "203.0.113.0005", 0, "!127.0.0.1" },
		{ "127.0.0.1", "[2001:db8::1]", 0, "2001:db8::1" },
		{ "127.0.0.1", "[2001:DB8:0::1]:4711", 0, "2001:db8::1" },
		{ "127.0.0.1", "2001:db8::1", 0, "2001:db8::1" },
		{ "127.0.0.1", "[2001:db8::1", 0, "!127.0.0.1" },
		{ "127.0.0.1", "[2001:db8::1]x", 0, "!127.0.0.1" },
		{ "127.0.0.1", "[203.0.113.5]", 0, "!127.0.0.1" },
		{ "127.0.0.1", "fe80::1%eth0", 0, "!127.0.0.1" },
		{ "127.0.0.1", "::ffff:203.0.113.5", 0, "203.0.113.5" },
		{ "127.0.0.1", "203.0.113.5, ::ffff:127.0.0.9", 0, "203.0.113.5" },
		{ "127.0.0.1", "\t 203.0.113.5 \t,\t127.0.0.1", 0, "203.0.113.5" },
		{ "127.0.0.1",
			"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
			0, "!127.0.0.1" },
		{ "127.0.0.1", "", 0, "127.0.0.1" },
		{ "127.0.0.1", "203.0.113.5", 1, "127.0.0.1" }, /* not in the list */
		{ "10.1.2.3", "203.0.113.5, 10.9.9.9", 1, "203.0.113.5" },
		{ "2001:db8::7", " 2001:4860::1 ", 1, "2001:4860::1" },
		{ "::ffff:10.0.0.1", "203.0.113.5", 1, "203.0.113.5" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char out[REMOTE_ADDR_BYTES];

		bool refused = cases[i].expected[0] == '!';

		assert_int_equal(remote_addr_pick(cases[i].peer, cases[i].header,
					 cases[i].own ? &own : &usual, out),
			!refused);
		assert_string_equal(out, cases[i].expected + refused);
	}
	assert_true(address_valid_network("10.0.0.0/8"));
	assert_false(address_valid_network("10.0.0.0/33"));
	assert_false(address_valid_network("10.0.0.0/"));
	assert_false(address_valid_network("example.org"));
}

static bool
known(void *arg, const char *name)
{
	(void)arg;
	return strcmp(name, "health") == 0 || strcmp(name, "system") == 0 || strcmp(name, "pdfm") == 0;
}

static void
test_inbound(void **state)
{
	static const struct {
		const char *text, *event_type, *message, *ref_id, *body;
	} cases[] = {
		{ "{\"event_type\":\"health\",\"message\":\"ping\"}", "health", "pong", "", "" },
		{ "{\"event_type\":\" HEALTH \",\"message\":\"Ping\",\"id\":\"7\"}", "health", "pong",
			"7", "" },
		{ "{\"event_type\":\"system\",\"message\":\"Client-ID\"}", "system", "client-id", "",
			"{\"client-id\":\"me\"}" },
		{ "{\"event_type\":\"nope\",\"message\":\"x\"}", "global", "error", "",
			"{\"error\":\"invalid message type nope\"}" },
		{ "{\"event_type\":\"pdfm\",\"message\":\"x\"}", "global", "error", "",
			"{\"error\":\"no handlers registered for type pdfm\"}" },
		{ "{\"message\":\"x\",\"id\":\"9\"}", "global", "error", "9",
			"{\"error\":\"invalid message: event_type is missing\"}" },
		{ "{\"event_type\":5}", "global", "error", "",
			"{\"error\":\"invalid message: event_type must be a string\"}" },
		{ "[]", "global", "error", "",
			"{\"error\":\"invalid message: must be an object, not an array\"}" },
		{ "", "global", "error", "", "{\"error\":\"invalid message: not JSON: empty\"}" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct inbound_reply r;

		inbound_answer(cases[i].text, strlen(cases[i].text), "me", known, NULL, &r);
		assert_string_equal(r.event_type, cases[i].event_type);
		assert_string_equal(r.message, cases[i].message);
		assert_string_equal(r.ref_id, cases[i].ref_id);
		assert_string_equal(r.body.len > 0 ? r.body.data : "", cases[i].body);
		inbound_reply_free(&r);
	}
}

static void
test_pace_waits_a_share_of_what_a_flush_took(void **state)
{
	struct pace p = { 0 };

	(void)state;
	assert_int_equal(pace_wait(&p, 1000000, 100), 0); /* the first is due at once */
	pace_flushed(&p, 1000000, 1008000);
	assert_true(pace_wait(&p, 1008000, 100) > 0);
	assert_true(pace_wait(&p, 1008000, 100) < 8000);
	assert_int_equal(pace_wait(&p, 1008000, (size_t)1 << 20), 0); /* enough has gathered */
	assert_int_equal(pace_wait(&p, 1016000, 100), 0);
	pace_flushed(&p, 2000000, 12000000); /* a flush of 10 s does not stop the next for long */
	assert_true(pace_wait(&p, 12000000, 100) <= 10000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frame_header_lengths),
		cmocka_unit_test(test_close_codes),
		cmocka_unit_test(test_message_members_in_order),
		cmocka_unit_test(test_wheel_fires_each_once_when_due),
		cmocka_unit_test(test_groups_are_shared_and_freed),
		cmocka_unit_test(test_clients_are_found_while_others_go),
		cmocka_unit_test(test_remote_address),
		cmocka_unit_test(test_inbound),
		cmocka_unit_test(test_pace_waits_a_share_of_what_a_flush_took),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
