/*
 * One run of generation_build (or of renew_generation): build.c leads it and
 * opens the sockets, certs.c reads certificates, build_context.c makes policies, build_sites.c brings names, policies and certificates
 * together, build_service.c adds what is beyond TLS.  Main thread.
 */
#ifndef RUNTIME_BUILD_H
#define RUNTIME_BUILD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "config/config.h"
#include "runtime/generation.h"
#include "staple/staple.h"

struct err;
struct identity_loader;
struct service;
struct tls_context;
struct tls_server;

struct build {
	struct generation *old; /* may be NULL */
	const struct config *config;
	const struct generation_parts *parts;
	enum generation_cause cause;
	int64_t now_s;
	struct generation_errors *errors;
	struct generation *fresh;
	struct identity_loader *loader; /* made for the first file read */
	bool asks_anew; /* every certificate is shown to the library again */
	bool failed;

	/* trees of what `fresh` and `old` hold, by what tells it apart */
	void *credentials;
	void *old_credentials;
};

enum blame { BLAME_CONFIG, BLAME_SYSTEM };

/* Add a sentence; the build has failed. */
void build_error(struct build *build, enum blame blame, const char *text);

/* The same, with the line and the listener (or host) in front. */
void build_fail(struct build *build, enum blame blame,
    const struct config_where *where, const struct config_listener *settings,
    struct err *err);

/* A warning about these settings; "" is none. */
void build_warn(const struct build *build,
    const struct config_listener *settings, const char *text);

/* ---- build_context.c ---- */

/* The context for these settings and that staple policy: one of `fresh`, or
 * taken over from `old`, or made.  Borrowed from `fresh`.  NULL: reported. */
struct tls_context *build_context(struct build *build,
    const struct config_listener *settings,
    const struct staple_policy *policy) MUST_CHECK;

/* ---- build_sites.c ---- */

/* Names, policies and certificates of listener i.  NULL: reported. */
struct tls_server *build_sites(struct build *build, size_t i) MUST_CHECK;

/* ---- build_service.c ---- */

/* Append the service of listener i, or fail. */
void build_service(struct build *build, size_t i);

/* Warn of each name in ciphers, ciphersuites and groups that no service can
 * use; a list that leaves nothing is an error.  After all services. */
void build_survey(struct build *build);

#endif
