/* notify.h - tells systemd how the daemon is; does nothing elsewhere. */

#ifndef EVH_WSD_NOTIFY_H
#define EVH_WSD_NOTIFY_H

void notify_ready(void);
void notify_alive(void);
void notify_stopping(void);

#endif
