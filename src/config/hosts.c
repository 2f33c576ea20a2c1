/*
 * Hosts: what differs for one name of a listener.  A host is a copy of its
 * listener, with all the listener's own keys in it, that its own section is
 * then applied to; so hosts are made after all listeners, wherever they stand
 * in the file.  Main thread.
 */
#include <string.h>

#include "base/err.h"
#include "config/arena.h"
#include "config/build.h"
#include "config/diagnostics.h"
#include "config/reader.h"
#include "config/strings.h"

/* One host section, with the listener it names. */
struct host {
	const struct section *section;
	struct config_listener *listener; /* NULL: it has been reported */
	struct layer *layer;              /* the listener's */
	char *pattern;
};

/* The names of a heading: "web www.example.org" or "web:www.example.org",
 * split at the last of these bytes.  The listener's name ends there. */
static bool
split(char *listener, const char *marks, const char **pattern)
{
	char *end = listener + strlen(listener);
	char *at;

	for (at = end; at > listener && strchr(marks, at[-1]) == NULL; at--)
		;
	if (at == listener)
		return false;
	*pattern = at + strspn(at, " \t");
	for (at--; at > listener && strchr(" \t", at[-1]) != NULL; at--)
		;
	*at = '\0';
	return at > listener && **pattern != '\0';
}

static void
refuse_listener(
    const struct build *build, const struct section *section, const char *name)
{
	const struct config *config = build->config;
	struct fuzzy_match match;

	fuzzy_start(&match, name);
	for (size_t i = 0;
	     i < config->listener_count && !diag_is_full(build->diag); i++)
		fuzzy_offer(&match, config->listeners[i].name);
	if (match.best != NULL)
		diag_error(build->diag, &section->where,
		    "there is no listener %.64s: did you mean %.64s?", name,
		    match.best);
	else
		diag_error(build->diag, &section->where,
		    "there is no listener %.64s for this host", name);
}

static void
find_listener(const struct build *build, struct host *host,
    const struct string_map *names, const char *name)
{
	/* The table holds constants; the listeners are ours to fill. */
	const struct config_listener *found = string_map_find(names, name);
	size_t i;

	if (found == NULL) {
		refuse_listener(build, host->section, name);
		return;
	}
	i = (size_t)(found - build->config->listeners);
	host->listener = &build->config->listeners[i];
	host->layer = &build->listeners[i];
	host->layer->host_room++;
}

/* What a section says about its place: "LISTENER PATTERN" and how to split
 * it.  NULL: it has been reported. */
static const char *
read_place(
    const struct section *section, enum heading heading, const char **marks)
{
	*marks = " \t";
	if (heading == HEADING_HOST)
		return heading_name(section, heading);
	*marks = ":";
	return heading_sni(section)->value;
}

static bool
read_names(const struct build *build, struct host *host, enum heading heading,
    const struct string_map *names)
{
	const char *marks, *pattern;
	const char *place = read_place(host->section, heading, &marks);
	char *name;
	struct err err;

	if (place == NULL)
		return true;
	name = arena_copy(build->arena, place, strlen(place));
	host->pattern = arena_alloc(build->arena, PATTERN_NAME_MAX + 1);
	if (name == NULL || host->pattern == NULL)
		return false;
	if (!split(name, marks, &pattern)) {
		diag_error(build->diag, &host->section->where,
		    "sni = %.64s: write SERVICE:PATTERN, such as "
		    "https:www.example.org",
		    place);
	} else if (!pattern_normalise(host->pattern, pattern, &err)) {
		diag_error(build->diag, &host->section->where, "host %.64s: %s",
		    pattern, err.text);
	} else {
		find_listener(build, host, names, name);
	}
	return true;
}

static bool
gather_names(const struct build *build, struct string_map *names)
{
	struct config *config = build->config;
	const void **first;

	if (!string_map_init(names, build->arena, config->listener_count))
		return false;
	for (size_t i = 0; i < config->listener_count; i++) {
		first = string_map_at(names, config->listeners[i].name);
		if (*first == NULL)
			*first = &config->listeners[i];
	}
	return true;
}

/* Every host section with its listener. */
static bool
gather(
    const struct build *build, const struct source *source, struct host *hosts)
{
	struct string_map names;

	if (!gather_names(build, &names))
		return false;
	for (size_t i = 0; i < source->count; i++) {
		if (!heading_is_host(build->headings[i]))
			continue;
		hosts->section = &source->sections[i];
		if (!read_names(build, hosts, build->headings[i], &names))
			return false;
		hosts++;
	}
	return true;
}

static bool
make_room(const struct build *build)
{
	for (size_t i = 0; i < build->config->listener_count; i++) {
		struct config_listener *listener = &build->config->listeners[i];
		struct layer *layer = &build->listeners[i];

		if (layer->host_room == 0)
			continue;
		listener->hosts = arena_alloc(build->arena,
		    layer->host_room * sizeof(listener->hosts[0]));
		layer->hosts = arena_alloc(
		    build->arena, layer->host_room * sizeof(layer->hosts[0]));
		if (listener->hosts == NULL || layer->hosts == NULL)
			return false;
	}
	return true;
}

static bool
add_host(struct build *build, const struct host *from)
{
	struct config_listener *listener = from->listener;
	struct config_listener *host = &listener->hosts[listener->host_count];
	struct layer *layer = &from->layer->hosts[listener->host_count];

	if (!layer_init(build, layer, from->layer))
		return false;
	*host = *listener;
	host->hosts = NULL;
	host->host_count = 0;
	host->pattern = from->pattern;
	host->where = from->section->where;
	listener->host_count++;
	apply_section(build, from->section, SCHEMA_HOST, layer, host);
	layer_drop_pairs(build, layer, host);
	host->certs_own = layer_said_here(build, layer, "cert") != NULL;
	return true;
}

/* A host of no listener: its keys are read for their errors. */
static bool
try_host(struct build *build, const struct host *from)
{
	struct config_listener host = build->defaults;
	struct layer layer = { 0 };

	if (!layer_init(build, &layer, &build->tls))
		return false;
	apply_section(build, from->section, SCHEMA_HOST, &layer, &host);
	return true;
}

/* One listener's patterns; the first of two alike counts. */
static bool
find_twins(const struct build *build, const struct config_listener *listener)
{
	struct string_map patterns;

	if (!string_map_init(&patterns, build->arena, listener->host_count))
		return false;
	for (size_t i = 0; i < listener->host_count; i++) {
		const struct config_listener *host = &listener->hosts[i];
		const void **first = string_map_at(&patterns, host->pattern);
		const struct config_listener *twin = *first;

		if (twin != NULL)
			diag_error(build->diag, &host->where,
			    "there is already a host %s of listener %.64s in "
			    "%s:%u",
			    host->pattern, host->name, twin->where.file,
			    twin->where.line);
		else
			*first = host;
	}
	return true;
}

static bool
add_hosts(struct build *build, const struct source *source, size_t count)
{
	struct host *hosts = arena_alloc(build->arena, count * sizeof(*hosts));

	if (hosts == NULL || !gather(build, source, hosts) || !make_room(build))
		return false;
	for (size_t i = 0; i < count; i++)
		if (hosts[i].listener != NULL ? !add_host(build, &hosts[i])
					      : !try_host(build, &hosts[i]))
			return false;
	for (size_t i = 0; i < build->config->listener_count; i++)
		if (build->config->listeners[i].host_count > 0 &&
		    !find_twins(build, &build->config->listeners[i]))
			return false;
	return true;
}

void
hosts_apply(struct build *build, const struct source *source)
{
	size_t count = 0;

	for (size_t i = 0; i < source->count; i++)
		count += heading_is_host(build->headings[i]);
	if (count > BUILD_HOSTS_MAX)
		diag_error(build->diag,
		    &(struct config_where){ build->config->file, 0 },
		    "there are more than %d hosts: certificates without keys "
		    "of their own can lie in a folder, named by cert_dir",
		    BUILD_HOSTS_MAX);
	else if (count > 0 && !add_hosts(build, source, count))
		diag_no_memory(build->diag);
}
