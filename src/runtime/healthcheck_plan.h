/*
 * The handshakes of `clinch healthcheck` with one listener: the addresses by
 * which another process of this host reaches it, the server names, and the kinds
 * of certificate.  Main thread; reads certificate files, never a key.
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
	/* Of the site that the name selects: the listener or a host. */
	const struct config_listener *settings;
	struct addr address; /* to connect to */
	struct addr source;  /* to bind to before; len 0: any */
	char name[PROBE_NAME_MAX];
	enum identity_kind kind; /* IDENTITY_KINDS: any */
	const char *cert;        /* its file; NULL: any certificate */
	const char *staple_file; /* its staple_file; NULL: none */
	bool in_folder;          /* a certificate of cert_dir */
};

struct healthcheck_plan {
	struct healthcheck_target *targets;
	size_t count;
};

/*
 * At the first address that can be reached: the certificate that a client
 * without a name gets, each one of `cert`, and each host.  At every other
 * address only the first of them.  A certificate whose file cannot be read is
 * left out.  false: no address can be reached, or there is no memory; *err is
 * the reason.  Free in every case.
 */
bool healthcheck_plan_make(struct healthcheck_plan *plan,
    const struct config_listener *listener, struct err *err) MUST_CHECK;
void healthcheck_plan_free(
    struct healthcheck_plan *plan); /* a zeroed one is fine */

#endif
