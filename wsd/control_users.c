#include "wsd/control_users.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct entry {
	bool group;
	unsigned id;
	enum control_role role;
};

struct control_users {
	struct entry *entries;
	size_t count;
};

static bool
resolve(const char *text, struct entry *e)
{
	const char *name = text[0] == '@' ? text + 1 : text;
	char *end;
	unsigned long id = strtoul(name, &end, 10);

	e->group = text[0] == '@';
	if (name[0] >= '0' && name[0] <= '9' && *end == '\0' && id < UINT32_MAX) {
		e->id = (unsigned)id;
		return true;
	}
	if (e->group) {
		const struct group *g = getgrnam(name);

		if (g != NULL)
			e->id = g->gr_gid;
		return g != NULL;
	} else {
		const struct passwd *p = getpwnam(name);

		if (p != NULL)
			e->id = p->pw_uid;
		return p != NULL;
	}
}

static enum evh_rc
add_list(struct control_users *u, const struct conf_list *list, enum control_role role, const char *key,
	char *why)
{
	for (size_t i = 0; i < list->count; i++) {
		struct entry *e = &u->entries[u->count];

		e->role = role;
		if (!resolve(list->items[i], e)) {
			(void)snprintf(why, CONF_WHY_BYTES, "%s: there is no %s \"%s\"", key,
				list->items[i][0] == '@' ? "group" : "user", list->items[i]);
			return EVH_NOT_FOUND;
		}
		u->count++;
	}
	return EVH_OK;
}

enum evh_rc
control_users_new(struct control_users **out, const struct conf_list *control,
	const struct conf_list *publish, char *why)
{
	struct control_users *u = calloc(1, sizeof(*u));
	enum evh_rc rc;

	*out = NULL;
	if (u == NULL)
		return EVH_NOMEM;
	u->entries = calloc(control->count + publish->count + 2, sizeof(*u->entries));
	if (u->entries == NULL) {
		free(u);
		return EVH_NOMEM;
	}
	if (control->count == 0) {
		u->entries[u->count++] = (struct entry){ false, 0, CONTROL_FULL };
		u->entries[u->count++] = (struct entry){ false, geteuid(), CONTROL_FULL };
	}
	rc = add_list(u, control, CONTROL_FULL, "control_users", why);
	if (rc == EVH_OK)
		rc = add_list(u, publish, CONTROL_PUBLISHER, "publish_users", why);
	if (rc != EVH_OK)
		control_users_free(&u);
	*out = u;
	return rc;
}

void
control_users_free(struct control_users **users)
{
	if (*users == NULL)
		return;
	free((*users)->entries);
	free(*users);
	*users = NULL;
}

enum control_role
control_users_role(const struct control_users *users, uid_t uid, gid_t gid)
{
	enum control_role best = CONTROL_NOBODY;

	for (size_t i = 0; i < users->count; i++) {
		const struct entry *e = &users->entries[i];

		if ((e->group ? e->id == gid : e->id == uid) && e->role > best)
			best = e->role;
	}
	return best;
}
