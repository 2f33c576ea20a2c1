/*
 * One run that turns a source into a configuration: the structs under
 * construction, and the place of each key.  Main thread.
 */
#ifndef CONFIG_PARSE_H
#define CONFIG_PARSE_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"
#include "config/schema.h"

struct arena;
struct diagnostics;
struct section;
struct source;
struct statement;

#define PARSE_LISTENERS_MAX 4096
#define PARSE_HOSTS_MAX 65536 /* of all listeners */

enum section_kind {
	SECTION_TOP, /* before any section */
	SECTION_GLOBAL,
	SECTION_LOG,
	SECTION_TLS,
	SECTION_OCSP,
	SECTION_LISTENER, /* [listener NAME] */
	SECTION_SERVICE,  /* stunnel: [NAME] with accept and connect */
	SECTION_HOST,     /* [host LISTENER PATTERN] */
	SECTION_SNI,      /* stunnel: [NAME] with sni = SERVICE:PATTERN */
	SECTION_UNKNOWN
};

/* A key that a section (or several of one name) sets.  A list holds a key once
 * for each section, and lists share their ends: that of a host continues with
 * its listener's, which continues with those of [ocsp], [tls], [log], [global]
 * and the keys before any section. */
struct config_place {
	struct config_place *next;
	const struct statement *statement; /* a list: the last one */
	enum config_key key;
	bool is_valid; /* else an error was reported and the value inherited */
};

struct parser {
	struct config *config;
	struct arena *arena;
	struct diagnostics *diag;
	struct config_where whole; /* the main file, without a line */
	struct config_listener builtin;
	struct config_listener defaults; /* builtin, top and [tls] */
	enum section_kind *kinds; /* one for each section of the source */
	bool is_stunnel;
	const char *stunnel_reason; /* a key, or "its name" */
	const char *ignored; /* names of keys without effect, with commas */
};

/* Parse and check a whole source.  Errors are added to the diagnostics. */
void parse_config(struct parser *parser, const struct source *source);

/* true: [name] is a section of clinch that stunnel does not have. */
bool parse_is_own_section(const char *name);

/* The statement of a section that makes it a host in stunnel; NULL: none. */
const struct statement *parse_sni(const struct section *section);

/* The section whose statements are being applied. */
struct parse_scope {
	struct parser *parser;
	enum schema_section section;
	struct config_listener *listener;
	const struct config_place *inherited; /* the end of its list */
	const struct section *source;
};

/* true: this section can have the key. */
bool parse_has_key(const struct parse_scope *scope, enum config_key key);

/* Set a key to a value (NULL: one that was invalid) at the statement's place.
 * false: an error was added, such as for a key that is already set. */
bool parse_value(const struct parse_scope *scope, enum config_key key,
    const struct statement *statement, const char *value);

/* As parse_value, but replace a value of the same section. */
bool parse_again(const struct parse_scope *scope, enum config_key key,
    const struct statement *statement, const char *value);

/* Record the place of a key, in that of the same section if there is one.
 * NULL: no memory, which has been reported. */
struct config_place *parse_record(const struct parse_scope *scope,
    enum config_key key, const struct statement *statement);

/* Add the error for a key that this section does not have. */
void parse_refuse_key(
    const struct parse_scope *scope, const struct statement *statement);

/* The place of a key in the list up to `end` (NULL: all of it), even if its
 * value was invalid.  NULL: none. */
struct config_place *parse_place(struct config_place *places,
    const struct config_place *end, enum config_key key);

/*
 * An iterator over all listeners, each followed by its hosts.  Start with a
 * zeroed one; false: the end.
 */
struct site {
	struct config_listener *settings;
	struct config_listener *listener;     /* a host's; else settings */
	const struct config_place *inherited; /* the end of its places */
	size_t next_listener;
	size_t next_host;
};
bool parse_next_site(const struct parser *parser, struct site *site);

/* "listener web" or "host a.example of listener web", for errors. */
#define PARSE_NAME_MAX 400
const char *parse_name(
    char out[PARSE_NAME_MAX], const struct config_listener *settings);

#endif
