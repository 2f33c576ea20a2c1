/*
 * The swap of a renewed certificate, in memory.  Main thread.  The generation
 * it starts from stays as it is, published or not; a port that was opened for
 * one that was never published is as fresh in the next.
 */
#include "runtime/renew.h"

#include "base/err.h"
#include "base/log.h"
#include "proxy/service.h"
#include "runtime/generation.h"
#include "runtime/generation_inner.h"
#include "runtime/judge.h"
#include "runtime/ports.h"
#include "runtime/stapling.h"
#include "tls/context.h"
#include "tls/identity.h"

bool
renew_is_waited_for(const struct generation *generation)
{
	size_t i;

	for (i = 0; i < generation->service_count; i++)
		if (generation->renewals[i])
			return true;
	return false;
}

static bool
is_due(const struct judge *judge, const struct generation *generation, size_t i)
{
	const struct service *service = generation->services[i];
	const struct identity *renewal = generation->renewals[i];

	return renewal && !judge_keeps_out(judge, service->listener, renewal,
			      tls_context_identity(service->tls));
}

static bool
is_any_due(const struct judge *judge, const struct generation *generation)
{
	size_t i;

	for (i = 0; i < generation->service_count; i++)
		if (is_due(judge, generation, i))
			return true;
	return false;
}

/* The same service with another certificate. */
static struct service *
make_successor(const struct service *old, struct identity *identity,
    const struct generation_parts *parts, struct err *err)
{
	struct service *service = NULL;
	struct tls_context *tls = tls_context_new(
	    old->listener, identity, parts->keys, NULL, err);

	if (tls == NULL)
		return NULL;
	if (!stapling_attach(parts->stapling, old->listener, tls, err))
		goto out;
	service = service_new(
	    old->config, old->listener, tls, old->backends, old->limit);
	if (service == NULL)
		err_set(err, "out of memory");
out:
	tls_context_unref(tls);
	return service;
}

static bool
fill(struct generation *fresh, const struct generation *from,
    const struct generation_parts *parts, const struct judge *judge,
    struct err *err)
{
	struct identity *renewal;
	struct service *service;
	size_t i;

	for (i = 0; i < from->service_count; i++) {
		service = from->services[i];
		renewal = from->renewals[i];
		if (!is_due(judge, from, i)) {
			generation_add(fresh, service_ref(service),
			    renewal ? identity_ref(renewal) : NULL);
			continue;
		}
		service = make_successor(service, renewal, parts, err);
		if (service == NULL) {
			err_prefix(err, "renewed certificate %s",
			    identity_name(renewal));
			return false;
		}
		generation_add(fresh, service, NULL);
	}
	return ports_share(
	    &fresh->ports, &from->ports, from->services, fresh->services, err);
}

static void
say_swapped(const struct generation *fresh, const struct generation *from,
    struct log *log)
{
	size_t i;

	for (i = 0; i < fresh->service_count; i++) {
		if (fresh->services[i] == from->services[i])
			continue;
		log_notice(log, "ocsp", "renewed certificate in service",
		    LOG_S("listener", fresh->services[i]->listener->name),
		    LOG_S("cert", identity_name(from->renewals[i])));
	}
}

struct generation *
renew_generation(struct generation *from, const struct generation_parts *parts,
    int64_t now_s, struct err *err)
{
	const struct judge judge = {
		.stapling = parts->stapling,
		.now_s = now_s,
	};
	struct generation *fresh;

	err_set(err, "%s", "");
	if (!is_any_due(&judge, from))
		return NULL;
	fresh = generation_new(from->config);
	if (fresh == NULL) {
		err_set(err, "out of memory");
		return NULL;
	}
	if (fill(fresh, from, parts, &judge, err)) {
		say_swapped(fresh, from, parts->log);
		return fresh;
	}
	generation_unref(fresh);
	return NULL;
}
