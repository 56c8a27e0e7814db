/* exposition.h - the text that Prometheus reads (exposition format 0.0.4).
 *
 * A family is announced once, with what it means, and its samples follow;
 * each carries the label daemon, so that the samples of several daemons can
 * stand side by side.  Label values are escaped.  Pure. */

#ifndef EVH_WSD_EXPOSITION_H
#define EVH_WSD_EXPOSITION_H

#include "common/buf.h"
#include "wsd/histogram.h"

#include <stdint.h>

struct exposition {
	struct buf *out;
	const char *daemon; /* the value of the label */
	const char *name;   /* of the family that samples are of */
};

/* Begins a family.  type: counter, gauge or histogram; help is one line. */
void exposition_family(struct exposition *x, const char *name, const char *type, const char *help);

/* Samples of the family: a number, or microseconds written as seconds. */
void exposition_number(struct exposition *x, uint64_t value);
void exposition_seconds(struct exposition *x, uint64_t us);

/* A sample with more labels: name, value, name, value ... NULL. */
void exposition_labelled(struct exposition *x, uint64_t value, ...) __attribute__((sentinel));

/* The samples of a histogram.  seconds: what was counted are microseconds. */
void exposition_histogram(struct exposition *x, const struct histogram *h,
	const struct histogram_scale *scale, int seconds);

#endif
