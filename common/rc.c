#include "common/rc.h"

const char *
evh_rc_name(enum evh_rc rc)
{
	switch (rc) {
	case EVH_OK:
		return "ok";
	case EVH_NOMEM:
		return "out of memory";
	case EVH_INVALID:
		return "invalid";
	case EVH_TOO_LARGE:
		return "too large";
	case EVH_NOT_FOUND:
		return "not found";
	case EVH_EXISTS:
		return "exists already";
	case EVH_DENIED:
		return "denied";
	case EVH_BUSY:
		return "busy";
	case EVH_FULL:
		return "full";
	case EVH_READ_ONLY:
		return "read-only";
	case EVH_FOREIGN:
		return "not an evhub database";
	case EVH_NEWER:
		return "from a newer version";
	case EVH_OLDER:
		return "from an older version";
	case EVH_IO:
		return "input/output error";
	case EVH_TIMEOUT:
		return "timed out";
	case EVH_CLOSED:
		return "closed";
	}
	return "unknown";
}
