/*
 * The certificates of a generation: which slots a listener and its hosts have,
 * and which certificate is set for which name.  Main thread.
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
struct cert_slot;
struct sni_table;

/* ---- Names ---- */

/* One of each kind, for one name.  Borrowed from the slots. */
struct cert_set {
	struct identity *identities[IDENTITY_KINDS];
	bool in_folder; /* one of them is from cert_dir */
};

/* The first of its kind counts; one without identity is passed over.  false:
 * there was one of that kind. */
bool cert_set_add(struct cert_set *set, const struct cert_slot *slot);

struct name_map {
	/* as given */
	struct cert_slot *const *items;
	size_t named; /* by keys; the others are from the folder */
	size_t count;
	int64_t now_s;

	/* worked out: sorted patterns, and what is set for each */
	const char **patterns;
	struct cert_set *sets;
	size_t pattern_count;
	struct sni_table *table; /* from patterns to both */
	struct cert_set first;   /* for clients without a known name */
};

/*
 * Work out from the first `count` of items, of which `named` are the
 * listener's own.  Those go before the folder's; in the folder one that is
 * valid at now_s goes first, and of these the one that lasts longest, as a
 * renewed certificate may come as another file.
 * The items must outlive the map.  false: no memory.
 */
bool name_map_init(struct name_map *map, struct cert_slot *const *items,
    size_t named, size_t count, int64_t now_s) MUST_CHECK;
void name_map_fini(struct name_map *map); /* a zeroed one is fine */

/* What is set for a pattern: for a plain name its own or its wildcard's,
 * for a wildcard that very wildcard's.  NULL: nobody map it. */
const struct cert_set *name_map_find(
    const struct name_map *map, const char *pattern);

/* ---- Slots and lists ---- */

/* Everything that listener i and its hosts show, into list i of `fresh`;
 * what is wrong is reported. */
void certs_build_list(struct build *build, size_t i);

/* One of an earlier generation, as it is.  Likewise. */
struct cert_slot *certs_share(struct build *build,
    const struct config_listener *user, struct cert_slot *slot) MUST_CHECK;

/* Put a credential (taken) in force in `fresh`.  false: no memory. */
bool certs_hold(struct build *build, const struct config_listener *user,
    struct cert_slot *slot) MUST_CHECK;

/* The trees are built from, and forgotten. */
bool certs_index(struct build *build) MUST_CHECK;
void certs_forget(struct build *build);

#endif
