/*
 * One run that turns a source into a configuration: the struct under
 * construction, the defaults for its listeners, and which key was said
 * where, which only this run needs to know.  Main thread.
 */
#ifndef CONFIG_BUILD_H
#define CONFIG_BUILD_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"
#include "config/heading.h"
#include "config/schema.h"

struct arena;
struct diagnostics;
struct section;
struct source;

#define BUILD_LISTENERS_MAX 4096
#define BUILD_HOSTS_MAX 65536 /* of all listeners */

/* What one section (or several of one name) said. */
struct layer {
	const struct layer *parent;       /* whose values are its defaults */
	const struct config_where **said; /* by row; NULL: not */
	/* stunnel's options add up from the top down */
	bool no_tls12;
	bool no_tls13;
	bool no_tickets;
	bool server_order;
	/* `verify` was set by a word of stunnel's */
	bool verify_by_word;
	/* stunnel's requireCert: the nearest counts */
	const struct statement *require_cert;
	bool requires_cert;
	/* Of a listener: one for each of its hosts, and how many name it. */
	struct layer *hosts;
	size_t host_room;
};

struct statement;

struct build {
	struct config *config;
	struct arena *arena;
	struct diagnostics *diag;
	struct config_listener builtin;
	struct config_listener defaults; /* with those of the file */
	struct layer top;
	struct layer global;
	struct layer log;
	struct layer tls;
	struct layer ocsp;
	struct layer *listeners; /* one for each of config->listeners */
	enum heading *headings;  /* one for each section of the source */
	struct schema_memo *memo;
	bool is_stunnel;
	const char *stunnel_reason; /* a key, or "its name" */
	const char *ignored; /* names of keys without effect, with commas */
};

/* build.c: everything, from built-in defaults to cross-checks.  Errors go to
 * the diag. */
void build_config(struct build *build, const struct source *source);

/* apply.c: one section's statements into the fields. */
void apply_section(struct build *build, const struct section *section,
    enum schema_section kind, struct layer *layer,
    struct config_listener *listener);
/* The built-in value of every row. */
void apply_defaults(struct build *build);
/* layer.c: a new one.  false: no memory. */
bool layer_init(struct build *build, struct layer *layer,
    const struct layer *parent) MUST_CHECK;

/* Where a listener's value of a key, or that of another section, was said;
 * NULL: it is built in. */
const struct config_where *layer_said(
    const struct build *build, const struct layer *layer, const char *key);
const struct config_where *layer_said_in(const struct build *build,
    const struct layer *layer, enum schema_section section, const char *key);
/* The same, in this very section. */
const struct config_where *layer_said_here(
    const struct build *build, const struct layer *layer, const char *key);

/* A section's certificate brings its own key and staple: those of the
 * defaults belong to another. */
void layer_drop_pairs(const struct build *build, const struct layer *layer,
    struct config_listener *listener);
/* What follows for a listener or host once all its keys are known: from its
 * profile and from stunnel's options. */
void layer_conclude(const struct build *build, const struct layer *layer,
    struct config_listener *listener);

/* hosts.c: every host, as its listener is so far and then by its own keys. */
void hosts_apply(struct build *build, const struct source *source);

/*
 * Everything that shows certificates: each listener followed by its hosts.
 * Begin with a zeroed one; false: there are no more.
 */
struct site {
	struct config_listener *settings;
	const struct layer *layer;
	struct config_listener *listener; /* a host's; else its own self */
	size_t next_listener;
	size_t next_host;
};
bool build_next_site(const struct build *build, struct site *site);

/* "listener web" or "host a.example of listener web", for sentences. */
#define BUILD_NAME_MAX 400
const char *build_name(
    char out[BUILD_NAME_MAX], const struct config_listener *settings);

#endif
