/*
 * Server names: what a client may ask for, and a table from names and
 * wildcards to numbers.  A table is built by one thread, sealed, and then
 * immutable: any thread may look in it.
 */
#ifndef TLS_SNI_H
#define TLS_SNI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

struct sni_table;

/* RFC 1035 section 2.3.4: the longest name, written without its last dot. */
#define SNI_NAME_MAX 253
#define SNI_NONE ((size_t)-1)

/*
 * The name as tables know it: lower case, without the trailing dot.  false: no
 * host name (empty, a NUL or blank or control in it, an empty label or one
 * over 63 bytes, too long, an IP literal: RFC 6066 section 3).  An underscore
 * is let through, as clients are.
 */
bool sni_normalise(
    char out[SNI_NAME_MAX + 1], const uint8_t *name, size_t len) MUST_CHECK;

/* The same for a pattern of ours: a name, or "*." and a name. */
bool sni_normalise_pattern(
    char out[SNI_NAME_MAX + 1], const char *pattern) MUST_CHECK;

/* With room for so many patterns.  NULL: no memory. */
struct sni_table *sni_table_new(size_t room) MUST_CHECK;
void sni_table_free(struct sni_table *table); /* NULL ok */

/* A normalised pattern, copied; the table has room.  When a pattern is added
 * twice the first one counts.  false: no memory. */
bool sni_table_add(
    struct sni_table *table, const char *pattern, size_t value) MUST_CHECK;

/* No more will be added. */
void sni_table_seal(struct sni_table *table);

/* The value of this very pattern (a wildcard stands for itself); SNI_NONE. */
size_t sni_table_exact(const struct sni_table *table, const char *pattern);

/* The value for a normalised name: its own, or that of the wildcard that
 * stands for its first label (one label: "*.x" is neither "x" nor "b.a.x").
 * SNI_NONE: unknown.  O(log n), no allocation. */
size_t sni_table_find(const struct sni_table *table, const char *name);

#endif
