#include "wsd/histogram.h"

const struct histogram_scale histogram_time = {
	16,
	{ 100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000,
		5000000, 10000000 },
};

const struct histogram_scale histogram_size = {
	11,
	{ 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000 },
};

void
histogram_observe(struct histogram *h, const struct histogram_scale *scale, uint64_t value, uint64_t n)
{
	size_t i = 0;

	while (i < scale->count && value > scale->bounds[i])
		i++;
	h->buckets[i] += n;
	h->sum += value * n;
}
