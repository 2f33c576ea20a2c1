/*
 * What a listener's configuration means in OpenSSL's terms: cipher lists,
 * versions, groups.  tls/ only; main thread.  Sentences begin with the
 * file:line of the key at fault when there is one.
 */
#ifndef TLS_POLICY_H
#define TLS_POLICY_H

#include <stdbool.h>

#include "base/attr.h"
#include "config/config.h"

struct err;
struct ssl_ctx_st;

bool policy_set_versions(struct ssl_ctx_st *context,
    const struct config_listener *config, struct err *err) MUST_CHECK;
bool policy_set_ciphers(struct ssl_ctx_st *context,
    const struct config_listener *config, struct err *err) MUST_CHECK;

/* Those that were taken become *taken, for SSL_set1_groups_list; free() it.
 * Groups left out are named in *warning (may be NULL; else already ""). */
bool policy_set_groups(struct ssl_ctx_st *context,
    const struct config_listener *config, char **taken, struct err *warning,
    struct err *err) MUST_CHECK;

#endif
