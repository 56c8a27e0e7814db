#include "common/ticket.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <string.h>

#define ALPHABET "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

enum evh_rc
ticket_make(char out[TICKET_TEXT])
{
	unsigned char bytes[33]; /* whole groups of three; the last byte is not used */

	if (RAND_bytes(bytes, (int)sizeof(bytes)) != 1)
		return EVH_IO;
	for (size_t i = 0, n = 0; n < TICKET_TEXT - 1; i += 3, n += 4) {
		unsigned group = (unsigned)bytes[i] << 16 | (unsigned)bytes[i + 1] << 8 | bytes[i + 2];

		for (size_t k = 0; k < 4 && n + k < TICKET_TEXT - 1; k++)
			out[n + k] = ALPHABET[group >> (18 - 6 * k) & 63];
	}
	out[TICKET_TEXT - 1] = '\0';
	OPENSSL_cleanse(bytes, sizeof(bytes));
	return EVH_OK;
}

bool
ticket_well_formed(const char *text)
{
	return strlen(text) == TICKET_TEXT - 1 && strspn(text, ALPHABET) == TICKET_TEXT - 1;
}
