/*
 * The memory of one configuration: allocated piece by piece, freed at once.  So
 * defaults can be copied into listeners as plain structs without an owner for
 * each string.  One thread; a finished configuration does not use its arena.
 */
#ifndef CONFIG_ARENA_H
#define CONFIG_ARENA_H

#include <stddef.h>

#include "base/attr.h"

struct arena;

struct arena *arena_new(void) MUST_CHECK; /* NULL: no memory */
void arena_free(struct arena *arena);     /* NULL ok */

/* Zeroed bytes that live as long as the arena.  NULL: no memory. */
void *arena_alloc(struct arena *arena, size_t size) MUST_CHECK;

/* The first `length` bytes of text, terminated.  NULL: no memory. */
char *arena_copy(
    struct arena *arena, const char *text, size_t length) MUST_CHECK;

/* Format as printf.  NULL: no memory. */
char *arena_format(struct arena *arena, const char *format, ...)
    PRINTF_LIKE(2, 3) MUST_CHECK;

/* Make room for one more item in an array of `count` items of `size` bytes that
 * has grown only by this function (its capacity follows from count). Returns
 * the array, perhaps moved; NULL: no memory, the array is unchanged. */
void *arena_grow(
    struct arena *arena, void *items, size_t count, size_t size) MUST_CHECK;

#endif
