/*
 * The private key among the blocks of a PEM file.  Main thread.
 */
#ifndef TLS_KEY_H
#define TLS_KEY_H

#include "base/attr.h"

struct err;
struct evp_pkey_st;
struct key_decoder;
struct pem;

/* What decoding many keys shares.  One thread at a time.  NULL: no memory. */
struct key_decoder *key_decoder_new(void) MUST_CHECK;
void key_decoder_free(struct key_decoder *decoder); /* NULL ok */

/*
 * Decode the first private key of the file.  decoder may be NULL: slower.
 * `path` names the file in sentences.  NULL and *err: there is none, it is
 * encrypted (never a prompt), of a kind TLS has no use for, or damaged.  The
 * caller frees it.
 */
struct evp_pkey_st *key_decode(struct key_decoder *decoder,
    const struct pem *pem, const char *path, struct err *err) MUST_CHECK;

#endif
