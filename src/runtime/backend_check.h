/*
 * Checks of backends (check = tcp): a connect to each address at an interval,
 * which is closed at once.  An address that fails rests until a check reaches it
 * (proxy/backend.h).  Main thread.
 */
#ifndef RUNTIME_BACKEND_CHECK_H
#define RUNTIME_BACKEND_CHECK_H

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

struct backend_checks;
struct err;
struct ev_loop;
struct generation;
struct log;

/* A check of a backend failed whose name may have new addresses.  Called on the
 * main thread, from its loop; may call backend_checks_follow. */
typedef void backend_check_failed_fn(void *arg);

struct backend_checks *backend_checks_new(struct ev_loop *loop, struct log *log,
    backend_check_failed_fn *on_failed, void *arg, struct err *err) MUST_CHECK;

/*
 * Check the backends of this generation, as their addresses are now.  An address
 * that was checked before keeps its time, and its check in flight; checks of
 * others are ended.  Without memory a warning is logged, and the checks stay as
 * they are.  NULL ok.
 */
void backend_checks_follow(
    struct backend_checks *checks, const struct generation *generation);

/* Ends the checks in flight.  NULL ok. */
void backend_checks_free(struct backend_checks *checks);

/* ---- Times; pure ---- */

/* When the first check of number k of n new addresses begins; random: 0 to 1. */
int64_t backend_check_first_ms(
    int64_t now_ms, uint32_t interval_ms, size_t k, size_t n, double random);

/* When the check after one that began at `start_ms` and has ended begins. */
int64_t backend_check_next_ms(
    int64_t start_ms, int64_t now_ms, uint32_t interval_ms, double random);

#endif
