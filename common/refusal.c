#include "common/refusal.h"

#include "common/address.h"
#include "common/log.h"

void
refusal_log(const struct refusal *r, const struct api_error *e)
{
	char where[ADDRESS_BYTES] = "-";
	struct ip_address a;
	bool known = e->code != 401 && r->user != NULL && r->user[0] != '\0';

	if (r->remote_addr != NULL && address_parse(r->remote_addr, &a))
		address_format(&a, where);
	log_info("refused",
		"status=%d remote_addr=%s user=%.200s error=%s path=%.200s reason=\"%.200s\"", e->code,
		where, known ? r->user : "-", e->error != NULL ? e->error : "-",
		r->path != NULL ? r->path : "", e->message);
}
