/* histogram.h - how often a figure fell between which bounds.
 *
 * The bounds are fixed at compile time, so observing is a short search and
 * two additions, and nothing is allocated.  Pure. */

#ifndef EVH_WSD_HISTOGRAM_H
#define EVH_WSD_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_BUCKETS_MAX 17

/* Upper bounds, ascending; what is above the last falls into one more bucket. */
struct histogram_scale {
	size_t count;
	uint64_t bounds[HISTOGRAM_BUCKETS_MAX - 1];
};

/* Microseconds, 100 µs to 10 s. */
extern const struct histogram_scale histogram_time;

/* Whole numbers, 1 to 2000. */
extern const struct histogram_scale histogram_size;

struct histogram {
	uint64_t buckets[HISTOGRAM_BUCKETS_MAX];
	uint64_t sum;
};

/* Counts value n times. */
void
histogram_observe(struct histogram *h, const struct histogram_scale *scale, uint64_t value, uint64_t n);

#endif
