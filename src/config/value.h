/*
 * The types of values: how each is read from text, printed as text that is
 * read back the same, and compared.  A type is a constant object; a row of
 * the schema joins it with a field, bounds and words.  Any thread.
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
	int number; /* several words may mean one number; the first prints */
};

/* What a row says about its value. */
struct value_rules {
	uint32_t min; /* durations in milliseconds */
	uint32_t max;
	const char *zero; /* the word for 0 ("off", "auto"); NULL: none */
	const struct value_word *words; /* ends with a NULL word */
};

/* One reading: the rules, where the value goes and where it was said. */
struct value_place {
	const struct value_rules *rules;
	void *field;
	struct arena *arena;
	const struct config_where *where;
};

typedef bool value_read_fn(
    const struct value_place *place, const char *text, struct err *err);
/* Whole lines "key = value"; nothing when the field is unset. */
typedef void value_print_fn(FILE *out, const char *key, const void *field,
    const struct value_rules *rules);
typedef bool value_equal_fn(const void *a, const void *b);

struct value_type {
	const char *name; /* in --list-keys */
	size_t list; /* may repeat: the bytes of an empty one; 0: may not */
	value_read_fn *read;
	value_print_fn *print;
	value_equal_fn *equal;
};

extern const struct value_type value_boolean;  /* bool */
extern const struct value_type value_number;   /* uint32_t; k m g */
extern const struct value_type value_duration; /* uint32_t, milliseconds */
extern const struct value_type value_mode;     /* unsigned, octal */
extern const struct value_type value_choice;   /* an enum, by rules->words */
extern const struct value_type value_level;    /* enum log_level */
extern const struct value_type value_version;  /* enum config_tls_version */
extern const struct value_type value_stapling; /* enum config_ocsp_mode */
extern const struct value_type value_switch;   /* the same, by yes and no */
extern const struct value_type value_tlvs;     /* unsigned, a mask of words */
extern const struct value_type value_text;     /* const char * */
extern const struct value_type value_colons;   /* const char *, a:b:c */
extern const struct value_type value_path;     /* const char * */
extern const struct value_type value_pid_path; /* the same, or empty: none */
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

/* "10s", "1500ms", "90" (seconds) in milliseconds; at most 32 bits. */
bool value_read_duration(
    uint32_t *ms, const char *text, struct err *err) MUST_CHECK;
/* The shortest text that reads back the same. */
#define VALUE_DURATION_MAX 16
void value_format_duration(char out[VALUE_DURATION_MAX], uint32_t ms);

/* Print "key = text" so that it is read back as the same text. */
void value_print_text(FILE *out, const char *key, const char *text);

/* "key = prefix + path", the path made absolute: it may be read anywhere. */
void value_print_path(
    FILE *out, const char *key, const char *prefix, const char *path);

/* The size of every list but masks: each is {items, count}. */
#define VALUE_LIST sizeof(struct config_strings)

/* For readers of lists: append a copy of an item of `size` bytes to the list
 * at place->field; call `take` for each trimmed item between commas (copied
 * into the arena); and two sentences, which return false. */
bool value_append(const struct value_place *place, const void *item,
    size_t size, struct err *err) MUST_CHECK;
bool value_each_item(const struct value_place *place, const char *text,
    value_read_fn *take, struct err *err) MUST_CHECK;
bool value_too_many(unsigned max, struct err *err);
bool value_no_memory(struct err *err);

/* How a struct config_strings is printed and compared. */
void value_print_strings(FILE *out, const char *key, const void *field,
    const struct value_rules *rules);
bool value_equal_strings(const void *a, const void *b);

/* Are two strings, each perhaps NULL, the same? */
bool value_same_text(const char *a, const char *b);

#endif
