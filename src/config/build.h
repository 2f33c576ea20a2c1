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
#include "config/schema.h"

struct arena;
struct report;
struct source;

#define BUILD_LISTENERS_MAX 4096

/* What one section (or several of one name) said. */
struct layer {
	const struct layer *parent;       /* whose values are its defaults */
	const struct config_where **said; /* by row; NULL: not */
	/* stunnel's options add up from the top down */
	bool no_tls12;
	bool no_tls13;
	bool no_tickets;
};

struct build {
	struct config *config;
	struct arena *arena;
	struct report *report;
	struct config_listener defaults;
	struct layer top;
	struct layer global;
	struct layer log;
	struct layer tls;
	struct layer ocsp;
	struct layer *listeners; /* one for each of config->listeners */
	bool is_stunnel;
	const char *ignored; /* names of keys without effect, with commas */
};

/* build.c: everything, from built-in defaults to cross-checks.  Errors go to
 * the report. */
void build_config(struct build *build, const struct source *source);

/* apply.c: one section's statements into the fields. */
struct section;
void apply_section(struct build *build, const struct section *section,
    enum schema_section kind, struct layer *layer,
    struct config_listener *listener);
/* The built-in value of every row. */
void apply_defaults(struct build *build);
/* What follows for a listener once all its keys are known: from its profile
 * and from stunnel's options. */
void apply_consequences(
    struct config_listener *listener, const struct layer *layer);

/* Where a listener's value of a key, or that of another section, was said;
 * NULL: it is built in. */
const struct config_where *apply_said(
    const struct layer *layer, const char *key);
const struct config_where *apply_said_in(
    const struct layer *layer, enum schema_section section, const char *key);

/* stapling.c: what of [ocsp] and of each other's holds for listeners, once
 * all keys are known; with its errors. */
void stapling_settle(const struct build *build);

/* check.c: contradictions and what is missing. */
void check_config(const struct build *build);
/* Beside other errors, those files that cannot be read at all: a good
 * configuration leaves that to whoever opens them and knows more. */
void check_files(const struct build *build);

#endif
