/*
 * The SSL_CTX of the settings of a listener or host: protocol versions,
 * ciphers, groups, ALPN, client authentication and tickets.  It has no
 * certificate; those come from a callback (server.h), so that thousands of
 * names share one context.  Immutable, counted; any thread may use it.
 */
#ifndef TLS_CONTEXT_H
#define TLS_CONTEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "config/config.h"

struct err;
struct ssl_ctx_st;
struct ssl_st;
struct tls_context;
struct ca_store;

/*
 * Build from the effective settings of a listener or host.  ca_store: NULL if
 * verify is none; else referenced.  Cipher suites and groups that this OpenSSL
 * does not have are left out (policy_survey names them).  NULL: *err has the
 * reason, with the file:line of the key in front if there is one.  Main thread.
 */
struct tls_context *tls_context_new(const struct config_listener *settings,
    struct ca_store *ca_store, struct err *err) MUST_CHECK;

struct tls_context *tls_context_ref(struct tls_context *context);
void tls_context_unref(struct tls_context *context); /* NULL ok */

/*
 * The SHA-256 of the settings: contexts with equal digests are equal.
 * Independent of names, paths and line numbers, and the same on every machine.
 */
bool tls_context_digest(const struct config_listener *settings,
    const struct ca_store *ca_store, uint8_t digest[32],
    struct err *err) MUST_CHECK;

/* The digest of the settings that it was built from: 32 bytes, borrowed. */
const uint8_t *tls_context_digest_of(const struct tls_context *context);

/*
 * Switch a connection that began under another context to this one, including
 * what SSL_set_SSL_CTX leaves behind.  Only in the ClientHello callback.
 * false: no memory.
 */
bool tls_context_apply(
    const struct tls_context *context, struct ssl_st *ssl) MUST_CHECK;

/* NULL: no clients are verified. */
const struct ca_store *tls_context_ca_store(const struct tls_context *context);

/* The OpenSSL object, to attach staples and for server.c.  Borrowed. */
struct ssl_ctx_st *tls_context_native(const struct tls_context *context);

/* The OpenSSL that is loaded, "OpenSSL 3.5.6 7 Apr 2026".  Static. */
const char *tls_library_version(void);

/* Those of the default groups that it has, joined by colons; free() it.  NULL: no
 * memory. */
char *tls_library_groups(void) MUST_CHECK;

/*
 * Finds the names in ciphers, ciphersuites and groups that have no effect in
 * any site of a configuration.  A list is identified by its file and line: a
 * name in [tls] that one listener can use has an effect.
 */
struct policy_survey;
struct policy_survey *policy_survey_new(void) MUST_CHECK; /* NULL: no memory */
void policy_survey_free(struct policy_survey *survey);    /* NULL ok */

/*
 * Add the lists of these settings.  `context` was built from them; `kinds` is a
 * mask of 1 << enum identity_kind, the certificates used with them (0: unknown,
 * any).  `settings` is borrowed until the survey is freed.  false: a list has
 * no usable name; *err begins with its file:line.
 */
bool policy_survey_add(struct policy_survey *survey, struct ssl_ctx_st *context,
    const struct config_listener *settings, unsigned kinds,
    struct err *err) MUST_CHECK;

/* Call warn once for each name without effect, with a sentence that begins with
 * file:line. */
void policy_survey_report(const struct policy_survey *survey,
    void (*warn)(void *arg, const char *sentence), void *arg);

#endif
