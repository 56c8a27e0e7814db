/* notify.h - tells systemd how the daemon is (sd_notify(3)): one datagram to
 * the socket that NOTIFY_SOCKET names.  Without that it does nothing. */

#ifndef EVH_WSD_NOTIFY_H
#define EVH_WSD_NOTIFY_H

/* Connections are accepted: at the start, and again after a reload. */
void notify_ready(void);

/* The configuration is read again; notify_ready ends it. */
void notify_reloading(void);

/* The loop turns: for the watchdog. */
void notify_alive(void);

/* It is about to end and will take up to ms milliseconds. */
void notify_stopping(long long ms);

#endif
