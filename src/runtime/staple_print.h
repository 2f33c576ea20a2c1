/*
 * A diagnosis in words a person can act on.  Main thread.
 */
#ifndef RUNTIME_STAPLE_PRINT_H
#define RUNTIME_STAPLE_PRINT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "staple/cert.h"
#include "staple/diagnose.h"

struct chain;
struct staple_response;

/* A diagnosis while it is told; zeroed but for the first fields. */
struct staple_print {
	FILE *out;
	const struct staple_cert *cert;
	const char *cert_file;
	const char *ca_file;   /* NULL: none given */
	const char *issuer_at; /* URL or folder of a fetched issuer; or NULL */
	int64_t now_s;

	/* by URL: was there an answer, and if not, what told most? */
	bool asked[STAPLE_URLS_MAX];
	bool answered[STAPLE_URLS_MAX];
	enum staple_outcome failure[STAPLE_URLS_MAX];
};

/* Who is asked about, who issued it, who answers for it. */
void staple_print_facts(
    const struct staple_print *print, const struct chain *chain);

/* One try: a staple_finding_fn, whose arg is a struct staple_print. */
void staple_print_finding(void *arg, const struct staple_finding *found);

/* What it comes to, and what to do.  response: NULL unless good or revoked.
 * hint: why nobody was asked; "" where somebody was. */
void staple_print_verdict(const struct staple_print *print,
    enum staple_outcome verdict, const struct staple_response *response,
    const char *hint);

#endif
