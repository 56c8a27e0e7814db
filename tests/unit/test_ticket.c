#include "common/ticket.h"

#include "tests/unit/unit.h"

#include <string.h>

static void
makes_tickets_that_are_well_formed_and_differ(void **state)
{
	char tickets[64][TICKET_TEXT];

	(void)state;
	for (size_t i = 0; i < 64; i++) {
		assert_int_equal(ticket_make(tickets[i]), EVH_OK);
		assert_true(ticket_well_formed(tickets[i]));
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(tickets[i], tickets[k]);
	}
}

/* Each of the 43 characters must be able to be any of those that it can be. */
static void
uses_all_of_the_alphabet(void **state)
{
	bool seen[TICKET_TEXT - 1][128] = { { false } };
	char ticket[TICKET_TEXT];

	(void)state;
	for (int i = 0; i < 4000; i++) {
		assert_int_equal(ticket_make(ticket), EVH_OK);
		for (size_t k = 0; k < TICKET_TEXT - 1; k++)
			seen[k][(unsigned char)ticket[k]] = true;
	}
	for (size_t k = 0; k < TICKET_TEXT - 1; k++) {
		int different = 0;

		for (int c = 0; c < 128; c++)
			different += seen[k][c];
		assert_int_equal(different, 64);
	}
}

static void
tells_what_is_no_ticket(void **state)
{
	char text[TICKET_TEXT + 1];

	(void)state;
	assert_false(ticket_well_formed(""));
	memset(text, 'A', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_false(ticket_well_formed(text)); /* one too long */
	text[TICKET_TEXT - 1] = '\0';
	assert_true(ticket_well_formed(text));
	for (int c = 1; c < 256; c++) {
		text[7] = (char)c;
		assert_int_equal(ticket_well_formed(text),
			(c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
				c == '-' || c == '_');
	}
	text[7] = 'A';
	text[TICKET_TEXT - 2] = '\0';
	assert_false(ticket_well_formed(text)); /* one too short */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(makes_tickets_that_are_well_formed_and_differ),
		cmocka_unit_test(uses_all_of_the_alphabet),
		cmocka_unit_test(tells_what_is_no_ticket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
