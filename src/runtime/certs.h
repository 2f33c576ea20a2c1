/*
 * The certificates of a generation: the slots of a listener and its hosts, and
 * which certificate is used for which name.  Main thread.
 */
#ifndef RUNTIME_CERTS_H
#define RUNTIME_CERTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "tls/identity.h"

struct build;
struct cert_list;
struct cert_slot;
struct sni_table;

/* ---- Names ---- */

/* At most one certificate of each kind, for one name.  Borrowed from the
 * slots. */
struct cert_set {
	struct identity *identities[IDENTITY_KINDS];
	bool in_folder; /* one of them is from cert_dir */
};

/* Add the identity of the slot, if any.  false: the set has one of that kind
 * already. */
bool cert_set_add(struct cert_set *set, const struct cert_slot *slot);

struct name_map {
	/* as given */
	const struct cert_list *list;
	int64_t now_s;

	/* the result: sorted patterns and a set for each */
	const char **patterns;
	struct cert_set *sets;
	size_t pattern_count;
	struct sni_table *table; /* from patterns to indexes */
	struct cert_set first;   /* for clients without a matching name */
};

/*
 * Map the names of the certificates of the listener itself, not of its hosts.
 * Those set by keys precede the ones of cert_dir; among the latter,
 * certificates that are valid at now_s come first, and of these the one that
 * lasts longest, because a renewed certificate may be another file.  The list
 * must outlive the map.  false: no memory.
 */
bool name_map_init(struct name_map *map, const struct cert_list *list,
    int64_t now_s) MUST_CHECK;
void name_map_fini(struct name_map *map); /* a zeroed one is fine */

/* The set of a pattern: for a plain name its own or its wildcard's, for a
 * wildcard that very wildcard's.  NULL: none. */
const struct cert_set *name_map_find(
    const struct name_map *map, const char *pattern);

/* ---- Slots and lists ---- */

/* Build the certificate list of listener i and its hosts in `fresh`; errors are
 * reported. */
void certs_build_list(struct build *build, size_t i);

/* Make and free the trees of slots. */
bool certs_index(struct build *build) MUST_CHECK;
void certs_fini(struct build *build);

#endif
