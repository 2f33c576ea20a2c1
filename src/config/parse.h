/*
 * One run that turns a source into a configuration: the structs under
 * construction, and the provenance of each value, which only this run needs.
 * Main thread.
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
	SECTION_ADMIN,
	SECTION_LISTENER, /* [listener NAME] */
	SECTION_SERVICE,  /* stunnel: [NAME] with accept and connect */
	SECTION_HOST,     /* [host LISTENER PATTERN] */
	SECTION_SNI,      /* stunnel: [NAME] with sni = SERVICE:PATTERN */
	SECTION_UNKNOWN
};

/* Which keys one section (or several of one name) sets, and where. */
struct provenance {
	const struct provenance *parent; /* whose values are its defaults */
	/* NULL: not set here */
	const struct config_where *where[KEY_COUNT];
	/* stunnel's options, which accumulate from the parents */
	bool no_tls12;
	bool no_tls13;
	bool no_tickets;
	bool server_order;
	/* `verify` was set by a key of stunnel's */
	bool verify_from_stunnel;
	/* stunnel's requireCert; the nearest one counts */
	const struct statement *require_cert;
	bool requires_cert;
	/* Of a listener: one for each of its hosts, and their number. */
	struct provenance *hosts;
	size_t host_room;
};

struct parser {
	struct config *config;
	struct arena *arena;
	struct diagnostics *diag;
	struct config_listener builtin;
	struct config_listener defaults; /* builtin, top and [tls] */
	struct provenance top;
	struct provenance global;
	struct provenance log;
	struct provenance tls;
	struct provenance ocsp;
	struct provenance admin;
	struct provenance *listeners; /* one for each of config->listeners */
	enum section_kind *kinds;     /* one for each section of the source */
	struct schema_cache *cache;
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
	struct provenance *provenance;
	struct config_listener *listener;
	const struct section *source;
};

/* true: this section can have the key. */
bool parse_has_key(const struct parse_scope *scope, enum schema_key key);

/* Set a key to a value (NULL: one that was invalid) at the statement's place.
 * false: an error was added. */
bool parse_value(const struct parse_scope *scope, enum schema_key key,
    const struct statement *statement, const char *value);

/* Add the error for a key that this section does not have. */
void parse_refuse_key(
    const struct parse_scope *scope, const struct statement *statement);

/* Where a key was set, in this section or a parent; NULL: it is built in. */
const struct config_where *provenance_find(
    const struct provenance *provenance, enum schema_key key);

/*
 * An iterator over all listeners, each followed by its hosts.  Start with a
 * zeroed one; false: the end.
 */
struct site {
	struct config_listener *settings;
	const struct provenance *provenance;
	struct config_listener *listener; /* a host's; else settings */
	size_t next_listener;
	size_t next_host;
};
bool parse_next_site(const struct parser *parser, struct site *site);

/* "listener web" or "host a.example of listener web", for errors. */
#define PARSE_NAME_MAX 400
const char *parse_name(
    char out[PARSE_NAME_MAX], const struct config_listener *settings);

#endif
