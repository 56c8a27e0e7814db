#include "wsd/close_code.h"

#include "common/buf.h"
#include "wsd/hub.h"

#include <stdbool.h>

/* 1004 to 1006 and 1015 stand for what was not sent; 1016 to 2999 are kept for
 * versions of the protocol to come. */
static bool
may_be_sent(uint16_t code)
{
	return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
		(code >= 3000 && code <= 4999);
}

uint16_t
close_code_answer(const char *payload, size_t len)
{
	uint16_t code;

	if (len == 0)
		return 0;
	if (len == 1)
		return CLOSE_PROTOCOL;
	code = (uint16_t)((unsigned)(unsigned char)payload[0] << 8 | (unsigned char)payload[1]);
	if (!may_be_sent(code))
		return CLOSE_PROTOCOL;
	return buf_utf8_valid(payload + 2, len - 2) == len - 2 ? code : CLOSE_NOT_UTF8;
}
