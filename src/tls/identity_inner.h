/*
 * What is read from a certificate.  For identity.c and probe.c alone.
 */
#ifndef TLS_IDENTITY_INNER_H
#define TLS_IDENTITY_INNER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "tls/identity.h"

struct err;

struct identity_names {
	char shown[256]; /* for logs */
	char **patterns; /* sorted, without doubles */
	size_t count;
	bool starved; /* a name was lost for lack of memory */
};

/* false: no memory.  Drop in every case; a zeroed one is fine. */
bool identity_names_find(
    struct identity_names *names, const X509 *leaf) MUST_CHECK;
void identity_names_drop(struct identity_names *names);

/* By the public key.  false: *err names the path: TLS has no use for it. */
bool identity_kind_find(enum identity_kind *kind, const X509 *leaf,
    const char *path, struct err *err) MUST_CHECK;

#endif
