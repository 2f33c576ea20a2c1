/*
 * What a listener's configuration means in OpenSSL's terms: cipher lists,
 * versions, groups.  tls/ only; main thread.  Sentences begin with the
 * file:line of the key at fault when there is one.
 */
#ifndef TLS_POLICY_H
#define TLS_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "config/config.h"

struct err;
struct ssl_ctx_st;

bool policy_set_versions(struct ssl_ctx_st *context,
    const struct config_listener *config, struct err *err) MUST_CHECK;
bool policy_set_ciphers(struct ssl_ctx_st *context,
    const struct config_listener *config, struct err *err) MUST_CHECK;

/* Groups left out are named in *warning (may be NULL; else already ""). */
bool policy_set_groups(struct ssl_ctx_st *context,
    const struct config_listener *config, struct err *warning,
    struct err *err) MUST_CHECK;

/*
 * A digest of everything that decides who may connect and how: a session
 * begun under another digest is not resumed under this one.
 */
bool policy_digest(const struct config_listener *config, uint8_t digest[32],
    struct err *err) MUST_CHECK;

#endif
