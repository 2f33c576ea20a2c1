/*
 * The table of keys.  The parser, --list-keys, --print-config, the hints for
 * misspelt keys and the check of clinch.ini(5) are made from it; a new key is
 * one enumerator (config.h) and one row.  Constant; any thread.
 */
#ifndef CONFIG_SCHEMA_H
#define CONFIG_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>

#include "config/value.h"

/* Sections that a key belongs to; a mask in rows. */
enum schema_section {
	SCHEMA_GLOBAL = 1,
	SCHEMA_LOG = 2,
	SCHEMA_TLS = 4,
	SCHEMA_LISTENER = 8,
	SCHEMA_OCSP = 16,
	SCHEMA_HOST = 32,
	SCHEMA_ADMIN = 64,
	SCHEMA_TOP = 31 /* before any section: every key but those of hosts and
			   [admin] */
};

struct schema_row {
	const char *name;
	const char *aliases;     /* between blanks; NULL: none */
	const char *tls_aliases; /* those of [tls] only */
	unsigned sections;
	bool of_listener;  /* offsets count from struct config_listener,
			     else from struct config */
	bool outside_tls;  /* of a listener, not part of config_tls_policy */
	bool needs_start;  /* a reload cannot change it */
	bool may_be_empty; /* an empty value is the default */
	bool not_at_top;   /* ambiguous before any section */
	const struct value_type *type;
	struct value_rules rules;
	size_t offset;       /* of the field */
	bool only_if_set;    /* not printed otherwise: `shown` is no value */
	const char *initial; /* the default, as in a file */
	const char *shown;   /* the default for --list-keys, if it differs */
	const char *meaning;
};

const struct schema_row *schema_row(enum config_key key);
enum config_key schema_key_of(const struct schema_row *row);

/* Find a key by name or alias in one section (in SCHEMA_TOP the first row of
 * that name).  NULL: none. */
const struct schema_row *schema_find(
    enum schema_section section, const char *key);

/* The key of the section that is nearest to a misspelt one; NULL: none. */
const char *schema_nearest(enum schema_section section, const char *key);

/* The sections of a mask as text, for errors. */
const char *schema_section_name(unsigned sections);

/* The field of a row in this config or listener. */
void *schema_field(const struct schema_row *row, struct config *config,
    struct config_listener *listener);
const void *schema_field_const(const struct schema_row *row,
    const struct config *config, const struct config_listener *listener);

#endif
