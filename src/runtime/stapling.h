/*
 * The joint of the daemon and libstaple: what the configuration says, in the
 * library's words, and what the library says, in the log.  Whether anything
 * follows from it for the process is asked of judge.h and verdict.h.  Main
 * thread.  Every function takes NULL for "no stapling" and then succeeds.
 */
#ifndef RUNTIME_STAPLING_H
#define RUNTIME_STAPLING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "config/config.h"
#include "staple/staple.h"

struct credential_key;
struct err;
struct generation;
struct identity;
struct log;
struct stapling;
struct tls_context;

/* Something that decides has changed.  Called on the staple thread: main
 * turns it into an ev_async_send. */
typedef void stapling_changed_fn(void *arg);

/*
 * Before privileges are dropped: makes store_dir and gives what it made to
 * the configured user.  `check_only` touches no folder.  The log is borrowed.
 * NULL: *err, with file:line where a key is to blame.
 */
struct stapling *stapling_new(const struct config *config, struct log *log,
    bool check_only, struct err *err) MUST_CHECK;

/* Start the staple thread; after privileges were dropped. */
bool stapling_start(struct stapling *stapling, stapling_changed_fn *changed,
    void *arg, struct err *err) MUST_CHECK;

/* [ocsp] of another configuration from now on. */
bool stapling_configure(struct stapling *stapling, const struct config *config,
    struct err *err) MUST_CHECK;

/*
 * What these settings ask for, in the library's words.  in_folder: of a
 * certificate from cert_dir, whose revocation never ends the process.
 */
struct staple_policy stapling_policy(
    const struct config_listener *settings, bool in_folder);

/* As the configuration has it: "auto", "must", ... */
const char *stapling_mode_name(enum staple_mode mode);

/* Fetch for this identity as its id says.  Again with another configuration:
 * that one counts from now on, and a staple_file is looked at again. */
bool stapling_watch(struct stapling *stapling, const struct config *config,
    const struct identity *identity, const struct credential_key *id,
    struct err *err) MUST_CHECK;

/* Staple in this context.  Before any other thread uses it. */
bool stapling_attach(struct stapling *stapling,
    const struct tls_context *context, const struct staple_policy *policy,
    struct err *err) MUST_CHECK;

/* [ocsp] and every identity of a running generation as they were before
 * another one was tried.  What fails is logged. */
void stapling_restore(
    struct stapling *stapling, const struct generation *generation);

/* false: never watched. */
bool stapling_state(const struct stapling *stapling,
    const struct identity *identity, struct staple_info *info);

/* Hold the identities of a generation that is let go, so that their counters
 * are still there at the end. */
void stapling_keep(
    struct stapling *stapling, const struct generation *generation);

/* One line for each certificate that was stapled, at level info. */
void stapling_say_counters(struct stapling *stapling);

/* Before the log ends.  Generations may end before or after. */
void stapling_free(struct stapling *stapling);

#endif
