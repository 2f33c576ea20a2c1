/*
 * The types of values: read from text, print so that the text reads back the
 * same, compare.  A type is a constant; a row of the schema combines it with a
 * field, bounds and words.  Any thread.
 */
#ifndef CONFIG_VALUE_H
#define CONFIG_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/attr.h"
#include "config/config.h"

struct arena;
struct err;

struct value_word {
	const char *word;
	int number; /* of several words for a number the first is printed */
};

/* The words for yes and no, as items of a table. */
#define VALUE_YES(number)                                        \
	{ "yes", number }, { "on", number }, { "true", number }, \
	{                                                        \
		"1", number                                      \
	}
#define VALUE_NO(number)                                          \
	{ "no", number }, { "off", number }, { "false", number }, \
	{                                                         \
		"0", number                                       \
	}

/* The rules of one key. */
struct value_rules {
	uint32_t min; /* durations in milliseconds */
	uint32_t max;
	const char *zero; /* the word for 0 ("off", "auto"); NULL: none */
	const struct value_word *words; /* ends with a NULL word */
};

/* The arguments of a reader: rules, field, and the place of the statement.
 * value_read sets the type. */
struct value_place {
	const struct value_rules *rules;
	void *field;
	struct arena *arena;
	const struct config_where *where;
	const struct value_type *type;
};

typedef bool value_read_fn(
    const struct value_place *place, const char *text, struct err *err);
typedef void value_print_fn(FILE *out, const char *key, const void *field,
    const struct value_rules *rules);
typedef bool value_equal_fn(const void *a, const void *b);

/* The functions of a list are for one item; `read` appends it by
 * value_append. */
struct value_type {
	const char *name; /* in --list-keys */
	size_t list;      /* > 0: may repeat; the size of the field */
	size_t item_size; /* > 0: a list of such items; else a single value */
	size_t items_max; /* of a list */
	value_read_fn *read;
	value_print_fn *print;
	value_equal_fn *equal;
};

/* Read a value, or append the items between commas to a list.  false: *err. */
bool value_read(const struct value_type *type, const struct value_place *place,
    const char *text, struct err *err) MUST_CHECK;
/* Print lines "key = value"; none if the field is unset. */
void value_print(const struct value_type *type, FILE *out, const char *key,
    const void *field, const struct value_rules *rules);
bool value_equal(const struct value_type *type, const void *a, const void *b);

extern const struct value_type value_boolean;  /* bool */
extern const struct value_type value_number;   /* uint32_t; k m g */
extern const struct value_type value_duration; /* uint32_t, milliseconds */
extern const struct value_type value_mode;     /* unsigned, octal */
extern const struct value_type value_choice;   /* an enum, by rules->words */
extern const struct value_type value_level;    /* enum log_level */
extern const struct value_type value_version;  /* enum config_tls_version */
extern const struct value_type value_stapling; /* enum config_ocsp_mode */
extern const struct value_type value_switch;   /* the same, as yes or no */
extern const struct value_type value_tlvs;     /* unsigned, a mask of words */
extern const struct value_type value_text;     /* const char * */
extern const struct value_type value_colons;   /* const char *, a:b:c */
extern const struct value_type value_path;     /* const char * */
extern const struct value_type value_pid_path; /* a path, or empty: none */
extern const struct value_type value_sink;     /* a path or one of words */
extern const struct value_type value_proxy;    /* a URL, or "" for none */
extern const struct value_type value_strings;  /* struct config_strings */
extern const struct value_type value_urls;     /* struct config_strings */
extern const struct value_type value_paths;    /* struct config_paths */
extern const struct value_type value_sans;     /* struct config_strings */
extern const struct value_type value_cns;      /* struct config_strings */
extern const struct value_type value_cidrs;    /* struct config_cidrs */
extern const struct value_type value_accepts;  /* struct config_accepts */
extern const struct value_type value_connects; /* struct config_connects */

/* Read "10s", "1500ms" or "90" (seconds) as milliseconds. */
bool value_read_duration(
    uint32_t *ms, const char *text, struct err *err) MUST_CHECK;
/* As value_read_duration, but 0 is an error. */
bool value_read_timeout(
    uint32_t *ms, const char *text, struct err *err) MUST_CHECK;
/* Print a duration in its largest unit. */
#define VALUE_DURATION_MAX 16
void value_format_duration(char out[VALUE_DURATION_MAX], uint32_t ms);

/* Print "key = text" so that it reads back as the same text. */
void value_print_text(FILE *out, const char *key, const char *text);

/* Print "key = prefix path" with an absolute path. */
void value_print_path(
    FILE *out, const char *key, const char *prefix, const char *path);

/* The size of all lists except masks: {items, count}. */
#define VALUE_LIST sizeof(struct config_strings)

/* For readers of lists: copy an item to the end of the list. */
bool value_append(const struct value_place *place, const void *item,
    struct err *err) MUST_CHECK;

/* For a field or item that begins with a const char *. */
void value_print_string(FILE *out, const char *key, const void *field,
    const struct value_rules *rules);
bool value_equal_string(const void *a, const void *b);

/* Compare two strings; NULL equals NULL only. */
bool value_same_text(const char *a, const char *b);

#endif
