/*
 * The swap of a renewed certificate, in memory.  Main thread.  No file is read
 * again: the next generation is made of what this one holds, with what waited
 * in the place of what it replaces.  The generation it starts from stays as it
 * is, published or not; a port that was opened for one that was never
 * published is as fresh in the next.
 */
#include "runtime/renew.h"

#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "runtime/build.h"
#include "runtime/certs.h"
#include "runtime/cert_slot.h"
#include "runtime/generation_inner.h"
#include "runtime/sockets.h"
#include "runtime/stapling.h"
#include "tls/identity.h"
#include "tls/trust.h"

bool
renew_is_waited_for(const struct generation *generation)
{
	size_t i;

	for (i = 0; i < generation->holding_count; i++)
		if (generation->holdings[i].credential->renewal)
			return true;
	return false;
}

static bool
is_any_due(const struct judge *judge, const struct generation *generation)
{
	size_t i;

	for (i = 0; i < generation->holding_count; i++)
		if (judge_is_due(judge, generation->holdings[i].credential))
			return true;
	return false;
}

/* What is due, in service. */
static struct credential *
swap(const struct judge *judge, const struct credential *credential)
{
	struct credential *fresh = credential_copy(
	    credential, credential->renewal, NULL);
	struct err err;

	if (fresh)
		fresh->unstapled = !judge_may_ask(
		    judge, &credential->id.policy, credential->renewal, &err);
	return fresh;
}

/* Every certificate, those that are due in their new state. */
static bool
hold_all(struct build *build, const struct judge *judge)
{
	const struct holding *holding;
	struct credential *credential;
	size_t i;

	for (i = 0; i < build->old->holding_count; i++) {
		holding = &build->old->holdings[i];
		credential = holding->credential;
		credential = judge_is_due(judge, credential)
				 ? swap(judge, credential)
				 : credential_ref(credential);
		if (!credential ||
		    !build_hold(build, holding->user, credential))
			return false;
	}
	return true;
}

static bool
hold_trusts(struct build *build)
{
	struct trust_holding holding;
	size_t i;

	for (i = 0; i < build->old->trust_count; i++) {
		holding = build->old->trusts[i];
		holding.trust = trust_ref(holding.trust);
		if (!generation_hold_trust(build->fresh, &holding))
			return false;
	}
	return true;
}

/* The same display with what is held now. */
static bool
display_again(struct build *build, size_t i)
{
	const struct display *old = &build->old->displays[i];
	struct display *display = &build->fresh->displays[i];
	struct credential *credential;
	size_t k;

	display->folder_count = old->folder_count;
	for (k = 0; k < old->count; k++) {
		credential = build_share(
		    build, &build->config->listeners[i], old->items[k]);
		if (!credential || !display_add(display, credential))
			return false;
	}
	return true;
}

static bool
fill(struct build *build, const struct judge *judge, struct err *err)
{
	struct generation *fresh = build->fresh, *old = build->old;
	size_t i;

	err_set(err, "out of memory");
	if (!hold_all(build, judge) || !hold_trusts(build))
		return false;
	for (i = 0; i < build->config->listener_count; i++) {
		if (!display_again(build, i))
			return false;
		build_service(build, i);
	}
	err_set(err, "%s", "");
	if (!build->failed)
		return ports_share(&fresh->ports, &old->ports, old->services,
		    fresh->services, err);
	if (build->errors->all.list.count > 0)
		err_set(err, "%s", build->errors->all.list.items[0]);
	return false;
}

static void
say_swapped(const struct generation *fresh, const struct generation *from,
    struct log *log)
{
	const struct credential *before, *after;
	size_t i;

	for (i = 0; i < fresh->holding_count; i++) {
		before = from->holdings[i].credential;
		after = fresh->holdings[i].credential;
		if (before == after)
			continue;
		log_notice(log, "ocsp",
		    before->identity ? "renewed certificate in service"
				     : "certificate in service",
		    LOG_S("listener", fresh->holdings[i].user->name),
		    LOG_S("cert", identity_name(after->identity)),
		    LOG_S("file", after->id.cert));
	}
}

struct generation *
renew_generation(struct generation *from, const struct generation_parts *parts,
    const struct judge *judge, struct err *err)
{
	struct generation_errors errors;
	struct build build = {
		.old = from,
		.config = from->config,
		.parts = parts,
		.cause = GENERATION_FILES,
		.now_s = judge->now_s,
		.errors = &errors,
	};
	bool fine;

	memset(&errors, 0, sizeof(errors));
	err_set(err, "%s", "");
	if (!is_any_due(judge, from))
		return NULL;
	build.fresh = generation_new(from->config);
	fine = build.fresh && fill(&build, judge, err);
	build_forget(&build);
	generation_errors_free(&errors);
	if (fine) {
		say_swapped(build.fresh, from, parts->log);
		return build.fresh;
	}
	err_prefix(err, "renewed certificates stay out");
	generation_unref(build.fresh);
	return NULL;
}
