/*
 * What the files that make a generation share: generation.c holds it, build.c
 * makes one from files, renew.c one from another.  Main thread.
 */
#ifndef RUNTIME_GENERATION_INNER_H
#define RUNTIME_GENERATION_INNER_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "runtime/generation.h"
#include "runtime/sockets.h"
#include "runtime/watch.h"
#include "staple/staple.h"
#include "tls/validity.h"

struct credential;
struct service;
struct tls_context;

/* ca_file and crl_file as they were read. */
struct trust_holding {
	const struct config_listener *user; /* whose paths these are */
	struct trust *trust;                /* a reference */
	struct stamp ca_stamp;
	struct stamp crl_stamp;
	bool settled;

	/* main thread only */
	enum validity_warning warned; /* the last level logged; expiry.h */
};

/* A context, and what tells it from another. */
struct context_holding {
	uint8_t digest[32];
	struct staple_policy policy;
	struct tls_context *context; /* a reference */
};

/* What one listener and its hosts were given to show, borrowed from the
 * holdings: the listener's certs, then what is in its folder, then each host's
 * own certs, in file order. */
struct display {
	struct credential **items;
	size_t count;
	size_t folder_count;
	bool folder_kept; /* its folder is bad, the old certificates go on */
};

struct generation {
	atomic_uint references;

	/* fixed at creation */
	const struct config *config;
	struct service **services; /* one per listener section */
	size_t service_count;
	struct display *displays; /* likewise */
	struct ports ports;

	/* each thing once */
	struct holding *holdings; /* references to the credentials */
	size_t holding_count, holding_room;
	struct trust_holding *trusts;
	size_t trust_count, trust_room;
	struct context_holding *contexts;
	size_t context_count, context_room;
};

/* With room for every listener; one reference.  NULL: no memory. */
struct generation *generation_new(const struct config *config) MUST_CHECK;

/* Append; what is counted is taken, also when it fails for want of memory. */
bool generation_hold(struct generation *generation,
    const struct config_listener *user,
    struct credential *credential) MUST_CHECK;
bool generation_hold_trust(struct generation *generation,
    const struct trust_holding *holding) MUST_CHECK;
bool generation_hold_context(struct generation *generation,
    const struct context_holding *holding) MUST_CHECK;
bool trust_holding_has_equal_stamps(
    const struct trust_holding *a, const struct trust_holding *b);
bool display_add(
    struct display *display, struct credential *credential) MUST_CHECK;

#endif
