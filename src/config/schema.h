/*
 * The table of keys: the single source of the parser, --list-keys,
 * --print-config, the near-name hints and clinch.ini(5).  A new key is one
 * row.  Constant; any thread.
 */
#ifndef CONFIG_SCHEMA_H
#define CONFIG_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>

#include "config/value.h"

/* Sections a key may stand in; a mask in rows. */
enum schema_section {
	SCHEMA_GLOBAL = 1,
	SCHEMA_LOG = 2,
	SCHEMA_TLS = 4,
	SCHEMA_LISTENER = 8,
	SCHEMA_OCSP = 16,
	SCHEMA_HOST = 32,
	SCHEMA_TOP = 31 /* before any section: every key */
};

struct schema_row {
	const char *name;
	const char *aliases;     /* between blanks; NULL: none */
	const char *tls_aliases; /* those good in [tls] alone */
	unsigned sections;
	bool of_listener;  /* offsets count from struct config_listener,
			     else from struct config */
	bool needs_start;  /* a reload cannot change it */
	bool may_be_empty; /* no value: the default */
	bool not_at_top;   /* its name could mean another key there */
	const struct value_type *type;
	struct value_rules rules;
	/* In the same struct: the field, a struct config_where to fill and a
	 * bool to set when it is said (0: none). */
	size_t offset;
	size_t where;
	size_t mark;
	const char *initial; /* the default as it would be written */
	const char *shown;   /* the default in words, when that says more */
	const char *meaning;
};

size_t schema_count(void);
const struct schema_row *schema_row(size_t i); /* i < schema_count() */
size_t schema_index(const struct schema_row *row);

/* The row of a key by name or alias in one section (or SCHEMA_TOP, where the
 * first row of that name wins).  NULL: none. */
const struct schema_row *schema_find(
    enum schema_section section, const char *key);

/*
 * The same, remembering what was looked for: a large file says the same few
 * keys again and again.  Zeroed it is empty; keys are borrowed.  A NULL memo
 * remembers nothing.
 */
#define SCHEMA_MEMO 256
struct schema_memo {
	struct {
		const char *key;
		enum schema_section section;
		const struct schema_row *row;
	} slots[SCHEMA_MEMO];
};
const struct schema_row *schema_recall(
    struct schema_memo *memo, enum schema_section section, const char *key);

/* The nearest name known in that section; NULL: nothing is near. */
const char *schema_nearest(enum schema_section section, const char *key);

/* "[global]" and so on, for sentences. */
const char *schema_section_name(unsigned sections);

/* Where the row's field is in this config or listener. */
void *schema_field(const struct schema_row *row, struct config *config,
    struct config_listener *listener);
const void *schema_field_const(const struct schema_row *row,
    const struct config *config, const struct config_listener *listener);

#endif
