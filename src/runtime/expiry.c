/*
 * Warnings about certificates and revocation lists that expire soon.  Main
 * thread, once a minute and after each publication.  The last logged level is
 * kept beside the certificate, which generations share: a reload repeats no
 * line, and a renewed certificate begins at the first level again.
 */
#include "runtime/expiry.h"

#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#include "base/log.h"
#include "runtime/cert_slot.h"
#include "runtime/generation.h"
#include "tls/ca_store.h"
#include "tls/identity.h"

#define DAY_S 86400

static void
log_expiry(const struct cert_entry *entry, struct log *log, int64_t left_s)
{
	const struct identity *identity = entry->slot->identity;
	time_t end = (time_t)identity_not_after(identity);
	char text[32] = "?";
	struct tm tm;

	if (gmtime_r(&end, &tm))
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	log_warning(log, "tls",
	    left_s <= 0 ? "certificate has expired"
			: "certificate expires soon: renew it",
	    LOG_S("listener", entry->settings->name),
	    LOG_S("cert", identity_name(identity)),
	    LOG_S("file", entry->slot->id.cert),
	    LOG_N("days", left_s <= 0 ? 0 : (left_s + DAY_S - 1) / DAY_S),
	    LOG_S("end", text));
}

/* A clock that is set back repeats no line. */
static bool
is_new(enum validity_warning level, enum validity_warning *warned)
{
	if (level <= *warned)
		return false;
	*warned = level;
	return true;
}

static void
look_at(const struct cert_entry *entry, struct log *log, int64_t now_s)
{
	struct cert_slot *slot = entry->slot;
	int64_t from = identity_not_before(slot->identity);
	int64_t end = identity_not_after(slot->identity);

	if (is_new(validity_warning(from, end, now_s), &slot->warned))
		log_expiry(entry, log, end - now_s);
}

static void
look_at_lists(struct ca_entry *entry, struct log *log, int64_t now_s)
{
	enum validity_warning level = validity_warning(
	    ca_store_crls_start(entry->trust), ca_store_crls_end(entry->trust),
	    now_s);

	if (!is_new(level, &entry->warned))
		return;
	log_warning(log, "tls",
	    level == VALIDITY_ENDED
		? "revocation list has expired: clients of its issuer "
		  "are refused until there is a new one"
		: "revocation list expires soon: put a new one in place",
	    LOG_S("listener", entry->settings->name),
	    LOG_S("file", entry->settings->crl_file));
}

void
expiry_look(const struct generation *generation, struct log *log, int64_t now_s)
{
	const struct cert_entry *entry;
	size_t i;

	for (i = 0; i < generation_cert_count(generation); i++) {
		entry = generation_cert(generation, i);
		if (entry->slot->identity)
			look_at(entry, log, now_s);
	}
	for (i = 0; i < generation->trust_count; i++)
		look_at_lists(&generation->trusts[i], log, now_s);
}
