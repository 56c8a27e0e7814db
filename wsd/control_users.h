/* control_users.h - which local users may do what on the control socket. */

#ifndef EVH_WSD_CONTROL_USERS_H
#define EVH_WSD_CONTROL_USERS_H

#include "common/conf.h"

#include <sys/types.h>

enum control_role { CONTROL_NOBODY, CONTROL_PUBLISHER, CONTROL_FULL };

struct control_users;

/* Resolves the lists of user names, user ids and @groups.  An empty list of
 * control users is root and this process's own user.  EVH_NOT_FOUND with the
 * name at fault in why (CONF_WHY_BYTES). */
enum evh_rc control_users_new(struct control_users **out, const struct conf_list *control,
	const struct conf_list *publish, char *why);
void control_users_free(struct control_users **users);

enum control_role control_users_role(const struct control_users *users, uid_t uid, gid_t gid);

#endif
