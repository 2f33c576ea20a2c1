/*
 * Contexts: their policy as ex-data, the walk over their slots, and the
 * status callback of their handshakes.  Threads: as in staple.h.
 */
#ifndef STAPLE_ATTACH_H
#define STAPLE_ATTACH_H

#include <stdbool.h>

#include <openssl/ssl.h>

#include "base/attr.h"

struct err;
struct staple_watcher;

/* See staple_attach.  false: *err; a certificate that was watched before the
 * failure stays so. */
bool staple_attach_context(const struct staple_watcher *watcher,
    SSL_CTX *context, struct err *err) MUST_CHECK;

#endif
