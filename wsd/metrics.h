/* metrics.h - what the daemon counts, and the page of figures made of it.
 *
 * The counters are plain numbers that the service loop adds to where the
 * thing happens; delivery costs one look at the clock for a batch, however
 * many clients get it.  metrics_write is pure: what has to be asked of the
 * system or of another module is gathered in struct metrics_figures first. */

#ifndef EVH_WSD_METRICS_H
#define EVH_WSD_METRICS_H

#include "common/buf.h"
#include "wsd/gauges.h"
#include "wsd/hub.h"
#include "wsd/store.h"
#include "wsd/tally.h"

#include <stdbool.h>
#include <stdint.h>

/* Counted by the sessions and the daemon. */
struct metrics {
	uint64_t connections;		 /* handshakes that were accepted */
	struct tally refusals;		 /* by status and reason */
	uint64_t resumed, resume_failed; /* of those that asked to resume */
	uint64_t received;		 /* messages of clients */
	uint64_t history_reads;		 /* pieces of the past read from the database */
	struct histogram pickup;	 /* created_at until the daemon has read the event, µs */
};

struct metrics_figures {
	const char *daemon, *version, *sqlite;
	const struct metrics *counted;
	const struct hub_stats *hub;
	const struct grouping *types;
	const struct gauges *gauges;
	const struct store_figures *store;
	struct hub_gauges now;
	uint64_t max_clients, log_budget;
	int64_t uptime_us, writer_wait_us;
	bool draining, writable;
};

/* Appends the whole page. */
void metrics_write(const struct metrics_figures *f, struct buf *out);

#endif
