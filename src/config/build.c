/*
 * From sections to a configuration: says what each section is, and applies
 * them in the order of precedence (built-in, before any section, [tls],
 * listener) rather than of the file, so that a default may stand below the
 * listeners it is for.  Main thread.
 */
#include "config/build.h"

#include <string.h>
#include <strings.h>

#include "config/arena.h"
#include "config/near.h"
#include "config/report.h"
#include "config/source.h"
#include "config/words.h"

enum kind {
	KIND_TOP,
	KIND_GLOBAL,
	KIND_LOG,
	KIND_TLS,
	KIND_OCSP,
	KIND_LISTENER, /* [listener NAME] */
	KIND_SERVICE,  /* [NAME] with accept and connect */
	KIND_NONE      /* reported, or skipped */
};

/* What follows "listener" in the heading; NULL: another heading. */
static const char *
listener_name(const char *heading)
{
	if (strncasecmp(heading, "listener", 8) != 0)
		return NULL;
	heading += 8;
	if (*heading != '\0' && strchr(" \t", *heading) == NULL)
		return NULL;
	return heading + strspn(heading, " \t");
}

static bool
holds(const struct section *section, const char *key)
{
	const struct schema_row *row = schema_find(SCHEMA_LISTENER, key);

	for (size_t i = 0; i < section->count; i++)
		if (schema_find(SCHEMA_LISTENER, section->items[i].key) == row)
			return true;
	return false;
}

/* Does the heading look like "listener NAME" with a slip in it? */
static bool
is_misspelt_listener(const char *heading)
{
	char word[16];
	size_t length = strcspn(heading, " \t");
	struct near near;

	if (heading[length] == '\0' || length >= sizeof(word))
		return false;
	memcpy(word, heading, length);
	word[length] = '\0';
	near_start(&near, word);
	near_offer(&near, "listener");
	return near.best != NULL;
}

static bool
is_service(const struct section *section)
{
	bool accepts = holds(section, "accept") || holds(section, "fd");

	/* One of the two is enough to see what was meant, unless the name
	 * means something else already. */
	if (is_misspelt_listener(section->name))
		return false;
	if (words_later_section(section->name) != NULL)
		return accepts && holds(section, "connect");
	return accepts || holds(section, "connect");
}

static enum kind
kind_of(const struct section *section)
{
	const char *name = listener_name(section->name);

	if (section->name[0] == '\0')
		return KIND_TOP;
	if (strcasecmp(section->name, "global") == 0)
		return KIND_GLOBAL;
	if (strcasecmp(section->name, "log") == 0)
		return KIND_LOG;
	if (strcasecmp(section->name, "tls") == 0)
		return KIND_TLS;
	if (strcasecmp(section->name, "ocsp") == 0)
		return KIND_OCSP;
	if (name != NULL)
		return *name != '\0' ? KIND_LISTENER : KIND_NONE;
	return is_service(section) ? KIND_SERVICE : KIND_NONE;
}

/* The sentence for a heading that is no section of ours. */
static void
refuse_section(struct report *report, const struct section *section)
{
	const char *later = words_later_section(section->name);
	struct near near;

	near_start(&near, section->name);
	near_offer(&near, "global");
	near_offer(&near, "log");
	near_offer(&near, "tls");
	near_offer(&near, "ocsp");
	if (later != NULL)
		report_error(report, &section->where, "[%.64s]: %s",
		    section->name, later);
	else if (listener_name(section->name) != NULL)
		report_error(report, &section->where,
		    "a listener needs a name: write [listener NAME]");
	else if (is_misspelt_listener(section->name))
		report_error(report, &section->where,
		    "[%.64s] is not a known section: did you mean [listener "
		    "NAME]?",
		    section->name);
	else if (near.best != NULL)
		report_error(report, &section->where,
		    "[%.64s] is not a known section: did you mean [%s]?",
		    section->name, near.best);
	else
		report_error(report, &section->where,
		    "[%.64s] is neither a known section nor a service, which "
		    "would hold accept and connect",
		    section->name);
}

static bool
is_listener(enum kind kind)
{
	return kind == KIND_LISTENER || kind == KIND_SERVICE;
}

/*
 * A file is stunnel's if it has services and no section that only clinch
 * has.  Then stunnel's defaults hold for its timeouts.
 */
static bool
looks_like_stunnel(const struct source *source)
{
	bool has_service = false;

	for (size_t i = 0; i < source->count; i++) {
		enum kind kind = kind_of(&source->sections[i]);

		if (kind == KIND_SERVICE)
			has_service = true;
		else if (kind != KIND_TOP)
			return false;
	}
	return has_service;
}

static void
follow_stunnel(struct build *build)
{
	struct config_listener *defaults = &build->defaults;

	defaults->timeout_handshake_ms = 300 * 1000;
	defaults->timeout_connect_ms = 10 * 1000;
	defaults->timeout_idle_ms = 43200 * 1000;
	defaults->timeout_close_ms = 60 * 1000;
	report_note(build->report,
	    "%s is read as a stunnel.conf: clinch stays in the foreground",
	    build->config->file);
	report_note(build->report,
	    "%s is read as a stunnel.conf: a port alone in accept means IPv4 "
	    "and IPv6",
	    build->config->file);
	report_note(build->report,
	    "%s is read as a stunnel.conf: TLS 1.2 is the lowest version "
	    "offered",
	    build->config->file);
}

static bool
init_layer(struct build *build, struct layer *layer, const struct layer *parent)
{
	layer->parent = parent;
	layer->said = arena_alloc(
	    build->arena, schema_count() * sizeof(layer->said[0]));
	return layer->said != NULL;
}

static size_t
count_listeners(const struct source *source)
{
	size_t count = 0;

	for (size_t i = 0; i < source->count; i++)
		count += is_listener(kind_of(&source->sections[i]));
	return count;
}

static bool
init_build(struct build *build, const struct source *source)
{
	struct config *config = build->config;
	size_t count = count_listeners(source);

	if (count > BUILD_LISTENERS_MAX) {
		report_error(build->report,
		    &(struct config_where){ config->file, 0 },
		    "there are more than %d listeners", BUILD_LISTENERS_MAX);
		return false;
	}
	config->listeners = arena_alloc(
	    build->arena, count * sizeof(config->listeners[0]));
	build->listeners = arena_alloc(
	    build->arena, count * sizeof(build->listeners[0]));
	build->ignored = "";
	if (config->listeners != NULL && build->listeners != NULL &&
	    init_layer(build, &build->top, NULL) &&
	    init_layer(build, &build->global, &build->top) &&
	    init_layer(build, &build->log, &build->top) &&
	    init_layer(build, &build->tls, &build->top) &&
	    init_layer(build, &build->ocsp, &build->top))
		return true;
	report_no_memory(build->report);
	return false;
}

/* Every section of one of the kinds that exist once. */
static void
apply_single(struct build *build, const struct source *source, enum kind wanted)
{
	static const enum schema_section places[] = {
		[KIND_TOP] = SCHEMA_TOP,
		[KIND_GLOBAL] = SCHEMA_GLOBAL,
		[KIND_LOG] = SCHEMA_LOG,
		[KIND_TLS] = SCHEMA_TLS,
		[KIND_OCSP] = SCHEMA_OCSP,
	};
	struct layer *layers[] = {
		[KIND_TOP] = &build->top,
		[KIND_GLOBAL] = &build->global,
		[KIND_LOG] = &build->log,
		[KIND_TLS] = &build->tls,
		[KIND_OCSP] = &build->ocsp,
	};

	for (size_t i = 0; i < source->count; i++)
		if (kind_of(&source->sections[i]) == wanted)
			apply_section(build, &source->sections[i],
			    places[wanted], layers[wanted], &build->defaults);
}

static void
add_listener(struct build *build, const struct section *section, enum kind kind)
{
	struct config *config = build->config;
	struct config_listener *listener =
	    &config->listeners[config->listener_count];
	struct layer *layer = &build->listeners[config->listener_count];

	if (!init_layer(build, layer, &build->tls)) {
		report_no_memory(build->report);
		return;
	}
	*listener = build->defaults;
	listener->name = kind == KIND_LISTENER ? listener_name(section->name)
					       : section->name;
	listener->where = section->where;
	config->listener_count++;
	apply_section(build, section, SCHEMA_LISTENER, layer, listener);
	apply_consequences(listener, layer);
}

static void
apply_listeners(struct build *build, const struct source *source)
{
	for (size_t i = 0; i < source->count; i++) {
		const struct section *section = &source->sections[i];
		enum kind kind = kind_of(section);

		if (is_listener(kind))
			add_listener(build, section, kind);
		else if (kind == KIND_NONE)
			refuse_section(build->report, section);
	}
}

void
build_config(struct build *build, const struct source *source)
{
	if (!init_build(build, source))
		return;
	apply_defaults(build);
	build->is_stunnel = looks_like_stunnel(source);
	if (build->is_stunnel)
		follow_stunnel(build);
	apply_single(build, source, KIND_TOP);
	apply_single(build, source, KIND_GLOBAL);
	apply_single(build, source, KIND_LOG);
	apply_single(build, source, KIND_TLS);
	apply_single(build, source, KIND_OCSP);
	apply_listeners(build, source);
	if (build->ignored[0] != '\0')
		report_note(build->report,
		    "%s: these keys have no effect here: %s",
		    build->config->file, build->ignored);
	stapling_settle(build);
	check_config(build);
}
