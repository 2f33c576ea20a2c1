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
 * Groups that this OpenSSL does not know are left out. */
bool policy_set_groups(struct ssl_ctx_st *context,
    const struct config_listener *config, char **taken,
    struct err *err) MUST_CHECK;

/*
 * The names of ciphers, ciphersuites and groups that have no effect, over all
 * sites of a configuration.  A list is identified by its file and line: a name
 * in [tls] that one listener can use has an effect.
 */
struct policy_survey;
struct policy_survey *policy_survey_new(void) MUST_CHECK; /* NULL: no memory */
void policy_survey_free(struct policy_survey *survey);    /* NULL ok */

/*
 * Add the lists of these settings.  `context` was built from them; `kinds` is
 * a mask of 1 << enum identity_kind, the certificates shown under them (0: not
 * known, any).  `settings` is borrowed until the survey is freed.  false: a
 * list leaves nothing usable; *err begins with its file:line.
 */
bool policy_survey_add(struct policy_survey *survey, struct ssl_ctx_st *context,
    const struct config_listener *settings, unsigned kinds,
    struct err *err) MUST_CHECK;

/* Call warn once for each name without effect: one sentence, file:line
 * first. */
void policy_survey_report(const struct policy_survey *survey,
    void (*warn)(void *arg, const char *sentence), void *arg);

#endif
