#include "wsd/tally.h"

#include <string.h>

void
tally_add(struct tally *t, int code, const char *word)
{
	for (size_t i = 0; i < t->used; i++) {
		if (t->items[i].code == code && strcmp(t->items[i].word, word) == 0) {
			t->items[i].count++;
			return;
		}
	}
	if (t->used == TALLY_MAX - 1) { /* the last place is for all the others */
		code = 0;
		word = "other";
	}
	if (t->used == TALLY_MAX) {
		t->items[TALLY_MAX - 1].count++;
		return;
	}
	t->items[t->used++] = (struct tally_item){ code, word, 1 };
}
