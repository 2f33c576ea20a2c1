/*
 * A folder with a certificate, and generations built from configurations
 * that use it.  One thread.  Aborts when the set-up fails.
 */
#ifndef SUPPORT_SITE_H
#define SUPPORT_SITE_H

#include <stdbool.h>

#include "runtime/generation.h"
#include "tests/support/pki.h"

struct site {
	struct pki_folder folder; /* has cert.pem and key.pem */
	struct generation_parts parts;
};

void site_open(struct site *site, unsigned threads);
void site_close(struct site *site);

/* A pair that does not fit the first: other.pem and other-key.pem. */
void site_add_other(struct site *site);

/* The text of an INI file in that folder, parsed.  Aborts on errors. */
const struct config *site_config(const struct site *site, const char *text);

/* Build and keep no error; NULL when it failed. */
struct generation *site_build(struct site *site, struct generation *old,
    const char *text, bool check_only);

/* What a change of files makes of it: the same configuration, built again. */
struct generation *site_look_again(struct site *site, struct generation *old);

/* The i-th certificate in use. */
struct cert_slot *site_slot(const struct generation *generation, size_t i);

/* The name in the certificate (the first kind there is) that listener i
 * sends to clients with the server name `name` ("" for none): or "nothing",
 * or "refused". */
const char *site_shown(
    const struct generation *generation, size_t i, const char *name);

#endif
