/*
 * What no single key can know: that something is missing, said twice or
 * contradicts another.  Each error stands where the user would mend it, so
 * the search for a key's place goes from the listener up through the
 * sections its value may have come from.  Main thread.
 */
#include <string.h>

#include "base/addr.h"
#include "config/arena.h"
#include "config/build.h"
#include "config/diagnostics.h"
#include "config/strings.h"

#define ACCEPTS_MAX 4096 /* in all listeners */

/* What was said wrongly has been reported and is not missing. */
static bool
lacks(const struct build *build, const struct site *site, const char *key)
{
	return layer_said(build, site->layer, key) == NULL;
}

static void
check_ends(const struct build *build, const struct site *site)
{
	const struct config_listener *listener = site->settings;

	if (lacks(build, site, "accept") && lacks(build, site, "fd"))
		diag_error(build->diag, &listener->where,
		    "listener %.64s has no accept: say where clients connect, "
		    "such as accept = 443",
		    listener->name);
	if (lacks(build, site, "connect"))
		diag_error(build->diag, &listener->where,
		    "listener %.64s has no connect: name the backend, such as "
		    "connect = 127.0.0.1:8080",
		    listener->name);
}

static bool
has_certificate(const struct build *build, const struct site *site)
{
	return !lacks(build, site, "cert") || !lacks(build, site, "cert_dir");
}

/* The hosts of a listener without a certificate: one of them without one;
 * NULL: all have their own. */
static const struct config_listener *
find_bare_host(const struct config_listener *listener)
{
	for (size_t i = 0; i < listener->host_count; i++)
		if (!listener->hosts[i].certs_own)
			return &listener->hosts[i];
	return NULL;
}

static void
check_certificate(const struct build *build, const struct site *site)
{
	const struct config_listener *listener = site->settings;
	const struct config_listener *bare = find_bare_host(listener);

	if (has_certificate(build, site))
		return;
	if (listener->host_count == 0)
		diag_error(build->diag, &listener->where,
		    "listener %.64s has no cert: name a PEM file with its "
		    "certificate, or a folder of them by cert_dir",
		    listener->name);
	else if (bare != NULL)
		diag_error(build->diag, &bare->where,
		    "host %s has no cert, and listener %.64s has none "
		    "either: name a PEM file with its certificate",
		    bare->pattern, listener->name);
	else if (listener->sni_unknown != SNI_REJECT)
		diag_error(build->diag, &listener->where,
		    "listener %.64s has no cert: its hosts have theirs, but a "
		    "client that asks for none of them is shown the "
		    "listener's own: name one, or refuse such clients by "
		    "sni_unknown = reject",
		    listener->name);
}

/* One file of `key` for each cert, or none. */
static void
check_pairs(const struct build *build, const struct site *site, const char *key,
    const struct config_paths *files)
{
	const struct config_paths *certs = &site->settings->certs;
	const struct config_where *where = layer_said_here(
	    build, site->layer, key);
	char name[BUILD_NAME_MAX];

	if (files->count == 0 || files->count == certs->count)
		return;
	build_name(name, site->settings);
	if (where == NULL)
		where = &files->items[0].where;
	if (certs->count == 0)
		diag_error(build->diag, where,
		    "%s of %s belongs to no cert: name the cert here as well",
		    key, name);
	else
		diag_error(build->diag, where,
		    "%s has %zu of cert and %zu of %s: each cert needs one, in "
		    "the same order%s",
		    name, certs->count, files->count, key,
		    strcmp(key, "key") == 0 ? " (a cert file with the key in "
					      "it is named again)"
					    : ", or none");
}

/* A host's own key or staple beside its listener's certificates. */
static void
check_strays(const struct build *build, const struct site *site)
{
	static const char *const keys[] = { "key", "staple_file" };
	const struct config_where *where;
	char name[BUILD_NAME_MAX];

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		where = layer_said_here(build, site->layer, keys[i]);
		if (where != NULL)
			diag_error(build->diag, where,
			    "%s of %s belongs to no cert: name the cert here "
			    "as well",
			    keys[i], build_name(name, site->settings));
	}
}

static void
check_files_of(const struct build *build, const struct site *site)
{
	if (site->settings->pattern != NULL && !site->settings->certs_own) {
		check_strays(build, site);
		return;
	}
	check_pairs(build, site, "key", &site->settings->keys);
	check_pairs(build, site, "staple_file", &site->settings->staple_files);
}

/* The later of two places where one of the two keys was said. */
static const struct config_where *
blame(const struct build *build, const struct site *site, const char *first,
    const char *second)
{
	const struct config_where *where = layer_said(
	    build, site->layer, first);

	if (where == NULL)
		where = layer_said(build, site->layer, second);
	return where != NULL ? where : &site->settings->where;
}

static bool
has_same_versions(
    const struct config_listener *a, const struct config_listener *b)
{
	return a->min_version == b->min_version &&
	       a->max_version == b->max_version && a->profile == b->profile;
}

static void
check_versions(const struct build *build, const struct site *site)
{
	const struct config_listener *settings = site->settings;
	char name[BUILD_NAME_MAX];

	if (settings->max_version != TLS_VERSION_1_2)
		return;
	/* Said of the listener already. */
	if (settings->pattern != NULL &&
	    has_same_versions(settings, site->listener))
		return;
	if (settings->min_version == TLS_VERSION_1_3)
		diag_error(build->diag,
		    blame(build, site, "max_version", "min_version"),
		    "%s allows no TLS version at all: min_version is TLSv1.3 "
		    "and max_version is TLSv1.2",
		    build_name(name, settings));
	else if (settings->profile == PROFILE_MODERN)
		diag_error(build->diag,
		    blame(build, site, "max_version", "profile"),
		    "%s: profile modern is TLS 1.3 alone, but max_version is "
		    "TLSv1.2",
		    build_name(name, settings));
}

static void
check_names(const struct build *build)
{
	const struct config *config = build->config;
	struct string_map names;

	if (!string_map_init(&names, build->arena, config->listener_count)) {
		diag_no_memory(build->diag);
		return;
	}
	for (size_t i = 0; i < config->listener_count; i++) {
		const struct config_listener *listener = &config->listeners[i];
		const void **first = string_map_at(&names, listener->name);
		const struct config_listener *other = *first;

		if (other == NULL)
			*first = listener;
		else
			diag_error(build->diag, &listener->where,
			    "there is already a listener %.64s in %s:%u",
			    listener->name, other->where.file,
			    other->where.line);
	}
}

/* One accept of any listener. */
struct taken {
	struct config_accept *accept;
	struct config_listener *listener;
	bool left_out; /* to a listener that names the address itself */
};

static bool
is_fixed(const struct addr *addr)
{
	return addr_is_unix(addr) || addr_port(addr) != 0;
}

static void
report_twice(struct diagnostics *diag, const struct taken *first,
    const struct taken *second)
{
	char text[ADDR_TEXT_MAX];

	diag_error(diag, &second->accept->where,
	    "accept %s of listener %.64s is already taken by listener %.64s "
	    "in %s:%u",
	    addr_print(&second->accept->addr, text, sizeof(text)),
	    second->listener->name, first->listener->name,
	    first->accept->where.file, first->accept->where.line);
}

/* As in stunnel a name is served where one of its addresses can be had: the
 * other is left to the listener that names it.  NULL: neither gives way. */
static struct taken *
give_way(struct taken *first, struct taken *second)
{
	struct taken *loser = first->accept->by_name ? first : second;
	const struct taken *winner = loser == first ? second : first;

	if (winner->accept->by_name || !loser->accept->by_name ||
	    loser->listener->accept.count < 2)
		return NULL;
	return loser;
}

static void
leave_out(const struct build *build, struct taken *loser)
{
	char text[ADDR_TEXT_MAX];

	loser->left_out = true;
	diag_note(build->diag,
	    "%s:%u: listener %.64s leaves %s to the listener that names it",
	    loser->accept->where.file, loser->accept->where.line,
	    loser->listener->name,
	    addr_print(&loser->accept->addr, text, sizeof(text)));
}

/* From the end, so that places before stay as they are. */
static void
remove_left_out(struct taken *taken, size_t count)
{
	struct config_accepts *list;
	size_t at;

	while (count-- > 0) {
		if (!taken[count].left_out)
			continue;
		list = &taken[count].listener->accept;
		at = (size_t)(taken[count].accept - list->items);
		list->count--;
		memmove(&list->items[at], &list->items[at + 1],
		    (list->count - at) * sizeof(list->items[0]));
	}
}

/* false: no memory. */
static bool
find_twins(const struct build *build, struct taken *taken, size_t count)
{
	char text[ADDR_TEXT_MAX];
	struct string_map addresses;

	if (!string_map_init(&addresses, build->arena, count))
		return false;
	for (size_t i = 0; i < count; i++) {
		struct taken *other, *loser;
		const char *key;
		const void **first;

		addr_print(&taken[i].accept->addr, text, sizeof(text));
		key = arena_copy(build->arena, text, strlen(text));
		if (key == NULL)
			return false;
		first = string_map_at(&addresses, key);
		if (*first == NULL) {
			*first = &taken[i];
			continue;
		}
		other = &taken[(size_t)((const struct taken *)*first - taken)];
		loser = give_way(other, &taken[i]);
		if (loser == NULL)
			report_twice(build->diag, other, &taken[i]);
		else
			leave_out(build, loser);
		if (loser == other)
			*first = &taken[i];
	}
	return true;
}

static size_t
count_accepts(const struct config *config)
{
	size_t count = 0;

	for (size_t i = 0; i < config->listener_count; i++)
		count += config->listeners[i].accept.count;
	return count;
}

static void
check_addresses(const struct build *build)
{
	struct config *config = build->config;
	size_t max = count_accepts(config), count = 0;
	struct taken *taken;

	if (max > ACCEPTS_MAX) {
		diag_error(build->diag,
		    &(struct config_where){ config->file, 0 },
		    "there are more than %d addresses to accept on",
		    ACCEPTS_MAX);
		return;
	}
	taken = arena_alloc(build->arena, max * sizeof(*taken));
	if (taken == NULL) {
		diag_no_memory(build->diag);
		return;
	}
	for (size_t i = 0; i < config->listener_count; i++) {
		struct config_listener *listener = &config->listeners[i];

		for (size_t j = 0; j < listener->accept.count; j++)
			if (is_fixed(&listener->accept.items[j].addr))
				taken[count++] = (struct taken){
					.accept = &listener->accept.items[j],
					.listener = listener,
				};
	}
	if (find_twins(build, taken, count))
		remove_left_out(taken, count);
	else
		diag_no_memory(build->diag);
}

/* A file of keys is not rotated by us. */
static void
check_tickets(const struct build *build)
{
	const struct config_where *where = layer_said_in(
	    build, &build->tls, SCHEMA_TLS, "ticket_rotate");

	if (where != NULL && build->config->ticket_key_file != NULL)
		diag_note(build->diag,
		    "%s:%u: ticket_rotate has no effect beside "
		    "ticket_key_file: keys change when that file does",
		    where->file, where->line);
}

void
check_config(const struct build *build)
{
	const struct config *config = build->config;
	struct site site = { 0 };

	while (build_next_site(build, &site)) {
		if (site.settings->pattern == NULL) {
			check_ends(build, &site);
			check_certificate(build, &site);
		}
		check_files_of(build, &site);
		check_versions(build, &site);
	}
	check_names(build);
	check_addresses(build);
	check_tickets(build);
	check_shared(build);
	if (config->listener_count == 0 && diag_is_clean(build->diag))
		diag_error(build->diag,
		    &(struct config_where){ config->file, 0 },
		    "there is no listener: add a section [listener NAME] with "
		    "accept, connect and cert");
}
