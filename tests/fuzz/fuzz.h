/* fuzz.h - what the harnesses share.
 *
 * A harness is one file with LLVMFuzzerTestOneInput: libFuzzer runs it on
 * inputs that it makes up (--enable-fuzzers, make check-fuzz), replay.c on
 * those of its corpus (every build, make check).  It asserts what must hold
 * for any input: a crash is not the only fault. */

#ifndef EVH_FUZZ_H
#define EVH_FUZZ_H

#include "common/buf.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the process, naming the place, unless the condition holds. */
#define FUZZ_CHECK(condition)                                        \
	do {                                                         \
		if (!(condition))                                    \
			fuzz_failed(#condition, __FILE__, __LINE__); \
	} while (0)
_Noreturn void fuzz_failed(const char *condition, const char *file, int line);

/* What is left of an input. */
struct fuzz_input {
	const char *at;
	size_t left;
};

/* The text up to the next newline, or the end; to be freed.  It ends at its
 * NUL in a block of just that size, so that reading on is noticed.  NULL when
 * nothing is left. */
char *fuzz_line(struct fuzz_input *in);

/* All that is left, in a block of just that size; to be freed. */
char *fuzz_rest(struct fuzz_input *in, size_t *len);

/* Checks that the text is a JSON value (nested at any depth) in valid UTF-8. */
void fuzz_check_json(const char *text, size_t len);

/* A directory of the process's own, removed at its end. */
const char *fuzz_directory(void);

#endif
