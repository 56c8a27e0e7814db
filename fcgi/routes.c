#include "fcgi/routes.h"

#include "common/auth.h"

#include <string.h>

static const char short_base_path[] = "/v1/ws";

static const struct route routes[] = {
	{ "unsubscribe", "POST", endpoint_unsubscribe, false, true, AUTH_SUBSCRIBE | AUTH_ADMIN },
	{ "subscriptions", "POST", endpoint_subscriptions, false, true, AUTH_SUBSCRIBE },
	{ "events", "POST", endpoint_events, false, true, AUTH_PUBLISH },
	{ "ticket", "POST", endpoint_ticket, false, false, AUTH_SUBSCRIBE },
	{ "event_types", "GET", endpoint_event_types, false, false, 0 },
	{ "clients", "GET", endpoint_clients, false, false, 0 },
	{ "stats", "GET", endpoint_stats, false, false, AUTH_ADMIN },
	{ "health", "GET", endpoint_health, true, false, 0 },
	{ "metrics", "GET", endpoint_metrics, false, false, 0 }, /* looks for itself */
};

/* The route of "/name", NULL if there is none. */
static const struct route *
by_name(const char *path)
{
	if (*path++ != '/')
		return NULL;
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
		if (strcmp(path, routes[i].name) == 0)
			return &routes[i];
	return NULL;
}

static const struct route *
under(const char *base, const char *path)
{
	size_t len = strlen(base);

	return strncmp(path, base, len) == 0 ? by_name(path + len) : NULL;
}

const struct route *
route_find(const struct request *r, const char *base_path)
{
	char path[REQUEST_PATH_BYTES];
	const struct route *route = NULL;

	/* The web server decided by the path as it understood it that the request
	 * is ours.  REQUEST_URI is what the client asked for, and the surest; where
	 * it names no endpoint because the server rewrote it, the others do. */
	for (int i = 0; route == NULL && i < REQUEST_PATH_COUNT; i++) {
		if (!request_path(r, (enum request_path)i, path))
			continue;
		route = under(base_path, path);
		if (route == NULL)
			route = under(short_base_path, path);
		if (route == NULL && i == REQUEST_PATH_INFO)
			route = by_name(path);
	}
	return route;
}
