/*
 * Server names: normalisation, and a table from names and wildcards to numbers.
 * A table is built by one thread, sealed, and then immutable: any thread may
 * read it.
 */
#ifndef TLS_SNI_H
#define TLS_SNI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

struct sni_table;

/* RFC 1035 section 2.3.4: the longest name, without the trailing dot. */
#define SNI_NAME_MAX 253
#define SNI_NONE ((size_t)-1)

/*
 * Normalise a name for a table: lower case, without the trailing dot.  false:
 * not a host name (empty, too long, with a NUL, blank or control character,
 * with an empty label or one of more than 63 bytes, or an IP literal: RFC 6066
 * section 3).  Underscores are allowed, since clients send them.
 */
bool sni_normalise(
    char out[SNI_NAME_MAX + 1], const uint8_t *name, size_t len) MUST_CHECK;

/* The same for a pattern: a name, or "*." and a name. */
bool sni_normalise_pattern(
    char out[SNI_NAME_MAX + 1], const char *pattern) MUST_CHECK;

/* With room for this many patterns.  NULL: no memory. */
struct sni_table *sni_table_new(size_t room) MUST_CHECK;
void sni_table_free(struct sni_table *table); /* NULL ok */

/* Add a normalised pattern, copied; the table must have room.  Of equal
 * patterns the first one counts.  false: no memory. */
bool sni_table_add(
    struct sni_table *table, const char *pattern, size_t value) MUST_CHECK;

/* End the additions. */
void sni_table_seal(struct sni_table *table);

/* The value of exactly this pattern (a wildcard is not expanded); SNI_NONE. */
size_t sni_table_exact(const struct sni_table *table, const char *pattern);

/* The value for a normalised name: its own, or that of the wildcard for its
 * first label ("*.x" matches neither "x" nor "b.a.x").  SNI_NONE: unknown.
 * O(log n), no allocation. */
size_t sni_table_find(const struct sni_table *table, const char *name);

#endif
