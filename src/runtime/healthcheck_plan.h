/*
 * What `clinch healthcheck` looks at: the addresses of a listener as another
 * process of this host reaches them, and the names and kinds of certificate to
 * ask for there.  Main thread; reads certificate files, never a key.
 */
#ifndef RUNTIME_HEALTHCHECK_PLAN_H
#define RUNTIME_HEALTHCHECK_PLAN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/addr.h"
#include "base/attr.h"
#include "config/config.h"
#include "tls/probe.h"

struct err;

/* Handshakes with one listener; further certificates and hosts are left out. */
#define HEALTHCHECK_TARGETS_MAX 64

/* One handshake. */
struct healthcheck_target {
	/* Of the site that the name leads to: the listener or a host. */
	const struct config_listener *settings;
	struct addr address; /* to connect to */
	struct addr source;  /* to bind to before; len 0: any */
	char name[PROBE_NAME_MAX];
	enum identity_kind kind; /* IDENTITY_KINDS: any */
	const char *cert;        /* the file that should be shown; NULL: any */
	const char *staple_file; /* its staple_file; NULL: none */
	bool in_folder;          /* a certificate of cert_dir */
};

struct healthcheck_plan {
	struct healthcheck_target *targets;
	size_t count;
};

/*
 * At the first address that can be reached: the certificate that a client
 * without a name is shown, each one of `cert`, and each host.  At every other
 * address the first of them.  A certificate file that cannot be read leaves its
 * certificate out.  false: *err says why no address can be reached, or that
 * there is no memory.  Free in every case.
 */
bool healthcheck_plan_make(struct healthcheck_plan *plan,
    const struct config_listener *listener, struct err *err) MUST_CHECK;
void healthcheck_plan_free(
    struct healthcheck_plan *plan); /* a zeroed one is fine */

#endif
