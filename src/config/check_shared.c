/*
 * SNI is not authorisation: a client that shows its certificate to one host,
 * or none to another, may ask the backend behind it for anything.  So hosts
 * of one listener with different rules for clients should not lead to one
 * backend; where they do, a note says so, once for each backend.  Main
 * thread.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>

#include "base/addr.h"
#include "config/arena.h"
#include "config/build.h"
#include "config/diagnostics.h"
#include "config/strings.h"
#include "config/value.h"

#define NOTES_MAX 8 /* of one configuration; the rest are counted */

/* One listener's backends so far, each with the first that leads to it. */
struct shared {
	const struct build *build;
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
		   value_equal_strings(&a->allow_san, &b->allow_san) &&
		   value_equal_strings(&a->allow_cn, &b->allow_cn));
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

/* One text for a backend, however it was written.  NULL: no memory. */
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
note_shared(struct shared *shared, const char *backend,
    const struct config_listener *first, const struct config_listener *second)
{
	char one[BUILD_NAME_MAX], other[BUILD_NAME_MAX];

	if (shared->found++ >= NOTES_MAX)
		return;
	diag_note(shared->build->diag,
	    "%s:%u: %s and %s have different rules for clients but share the "
	    "backend %s: whoever may come to one of them can ask for what is "
	    "the other's, as SNI is not authorisation",
	    second->where.file, second->where.line, build_name(one, second),
	    build_name(other, first), backend);
}

/* false: no memory. */
static bool
look_at(struct shared *shared, const struct config_listener *settings)
{
	for (size_t i = 0; i < settings->connect.count; i++) {
		const struct config_connect *connect =
		    &settings->connect.items[i];
		char *key = backend_key(shared->build->arena, connect);
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

/* Most listeners have one rule for all. */
static bool
is_worth_it(const struct config_listener *listener)
{
	for (size_t i = 0; i < listener->host_count; i++)
		if (!has_same_rules(listener, &listener->hosts[i]))
			return true;
	return false;
}

/* May a client be in the listener itself, and in none of its hosts? */
static bool
is_reachable(const struct config_listener *listener)
{
	return listener->certs.count > 0 || listener->cert_dir != NULL;
}

static bool
look_at_listener(struct shared *shared, const struct config_listener *listener)
{
	if (!is_worth_it(listener))
		return true;
	if (!string_map_init(&shared->backends, shared->build->arena,
		count_backends(listener)))
		return false;
	if (is_reachable(listener) && !look_at(shared, listener))
		return false;
	for (size_t i = 0; i < listener->host_count; i++)
		if (!look_at(shared, &listener->hosts[i]))
			return false;
	return true;
}

void
check_shared(const struct build *build)
{
	const struct config *config = build->config;
	struct shared shared = { .build = build };

	for (size_t i = 0; i < config->listener_count; i++) {
		if (!look_at_listener(&shared, &config->listeners[i])) {
			diag_no_memory(build->diag);
			return;
		}
	}
	if (shared.found > NOTES_MAX)
		diag_note(build->diag,
		    "%zu more hosts share a backend with others that have "
		    "different rules for clients",
		    shared.found - NOTES_MAX);
}
