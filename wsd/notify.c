#include "wsd/notify.h"

#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#define TELL(state) ((void)sd_notify(0, state))
#else
#define TELL(state) ((void)0)
#endif

void
notify_ready(void)
{
	TELL("READY=1");
}

void
notify_alive(void)
{
	TELL("WATCHDOG=1");
}

void
notify_stopping(void)
{
	TELL("STOPPING=1");
}
