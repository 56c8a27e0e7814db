#include "wsd/wheel.h"

#include <stddef.h>

static void
insert(struct wheel_entry *head, struct wheel_entry *entry)
{
	entry->prev = head->prev;
	entry->next = head;
	head->prev->next = entry;
	head->prev = entry;
}

void
wheel_init(struct wheel *wheel)
{
	for (int i = 0; i < WHEEL_SLOTS; i++)
		wheel->slots[i].prev = wheel->slots[i].next = &wheel->slots[i];
	wheel->ready.prev = wheel->ready.next = &wheel->ready;
	wheel->now = 0;
}

void
wheel_remove(struct wheel_entry *entry)
{
	if (entry->next == NULL)
		return;
	entry->prev->next = entry->next;
	entry->next->prev = entry->prev;
	entry->prev = entry->next = NULL;
}

void
wheel_set(struct wheel *wheel, struct wheel_entry *entry, uint32_t after)
{
	wheel_remove(entry);
	entry->due = wheel->now + (after == 0 ? 1 : after);
	insert(&wheel->slots[entry->due % WHEEL_SLOTS], entry);
}

void
wheel_tick(struct wheel *wheel)
{
	struct wheel_entry *head, *e, *next;

	wheel->now++;
	head = &wheel->slots[wheel->now % WHEEL_SLOTS];
	for (e = head->next; e != head; e = next) {
		next = e->next;
		if (e->due == wheel->now) {
			wheel_remove(e);
			insert(&wheel->ready, e);
		}
	}
}

struct wheel_entry *
wheel_due(struct wheel *wheel)
{
	struct wheel_entry *e = wheel->ready.next;

	if (e == &wheel->ready)
		return NULL;
	wheel_remove(e);
	return e;
}
