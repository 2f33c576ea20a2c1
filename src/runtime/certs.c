/*
 * The certificates of a generation: from files to slots, from the keys of a
 * listener and its cert_dir to lists of certificates, and from the names in
 * certificates to the certificate of a name.  Main thread.
 *
 * Files with equal stamps are not read again, so a reload that changes one host
 * reads one certificate.  A bad file is an error at a start and a reload; when
 * files have changed by themselves (and in cert_dir always) it is one line in
 * the log, and the certificate that it would have replaced stays.
 *
 * Slots are found by their files, so that thousands of names share one, and
 * predecessors by their place: the listener, the pattern of the host, and the
 * index of the key.  While a slot shows the predecessor of a renewal that waits,
 * only places that had the same one share it.
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
#include "base/file.h"
#include "base/log.h"
#include "runtime/build.h"
#include "runtime/cert_slot.h"
#include "runtime/generation.h"
#include "runtime/stapling.h"
#include "tls/identity.h"
#include "tls/sni.h"

/* ---- Names ---- */

/* One name of one certificate. */
struct name_entry {
	const char *pattern;
	const struct cert_slot *slot;
	bool valid;   /* notBefore and notAfter hold at now_s */
	size_t order; /* index of the slot */
};

bool
cert_set_add(struct cert_set *set, const struct cert_slot *slot)
{
	struct identity *identity = slot->identity;
	struct identity **place;

	if (identity == NULL)
		return true;
	place = &set->identities[identity_kind(identity)];
	if (*place)
		return false;
	*place = identity;
	set->in_folder |= slot->id.in_folder;
	return true;
}

static bool
is_valid(const struct name_map *map, const struct cert_slot *slot)
{
	const struct identity *identity = slot->identity;

	return identity_not_before(identity) <= map->now_s &&
	       map->now_s < identity_not_after(identity);
}

static int
compare_ends(const struct name_entry *one, const struct name_entry *other)
{
	int64_t ends = identity_not_after(one->slot->identity);
	int64_t other_ends = identity_not_after(other->slot->identity);

	if (one->valid != other->valid)
		return one->valid ? -1 : 1;
	return (ends < other_ends) - (ends > other_ends);
}

static int
compare_entries(const void *a, const void *b)
{
	const struct name_entry *one = a, *other = b;
	int order = strcmp(one->pattern, other->pattern);

	if (order == 0 && one->slot->id.in_folder && other->slot->id.in_folder)
		order = compare_ends(one, other);
	if (order == 0)
		order = (one->order > other->order) -
			(one->order < other->order);
	return order;
}

/* NULL: without an identity, or a host's. */
static const struct cert_slot *
mapped_slot(const struct name_map *map, size_t i)
{
	const struct cert_place *place = &map->list->items[i];

	return place->settings->pattern || place->slot->identity == NULL
		   ? NULL
		   : place->slot;
}

static struct name_entry *
collect_entries(const struct name_map *map, size_t *count)
{
	const struct cert_slot *slot;
	struct name_entry *list;
	size_t i, k, room = 0;

	*count = 0;
	for (i = 0; i < map->list->count; i++) {
		slot = mapped_slot(map, i);
		if (slot)
			room += identity_pattern_count(slot->identity);
	}
	list = calloc(room + 1, sizeof(list[0]));
	for (i = 0; list && i < map->list->count; i++) {
		slot = mapped_slot(map, i);
		if (slot == NULL)
			continue;
		for (k = 0; k < identity_pattern_count(slot->identity); k++)
			list[(*count)++] = (struct name_entry){
				identity_pattern(slot->identity, k), slot,
				is_valid(map, slot), i
			};
	}
	return list;
}

/* Entries of one pattern are adjacent: they become one set. */
static bool
group_entries(struct name_map *map, const struct name_entry *list, size_t count)
{
	const char *pattern = "";
	size_t i;

	map->patterns = calloc(count + 1, sizeof(map->patterns[0]));
	map->sets = calloc(count + 1, sizeof(map->sets[0]));
	map->table = sni_table_new(count);
	if (!map->patterns || !map->sets || !map->table)
		return false;
	for (i = 0; i < count; i++) {
		if (strcmp(pattern, list[i].pattern) != 0) {
			pattern = list[i].pattern;
			if (!sni_table_add(
				map->table, pattern, map->pattern_count))
				return false;
			map->patterns[map->pattern_count++] = pattern;
		}
		/* A second certificate of a kind is not used. */
		(void)cert_set_add(
		    &map->sets[map->pattern_count - 1], list[i].slot);
	}
	sni_table_seal(map->table);
	return true;
}

const struct cert_set *
name_map_find(const struct name_map *map, const char *pattern)
{
	size_t at = pattern[0] == '*' ? sni_table_exact(map->table, pattern)
				      : sni_table_find(map->table, pattern);

	return at == SNI_NONE ? NULL : &map->sets[at];
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

/* The first certificate set by keys, with those of other kinds that share a
 * name. */
static bool
choose_named(struct name_map *map)
{
	const struct identity *first = NULL;
	const struct cert_slot *item;
	size_t i;

	for (i = 0; i < map->list->count; i++) {
		item = mapped_slot(map, i);
		if (item == NULL || item->id.in_folder)
			continue;
		if (first == NULL)
			first = item->identity;
		if (share_a_name(first, item->identity))
			(void)cert_set_add(&map->first, item);
	}
	return first != NULL;
}

/* The set of the first name of the first certificate of cert_dir.  valid: only
 * one that is valid now.  NULL: none. */
static const struct cert_set *
first_of_cert_dir(const struct name_map *map, bool valid)
{
	const struct cert_slot *item;
	size_t i;

	for (i = 0; i < map->list->count; i++) {
		item = mapped_slot(map, i);
		if (item && item->id.in_folder &&
		    identity_pattern_count(item->identity) &&
		    (!valid || is_valid(map, item)))
			return name_map_find(
			    map, identity_pattern(item->identity, 0));
	}
	return NULL;
}

static void
choose_from_cert_dir(struct name_map *map)
{
	const struct cert_set *set = first_of_cert_dir(map, true);

	if (set == NULL)
		set = first_of_cert_dir(map, false);
	if (set)
		map->first = *set;
}

bool
name_map_init(struct name_map *map, const struct cert_list *list, int64_t now_s)
{
	struct name_entry *entries;
	size_t count;
	bool fine;

	*map = (struct name_map){ .list = list, .now_s = now_s };
	entries = collect_entries(map, &count);
	if (entries == NULL)
		return false;
	qsort(entries, count, sizeof(entries[0]), compare_entries);
	fine = group_entries(map, entries, count);
	free(entries);
	if (fine && !choose_named(map))
		choose_from_cert_dir(map);
	return fine;
}

void
name_map_fini(struct name_map *map)
{
	free(map->patterns);
	free(map->sets);
	sni_table_free(map->table);
	*map = (struct name_map){ 0 };
}

/* ---- Slots ---- */

/* A node of a tree is the id inside a slot. */
static int
compare_ids(const void *a, const void *b)
{
	return cert_slot_compare(a, b);
}

static struct cert_slot *
find_slot(void *tree, const struct cert_slot_key *id)
{
	struct cert_slot_key **node = tfind(id, &tree, compare_ids);

	return node ? container_of(*node, struct cert_slot, id) : NULL;
}

static bool
add_slot(struct build *build, const struct config_listener *settings,
    struct cert_slot *slot)
{
	return generation_add_cert(build->fresh, settings, slot) &&
	       tsearch(&slot->id, &build->slots, compare_ids) != NULL;
}

static int
compare_places(const void *a, const void *b)
{
	const struct cert_place *one = a, *other = b;
	const char *pattern = one->settings->pattern;
	const char *other_pattern = other->settings->pattern;
	int order = strcmp(one->settings->name, other->settings->name);

	if (order == 0)
		order = strcmp(
		    pattern ? pattern : "", other_pattern ? other_pattern : "");
	return order
		   ? order
		   : (one->index > other->index) - (one->index < other->index);
}

static bool
index_places(struct build *build, struct cert_list *list)
{
	size_t i;

	for (i = 0; i < list->count; i++)
		if (!list->items[i].slot->id.in_folder &&
		    !tsearch(
			&list->items[i], &build->old_places, compare_places))
			return false;
	return true;
}

bool
certs_index(struct build *build)
{
	struct generation *old = build->old;
	size_t i;

	for (i = 0; old && i < old->cert_count; i++)
		if (!tsearch(&old->certs[i].slot->id, &build->old_slots,
			compare_ids))
			return false;
	for (i = 0; old && i < old->config->listener_count; i++)
		if (!index_places(build, &old->cert_lists[i]))
			return false;
	return true;
}

static void
keep_node(void *node)
{
	(void)node; /* part of a slot or list */
}

void
certs_fini(struct build *build)
{
	identity_loader_free(build->loader);
	tdestroy(build->slots, keep_node);
	tdestroy(build->old_slots, keep_node);
	tdestroy(build->old_places, keep_node);
}

/* ---- Slots: errors ---- */

/* A slot to be built, and where it is configured. */
struct cert_request {
	const struct config_listener *settings;
	size_t index;
	const struct config_path *cert; /* NULL: found in the folder */
	const struct config_path *key;
	const struct cert_slot_key *id;
	struct preload_item *read; /* its files; NULL: not read yet */
	bool keep; /* share the old slot, whatever its files are now */
};

/* The load state of one slot. */
struct cert_load {
	const struct cert_request *request;
	struct cert_slot *old;            /* of the same files; or NULL */
	const struct cert_slot *previous; /* the one it replaces; or NULL */
	struct cert_slot *fresh;
};

/* May the certificate be left out, or its predecessor stay? */
static bool
is_lenient(const struct build *build, const struct cert_load *load)
{
	return load->request->id->in_folder || build->same_config;
}

/* Report each wrong line: that of the key as well, if it is wrong or
 * missing. */
static void
fail_strictly(
    struct build *build, const struct cert_load *load, struct err *err)
{
	const struct cert_slot_key *id = &load->fresh->id;
	bool apart = strcmp(id->cert, id->key) != 0;
	bool is_key = apart && err_names(err, id->key) &&
		      !err_names(err, id->cert);

	build_fail(build, ERROR_CONFIG,
	    is_key ? &load->request->key->where : &load->request->cert->where,
	    load->request->settings, err);
	if (is_key || !apart || file_is_readable(id->key))
		return;
	err_set_errno(err, errno, "cannot read %s", id->key);
	file_explain(err);
	build_fail(build, ERROR_CONFIG, &load->request->key->where,
	    load->request->settings, err);
}

/* Was this state of the files reported before? */
static bool
is_reported(const struct build *build, const struct cert_load *load)
{
	const struct cert_slot *old = load->old, *fresh = load->fresh;

	return build->same_config && old && old->bad &&
	       cert_slot_has_equal_stamps(old, fresh);
}

/* Report each state of the files once. */
static void
fail_leniently(
    const struct build *build, const struct cert_load *load, struct err *err)
{
	const struct cert_slot *previous = load->previous;
	bool serves = previous && previous->identity;

	load->fresh->bad = true;
	if (is_reported(build, load))
		return;
	log_error(build->parts->log, "tls",
	    serves
		? "certificate not replaced; the previous one stays in service"
		: "certificate left out",
	    LOG_S("listener", load->request->settings->name),
	    LOG_S("file", load->fresh->id.cert), LOG_S("error", err->text));
}

static void
report_bad(struct build *build, const struct cert_load *load, struct err *err)
{
	if (is_lenient(build, load))
		fail_leniently(build, load, err);
	else
		fail_strictly(build, load, err);
}

/* ---- Slots: loading ---- */

/*
 * A renewal without a usable responder, where policy requires a staple.  When
 * files change it waits until its predecessor ends soon; then it goes into
 * service, because an expired certificate is worse than one without a staple.
 */
static bool
may_replace_unstapled(const struct build *build, const struct cert_load *load,
    const struct policy_eval *eval, const struct identity *identity)
{
	const struct cert_slot *previous = load->previous;

	if (previous == NULL || previous->identity == NULL)
		return false;
	if (identity_equal(previous->identity, identity))
		return previous->unstapled;
	return is_lenient(build, load) ||
	       policy_eval_ends_soon(eval, previous->identity);
}

/* Have libstaple watch this certificate.  false: *err, or policy refuses it. */
static bool
try_to_watch(struct build *build, const struct cert_load *load,
    const struct identity *identity, struct err *err)
{
	const struct cert_slot_key *id = load->request->id;
	struct policy_eval eval = build->eval;

	eval.before = build->old;
	return stapling_watch(
		   build->parts->stapling, build->config, identity, id, err) &&
	       (policy_eval_may_start(&eval, &id->policy, identity, err) ||
		   may_replace_unstapled(build, load, &eval, identity));
}

/* false: reported. */
static bool
watch_identity(struct build *build, const struct cert_load *load,
    const struct identity *identity)
{
	const struct config_listener *settings = load->request->settings;
	const struct config_where *where = config_ocsp_where(settings);
	struct err err = { "" };

	if (try_to_watch(build, load, identity, &err))
		return true;
	if (is_lenient(build, load))
		fail_leniently(build, load, &err);
	else
		build_fail(build, ERROR_SYSTEM,
		    where->line > 0 ? where : &load->request->cert->where,
		    settings, &err);
	return false;
}

/* Must the certificate wait for its first staple?  Not while one serves that
 * can never have what policy requires now. */
static bool
must_wait(struct build *build, const struct cert_load *load,
    const struct identity *identity)
{
	const struct cert_slot_key *id = load->request->id;
	const struct cert_slot *previous = load->previous;
	struct identity *served = previous ? previous->identity : NULL;
	struct err err;

	/* A new certificate of cert_dir delays no start: it waits by itself. */
	if (served ? identity_equal(served, identity) ||
			 !try_to_watch(build, load, served, &err)
		   : !id->in_folder)
		return false;
	return policy_eval_defers(&build->eval, &id->policy, identity, served);
}

/* Prefer an equal object of the old slot. */
static struct identity *
prefer_known(const struct cert_slot *old, struct identity *fresh)
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
is_unstapled(const struct build *build, const struct cert_load *load,
    const struct identity *identity)
{
	struct err err;

	return load->previous && load->previous->identity &&
	       !policy_eval_may_start(
		   &build->eval, &load->fresh->id.policy, identity, &err);
}

static void
choose_identity(
    struct build *build, struct cert_load *load, struct identity *identity)
{
	const struct cert_slot *previous = load->previous;
	struct cert_slot *fresh = load->fresh;

	if (must_wait(build, load, identity)) {
		fresh->renewal = identity_ref(identity);
		identity = previous ? previous->identity : NULL;
	}
	fresh->identity = identity ? identity_ref(identity) : NULL;
	if (previous && previous->identity == identity) {
		fresh->warned = previous->warned;
		fresh->unstapled = previous->unstapled;
	} else if (identity) {
		fresh->unstapled = is_unstapled(build, load, identity);
	}
}

/* The old identity and the old renewal stay. */
static void
keep_previous(struct cert_load *load)
{
	const struct cert_slot *previous = load->previous;
	struct cert_slot *fresh = load->fresh;

	if (previous == NULL || !fresh->bad)
		return;
	if (previous->identity)
		fresh->identity = identity_ref(previous->identity);
	fresh->unstapled = previous->unstapled;
	if (previous->renewal)
		fresh->renewal = identity_ref(previous->renewal);
	fresh->warned = previous->warned;
}

/* New certificates share the intermediates of old ones. */
static bool
ensure_loader(struct build *build)
{
	const struct cert_slot *old;
	size_t i;

	if (build->loader)
		return true;
	build->loader = identity_loader_new();
	for (i = 0; build->loader && build->old && i < build->old->cert_count;
	     i++) {
		old = build->old->certs[i].slot;
		if (old->identity)
			identity_loader_share(build->loader, old->identity);
	}
	return build->loader != NULL;
}

/* The identity that was preloaded, or is read now.  A reference. */
static struct identity *
load_identity(struct build *build, const struct cert_load *load,
    struct err *warning, struct err *err)
{
	const struct preload_item *read = load->request->read;

	err_set(err, "out of memory");
	if (read == NULL)
		return ensure_loader(build) ? cert_slot_load(load->fresh,
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
is_expired_successor(const struct build *build, const struct cert_load *load,
    const struct identity *identity, struct err *err)
{
	const struct cert_slot *previous = load->previous;

	if (previous == NULL || previous->identity == NULL ||
	    identity_not_after(identity) > build->eval.now_s ||
	    identity_not_after(previous->identity) <= build->eval.now_s)
		return false;
	err_set(err,
	    "the certificate in %s has expired, and the one in service has "
	    "not; put a valid certificate in place",
	    load->fresh->id.cert);
	return true;
}

/* Does the slot show a certificate of other files? */
static bool
has_predecessor(const struct cert_load *load)
{
	const struct cert_slot *previous = load->previous;

	return previous && load->fresh->identity &&
	       load->fresh->identity == previous->identity &&
	       (previous != load->old || previous->predecessor_serves);
}

static void
read_files(struct build *build, struct cert_load *load)
{
	struct err err = { "" }, warning = { "" };
	struct identity *identity = load_identity(build, load, &warning, &err);

	if (identity == NULL) {
		report_bad(build, load, &err);
		keep_previous(load);
		return;
	}
	build_warn(build, load->request->settings, warning.text);
	identity = prefer_known(load->old, identity);
	if (is_expired_successor(build, load, identity, &err)) {
		report_bad(build, load, &err);
		keep_previous(load);
	} else if (watch_identity(build, load, identity))
		choose_identity(build, load, identity);
	else
		keep_previous(load);
	identity_unref(identity);
}

/* The slot of another place, with what serves here meanwhile. */
static void
copy_for_place(
    struct build *build, struct cert_load *load, const struct cert_slot *from)
{
	struct identity *newest = from->renewal;

	if (newest == NULL && !from->predecessor_serves)
		newest = from->identity;
	load->fresh = cert_slot_copy(from, NULL, NULL);
	if (load->fresh == NULL)
		return;
	if (newest)
		choose_identity(build, load, newest);
	else
		keep_previous(load);
	load->fresh->predecessor_serves = has_predecessor(load);
}

/* ---- Slots: one request ---- */

/* Can the old slot be shared?  SIGHUP reports bad files again. */
static bool
may_share(const struct build *build, const struct cert_load *load)
{
	const struct cert_slot *old = load->old;

	if (old && (load->request->keep || build->cause == GENERATION_RENEWAL))
		return true;
	if (old == NULL || (old->bad && !build->same_config))
		return false;
	return (old->identity || old->renewal || old->bad) &&
	       cert_slot_is_current(old);
}

/* Watch shared objects again where [ocsp] has changed, or to have a staple_file
 * read again. */
static void
rewatch_slot(struct build *build, struct cert_load *load)
{
	const struct cert_slot *old = load->fresh;

	if (!build->rewatch && old->id.staple_file == NULL)
		return;
	/* Failures are reported and change nothing else. */
	if (old->identity)
		(void)watch_identity(build, load, old->identity);
	if (old->renewal)
		(void)watch_identity(build, load, old->renewal);
}

static void
put_in_service(struct build *build, struct cert_load *load)
{
	const struct cert_slot *old = load->old;

	load->fresh = cert_slot_copy(old, old->renewal, NULL);
	if (load->fresh == NULL)
		return;
	load->fresh->unstapled = is_unstapled(build, load, old->renewal);
	log_notice(build->parts->log, "ocsp",
	    old->identity ? "renewed certificate in service"
			  : "certificate in service",
	    LOG_S("listener", load->request->settings->name),
	    LOG_S("cert", identity_name(old->renewal)),
	    LOG_S("file", old->id.cert));
}

/* load->fresh stays NULL without memory. */
static void
share_or_load(struct build *build, struct cert_load *load)
{
	bool renews = build->cause == GENERATION_RENEWAL;

	if (!may_share(build, load)) {
		load->fresh = load->request->read
				  ? cert_slot_ref(load->request->read->slot)
				  : cert_slot_new(load->request->id);
		if (load->fresh == NULL)
			return;
		read_files(build, load);
		load->fresh->predecessor_serves = has_predecessor(load);
	} else if (renews && policy_eval_is_due(&build->eval, load->old)) {
		put_in_service(build, load);
	} else {
		load->fresh = cert_slot_ref(load->old);
		if (!renews)
			rewatch_slot(build, load);
	}
}

/* The old slot at the same place.  What cert_dir brings has none. */
static struct cert_slot *
find_at_place(const struct build *build, const struct cert_request *request)
{
	const struct cert_place wanted = {
		.settings = request->settings,
		.index = request->index,
	};
	struct cert_place **node;

	if (request->id->in_folder)
		return NULL;
	node = tfind(&wanted, &build->old_places, compare_places);
	return node ? (*node)->slot : NULL;
}

/* ---- Slots: one place ---- */

/* Does the slot show what another place than that of `at` (NULL ok) had? */
static bool
is_of_another_place(const struct cert_slot *slot, const struct cert_slot *at)
{
	return slot->predecessor_serves &&
	       slot->identity != (at ? at->identity : NULL);
}

/* Can what serves at this place be something else than in `known`, a slot of the
 * same files?  at: the old slot here. */
static bool
may_differ(const struct cert_slot *known, const struct cert_load *load,
    const struct cert_slot *at)
{
	if (at &&
	    (load->old == NULL || (load->old == at && at->predecessor_serves)))
		return true;
	return known->predecessor_serves;
}

static void
make_slot(struct build *build, struct cert_load *load,
    const struct cert_slot *known, const struct cert_slot *at)
{
	bool is_same_place = at && load->old == at;

	if (known && !is_same_place)
		copy_for_place(build, load, known);
	else if (load->old && load->previous != load->old &&
		 may_share(build, load))
		copy_for_place(build, load, load->old);
	else
		share_or_load(build, load);
}

/* The slot of these files: one of `fresh`, or of `old` where nothing has
 * changed, or new.  Borrowed from `fresh`.  NULL: reported. */
static struct cert_slot *
build_slot(struct build *build, const struct cert_request *request)
{
	const struct config_listener *settings = request->settings;
	struct cert_slot *known = find_slot(build->slots, request->id);
	struct cert_slot *at = find_at_place(build, request);
	struct cert_load load = { .request = request };
	struct err err = { "out of memory" };

	load.old = at && cert_slot_compare(&at->id, request->id) == 0
		       ? at
		       : find_slot(build->old_slots, request->id);
	if (known && !may_differ(known, &load, at))
		return known;
	load.previous = load.old && !is_of_another_place(load.old, at)
			    ? load.old
			    : at;
	make_slot(build, &load, known, at);
	if (known && load.fresh && load.fresh->identity == known->identity &&
	    load.fresh->renewal == known->renewal) {
		cert_slot_unref(load.fresh);
		return known;
	}
	if (load.fresh && add_slot(build, settings, load.fresh))
		return load.fresh;
	build_fail(build, ERROR_SYSTEM, &settings->where, settings, &err);
	return NULL;
}

/* ---- Lists of certificates ---- */

/* false: reported. */
static bool
add_place(struct build *build, struct cert_list *list,
    const struct cert_request *request)
{
	const struct config_listener *settings = request->settings;
	const struct cert_place place = {
		.settings = settings,
		.index = request->index,
		.slot = build_slot(build, request),
	};
	struct err err = { "out of memory" };

	if (place.slot == NULL)
		return false; /* reported */
	if (cert_list_add(list, &place))
		return true;
	build_fail(build, ERROR_SYSTEM, &settings->where, settings, &err);
	return false;
}

static void
add_own(struct build *build, struct cert_list *list,
    const struct config_listener *settings)
{
	const struct config_path *staple_file;
	struct cert_slot_key id = {
		.permissions = settings->key_permissions,
		.policy = stapling_policy(settings, false),
	};
	struct cert_request request = { .settings = settings, .id = &id };
	size_t i;

	for (i = 0; i < settings->certs.count; i++) {
		request.cert = &settings->certs.items[i];
		request.key = config_key_of(settings, i);
		request.index = i;
		staple_file = config_staple_file_of(settings, i);
		id.cert = request.cert->path;
		id.key = request.key->path;
		id.staple_file = staple_file ? staple_file->path : NULL;
		if (!add_place(build, list, &request))
			return;
	}
}

static struct cert_slot_key
id_in_folder(
    const struct config_listener *settings, const struct cert_dir_item *item)
{
	return (struct cert_slot_key){
		.cert = item->cert,
		.key = item->key,
		.permissions = settings->key_permissions,
		.policy = stapling_policy(settings, true),
		.in_folder = true,
	};
}

/* At a start all files must be read.  Without memory for this they are read one
 * by one. */
static void
read_ahead(const struct build *build, const struct config_listener *settings,
    const struct cert_dir *folder, struct preload *preload)
{
	struct cert_slot_key *ids;
	size_t i;

	if (build->old || folder->count < PRELOAD_LEAST)
		return;
	ids = calloc(folder->count, sizeof(ids[0]));
	for (i = 0; ids && i < folder->count; i++)
		ids[i] = id_in_folder(settings, &folder->items[i]);
	if (ids && !preload_run(preload, ids, folder->count))
		preload_free(preload);
	free(ids);
}

static void
add_cert_dir(struct build *build, struct cert_list *list,
    const struct config_listener *settings, const struct cert_dir *folder)
{
	struct preload preload = { 0 };
	struct cert_slot_key id;
	struct cert_request request = { .settings = settings, .id = &id };
	size_t i;

	read_ahead(build, settings, folder, &preload);
	for (i = 0; i < folder->count; i++) {
		id = id_in_folder(settings, &folder->items[i]);
		request.index = i;
		request.read = i < preload.count ? &preload.items[i] : NULL;
		if (!add_place(build, list, &request))
			break;
	}
	preload_free(&preload);
}

/* The certificates that the old generation has of cert_dir. */
static void
keep_cert_dir(struct build *build, struct cert_list *list, size_t i)
{
	const struct cert_list *old = &build->old->cert_lists[i];
	struct cert_request request = { .keep = true };
	size_t k;

	for (k = 0; k < old->count; k++) {
		if (!old->items[k].slot->id.in_folder)
			continue;
		request.settings = old->items[k].settings;
		request.index = old->items[k].index;
		request.id = &old->items[k].slot->id;
		if (!add_place(build, list, &request))
			return;
	}
}

static void
report_kept(const struct build *build, size_t i, const struct err *err)
{
	if (!build->old->cert_lists[i].folder_kept)
		log_error(build->parts->log, "tls",
		    "cert_dir not usable; its certificates stay in service",
		    LOG_S("listener", build->config->listeners[i].name),
		    LOG_S("error", err->text));
}

static void
add_or_keep_cert_dir(struct build *build, struct cert_list *list, size_t i)
{
	const struct config_listener *settings = &build->config->listeners[i];
	struct cert_dir folder;
	struct err err = { "" };
	bool fine;

	if (build->cause == GENERATION_RENEWAL) {
		list->folder_kept = build->old->cert_lists[i].folder_kept;
		keep_cert_dir(build, list, i);
		return;
	}
	fine = cert_dir_list(&folder, settings->cert_dir, &err);
	if (fine && folder.count == 0 && settings->certs.count == 0) {
		err_set(&err,
		    "%s has no certificate (*.pem, *.crt, or folders "
		    "with fullchain.pem and privkey.pem)",
		    settings->cert_dir);
		fine = false;
	}
	if (fine) {
		add_cert_dir(build, list, settings, &folder);
	} else if (build->same_config) {
		list->folder_kept = true;
		report_kept(build, i, &err);
		keep_cert_dir(build, list, i);
	} else {
		err_prefix(&err, "cert_dir");
		build_fail(build, ERROR_CONFIG,
		    config_where_of(settings->places, KEY_CERT_DIR), settings,
		    &err);
	}
	cert_dir_free(&folder);
}

void
certs_build_list(struct build *build, size_t i)
{
	const struct config_listener *listener = &build->config->listeners[i];
	struct cert_list *list = &build->fresh->cert_lists[i];
	size_t k;

	add_own(build, list, listener);
	if (listener->cert_dir)
		add_or_keep_cert_dir(build, list, i);
	for (k = 0; k < listener->host_count; k++)
		if (listener->hosts[k].certs_own)
			add_own(build, list, &listener->hosts[k]);
}
