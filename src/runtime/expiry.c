/*
 * Ends that come near.  Main thread, now and then.  What was said is kept with
 * the certificate in use, which generations share: so a reload repeats
 * nothing, and a renewed certificate begins anew.
 */
#include "runtime/expiry.h"

#include <stddef.h>
#include <stdio.h>
#include <time.h>

#include "base/attr.h"
#include "base/log.h"
#include "runtime/credential.h"
#include "runtime/generation_inner.h"
#include "tls/identity.h"
#include "tls/trust.h"

#define DAY_S 86400
#define LISTS_DAYS 7

/* The last step that has been passed; 0: none.  One whose end is past is told
 * of by -1. */
static int
step_of(int64_t left_s)
{
	static const int steps[] = { 1, 7, 14, EXPIRY_FIRST_DAYS };
	size_t i;

	if (left_s <= 0)
		return -1;
	for (i = 0; i < ARRAY_LEN(steps); i++)
		if (left_s <= (int64_t)steps[i] * DAY_S)
			return steps[i];
	return 0;
}

static void
say(const struct holding *holding, struct log *log, int64_t left_s)
{
	const struct identity *identity = holding->credential->identity;
	time_t end = (time_t)identity_not_after(identity);
	char text[32] = "?";
	struct tm tm;

	if (gmtime_r(&end, &tm))
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	log_warning(log, "tls",
	    left_s <= 0 ? "certificate has expired"
			: "certificate expires soon: renew it",
	    LOG_S("listener", holding->user->name),
	    LOG_S("cert", identity_name(identity)),
	    LOG_S("file", holding->credential->id.cert),
	    LOG_N("days", left_s <= 0 ? 0 : (left_s + DAY_S - 1) / DAY_S),
	    LOG_S("end", text));
}

static void
look_at(const struct holding *holding, struct log *log, int64_t now_s)
{
	struct credential *credential = holding->credential;
	int64_t left_s = identity_not_after(credential->identity) - now_s;
	int step = step_of(left_s), said = credential->days_said;

	/* A clock set back takes nothing back. */
	if (step == 0 || step == said || said == -1 ||
	    (step > 0 && said > 0 && step > said))
		return;
	credential->days_said = step;
	say(holding, log, left_s);
}

int
expiry_lists_step(int64_t end_s, int64_t now_s)
{
	if (end_s <= now_s)
		return -1;
	return end_s - now_s <= LISTS_DAYS * DAY_S ? LISTS_DAYS : 0;
}

static void
look_at_lists(struct trust_holding *holding, struct log *log, int64_t now_s)
{
	int step = expiry_lists_step(trust_lists_end(holding->trust), now_s);

	if (step == 0 || step == holding->days_said || holding->days_said == -1)
		return;
	holding->days_said = step;
	log_warning(log, "tls",
	    step == -1 ? "revocation list has expired: clients of its issuer "
			 "are refused until there is a new one"
		       : "revocation list expires soon: put a new one in place",
	    LOG_S("listener", holding->user->name),
	    LOG_S("file", holding->user->crl_file));
}

void
expiry_look(const struct generation *generation, struct log *log, int64_t now_s)
{
	const struct holding *holding;
	size_t i;

	for (i = 0; i < generation_holding_count(generation); i++) {
		holding = generation_holding(generation, i);
		if (holding->credential->identity)
			look_at(holding, log, now_s);
	}
	for (i = 0; i < generation->trust_count; i++)
		look_at_lists(&generation->trusts[i], log, now_s);
}
