/* buf.h - a growing byte buffer, and JSON text written into it.
 *
 * A failed allocation sets "failed" and makes every later call a no-op, so a
 * caller checks once, at the end.  The bytes belong to the buffer until
 * buf_take; buf_free releases them.  After any buf_add* the data is followed
 * by a NUL that is not counted in len. */

#ifndef EVH_BUF_H
#define EVH_BUF_H

#include <stdbool.h>
#include <stddef.h>

struct buf {
	char *data;
	size_t len;
	size_t size;
	bool failed;
};

#define BUF_INIT             \
	{                    \
		.data = NULL \
	}

/* Makes room for len more bytes. */
bool buf_reserve(struct buf *b, size_t len);
void buf_add(struct buf *b, const void *bytes, size_t len);
void buf_puts(struct buf *b, const char *text);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Appends text as a JSON string with its quotes (RFC 8259 section 7).  Bytes
 * that are not UTF-8 become U+FFFD, so that the result always is. */
void buf_json_string(struct buf *b, const char *text, size_t len);

/* Appends JSON text that may hold invalid UTF-8 inside its strings, with
 * each invalid byte replaced by U+FFFD. */
void buf_json_raw(struct buf *b, const char *json, size_t len);

/* Forgets the content, keeps the memory. */
void buf_clear(struct buf *b);

/* Hands the bytes (NUL-terminated) to the caller, who frees them; NULL if
 * anything failed.  The buffer is empty afterwards. */
char *buf_take(struct buf *b);
void buf_free(struct buf *b);

/* How many bytes from the start of text are valid UTF-8 (RFC 3629): len if all are. */
size_t buf_utf8_valid(const char *text, size_t len);

#endif
