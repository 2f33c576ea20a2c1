/*
 * The checks that requirement more than one key: missing keys, contradictions,
 * rules without effect.  Main thread.
 *
 * Each error names the place where it can be corrected, so the search for a
 * key's place starts at the listener and goes up through the sections that its
 * value may come from.
 *
 * A client rule that would not be applied is an error and not a note, since
 * access depends on it.  In [tls] it may apply to some listeners only; the
 * others get the default, so that they do not differ by unused values.
 *
 * How a response is stapled belongs to the listener or host, which may override
 * [ocsp].  What is fetched belongs to the certificate, so a staple_file is
 * shared by all listeners and hosts with that certificate.
 */
#include "config/check.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/addr.h"
#include "base/file.h"
#include "config/arena.h"
#include "config/diagnostics.h"
#include "config/parse.h"
#include "config/reader.h"
#include "config/strings.h"
#include "config/stunnel.h"
#include "config/value.h"

#define ACCEPTS_MAX 4096 /* in all listeners */
#define NOTES_MAX 8      /* of one configuration; the rest are counted */
#define VERIFY "verify = optional, require or pinned"

/* Where a key was set in the list up to `end` (NULL: all of it), even if its
 * value was invalid.  NULL: nowhere. */
static const struct config_where *
find_where(struct config_place *places, const struct config_place *end,
    enum config_key key)
{
	const struct config_place *place = parse_place(places, end, key);

	return place != NULL ? &place->statement->where : NULL;
}

/* Where a key was set in this section. */
static const struct config_where *
own_where(const struct site *site, enum config_key key)
{
	return find_where(site->settings->places, site->inherited, key);
}

/* Where a key was set in this section, or in one whose value it inherits. */
static const struct config_where *
where_set(const struct site *site, enum config_key key)
{
	return find_where(site->settings->places, NULL, key);
}

/* Where a key was set outside listeners and hosts. */
static const struct config_where *
default_where(const struct parser *parser, enum config_key key)
{
	return find_where(parser->defaults.places, NULL, key);
}

/* A host already has its listener's values where it sets none. */
static void
settle_site(struct config_listener *settings, const struct config_ocsp *ocsp)
{
	bool is_set = config_is_set(settings->places, KEY_OCSP);

	if (!is_set)
		settings->ocsp = ocsp->mode;
	if (settings->without_staple == OCSP_WITHOUT_BY_MODE)
		settings->without_staple = ocsp->without_staple;
	if (settings->on_revoked == OCSP_REVOKED_BY_MODE)
		settings->on_revoked = ocsp->on_revoked;
	/* A revoked certificate of one listener must not end the process. */
	if (is_set && settings->on_revoked == OCSP_REVOKED_BY_MODE)
		settings->on_revoked = OCSP_REVOKED_REFUSE;
}

/* true: a listener, or a host with certificates of its own. */
static bool
owns_certs(const struct config_listener *settings)
{
	return settings->pattern == NULL || settings->certs_own;
}

static size_t
count_certificates(const struct parser *parser)
{
	struct site site = { 0 };
	size_t count = 0;

	while (parse_next_site(parser, &site))
		if (owns_certs(site.settings))
			count += site.settings->certs.count;
	return count;
}

/* Add the staple_file of the i-th certificate to the map.  false: another one
 * was in the map, which is reported. */
static bool
map_staple_file(const struct parser *parser,
    const struct config_listener *settings, size_t i, struct string_map *files)
{
	const struct config_path *file = config_staple_file_of(settings, i);
	const char *cert = settings->certs.items[i].path;
	const struct config_path *first;
	char name[PARSE_NAME_MAX];
	const void **known;

	if (file == NULL)
		return true;
	known = string_map_at(files, cert);
	first = *known;
	if (first == NULL)
		*known = file;
	if (first == NULL || strcmp(first->path, file->path) == 0)
		return true;
	diag_error(parser->diag, &file->where,
	    "staple_file of %s differs from the one in %s:%u for the same "
	    "certificate %s",
	    parse_name(name, settings), first->where.file, first->where.line,
	    cert);
	return false;
}

static void
map_staple_files(const struct parser *parser, struct string_map *files)
{
	struct site site = { 0 };

	while (parse_next_site(parser, &site)) {
		if (!owns_certs(site.settings))
			continue;
		for (size_t i = 0; i < site.settings->certs.count; i++)
			if (!map_staple_file(parser, site.settings, i, files))
				break;
	}
}

/* Set the staple files that other sections set for the same certificates.
 * Certificates in no other section keep none. */
static bool
fill_staple_files(const struct parser *parser, struct config_listener *settings,
    const struct string_map *files)
{
	struct config_paths *list = &settings->staple_files;
	const struct config_path *file;

	for (size_t i = 0; i < settings->certs.count; i++) {
		file = string_map_find(files, settings->certs.items[i].path);
		if (file == NULL)
			continue;
		if (list->items == NULL)
			list->items = arena_alloc(parser->arena,
			    settings->certs.count * sizeof(list->items[0]));
		if (list->items == NULL)
			return false;
		list->count = settings->certs.count;
		list->items[i] = *file;
	}
	return true;
}

static bool
share_staple_files(const struct parser *parser)
{
	struct site site = { 0 };
	struct string_map files;

	if (!string_map_init(&files, parser->arena, count_certificates(parser)))
		return false;
	map_staple_files(parser, &files);
	while (parse_next_site(parser, &site)) {
		struct config_listener *settings = site.settings;

		if (!owns_certs(settings))
			settings->staple_files = site.listener->staple_files;
		else if (settings->staple_files.count == 0 &&
			 !fill_staple_files(parser, settings, &files))
			return false;
	}
	return true;
}

static void
check_mode(const struct parser *parser)
{
	const struct config_where *ocsp, *mode;

	ocsp = default_where(parser, KEY_GLOBAL_OCSP);
	mode = default_where(parser, KEY_OCSP_MODE);
	if (ocsp != NULL && mode != NULL)
		diag_error(parser->diag, mode,
		    "mode contradicts ocsp in %s:%u: keep one of the two",
		    ocsp->file, ocsp->line);
}

static void
check_intervals(const struct parser *parser)
{
	const struct config_ocsp *ocsp = &parser->config->ocsp;
	const struct config_where *where;
	char least[VALUE_DURATION_MAX], most[VALUE_DURATION_MAX];

	if (ocsp->min_interval_ms <= ocsp->max_interval_ms)
		return;
	where = default_where(parser, KEY_OCSP_MIN_INTERVAL);
	if (where == NULL)
		where = default_where(parser, KEY_OCSP_MAX_INTERVAL);
	value_format_duration(least, ocsp->min_interval_ms);
	value_format_duration(most, ocsp->max_interval_ms);
	diag_error(parser->diag, where,
	    "min_interval is %s, which is more than max_interval, %s", least,
	    most);
}

static void
settle_stapling(const struct parser *parser)
{
	struct site site = { 0 };

	while (parse_next_site(parser, &site))
		settle_site(site.settings, &parser->config->ocsp);
	if (!share_staple_files(parser))
		diag_no_memory(parser->diag);
	check_mode(parser);
	check_intervals(parser);
}

#define FIELD(name)                             \
	offsetof(struct config_listener, name), \
	    sizeof(((struct config_listener *)0)->name)

static bool
verifies(const struct config_listener *settings)
{
	return settings->verify != VERIFY_NONE;
}

/* Setting a key to its default is always valid. */
static bool
revokes(const struct config_listener *settings)
{
	return (verifies(settings) && settings->crl_file != NULL) ||
	       settings->crl_check == CRL_CHECK_AVAILABLE;
}

static bool
checks_purpose(const struct config_listener *settings)
{
	return verifies(settings) ||
	       settings->client_purpose == CLIENT_PURPOSE_CLIENT;
}

static bool
sends_v2(const struct config_listener *settings)
{
	return settings->proxy_out == PROXY_OUT_V2 ||
	       settings->proxy_tlv ==
		   (PROXY_TLV_AUTHORITY | PROXY_TLV_ALPN | PROXY_TLV_SSL);
}

static bool
takes_headers(const struct config_listener *settings)
{
	return settings->proxy_in;
}

/* Keys that have no effect without another key. */
static const struct requirement {
	enum config_key key;
	size_t offset, size; /* of its field */
	bool (*is_met)(const struct config_listener *settings);
	const char *without;
} requirements[] = {
	{ KEY_CRL_FILE, FIELD(crl_file), verifies, VERIFY },
	{ KEY_CRL_CHECK, FIELD(crl_check), revokes, "verify and crl_file" },
	{ KEY_CLIENT_PURPOSE, FIELD(client_purpose), checks_purpose, VERIFY },
	{ KEY_ALLOW_SAN, FIELD(allow_san), verifies, VERIFY },
	{ KEY_ALLOW_CN, FIELD(allow_cn), verifies, VERIFY },
	{ KEY_PROXY_TLV, FIELD(proxy_tlv), sends_v2, "proxy_out = v2" },
	{ KEY_PROXY_TRUST, FIELD(proxy_trust), takes_headers,
	    "proxy_in = yes" },
};

/* Also true if a host that inherits the key meets the requirement. */
static bool
is_met_below(const struct requirement *requirement,
    const struct config_listener *settings)
{
	if (requirement->is_met(settings))
		return true;
	for (size_t i = 0; i < settings->host_count; i++)
		if (requirement->is_met(&settings->hosts[i]))
			return true;
	return false;
}

static void
report_without_effect(const struct parser *parser,
    const struct requirement *requirement, const struct config_where *where)
{
	diag_error(parser->diag, where, "%s does nothing without %s",
	    schema_row(requirement->key)->name, requirement->without);
}

static void
check_requirements(const struct parser *parser, const struct site *site)
{
	const struct config_where *where;

	for (size_t i = 0; i < ARRAY_LEN(requirements); i++) {
		where = own_where(site, requirements[i].key);
		if (where != NULL &&
		    !is_met_below(&requirements[i], site->settings))
			report_without_effect(parser, &requirements[i], where);
	}
}

static bool
is_met_anywhere(
    const struct parser *parser, const struct requirement *requirement)
{
	const struct config *config = parser->config;

	for (size_t i = 0; i < config->listener_count; i++)
		if (is_met_below(requirement, &config->listeners[i]))
			return true;
	return false;
}

static void
check_default_requirements(const struct parser *parser)
{
	const struct config_where *where;

	for (size_t i = 0; i < ARRAY_LEN(requirements); i++) {
		where = default_where(parser, requirements[i].key);
		if (where != NULL && !is_met_anywhere(parser, &requirements[i]))
			report_without_effect(parser, &requirements[i], where);
	}
}

/* true: clients are verified by this section's own settings.  A host that
 * inherits verify is not reported: the error is in its listener. */
static bool
verifies_itself(const struct site *site)
{
	return verifies(site->settings) &&
	       (site->settings->pattern == NULL || !verifies(site->listener));
}

static void
check_trust(const struct parser *parser, const struct site *site)
{
	const struct config_listener *settings = site->settings;
	char name[PARSE_NAME_MAX];

	/* A key with an invalid value counts as set: it has been reported. */
	if (!verifies_itself(site) || settings->ca_file != NULL ||
	    where_set(site, KEY_CA_FILE) != NULL)
		return;
	diag_error(parser->diag, config_where_of(settings->places, KEY_VERIFY),
	    "%s verifies clients but has no ca_file: name a PEM file with the "
	    "CA certificates for clients",
	    parse_name(name, settings));
}

/* stunnel's requireCert must agree with verifyChain and verifyPeer. */
static void
check_require(const struct parser *parser, const struct site *site)
{
	enum config_verify verify = site->settings->verify;
	const struct config_place *place = parse_place(
	    site->settings->places, NULL, KEY_STUNNEL_REQUIRE_CERT);
	bool required;

	if (place == NULL)
		return;
	required = stunnel_is_yes(place->statement->value);
	if (required && verify == VERIFY_NONE)
		diag_error(parser->diag, &place->statement->where,
		    "%s: nothing is verified without verifyChain = yes: write "
		    "verify = require instead",
		    place->statement->key);
	else if (required != (verify >= VERIFY_REQUIRE) &&
		 verify != VERIFY_NONE)
		diag_error(parser->diag, &place->statement->where,
		    "%s contradicts verify or verifyChain: write verify = "
		    "optional or verify = require",
		    place->statement->key);
}

/* true: all addresses are Unix sockets, whose file mode controls access. */
static bool
is_local_only(const struct config_listener *listener)
{
	for (size_t i = 0; i < listener->accept.count; i++)
		if (!addr_is_unix(&listener->accept.items[i].addr))
			return false;
	return listener->accept.count > 0;
}

static void
check_proxy(const struct parser *parser, const struct site *site)
{
	const struct config_listener *listener = site->settings;
	const struct config_where *where = where_set(site, KEY_PROXY_IN);

	if (!listener->proxy_in || where == NULL || is_local_only(listener) ||
	    where_set(site, KEY_PROXY_TRUST) != NULL)
		return;
	diag_error(parser->diag, where,
	    "listener %.64s would accept PROXY headers from any address: list "
	    "the proxies, such as proxy_trust = 10.0.0.0/8",
	    listener->name);
}

static void
reset_key(const struct parser *parser, const struct requirement *requirement,
    struct config_listener *settings)
{
	memcpy((char *)settings + requirement->offset,
	    (const char *)&parser->builtin + requirement->offset,
	    requirement->size);
}

static void
reset_without_effect(
    const struct parser *parser, struct config_listener *listener)
{
	for (size_t i = 0; i < ARRAY_LEN(requirements); i++) {
		if (is_met_below(&requirements[i], listener))
			continue;
		reset_key(parser, &requirements[i], listener);
		for (size_t k = 0; k < listener->host_count; k++)
			reset_key(
			    parser, &requirements[i], &listener->hosts[k]);
	}
}

static void
settle_clients(const struct parser *parser)
{
	struct config *config = parser->config;
	struct site site = { 0 };

	while (parse_next_site(parser, &site)) {
		check_requirements(parser, &site);
		check_trust(parser, &site);
		check_require(parser, &site);
		if (site.settings->pattern == NULL)
			check_proxy(parser, &site);
	}
	check_default_requirements(parser);
	for (size_t i = 0; i < config->listener_count; i++)
		reset_without_effect(parser, &config->listeners[i]);
}

/* A key with an invalid value counts as set: it has been reported. */
static bool
is_unset(const struct site *site, enum config_key key)
{
	return where_set(site, key) == NULL;
}

static void
check_ends(const struct parser *parser, const struct site *site)
{
	const struct config_listener *listener = site->settings;

	if (is_unset(site, KEY_ACCEPT) && is_unset(site, KEY_FD))
		diag_error(parser->diag, &listener->where,
		    "listener %.64s has no accept: set the address to listen "
		    "on, such as accept = 443",
		    listener->name);
	if (is_unset(site, KEY_CONNECT))
		diag_error(parser->diag, &listener->where,
		    "listener %.64s has no connect: name the backend, such as "
		    "connect = 127.0.0.1:8080",
		    listener->name);
}

static bool
has_certificate(const struct site *site)
{
	return !is_unset(site, KEY_CERT) || !is_unset(site, KEY_CERT_DIR);
}

/* The first host without certificates of its own; NULL: none. */
static const struct config_listener *
find_bare_host(const struct config_listener *listener)
{
	for (size_t i = 0; i < listener->host_count; i++)
		if (!listener->hosts[i].certs_own)
			return &listener->hosts[i];
	return NULL;
}

static void
check_certificate(const struct parser *parser, const struct site *site)
{
	const struct config_listener *listener = site->settings;
	const struct config_listener *bare = find_bare_host(listener);

	if (has_certificate(site))
		return;
	if (listener->host_count == 0)
		diag_error(parser->diag, &listener->where,
		    "listener %.64s has no cert: name a PEM file with its "
		    "certificate, or a folder of them by cert_dir",
		    listener->name);
	else if (bare != NULL)
		diag_error(parser->diag, &bare->where,
		    "host %s has no cert, and listener %.64s has none "
		    "either: name a PEM file with its certificate",
		    bare->pattern, listener->name);
	else if (listener->sni_unknown != SNI_REJECT)
		diag_error(parser->diag, &listener->where,
		    "listener %.64s has no cert, which it needs for clients "
		    "that request none of its hosts: name one, or refuse such "
		    "clients with sni_unknown = reject",
		    listener->name);
}

/* Require one file of `key` for each cert, or none. */
static void
check_pairs(const struct parser *parser, const struct site *site,
    enum config_key key, const struct config_paths *files)
{
	const struct config_paths *certs = &site->settings->certs;
	const struct config_where *where = own_where(site, key);
	const char *key_name = schema_row(key)->name;
	char name[PARSE_NAME_MAX];

	if (files->count == 0 || files->count == certs->count)
		return;
	parse_name(name, site->settings);
	if (where == NULL)
		where = &files->items[0].where;
	if (certs->count == 0)
		diag_error(parser->diag, where,
		    "%s of %s belongs to no cert: name the cert here as well",
		    key_name, name);
	else
		diag_error(parser->diag, where,
		    "%s has %zu of cert and %zu of %s: each cert needs one, in "
		    "the same order%s",
		    name, certs->count, files->count, key_name,
		    key == KEY_KEY ? " (a cert file with the key in "
				     "it is named again)"
				   : ", or none");
}

/* Report key and staple_file in a host that inherits its certificates. */
static void
check_strays(const struct parser *parser, const struct site *site)
{
	static const enum config_key keys[] = { KEY_KEY, KEY_STAPLE_FILE };
	const struct config_where *where;
	char name[PARSE_NAME_MAX];

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		where = own_where(site, keys[i]);
		if (where != NULL)
			diag_error(parser->diag, where,
			    "%s of %s belongs to no cert: name the cert here "
			    "as well",
			    schema_row(keys[i])->name,
			    parse_name(name, site->settings));
	}
}

static void
check_files_of(const struct parser *parser, const struct site *site)
{
	if (site->settings->pattern != NULL && !site->settings->certs_own) {
		check_strays(parser, site);
		return;
	}
	check_pairs(parser, site, KEY_KEY, &site->settings->keys);
	check_pairs(
	    parser, site, KEY_STAPLE_FILE, &site->settings->staple_files);
}

/* Where `first` was set, else where `second` was, else the heading. */
static const struct config_where *
place_of(const struct site *site, enum config_key first, enum config_key second)
{
	const struct config_where *where = where_set(site, first);

	if (where == NULL)
		where = where_set(site, second);
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
check_versions(const struct parser *parser, const struct site *site)
{
	const struct config_listener *settings = site->settings;
	char name[PARSE_NAME_MAX];

	if (settings->max_version != TLS_VERSION_1_2)
		return;
	/* The listener has been reported. */
	if (settings->pattern != NULL &&
	    has_same_versions(settings, site->listener))
		return;
	if (settings->min_version == TLS_VERSION_1_3)
		diag_error(parser->diag,
		    place_of(site, KEY_MAX_VERSION, KEY_MIN_VERSION),
		    "%s allows no TLS version at all: min_version is TLSv1.3 "
		    "and max_version is TLSv1.2",
		    parse_name(name, settings));
	else if (settings->profile == PROFILE_MODERN)
		diag_error(parser->diag,
		    place_of(site, KEY_MAX_VERSION, KEY_PROFILE),
		    "%s: profile modern is TLS 1.3 only, but max_version is "
		    "TLSv1.2",
		    parse_name(name, settings));
}

/* Report each listener or host that has the name of an earlier one. */
static void
check_unique(const struct parser *parser, const struct config_listener *list,
    size_t count)
{
	char name[PARSE_NAME_MAX];
	struct string_map names;

	if (!string_map_init(&names, parser->arena, count)) {
		diag_no_memory(parser->diag);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		const void **first = string_map_at(&names,
		    list[i].pattern != NULL ? list[i].pattern : list[i].name);
		const struct config_listener *other = *first;

		if (other == NULL)
			*first = &list[i];
		else
			diag_error(parser->diag, &list[i].where,
			    "there is already a %s in %s:%u",
			    parse_name(name, &list[i]), other->where.file,
			    other->where.line);
	}
}

/* One address of an accept key. */
struct accept_use {
	struct config_accept *accept;
	struct config_listener *listener;
	bool left_out; /* another listener has the numeric address */
};

static bool
is_fixed(const struct addr *addr)
{
	return addr_is_unix(addr) || addr_port(addr) != 0;
}

static void
report_twice(struct diagnostics *diag, const struct accept_use *first,
    const struct accept_use *second)
{
	char text[ADDR_TEXT_MAX];

	diag_error(diag, &second->accept->where,
	    "accept %s of listener %.64s is already taken by listener %.64s "
	    "in %s:%u",
	    addr_print(&second->accept->addr, text, sizeof(text)),
	    second->listener->name, first->listener->name,
	    first->accept->where.file, first->accept->where.line);
}

/* As in stunnel, `localhost` may lose one of its addresses to a listener with
 * the numeric address.  NULL: a conflict. */
static struct accept_use *
find_loser(struct accept_use *first, struct accept_use *second)
{
	struct accept_use *loser = first->accept->by_name ? first : second;
	const struct accept_use *winner = loser == first ? second : first;

	if (winner->accept->by_name || !loser->accept->by_name ||
	    loser->listener->accept.count < 2)
		return NULL;
	return loser;
}

static void
leave_out(const struct parser *parser, struct accept_use *loser)
{
	char text[ADDR_TEXT_MAX];

	loser->left_out = true;
	diag_note(parser->diag, &loser->accept->where,
	    "listener %.64s leaves %s to the listener that names it",
	    loser->listener->name,
	    addr_print(&loser->accept->addr, text, sizeof(text)));
}

/* From the end, so that lower indexes stay valid. */
static void
remove_left_out(struct accept_use *uses, size_t count)
{
	struct config_accepts *list;
	size_t at;

	while (count-- > 0) {
		if (!uses[count].left_out)
			continue;
		list = &uses[count].listener->accept;
		at = (size_t)(uses[count].accept - list->items);
		list->count--;
		memmove(&list->items[at], &list->items[at + 1],
		    (list->count - at) * sizeof(list->items[0]));
	}
}

/* false: no memory. */
static bool
find_duplicates(
    const struct parser *parser, struct accept_use *uses, size_t count)
{
	char text[ADDR_TEXT_MAX];
	struct string_map addresses;

	if (!string_map_init(&addresses, parser->arena, count))
		return false;
	for (size_t i = 0; i < count; i++) {
		struct accept_use *other, *loser;
		const char *key;
		const void **first;

		addr_print(&uses[i].accept->addr, text, sizeof(text));
		key = arena_copy(parser->arena, text, strlen(text));
		if (key == NULL)
			return false;
		first = string_map_at(&addresses, key);
		if (*first == NULL) {
			*first = &uses[i];
			continue;
		}
		other =
		    &uses[(size_t)((const struct accept_use *)*first - uses)];
		loser = find_loser(other, &uses[i]);
		if (loser == NULL)
			report_twice(parser->diag, other, &uses[i]);
		else
			leave_out(parser, loser);
		if (loser == other)
			*first = &uses[i];
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
check_addresses(const struct parser *parser)
{
	struct config *config = parser->config;
	size_t max = count_accepts(config), count = 0;
	struct accept_use *uses;

	if (max > ACCEPTS_MAX) {
		diag_error(parser->diag,
		    &(struct config_where){ config->file, 0 },
		    "there are more than %d addresses to accept on",
		    ACCEPTS_MAX);
		return;
	}
	uses = arena_alloc(parser->arena, max * sizeof(*uses));
	if (uses == NULL) {
		diag_no_memory(parser->diag);
		return;
	}
	for (size_t i = 0; i < config->listener_count; i++) {
		struct config_listener *listener = &config->listeners[i];

		for (size_t j = 0; j < listener->accept.count; j++)
			if (is_fixed(&listener->accept.items[j].addr))
				uses[count++] = (struct accept_use){
					.accept = &listener->accept.items[j],
					.listener = listener,
				};
	}
	if (find_duplicates(parser, uses, count))
		remove_left_out(uses, count);
	else
		diag_no_memory(parser->diag);
}

/* ticket_rotate applies to generated keys only. */
static void
check_tickets(const struct parser *parser)
{
	const struct config_where *where = default_where(
	    parser, KEY_TLS_TICKET_ROTATE);

	if (where != NULL && parser->config->ticket_key_file != NULL)
		diag_note(parser->diag, where,
		    "ticket_rotate has no effect beside ticket_key_file: keys "
		    "change when that file does");
}

/* The backends of one listener, each with the first section that uses it. */
struct shared_backends {
	const struct parser *parser;
	struct string_map backends;
	size_t found;
};

static bool
has_same_rules(const struct config_listener *a, const struct config_listener *b)
{
	if (a->verify != b->verify)
		return false;
	return a->verify == VERIFY_NONE ||
	       (value_same_text(a->ca_file, b->ca_file) &&
		   value_same_text(a->crl_file, b->crl_file) &&
		   a->crl_check == b->crl_check &&
		   a->client_purpose == b->client_purpose &&
		   value_equal(&value_sans, &a->allow_san, &b->allow_san) &&
		   value_equal(&value_cns, &a->allow_cn, &b->allow_cn));
}

static bool
is_loopback(const struct addr *addr)
{
	struct in6_addr any = IN6ADDR_LOOPBACK_INIT;

	if (addr->len == 0 || addr_is_unix(addr))
		return false;
	if (addr->sa.sa_family == AF_INET)
		return (ntohl(addr->in.sin_addr.s_addr) >> 24) == 127;
	return IN6_ARE_ADDR_EQUAL(&addr->in6.sin6_addr, &any);
}

/* The canonical text of a backend.  NULL: no memory. */
static char *
backend_key(struct arena *arena, const struct config_connect *connect)
{
	const char *host = connect->host;
	char *key;

	if (addr_is_unix(&connect->fixed))
		return arena_format(
		    arena, "unix:%s", connect->fixed.un.sun_path);
	if (is_loopback(&connect->fixed))
		host = "localhost";
	key = arena_format(arena, "%s:%u", host, connect->port);
	for (char *at = key; key != NULL && *at != '\0'; at++)
		*at = (char)tolower((unsigned char)*at);
	return key;
}

static void
note_shared(struct shared_backends *shared, const char *backend,
    const struct config_listener *first, const struct config_listener *second)
{
	char one[PARSE_NAME_MAX], other[PARSE_NAME_MAX];

	if (shared->found++ >= NOTES_MAX)
		return;
	diag_note(shared->parser->diag, &second->where,
	    "%s and %s have different rules for clients but share the backend "
	    "%s: a client admitted to one can send requests for the other, as "
	    "SNI is not authorisation",
	    parse_name(one, second), parse_name(other, first), backend);
}

/* false: no memory. */
static bool
check_shared_backends(
    struct shared_backends *shared, const struct config_listener *settings)
{
	for (size_t i = 0; i < settings->connect.count; i++) {
		const struct config_connect *connect =
		    &settings->connect.items[i];
		char *key = backend_key(shared->parser->arena, connect);
		const struct config_listener *first;
		const void **place;

		if (key == NULL)
			return false;
		place = string_map_at(&shared->backends, key);
		first = *place;
		if (first == NULL)
			*place = settings;
		else if (!has_same_rules(first, settings))
			note_shared(shared, connect->text, first, settings);
	}
	return true;
}

static size_t
count_backends(const struct config_listener *listener)
{
	size_t count = listener->connect.count;

	for (size_t i = 0; i < listener->host_count; i++)
		count += listener->hosts[i].connect.count;
	return count;
}

/* true: the hosts of the listener have different client rules. */
static bool
has_different_rules(const struct config_listener *listener)
{
	for (size_t i = 0; i < listener->host_count; i++)
		if (!has_same_rules(listener, &listener->hosts[i]))
			return true;
	return false;
}

/* true: a connection can be served by the listener itself, not a host. */
static bool
is_reachable(const struct config_listener *listener)
{
	return listener->certs.count > 0 || listener->cert_dir != NULL;
}

static bool
check_shared_in(
    struct shared_backends *shared, const struct config_listener *listener)
{
	if (!has_different_rules(listener))
		return true;
	if (!string_map_init(&shared->backends, shared->parser->arena,
		count_backends(listener)))
		return false;
	if (is_reachable(listener) && !check_shared_backends(shared, listener))
		return false;
	for (size_t i = 0; i < listener->host_count; i++)
		if (!check_shared_backends(shared, &listener->hosts[i]))
			return false;
	return true;
}

static void
check_shared(const struct parser *parser)
{
	const struct config *config = parser->config;
	struct shared_backends shared = { .parser = parser };

	for (size_t i = 0; i < config->listener_count; i++) {
		if (!check_shared_in(&shared, &config->listeners[i])) {
			diag_no_memory(parser->diag);
			return;
		}
	}
	if (shared.found > NOTES_MAX)
		diag_note(parser->diag, NULL,
		    "%zu more hosts share a backend with others that have "
		    "different rules for clients",
		    shared.found - NOTES_MAX);
}

/* 127.0.0.0/8, ::1, or a Unix socket. */
static bool
is_local(const struct addr *addr)
{
	if (addr->sa.sa_family == AF_INET)
		return ntohl(addr->in.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	return addr_is_unix(addr) || IN6_IS_ADDR_LOOPBACK(&addr->in6.sin6_addr);
}

static void
check_admin(const struct parser *parser)
{
	const struct config_accepts *listen = &parser->config->admin.listen;
	char text[ADDR_TEXT_MAX];

	for (size_t i = 0; i < listen->count; i++) {
		const struct config_accept *item = &listen->items[i];

		if (!is_local(&item->addr))
			diag_note(parser->diag, &item->where,
			    "[admin] listen %s: other hosts can read the "
			    "status of every listener and certificate; use a "
			    "loopback address or unix:PATH",
			    addr_print(&item->addr, text, sizeof(text)));
	}
}

void
check_config(const struct parser *parser)
{
	const struct config *config = parser->config;
	struct site site = { 0 };

	for (size_t i = 0; i < config->listener_count; i++)
		check_unique(parser, config->listeners[i].hosts,
		    config->listeners[i].host_count);
	settle_stapling(parser);
	settle_clients(parser);
	while (parse_next_site(parser, &site)) {
		if (site.settings->pattern == NULL) {
			check_ends(parser, &site);
			check_certificate(parser, &site);
		}
		check_files_of(parser, &site);
		check_versions(parser, &site);
	}
	check_unique(parser, config->listeners, config->listener_count);
	check_addresses(parser);
	check_tickets(parser);
	check_shared(parser);
	check_admin(parser);
	if (config->listener_count == 0 && diag_is_clean(parser->diag))
		diag_error(parser->diag,
		    &(struct config_where){ config->file, 0 },
		    "there is no listener: add a section [listener NAME] with "
		    "accept, connect and cert");
}

static void
check_path(struct diagnostics *diag, const char *key, const char *path,
    const struct config_where *where)
{
	if (path != NULL && !file_is_readable(path))
		diag_error(diag, where, "%s: cannot read %s: %s", key, path,
		    strerror(errno));
}

static void
check_file(struct diagnostics *diag, enum config_key key, const char *path,
    const struct config_place *places)
{
	check_path(
	    diag, schema_row(key)->name, path, config_where_of(places, key));
}

static void
check_list(struct diagnostics *diag, const char *key,
    const struct config_paths *list, const struct config_paths *inherited)
{
	if (list->items == inherited->items)
		return;
	for (size_t i = 0; i < list->count; i++)
		check_path(
		    diag, key, list->items[i].path, &list->items[i].where);
}

/* `from` holds the inherited values, which are reported elsewhere. */
static void
check_site(struct diagnostics *diag, const struct config_listener *site,
    const struct config_listener *from)
{
	/* staple_file is left out: another program may write it later. */
	check_list(diag, "cert", &site->certs, &from->certs);
	check_list(diag, "key", &site->keys, &from->keys);
	if (site->cert_dir != from->cert_dir)
		check_file(diag, KEY_CERT_DIR, site->cert_dir, site->places);
	if (site->ca_file != from->ca_file)
		check_file(diag, KEY_CA_FILE, site->ca_file, site->places);
	if (site->crl_file != from->crl_file)
		check_file(diag, KEY_CRL_FILE, site->crl_file, site->places);
}

void
check_files(const struct parser *parser)
{
	static const struct config_listener nothing;
	const struct config *config = parser->config;
	struct site site = { 0 };

	if (diag_is_clean(parser->diag))
		return;
	check_site(parser->diag, &parser->defaults, &nothing);
	while (parse_next_site(parser, &site))
		check_site(parser->diag, site.settings,
		    site.settings->pattern != NULL ? site.listener
						   : &parser->defaults);
	check_file(parser->diag, KEY_OCSP_CA_FILE, config->ocsp.ca_file,
	    config->places);
	check_file(parser->diag, KEY_TLS_TICKET_KEY_FILE,
	    config->ticket_key_file, config->places);
}
