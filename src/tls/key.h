/*
 * The private key among the blocks of a PEM file.  Main thread.
 */
#ifndef TLS_KEY_H
#define TLS_KEY_H

#include "base/attr.h"

struct err;
struct evp_pkey_st;
struct pem;

/*
 * Decode the first private key of the file.  `path` names it in sentences.
 * NULL and *err: there is none, it is encrypted (never a prompt), of a kind
 * TLS has no use for, or damaged.  The caller frees it.
 */
struct evp_pkey_st *key_decode(
    const struct pem *pem, const char *path, struct err *err) MUST_CHECK;

#endif
