/*
 * The certificates of a generation: which slots a listener and its hosts have,
 * and which certificate is shown for which name.  Main thread.
 */
#ifndef RUNTIME_CERTS_H
#define RUNTIME_CERTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "tls/identity.h"

struct build;
struct config_listener;
struct credential;
struct sni_table;

/* ---- Names ---- */

/* One of each kind, for one name.  Borrowed from the credentials. */
struct shown {
	struct identity *identities[IDENTITY_KINDS];
	bool in_folder; /* one of them is from cert_dir */
};

/* The first of its kind counts; one without identity is passed over.  false:
 * there was one of that kind. */
bool shown_put(struct shown *shown, const struct credential *credential);

struct claims {
	/* as given */
	struct credential *const *items;
	size_t named; /* by keys; the others are from the folder */
	size_t count;
	int64_t now_s;

	/* worked out: sorted patterns, and what is shown for each */
	const char **patterns;
	struct shown *shown;
	size_t pattern_count;
	struct sni_table *table; /* from patterns to both */
	struct shown first;      /* for clients without a known name */
};

/*
 * Work out from the first `count` of items, of which `named` are the
 * listener's own.  Those go before the folder's; in the folder one that is
 * valid at now_s goes first, and of these the one that lasts longest, as a
 * renewed certificate may come as another file.
 * The items must outlive the claims.  false: no memory.
 */
bool claims_init(struct claims *claims, struct credential *const *items,
    size_t named, size_t count, int64_t now_s) MUST_CHECK;
void claims_fini(struct claims *claims); /* a zeroed one is fine */

/* What is shown for a pattern: for a plain name its own or its wildcard's,
 * for a wildcard that very wildcard's.  NULL: nobody claims it. */
const struct shown *claims_find(
    const struct claims *claims, const char *pattern);

/* ---- Slots and lists ---- */

/* Everything that listener i and its hosts show, into display i of `fresh`;
 * what is wrong is reported. */
void build_display(struct build *build, size_t i);

/* One of an earlier generation, as it is.  Likewise. */
struct credential *build_share(struct build *build,
    const struct config_listener *user,
    struct credential *credential) MUST_CHECK;

/* Put a credential (taken) in force in `fresh`.  false: no memory. */
bool build_hold(struct build *build, const struct config_listener *user,
    struct credential *credential) MUST_CHECK;

/* The trees are built from, and forgotten. */
bool build_index(struct build *build) MUST_CHECK;
void build_forget(struct build *build);

#endif
