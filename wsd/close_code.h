/* close_code.h - close frames of clients: RFC 6455 sections 5.5.1 and 7.4.
 *
 * Pure. */

#ifndef EVH_WSD_CLOSE_CODE_H
#define EVH_WSD_CLOSE_CODE_H

#include <stddef.h>
#include <stdint.h>

/* The code to answer a close frame with: that of the client; 0, for a frame
 * without a payload, if its own had none; CLOSE_PROTOCOL if its payload has no
 * room for a code, or a code that may not be sent; CLOSE_NOT_UTF8 if its
 * reason is no text. */
uint16_t close_code_answer(const char *payload, size_t len);

#endif
