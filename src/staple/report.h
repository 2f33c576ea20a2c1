/*
 * What the staple thread tells others about a certificate: the cache (for
 * snapshots and waiters), the log, and the application where something that
 * decides has changed.  Staple thread only, no lock held.
 */
#ifndef STAPLE_REPORT_H
#define STAPLE_REPORT_H

#include "base/attr.h"
#include "staple/staple.h"

struct staple_errand;
struct staple_fetch_result;
struct staple_response;
struct staple_verdict;
struct staple_worker;

/* An attempt has ended: snapshot, log, application, in this order. */
void staple_report_attempt(struct staple_errand *errand);

/* Something else about it is different now: snapshot and application. */
void staple_report_state(struct staple_errand *errand);

/* Time has passed: the ladder of warnings, and an expiry that was reached. */
void staple_report_time(struct staple_errand *errand);

/* One try has ended: keep it for "said", and a line for debugging. */
void staple_report_try(struct staple_errand *errand,
    const struct staple_verdict *verdict, unsigned took_ms);

/* The same for a fetch of the issuer from one URL. */
void staple_report_issuer(struct staple_errand *errand,
    const struct staple_verdict *verdict, unsigned took_ms);

/* A line about one certificate. */
void staple_report_line(struct staple_errand *errand, enum staple_level level,
    enum staple_outcome outcome, const char *format, ...) PRINTF_LIKE(4, 5);

/* A line about the library itself. */
void staple_report_trouble(struct staple_worker *worker,
    enum staple_level level, const char *format, ...) PRINTF_LIKE(3, 4);

/* Clients that may refuse a response, or soon will, though it is valid: a
 * warning, once for each reason. */
void staple_report_flaws(
    struct staple_errand *errand, const struct staple_response *response);

#endif
