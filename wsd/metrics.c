#include "wsd/metrics.h"

#include "wsd/exposition.h"

#include <stdio.h>

static void
counter(struct exposition *x, const char *name, uint64_t value, const char *help)
{
	exposition_family(x, name, "counter", help);
	exposition_number(x, value);
}

/* A gauge that may be unknown: then it is left out. */
static void
gauge(struct exposition *x, const char *name, int64_t value, const char *help)
{
	if (value < 0)
		return;
	exposition_family(x, name, "gauge", help);
	exposition_number(x, (uint64_t)value);
}

static void
gauge_seconds(struct exposition *x, const char *name, int64_t us, const char *help)
{
	if (us < 0)
		return;
	exposition_family(x, name, "gauge", help);
	exposition_seconds(x, (uint64_t)us);
}

static void
write_daemon(const struct metrics_figures *f, struct exposition *x)
{
	exposition_family(x, "evhub_build_info", "gauge", "Always 1; the labels tell what runs.");
	exposition_labelled(
		x, 1, "program", "evhub-wsd", "version", f->version, "sqlite", f->sqlite, (char *)NULL);
	gauge_seconds(
		x, "evhub_uptime_seconds", f->uptime_us, "For how long the daemon has been running.");
	gauge(x, "evhub_draining", f->draining, "1 while the daemon shuts down.");
}

static void
write_clients(const struct metrics_figures *f, struct exposition *x)
{
	gauge(x, "evhub_clients", (int64_t)f->now.clients,
		"Connections, those being set up and closed included.");
	gauge(x, "evhub_clients_limit", (int64_t)f->max_clients, "The configured max_clients.");
	gauge(x, "evhub_users", (int64_t)f->now.users, "Users who have at least one connection.");
	gauge(x, "evhub_lagging_clients", (int64_t)f->now.lagging,
		"Connections that are behind because they do not read fast enough or still catch up.");
	gauge(x, "evhub_lagging_events", (int64_t)f->now.behind,
		"How many events the lagging connections are behind, summed up.");
	gauge(x, "evhub_lagging_events_max", (int64_t)f->now.most_behind,
		"How many events the connection that is furthest behind is behind.");
}

static void
write_types(const struct metrics_figures *f, struct exposition *x)
{
	exposition_family(
		x, "evhub_subscriptions", "gauge", "Subscriptions of live connections by event type.");
	for (uint32_t t = 0; t < f->types->type_count; t++) {
		const struct evtype *type = f->types->types[t];
		uint64_t members = 0;

		for (uint32_t i = 0; i < type->group_count; i++)
			members += type->groups[i]->members;
		if (type->exists)
			exposition_labelled(x, members, "event_type", type->name, (char *)NULL);
	}
	exposition_family(x, "evhub_events_total", "counter",
		"Events published, whoever by, that this daemon has taken up, by event type.");
	for (uint32_t t = 0; t < f->types->type_count; t++)
		if (f->types->types[t]->exists || f->types->types[t]->events > 0)
			exposition_labelled(x, f->types->types[t]->events, "event_type",
				f->types->types[t]->name, (char *)NULL);
}

static void
write_delivery(const struct metrics_figures *f, struct exposition *x)
{
	counter(x, "evhub_deliveries_total", f->hub->messages_sent - f->hub->asides,
		"Events handed to the sockets of clients: one event for three clients counts three.");
	counter(x, "evhub_replies_total", f->hub->asides,
		"Frames handed to sockets that are no events: welcomes, replies, subscription changes.");
	counter(x, "evhub_sent_bytes_total", f->hub->bytes_sent, "Bytes of frames handed to sockets.");
	exposition_family(x, "evhub_delivery_seconds", "histogram",
		"From when the daemon took up an event until every client that kept up had it handed to its "
		"socket, by the wall clock. Counted once an event; all events of a batch count with the "
		"time of its oldest, so the truth is less. Clients that lag are not in it.");
	exposition_histogram(x, &f->hub->delivery, &histogram_time, 1);
	exposition_family(x, "evhub_pickup_seconds", "histogram",
		"From created_at, which the database sets when the INSERT runs, until the daemon had read the "
		"event: the rest of the publisher's transaction is in it. Persistent events only; all events "
		"of a batch count with the time of its oldest.");
	exposition_histogram(x, &f->counted->pickup, &histogram_time, 1);
}

static void
write_connections(const struct metrics_figures *f, struct exposition *x)
{
	char code[16];

	counter(x, "evhub_connections_total", f->counted->connections, "Handshakes that were accepted.");
	exposition_family(x, "evhub_refusals_total", "counter",
		"Handshakes that were refused, by HTTP status and reason.");
	for (size_t i = 0; i < f->counted->refusals.used; i++) {
		const struct tally_item *t = &f->counted->refusals.items[i];

		(void)snprintf(code, sizeof(code), "%d", t->code);
		exposition_labelled(x, t->count, "code", code, "reason", t->word, (char *)NULL);
	}
	exposition_family(x, "evhub_closes_total", "counter",
		"Connections that the daemon closed, by WebSocket close code; 0: it was dead already.");
	for (size_t i = 0; i < f->hub->closes.used; i++) {
		(void)snprintf(code, sizeof(code), "%d", f->hub->closes.items[i].code);
		exposition_labelled(x, f->hub->closes.items[i].count, "code", code, (char *)NULL);
	}
	exposition_family(x, "evhub_resumes_total", "counter",
		"Clients that asked to resume after an event: whether nothing was lost to them.");
	exposition_labelled(x, f->counted->resumed, "result", "resumed", (char *)NULL);
	exposition_labelled(x, f->counted->resume_failed, "result", "expired_or_unknown", (char *)NULL);
	counter(x, "evhub_received_messages_total", f->counted->received,
		"Messages received from clients.");
}

static void
write_store(const struct metrics_figures *f, struct exposition *x)
{
	exposition_family(x, "evhub_commit_seconds", "histogram",
		"How long a transaction of the daemon's writer took, waiting for other writers included.");
	exposition_histogram(x, &f->store->commit, &histogram_time, 1);
	exposition_family(
		x, "evhub_commit_operations", "histogram", "How many operations shared a transaction.");
	exposition_histogram(x, &f->store->batch, &histogram_size, 0);
	counter(x, "evhub_commit_failures_total", f->store->failures,
		"Transactions of the daemon's writer that failed, those tried again included.");
	gauge(x, "evhub_writer_queue", (int64_t)f->store->outstanding,
		"Operations that the writer was given and that are not done.");
	gauge_seconds(x, "evhub_writer_wait_seconds", f->writer_wait_us,
		"For how long the oldest of them has been waiting.");
	gauge(x, "evhub_database_writable", f->writable, "1 while the database takes writes.");
	gauge(x, "evhub_database_bytes", f->gauges->database_bytes, "Size of the database file.");
	gauge(x, "evhub_database_wal_bytes", f->gauges->wal_bytes,
		"Size of the database's write-ahead log.");
	gauge(x, "evhub_database_disk_free_bytes", f->gauges->disk_free_bytes,
		"Free room on the file system of the database.");
}

static void
write_memory(const struct metrics_figures *f, struct exposition *x)
{
	gauge(x, "evhub_allocated_bytes", f->gauges->allocated_bytes,
		"Memory allocated and not freed; left out where counting it takes long. What else is resident is "
		"code, stacks, and room between what is allocated.");
	gauge(x, "evhub_sqlite_bytes", f->gauges->sqlite_bytes,
		"Memory allocated by SQLite: its caches, up to 2 MiB for each of its connections.");
}

static void
write_log(const struct metrics_figures *f, struct exposition *x)
{
	gauge(x, "evhub_log_events", (int64_t)f->now.log_events, "Events held in memory.");
	gauge(x, "evhub_log_bytes", (int64_t)f->now.log_bytes, "What they count against log_memory.");
	gauge(x, "evhub_log_limit_bytes", (int64_t)f->log_budget, "The configured log_memory.");
	gauge_seconds(x, "evhub_log_span_seconds", f->now.log_span_us,
		"The age of the oldest event held in memory.");
	gauge(x, "evhub_history_bytes", (int64_t)f->now.history_bytes,
		"Memory that pieces of the past take, on top of log_memory, while clients catch up from them.");
	counter(x, "evhub_history_reads_total", f->counted->history_reads,
		"Pieces of the past that were read from the database because memory no longer held them.");
}

/* By the names that Prometheus' own clients use. */
static void
write_process(const struct gauges *g, struct exposition *x)
{
	if (g->cpu_us >= 0) {
		exposition_family(x, "process_cpu_seconds_total", "counter", "CPU time used.");
		exposition_seconds(x, (uint64_t)g->cpu_us);
	}
	gauge(x, "process_open_fds", g->open_fds,
		"Open descriptors; left out where counting them takes long.");
	gauge(x, "process_max_fds", g->max_fds, "The limit of open descriptors.");
	gauge(x, "process_resident_memory_bytes", g->resident_bytes, "Memory in use.");
	gauge(x, "process_virtual_memory_bytes", g->virtual_bytes, "Address space in use.");
	gauge(x, "process_threads", g->threads, "Threads.");
	gauge_seconds(x, "process_start_time_seconds", g->started_us,
		"When the process was started, since 1970.");
}

void
metrics_write(const struct metrics_figures *f, struct buf *out)
{
	struct exposition x = { .out = out, .daemon = f->daemon };

	write_daemon(f, &x);
	write_clients(f, &x);
	write_types(f, &x);
	write_delivery(f, &x);
	write_connections(f, &x);
	write_store(f, &x);
	write_log(f, &x);
	write_memory(f, &x);
	write_process(f->gauges, &x);
}
