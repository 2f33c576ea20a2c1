/*
 * A site with a certificate authority and a staple thread.  Answers come from
 * files (staple_file), so that no test needs a network.  One thread.  Aborts
 * when the set-up fails or an answer takes too long.
 */
#ifndef SUPPORT_STAPLED_H
#define SUPPORT_STAPLED_H

#include <semaphore.h>
#include <stdint.h>

#include "config/config.h"
#include "runtime/stapling.h"
#include "tests/support/ocsp.h"
#include "tests/support/pki.h"
#include "tests/support/site.h"

struct stapled {
	struct site site;
	struct pki ca;
	sem_t changed; /* posted by the staple thread */
};

/* No request is sent until stapled_run. */
void stapled_open(struct stapled *stapled);
void stapled_close(struct stapled *stapled);
void stapled_run(struct stapled *stapled);

/* A certificate of the CA (wish->issuer is left out) and a file with it, the
 * CA's and its key; pki_drop it. */
struct pki stapled_issue(
    struct stapled *stapled, const char *file, const struct pki_wish *wish);

/* A response about this certificate, valid for an hour, in a file. */
void stapled_answer(struct stapled *stapled, const char *file,
    const struct pki *leaf, enum ocsp_status status);

/* The listener "a" with that certificate and `more` keys; aborts when it
 * cannot be built. */
struct generation *stapled_build(struct stapled *stapled,
    struct generation *old, const char *cert, const char *more);

struct policy_eval stapled_eval(
    const struct stapled *stapled, enum policy_phase phase);

/* Wait until none of its certificates is waited for. */
struct policy_counts stapled_settle(
    struct stapled *stapled, const struct generation *generation);

#endif
