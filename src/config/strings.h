/*
 * Strings of a configuration: host and client name patterns, names that are
 * compared without case and dashes, the nearest known name of a misspelt one,
 * and a map from strings.  Functions of their arguments alone; any thread.
 */
#ifndef CONFIG_STRINGS_H
#define CONFIG_STRINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

struct arena;
struct config_strings;
struct err;

#define PATTERN_NAME_MAX 253 /* RFC 1035 section 2.3.4, without the last dot */

/*
 * Normalise a host pattern: "Www.Example.org." becomes "www.example.org",
 * "*.Example.org" becomes "*.example.org" (lower case, no final dot).  false:
 * no client can send such a name; *err has what to write instead.
 */
bool pattern_normalise(char out[PATTERN_NAME_MAX + 1], const char *text,
    struct err *err) MUST_CHECK;

/* Check one item of allow_san: "dns:" (or no prefix), "email:", "uri:" or
 * "ip:" and a value of that kind.  false: *err is set. */
bool pattern_check_san(const char *text, struct err *err) MUST_CHECK;

/* Compare without case, '-' and '_'. */
bool fuzzy_same(const char *a, const char *b);

/* Is `word` in the blank-separated `list` (compared as above)?  A NULL list
 * is empty. */
bool fuzzy_in(const char *list, const char *word);

/*
 * Search for the candidate nearest to `given`: call fuzzy_start, fuzzy_offer
 * for each candidate, then read `best` (borrowed; NULL: none is near enough).
 */
struct fuzzy_match {
	const char *given;
	const char *best;
	size_t distance;
};
void fuzzy_start(struct fuzzy_match *match, const char *given);
void fuzzy_offer(struct fuzzy_match *match, const char *candidate);

/* Append a text of malloc() (NULL: that failed), which config_strings_free frees
 * with the list.  false: no memory. */
bool strings_append(struct config_strings *list, char *text);

/* A map from strings to pointers.  Keys are borrowed; the slots live in the
 * arena. */
struct string_map {
	struct string_map_slot *slots;
	size_t mask;
};

/* Make an empty map for at most `count` keys.  false: no memory. */
bool string_map_init(
    struct string_map *map, struct arena *arena, size_t count) MUST_CHECK;

/* The value of this key, to read or to set; NULL until it was set.  Inserts
 * the key. */
const void **string_map_at(struct string_map *map, const char *key);

/* The value of this key; NULL: not in the map. */
const void *string_map_find(const struct string_map *map, const char *key);

#endif
