/* The figures: histograms, tallies, the text of Prometheus, and several pages
 * merged into one. */

#include "unit.h"

#include "fcgi/merge.h"
#include "wsd/exposition.h"
#include "wsd/tally.h"

#include <stdio.h>
#include <string.h>

static void
test_histogram(void **state)
{
	struct histogram h = { { 0 }, 0 };

	(void)state;
	histogram_observe(&h, &histogram_time, 0, 1);
	histogram_observe(&h, &histogram_time, 100, 2); /* a bound is inclusive */
	histogram_observe(&h, &histogram_time, 101, 1);
	histogram_observe(&h, &histogram_time, UINT64_C(10000001), 3);
	assert_int_equal(h.buckets[0], 3);
	assert_int_equal(h.buckets[1], 1);
	assert_int_equal(h.buckets[histogram_time.count], 3);
	assert_int_equal(h.sum, 200 + 101 + 3 * UINT64_C(10000001));
}

static void
scale_is_sound(const struct histogram_scale *scale)
{
	assert_true(scale->count < HISTOGRAM_BUCKETS_MAX);
	for (size_t i = 1; i < scale->count; i++)
		assert_true(scale->bounds[i - 1] < scale->bounds[i]);
}

static void
test_scales(void **state)
{
	(void)state;
	scale_is_sound(&histogram_time);
	scale_is_sound(&histogram_size);
}

static void
test_tally(void **state)
{
	static char words[TALLY_MAX + 10][16];
	struct tally t = { .used = 0 };
	uint64_t sum = 0;

	(void)state;
	tally_add(&t, 401, "x");
	tally_add(&t, 401, "x");
	tally_add(&t, 403, "x");
	assert_int_equal(t.used, 2);
	assert_int_equal(t.items[0].count, 2);
	for (int i = 0; i < TALLY_MAX + 10; i++) {
		(void)snprintf(words[i], sizeof(words[i]), "w%d", i);
		tally_add(&t, 400, words[i]);
	}
	tally_add(&t, 401, "x");
	assert_int_equal(t.used, TALLY_MAX);
	assert_string_equal(t.items[TALLY_MAX - 1].word, "other");
	assert_int_equal(t.items[0].count, 3);
	for (size_t i = 0; i < t.used; i++)
		sum += t.items[i].count;
	assert_int_equal(sum, 4 + TALLY_MAX + 10); /* none is lost */
}

static void
test_exposition(void **state)
{
	static const struct histogram_scale scale = { 2, { 500, 2000000 } };
	struct buf out = BUF_INIT;
	struct exposition x = { .out = &out, .daemon = "a\"b\\c\nd" };
	struct histogram h = { { 0 }, 0 };

	(void)state;
	exposition_family(&x, "n", "gauge", "Help.");
	exposition_number(&x, 7);
	exposition_labelled(&x, 8, "k", "v", "l", "", (char *)NULL);
	x.daemon = "w";
	exposition_family(&x, "s", "histogram", "H.");
	exposition_seconds(&x, 1500000);
	histogram_observe(&h, &scale, 500, 1);
	histogram_observe(&h, &scale, 3000000, 2);
	exposition_histogram(&x, &h, &scale, 1);
	exposition_histogram(&x, &h, &scale, 0);
	assert_string_equal(out.data,
		"# HELP n Help.\n# TYPE n gauge\n"
		"n{daemon=\"a\\\"b\\\\c\\nd\"} 7\n"
		"n{daemon=\"a\\\"b\\\\c\\nd\",k=\"v\",l=\"\"} 8\n"
		"# HELP s H.\n# TYPE s histogram\n"
		"s{daemon=\"w\"} 1.500000\n"
		"s_bucket{daemon=\"w\",le=\"0.000500\"} 1\n"
		"s_bucket{daemon=\"w\",le=\"2.000000\"} 1\n"
		"s_bucket{daemon=\"w\",le=\"+Inf\"} 3\n"
		"s_sum{daemon=\"w\"} 6.000500\n"
		"s_count{daemon=\"w\"} 3\n"
		"s_bucket{daemon=\"w\",le=\"500\"} 1\n"
		"s_bucket{daemon=\"w\",le=\"2000000\"} 1\n"
		"s_bucket{daemon=\"w\",le=\"+Inf\"} 3\n"
		"s_sum{daemon=\"w\"} 6000500\n"
		"s_count{daemon=\"w\"} 3\n");
	buf_free(&out);
}

static void
merged(const char *a, const char *b, const char *expected)
{
	struct merge m = MERGE_INIT;
	struct buf out = BUF_INIT;

	merge_add(&m, a, strlen(a));
	merge_add(&m, b, strlen(b));
	merge_write(&m, &out);
	assert_false(out.failed);
	assert_string_equal(out.data != NULL ? out.data : "", expected);
	buf_free(&out);
	merge_free(&m);
}

static void
test_merge(void **state)
{
	(void)state;
	merged("", "", "");
	merged("# HELP x X.\n# TYPE x gauge\nx{d=\"a\"} 1\n# HELP y Y.\ny 2\n",
		"# HELP y other words\ny 3\n# HELP x X.\n# TYPE x gauge\nx{d=\"b\"} 4\n",
		"# HELP x X.\n# TYPE x gauge\nx{d=\"a\"} 1\nx{d=\"b\"} 4\n# HELP y Y.\ny 2\ny 3\n");
	/* a name that another one begins with */
	merged("# HELP xy A.\nxy 1\n", "# HELP x B.\nx 2", "# HELP xy A.\nxy 1\n# HELP x B.\nx 2\n");
	/* a family without samples, and lines that belong to none */
	merged("stray 1\n\n# HELP x X.\n", "# HELP x X.\n", "# HELP x X.\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_histogram),
		cmocka_unit_test(test_scales),
		cmocka_unit_test(test_tally),
		cmocka_unit_test(test_exposition),
		cmocka_unit_test(test_merge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
