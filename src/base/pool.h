/*
 * The I/O buffers of one thread.  A connection owns a buffer only while it
 * holds bytes that could not yet be passed on; the rest of the time all
 * connections of the thread take turns with the same few, cache-warm blocks.
 * That is what makes an idle connection small and the data path allocate
 * nothing per packet.  One thread only.
 */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

/*
 * One block: 64 KiB of plaintext as TLS records (four of 16 KiB), each with
 * room for header, IV, padding and tag, fits with space to spare.
 */
#define POOL_BLOCK_SIZE (68u * 1024u)

struct pool;

struct pool *pool_new(void) MUST_CHECK; /* NULL: no memory */
void pool_free(struct pool *pool);      /* every block must be back; NULL ok */

uint8_t *pool_take(struct pool *pool) MUST_CHECK;  /* NULL: no memory */
void pool_give(struct pool *pool, uint8_t *block); /* NULL ok */

size_t pool_in_use(const struct pool *pool); /* blocks out now */

/* Free the spare blocks beyond a handful; called when a crowd has gone. */
void pool_trim(struct pool *pool);

#endif
