/*
 * The certificates of a generation: from files to slots, from the keys of a
 * listener and its cert_dir to lists of certificates, and from the names in
 * certificates to the one that is shown for a name.  Main thread.
 *
 * Files that were not touched are not read again, so a reload that changes one
 * host reads one certificate.  A bad file is an error at a start and a reload;
 * when files have changed by themselves (and in cert_dir always) it is one line
 * in the log, and the certificate that it would have replaced stays.
 *
 * libstaple keeps the strongest requirement for each certificate object, so an
 * old object is reused for an equal policy only: the policy is part of the key.
 */
#include "runtime/certs.h"

#include <errno.h>
#include <search.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/log.h"
#include "runtime/build.h"
#include "runtime/cert_slot.h"
#include "runtime/generation.h"
#include "runtime/stapling.h"
#include "tls/identity.h"
#include "tls/sni.h"

/* ---- Names ---- */

/* A name that a certificate is for, and which one. */
struct claim {
	const char *pattern;
	const struct credential *credential;
	bool valid;   /* it has begun and has not ended */
	size_t order; /* of the credential */
};

bool
shown_put(struct shown *shown, const struct credential *credential)
{
	struct identity *identity = credential->identity;
	struct identity **place;

	if (identity == NULL)
		return true;
	place = &shown->identities[identity_kind(identity)];
	if (*place)
		return false;
	*place = identity;
	shown->in_folder |= credential->id.in_folder;
	return true;
}

static bool
is_valid(const struct claims *claims, const struct credential *credential)
{
	const struct identity *identity = credential->identity;

	return identity_not_before(identity) <= claims->now_s &&
	       claims->now_s < identity_not_after(identity);
}

static int
compare_ends(const struct claim *one, const struct claim *other)
{
	int64_t ends = identity_not_after(one->credential->identity);
	int64_t other_ends = identity_not_after(other->credential->identity);

	if (one->valid != other->valid)
		return one->valid ? -1 : 1;
	return (ends < other_ends) - (ends > other_ends);
}

static int
compare_claims(const void *a, const void *b)
{
	const struct claim *one = a, *other = b;
	int order = strcmp(one->pattern, other->pattern);

	if (order == 0 && one->credential->id.in_folder &&
	    other->credential->id.in_folder)
		order = compare_ends(one, other);
	if (order == 0)
		order = (one->order > other->order) -
			(one->order < other->order);
	return order;
}

static struct claim *
collect_claims(const struct claims *claims, size_t *count)
{
	const struct credential *credential;
	struct claim *list;
	size_t i, k, room = 0;

	*count = 0;
	for (i = 0; i < claims->count; i++)
		if (claims->items[i]->identity)
			room += identity_pattern_count(
			    claims->items[i]->identity);
	list = calloc(room + 1, sizeof(list[0]));
	for (i = 0; list && i < claims->count; i++) {
		credential = claims->items[i];
		if (credential->identity == NULL)
			continue;
		for (k = 0; k < identity_pattern_count(credential->identity);
		     k++)
			list[(*count)++] = (struct claim){
				identity_pattern(credential->identity, k),
				credential, is_valid(claims, credential), i
			};
	}
	return list;
}

/* Claims of one pattern stand together: they become one. */
static bool
group_claims(struct claims *claims, const struct claim *list, size_t count)
{
	const char *pattern = "";
	size_t i;

	claims->patterns = calloc(count + 1, sizeof(claims->patterns[0]));
	claims->shown = calloc(count + 1, sizeof(claims->shown[0]));
	claims->table = sni_table_new(count);
	if (!claims->patterns || !claims->shown || !claims->table)
		return false;
	for (i = 0; i < count; i++) {
		if (strcmp(pattern, list[i].pattern) != 0) {
			pattern = list[i].pattern;
			if (!sni_table_add(
				claims->table, pattern, claims->pattern_count))
				return false;
			claims->patterns[claims->pattern_count++] = pattern;
		}
		/* A second of its kind is for nobody. */
		(void)shown_put(&claims->shown[claims->pattern_count - 1],
		    list[i].credential);
	}
	sni_table_seal(claims->table);
	return true;
}

const struct shown *
claims_find(const struct claims *claims, const char *pattern)
{
	size_t at = pattern[0] == '*' ? sni_table_exact(claims->table, pattern)
				      : sni_table_find(claims->table, pattern);

	return at == SNI_NONE ? NULL : &claims->shown[at];
}

static bool
share_a_name(const struct identity *a, const struct identity *b)
{
	size_t i, k;

	if (identity_pattern_count(a) == 0 && identity_pattern_count(b) == 0)
		return true;
	for (i = 0; i < identity_pattern_count(a); i++)
		for (k = 0; k < identity_pattern_count(b); k++)
			if (strcmp(identity_pattern(a, i),
				identity_pattern(b, k)) == 0)
				return true;
	return false;
}

/* The first that the keys name, with those of other kinds for a same name. */
static bool
choose_named(struct claims *claims)
{
	const struct identity *first = NULL;
	const struct credential *item;
	size_t i;

	for (i = 0; i < claims->named; i++) {
		item = claims->items[i];
		if (item->identity == NULL)
			continue;
		if (first == NULL)
			first = item->identity;
		if (share_a_name(first, item->identity))
			(void)shown_put(&claims->first, item);
	}
	return first != NULL;
}

/* The first of the folder, with whatever else its first name has.  valid:
 * only one that has begun and has not ended.  NULL: none. */
static const struct shown *
find_found(const struct claims *claims, bool valid)
{
	const struct credential *item;
	size_t i;

	for (i = claims->named; i < claims->count; i++) {
		item = claims->items[i];
		if (item->identity && identity_pattern_count(item->identity) &&
		    (!valid || is_valid(claims, item)))
			return claims_find(
			    claims, identity_pattern(item->identity, 0));
	}
	return NULL;
}

static void
choose_found(struct claims *claims)
{
	const struct shown *shown = find_found(claims, true);

	if (shown == NULL)
		shown = find_found(claims, false);
	if (shown)
		claims->first = *shown;
}

bool
claims_init(struct claims *claims, struct credential *const *items,
    size_t named, size_t count, int64_t now_s)
{
	struct claim *list;
	size_t list_count;
	bool fine;

	*claims = (struct claims){
		.items = items,
		.named = named,
		.count = count,
		.now_s = now_s,
	};
	list = collect_claims(claims, &list_count);
	if (list == NULL)
		return false;
	qsort(list, list_count, sizeof(list[0]), compare_claims);
	fine = group_claims(claims, list, list_count);
	free(list);
	if (fine && !choose_named(claims))
		choose_found(claims);
	return fine;
}

void
claims_fini(struct claims *claims)
{
	free(claims->patterns);
	free(claims->shown);
	sni_table_free(claims->table);
	*claims = (struct claims){ 0 };
}

/* ---- Slots ---- */

/* A node of a tree is the id inside a credential. */
static int
compare_ids(const void *a, const void *b)
{
	return credential_compare(a, b);
}

static struct credential *
find_slot(void *tree, const struct credential_key *id)
{
	struct credential_key **node = tfind(id, &tree, compare_ids);

	return node ? container_of(*node, struct credential, id) : NULL;
}

bool
build_hold(struct build *build, const struct config_listener *user,
    struct credential *credential)
{
	return generation_hold(build->fresh, user, credential) &&
	       tsearch(&credential->id, &build->credentials, compare_ids) !=
		   NULL;
}

bool
build_index(struct build *build)
{
	size_t i;

	for (i = 0; build->old && i < build->old->holding_count; i++)
		if (!tsearch(&build->old->holdings[i].credential->id,
			&build->old_credentials, compare_ids))
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

/* What is asked for, and where it was said. */
struct build_wish {
	const struct config_listener *user;
	const struct config_path *cert; /* NULL: found in the folder */
	const struct config_path *key;
	const struct credential_key *id;
	/* Of the old generation: what it takes the place of, whatever files
	 * that came from; NULL: nothing, or what came from the same files. */
	const struct credential *before;
	struct preload_item *read; /* its files; NULL: not read yet */
};

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
report_bad(struct build *build, const struct arrival *arrival, struct err *err)
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
    const struct policy_eval *eval, const struct identity *identity)
{
	const struct credential *before = arrival->before;

	if (before == NULL || before->identity == NULL)
		return false;
	if (identity_equal(before->identity, identity))
		return before->unstapled;
	return is_lenient(build, arrival) ||
	       policy_eval_ends_soon(eval, before->identity);
}

static struct policy_eval
eval_of(const struct build *build)
{
	return (struct policy_eval){
		.stapling = build->parts->stapling,
		.phase = build->old ? PHASE_RELOAD : PHASE_START,
		.now_s = build->now_s,
	};
}

/* The library looks after this one from now on, if it can. */
static bool
watch_identity(struct build *build, const struct arrival *arrival,
    const struct identity *identity)
{
	const struct credential_key *id = &arrival->fresh->id;
	const struct config_listener *user = arrival->wish->user;
	struct policy_eval eval = eval_of(build);
	struct err err = { "" };

	eval.before = build->old;
	if (stapling_watch(
		build->parts->stapling, build->config, identity, id, &err) &&
	    (policy_eval_may_start(&eval, &id->policy, identity, &err) ||
		may_replace_unstapled(build, arrival, &eval, identity)))
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
	const struct policy_eval eval = eval_of(build);

	if (before && before->identity)
		return !identity_equal(before->identity, identity) &&
		       watch_identity(build, arrival, before->identity) &&
		       policy_eval_defers(&eval, &arrival->fresh->id.policy,
			   identity, before->identity);
	/* In a folder nobody else waits for it, and it may stay out. */
	return arrival->fresh->id.in_folder &&
	       !policy_eval_admits(&eval, &arrival->fresh->id.policy, identity);
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
	const struct policy_eval eval = eval_of(build);
	struct err err;

	return arrival->before && arrival->before->identity &&
	       !policy_eval_may_start(
		   &eval, &arrival->fresh->id.policy, identity, &err);
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
load_identity(struct build *build, const struct arrival *arrival,
    struct err *warning, struct err *err)
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
	struct identity *identity = load_identity(
	    build, arrival, &warning, &err);

	if (identity == NULL) {
		report_bad(build, arrival, &err);
		go_on(arrival);
		return;
	}
	build_warn(build, arrival->wish->user, warning.text);
	identity = prefer_known(arrival->old, identity);
	if (is_expired_successor(build, arrival, identity, &err)) {
		report_bad(build, arrival, &err);
		go_on(arrival);
	} else if (watch_identity(build, arrival, identity))
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
		(void)watch_identity(build, arrival, old->identity);
	if (old->renewal)
		(void)watch_identity(build, arrival, old->renewal);
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

/* The certificate of these files: one of `fresh`, or of `old` where nothing
 * has changed, or read.  Borrowed from `fresh`.  NULL: reported. */
static struct credential *
build_credential(struct build *build, const struct build_wish *wish)
{
	const struct config_listener *user = wish->user;
	struct credential *known = find_slot(build->credentials, wish->id);
	struct arrival arrival = { .wish = wish };
	struct err err = { "out of memory" };

	if (known)
		return known;
	arrival.old = find_slot(build->old_credentials, wish->id);
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
	struct credential *known = find_slot(
	    build->credentials, &credential->id);
	struct err err = { "out of memory" };

	if (known)
		return known;
	if (build_hold(build, user, credential_ref(credential)))
		return credential;
	build_fail(build, BLAME_SYSTEM, &user->where, user, &err);
	return NULL;
}

/* ---- Lists of certificates ---- */

static bool
show(struct build *build, struct display *display,
    const struct config_listener *user, struct credential *credential)
{
	struct err err = { "out of memory" };

	if (credential == NULL)
		return false; /* reported */
	if (display_add(display, credential))
		return true;
	build_fail(build, BLAME_SYSTEM, &user->where, user, &err);
	return false;
}

/* ---- What stood in the same place ---- */

/* The old certificates of one listener or host, in order. */
struct ancestors {
	struct credential *const *items;
	size_t count;
};

/* Reloads rarely reorder: the same place is tried first. */
static size_t
find_listener(const struct config *config, const char *name, size_t i)
{
	size_t k;

	if (i < config->listener_count &&
	    strcmp(config->listeners[i].name, name) == 0)
		return i;
	for (k = 0; k < config->listener_count; k++)
		if (strcmp(config->listeners[k].name, name) == 0)
			return k;
	return SIZE_MAX;
}

/* Hosts are walked in their order, so the next one is the usual one. */
struct previous_walk {
	const struct config_listener *listener; /* NULL: there was none */
	const struct display *display;
	size_t host; /* next one */
	size_t item; /* where its certificates begin */
};

static void
begin_walk(const struct build *build, struct previous_walk *walk, size_t i)
{
	const struct config_listener *listener = &build->config->listeners[i];
	size_t at = SIZE_MAX;

	*walk = (struct previous_walk){ 0 };
	if (build->old)
		at = find_listener(build->old->config, listener->name, i);
	if (at == SIZE_MAX)
		return;
	walk->listener = &build->old->config->listeners[at];
	walk->display = &build->old->displays[at];
	walk->item = walk->listener->certs.count + walk->display->folder_count;
}

static struct ancestors
ancestors_of_listener(const struct previous_walk *walk)
{
	if (walk->listener == NULL)
		return (struct ancestors){ 0 };
	return (struct ancestors){
		walk->display->items,
		walk->listener->certs.count,
	};
}

static size_t
own_count(const struct config_listener *host)
{
	return host->certs_own ? host->certs.count : 0;
}

/* From the walk's place to the end; its place is then behind the one found,
 * or as it was. */
static struct ancestors
ancestors_of_host(struct previous_walk *walk, const char *pattern)
{
	const struct config_listener *hosts;
	size_t host = walk->host, item = walk->item;
	struct ancestors found = { 0 };

	for (; walk->listener && host < walk->listener->host_count; host++) {
		hosts = walk->listener->hosts;
		if (strcmp(hosts[host].pattern, pattern) == 0) {
			found.items = walk->display->items + item;
			found.count = own_count(&hosts[host]);
			walk->host = host + 1;
			walk->item = item + found.count;
			return found;
		}
		item += own_count(&hosts[host]);
	}
	return found;
}

/* ---- What is shown ---- */

static void
show_own(struct build *build, struct display *display,
    const struct config_listener *user, const struct ancestors *ancestors)
{
	const struct config_path *staple_file;
	struct credential_key id = {
		.permissions = user->key_permissions,
		.policy = stapling_policy(user, false),
	};
	struct build_wish wish = { .user = user, .id = &id };
	size_t i;

	for (i = 0; i < user->certs.count; i++) {
		wish.cert = &user->certs.items[i];
		wish.key = config_key_of(user, i);
		wish.before = i < ancestors->count ? ancestors->items[i] : NULL;
		staple_file = config_staple_file_of(user, i);
		id.cert = wish.cert->path;
		id.key = wish.key->path;
		id.staple_file = staple_file ? staple_file->path : NULL;
		if (!show(build, display, user, build_credential(build, &wish)))
			return;
	}
}

static struct credential_key
id_in_folder(const struct config_listener *user, const struct folder_item *item)
{
	return (struct credential_key){
		.cert = item->cert,
		.key = item->key,
		.permissions = user->key_permissions,
		.policy = stapling_policy(user, true),
		.in_folder = true,
	};
}

/* At a start nothing is known yet, and all of it must be read.  Without memory
 * the files are read one by one. */
static void
read_ahead(const struct build *build, const struct config_listener *user,
    const struct folder *folder, struct preload *preload)
{
	struct credential_key *ids;
	size_t i;

	if (build->old || folder->count < PRELOAD_LEAST)
		return;
	ids = calloc(folder->count, sizeof(ids[0]));
	for (i = 0; ids && i < folder->count; i++)
		ids[i] = id_in_folder(user, &folder->items[i]);
	if (ids && !preload_run(preload, ids, folder->count))
		preload_free(preload);
	free(ids);
}

static void
show_folder(struct build *build, struct display *display,
    const struct config_listener *user, const struct folder *folder)
{
	struct preload preload = { 0 };
	struct credential_key id;
	struct build_wish wish = { .user = user, .id = &id };
	size_t i;

	read_ahead(build, user, folder, &preload);
	for (i = 0; i < folder->count; i++) {
		id = id_in_folder(user, &folder->items[i]);
		wish.read = i < preload.count ? &preload.items[i] : NULL;
		if (!show(build, display, user, build_credential(build, &wish)))
			break;
		display->folder_count++;
	}
	preload_free(&preload);
}

/* A folder that cannot be read any more, or holds nothing, is no reason to
 * show nothing: what was in it serves on. */
static void
show_old_folder(
    struct build *build, struct display *display, size_t i, struct err *err)
{
	const struct config_listener *user = &build->config->listeners[i];
	const struct display *old = &build->old->displays[i];
	struct credential *credential;
	size_t k;

	display->folder_kept = true;
	if (!old->folder_kept)
		log_error(build->parts->log, "tls",
		    "the certificates of cert_dir serve on as they were",
		    LOG_S("listener", user->name), LOG_S("error", err->text));
	for (k = 0; k < old->folder_count; k++) {
		credential = old->items[user->certs.count + k];
		if (!show(build, display, user,
			build_share(build, user, credential)))
			return;
		display->folder_count++;
	}
}

static void
show_all_of_folder(struct build *build, struct display *display, size_t i)
{
	const struct config_listener *user = &build->config->listeners[i];
	struct folder folder;
	struct err err = { "" };
	bool fine = folder_list(&folder, user->cert_dir, &err);

	if (fine && folder.count == 0 && user->certs.count == 0) {
		err_set(&err,
		    "%s holds no certificate (*.pem, *.crt, or folders "
		    "with fullchain.pem and privkey.pem)",
		    user->cert_dir);
		fine = false;
	}
	if (fine) {
		show_folder(build, display, user, &folder);
	} else if (build->cause == GENERATION_FILES) {
		show_old_folder(build, display, i, &err);
	} else {
		err_prefix(&err, "cert_dir");
		build_fail(
		    build, BLAME_CONFIG, &user->cert_dir_where, user, &err);
	}
	folder_free(&folder);
}

void
build_display(struct build *build, size_t i)
{
	const struct config_listener *listener = &build->config->listeners[i];
	struct display *display = &build->fresh->displays[i];
	const struct config_listener *host;
	struct ancestors ancestors;
	struct previous_walk walk;
	size_t k;

	begin_walk(build, &walk, i);
	ancestors = ancestors_of_listener(&walk);
	show_own(build, display, listener, &ancestors);
	if (listener->cert_dir)
		show_all_of_folder(build, display, i);
	for (k = 0; k < listener->host_count; k++) {
		host = &listener->hosts[k];
		ancestors = ancestors_of_host(&walk, host->pattern);
		if (host->certs_own)
			show_own(build, display, host, &ancestors);
	}
}
