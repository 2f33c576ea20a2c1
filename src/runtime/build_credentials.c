/*
 * From files to certificates in use.  Main thread.  Files that were not
 * touched are not read again, so a reload that changes one host reads one
 * certificate.  What is bad decides by the cause: at a start or a reload it is
 * an error, when files have changed by themselves (and in a folder always) it
 * is one line in the log, and what it would have replaced goes on.
 *
 * The library keeps the strongest wish for each certificate object, so an old
 * object is used again only for the same policy: that is part of the key.
 */
#include "runtime/build.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/log.h"
#include "runtime/cert_slot.h"
#include "runtime/generation_inner.h"
#include "runtime/stapling.h"
#include "tls/identity.h"

/* A node of a tree is the id inside a credential. */
static int
compare(const void *a, const void *b)
{
	return credential_compare(a, b);
}

static struct credential *
find(void *tree, const struct credential_key *id)
{
	struct credential_key **node = tfind(id, &tree, compare);

	return node ? container_of(*node, struct credential, id) : NULL;
}

bool
build_hold(struct build *build, const struct config_listener *user,
    struct credential *credential)
{
	return generation_hold(build->fresh, user, credential) &&
	       tsearch(&credential->id, &build->credentials, compare) != NULL;
}

bool
build_index(struct build *build)
{
	size_t i;

	for (i = 0; build->old && i < build->old->holding_count; i++)
		if (!tsearch(&build->old->holdings[i].credential->id,
			&build->old_credentials, compare))
			return false;
	return true;
}

static void
keep_node(void *node)
{
	(void)node; /* it is inside what a generation holds */
}

void
build_forget(struct build *build)
{
	identity_loader_free(build->loader);
	tdestroy(build->credentials, keep_node);
	tdestroy(build->old_credentials, keep_node);
}

/* ---- What is wrong ---- */

/* One certificate as it is being brought in. */
struct arrival {
	const struct build_wish *wish;
	struct credential *old;          /* of the same files; or NULL */
	const struct credential *before; /* which it replaces; or NULL */
	struct credential *fresh;
};

/* May it be left out, or its predecessor go on? */
static bool
is_lenient(const struct build *build, const struct arrival *arrival)
{
	return arrival->fresh->id.in_folder || build->cause == GENERATION_FILES;
}

/* Each line to mend: the key's when it is the key, or is missing as well. */
static void
fail_strictly(
    struct build *build, const struct arrival *arrival, struct err *err)
{
	const struct credential_key *id = &arrival->fresh->id;
	bool apart = strcmp(id->cert, id->key) != 0;
	bool is_key = apart && err_names(err, id->key) &&
		      !err_names(err, id->cert);

	build_fail(build, BLAME_CONFIG,
	    is_key ? &arrival->wish->key->where : &arrival->wish->cert->where,
	    arrival->wish->user, err);
	if (is_key || !apart || access(id->key, R_OK) == 0)
		return;
	err_set_errno(err, errno, "cannot read %s", id->key);
	build_fail(build, BLAME_CONFIG, &arrival->wish->key->where,
	    arrival->wish->user, err);
}

/* Is this the state of the files that was reported before? */
static bool
is_reported(const struct build *build, const struct arrival *arrival)
{
	const struct credential *old = arrival->old, *fresh = arrival->fresh;

	return build->cause == GENERATION_FILES && old && old->bad &&
	       credential_has_equal_stamps(old, fresh);
}

/* Reported once for each state of the files. */
static void
fail_leniently(
    const struct build *build, const struct arrival *arrival, struct err *err)
{
	const struct credential *before = arrival->before;
	bool serves = before && before->identity;

	arrival->fresh->bad = true;
	if (is_reported(build, arrival))
		return;
	log_error(build->parts->log, "tls",
	    serves ? "certificate not replaced, the old one serves on"
		   : "certificate left out",
	    LOG_S("listener", arrival->wish->user->name),
	    LOG_S("file", arrival->fresh->id.cert), LOG_S("error", err->text));
}

static void
fail(struct build *build, const struct arrival *arrival, struct err *err)
{
	if (is_lenient(build, arrival))
		fail_leniently(build, arrival, err);
	else
		fail_strictly(build, arrival, err);
}

/* ---- What is right ---- */

/*
 * A renewal that no responder can answer for, where policy demands a staple.
 * When files change it waits until its predecessor is about to end; from then
 * on it goes into service, because an expired certificate is worse than one
 * without a staple.
 */
static bool
may_replace_unstapled(const struct build *build, const struct arrival *arrival,
    const struct judge *judge, const struct identity *identity)
{
	const struct credential *before = arrival->before;

	if (before == NULL || before->identity == NULL)
		return false;
	if (identity_equal(before->identity, identity))
		return before->unstapled;
	return is_lenient(build, arrival) ||
	       judge_gives_way(judge, before->identity);
}

static struct judge
judge_of(const struct build *build)
{
	return (struct judge){
		.stapling = build->parts->stapling,
		.phase = build->old ? PHASE_RELOAD : PHASE_START,
		.now_s = build->now_s,
	};
}

/* The library looks after this one from now on, if it can. */
static bool
watch(struct build *build, const struct arrival *arrival,
    const struct identity *identity)
{
	const struct credential_key *id = &arrival->fresh->id;
	const struct config_listener *user = arrival->wish->user;
	struct judge judge = judge_of(build);
	struct err err = { "" };

	judge.before = build->old;
	if (stapling_watch(
		build->parts->stapling, build->config, identity, id, &err) &&
	    (judge_may_ask(&judge, &id->policy, identity, &err) ||
		may_replace_unstapled(build, arrival, &judge, identity)))
		return true;
	if (is_lenient(build, arrival))
		fail_leniently(build, arrival, &err);
	else
		build_fail(build, BLAME_SYSTEM,
		    user->ocsp_where.line > 0 ? &user->ocsp_where
					      : &arrival->wish->cert->where,
		    user, &err);
	return false;
}

/* Must it wait for its first staple? */
static bool
must_wait(struct build *build, const struct arrival *arrival,
    const struct identity *identity)
{
	const struct credential *before = arrival->before;
	const struct judge judge = judge_of(build);

	if (before && before->identity)
		return !identity_equal(before->identity, identity) &&
		       watch(build, arrival, before->identity) &&
		       judge_keeps_out(&judge, &arrival->fresh->id.policy,
			   identity, before->identity);
	/* In a folder nobody else waits for it, and it may stay out. */
	return arrival->fresh->id.in_folder &&
	       !judge_lets_in(&judge, &arrival->fresh->id.policy, identity);
}

/* An equal object that is known already takes the place of the new one. */
static struct identity *
prefer_known(const struct credential *old, struct identity *fresh)
{
	struct identity *known = NULL;

	if (old && old->identity && identity_equal(old->identity, fresh))
		known = old->identity;
	else if (old && old->renewal && identity_equal(old->renewal, fresh))
		known = old->renewal;
	if (known == NULL)
		return fresh;
	identity_unref(fresh);
	return identity_ref(known);
}

static bool
is_unstapled(const struct build *build, const struct arrival *arrival,
    const struct identity *identity)
{
	const struct judge judge = judge_of(build);
	struct err err;

	return arrival->before && arrival->before->identity &&
	       !judge_may_ask(
		   &judge, &arrival->fresh->id.policy, identity, &err);
}

static void
settle(struct build *build, struct arrival *arrival, struct identity *identity)
{
	const struct credential *before = arrival->before;
	struct credential *fresh = arrival->fresh;

	if (must_wait(build, arrival, identity)) {
		fresh->renewal = identity_ref(identity);
		identity = before ? before->identity : NULL;
	}
	fresh->identity = identity ? identity_ref(identity) : NULL;
	if (before && before->identity == identity) {
		fresh->warned = before->warned;
		fresh->unstapled = before->unstapled;
	} else if (identity) {
		fresh->unstapled = is_unstapled(build, arrival, identity);
	}
}

/* What serves and what waits stay as they are. */
static void
go_on(struct arrival *arrival)
{
	const struct credential *before = arrival->before;
	struct credential *fresh = arrival->fresh;

	if (before == NULL || !fresh->bad)
		return;
	if (before->identity)
		fresh->identity = identity_ref(before->identity);
	fresh->unstapled = before->unstapled;
	if (before->renewal)
		fresh->renewal = identity_ref(before->renewal);
	fresh->warned = before->warned;
}

/* New certificates share the intermediates of old ones. */
static bool
has_loader(struct build *build)
{
	const struct credential *old;
	size_t i;

	if (build->loader)
		return true;
	build->loader = identity_loader_new();
	for (i = 0;
	     build->loader && build->old && i < build->old->holding_count;
	     i++) {
		old = build->old->holdings[i].credential;
		if (old->identity)
			identity_loader_know(build->loader, old->identity);
	}
	return build->loader != NULL;
}

/* A reference; what was read ahead, or is read now. */
static struct identity *
load(struct build *build, const struct arrival *arrival, struct err *warning,
    struct err *err)
{
	const struct preload_item *read = arrival->wish->read;

	err_set(err, "out of memory");
	if (read == NULL)
		return has_loader(build) ? credential_load(arrival->fresh,
					       build->loader, warning, err)
					 : NULL;
	if (read->warning)
		err_set(warning, "%s", read->warning);
	if (read->error)
		err_set(err, "%s", read->error);
	return read->identity ? identity_ref(read->identity) : NULL;
}

/* An expired certificate replaces no valid one. */
static bool
is_expired_successor(const struct build *build, const struct arrival *arrival,
    const struct identity *identity, struct err *err)
{
	const struct credential *before = arrival->before;

	if (before == NULL || before->identity == NULL ||
	    identity_not_after(identity) > build->now_s ||
	    identity_not_after(before->identity) <= build->now_s)
		return false;
	err_set(err,
	    "the certificate in %s has expired, and the one in service has "
	    "not; put a valid certificate in place",
	    arrival->fresh->id.cert);
	return true;
}

static void
read_files(struct build *build, struct arrival *arrival)
{
	struct err err = { "" }, warning = { "" };
	struct identity *identity = load(build, arrival, &warning, &err);

	if (identity == NULL) {
		fail(build, arrival, &err);
		go_on(arrival);
		return;
	}
	build_warn(build, arrival->wish->user, warning.text);
	identity = prefer_known(arrival->old, identity);
	if (is_expired_successor(build, arrival, identity, &err)) {
		fail(build, arrival, &err);
		go_on(arrival);
	} else if (watch(build, arrival, identity))
		settle(build, arrival, identity);
	else
		go_on(arrival);
	identity_unref(identity);
}

/* ---- One certificate ---- */

/* Is what an earlier generation made of these files still true?  A person who
 * asks for a reload is told again what is bad. */
static bool
may_share(const struct build *build, const struct credential *old)
{
	if (old == NULL || (old->bad && build->cause != GENERATION_FILES))
		return false;
	return (old->identity || old->renewal || old->bad) &&
	       credential_is_current(old);
}

/* Shared objects too, where [ocsp] says something new, or to have a
 * staple_file looked at again. */
static void
show_library(struct build *build, struct arrival *arrival)
{
	const struct credential *old = arrival->fresh;

	if (!build->asks_anew && old->id.staple_file == NULL)
		return;
	/* What cannot be has been reported; nothing else follows from it. */
	if (old->identity)
		(void)watch(build, arrival, old->identity);
	if (old->renewal)
		(void)watch(build, arrival, old->renewal);
}

static void
arrive(struct build *build, struct arrival *arrival)
{
	if (may_share(build, arrival->old)) {
		arrival->fresh = credential_ref(arrival->old);
		show_library(build, arrival);
		return;
	}
	arrival->fresh = arrival->wish->read
			     ? credential_ref(arrival->wish->read->credential)
			     : credential_new(arrival->wish->id);
	if (arrival->fresh)
		read_files(build, arrival);
}

struct credential *
build_credential(struct build *build, const struct build_wish *wish)
{
	const struct config_listener *user = wish->user;
	struct credential *known = find(build->credentials, wish->id);
	struct arrival arrival = { .wish = wish };
	struct err err = { "out of memory" };

	if (known)
		return known;
	arrival.old = find(build->old_credentials, wish->id);
	arrival.before = arrival.old ? arrival.old : wish->before;
	arrive(build, &arrival);
	if (arrival.fresh && build_hold(build, user, arrival.fresh))
		return arrival.fresh;
	build_fail(build, BLAME_SYSTEM, &user->where, user, &err);
	return NULL;
}

struct credential *
build_share(struct build *build, const struct config_listener *user,
    struct credential *credential)
{
	struct credential *known = find(build->credentials, &credential->id);
	struct err err = { "out of memory" };

	if (known)
		return known;
	if (build_hold(build, user, credential_ref(credential)))
		return credential;
	build_fail(build, BLAME_SYSTEM, &user->where, user, &err);
	return NULL;
}
