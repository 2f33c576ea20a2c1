/*
 * A certificate, its issuer (without the issuer of that) and a fixed clock, to
 * verify responses.  Every verification asserts what is common to all: a
 * response exists for good and revoked alone, the text is not empty, and
 * OpenSSL's error queue is empty.  One thread.
 */
#ifndef UNIT_STAPLE_RESPONSE_RIG_H
#define UNIT_STAPLE_RESPONSE_RIG_H

#include <stdint.h>

#include "staple/cert.h"
#include "staple/response.h"
#include "tests/support/ocsp.h"

/* 2031-07-01 00:00:00 UTC: not the time at which tests run. */
#define RIG_NOW INT64_C(1940630400)
#define RIG_HOUR INT64_C(3600)

struct rig {
	struct pki issuer;
	struct pki leaf;
	struct staple_cert *cert;
	struct staple_clock clock;    /* now, and a day */
	struct staple_result checked; /* of the last verification */
};

void rig_init(struct rig *rig, enum pki_key key);
void rig_fini(struct rig *rig);

/* A good one about the leaf, from an hour ago to an hour ahead. */
struct ocsp_wish rig_wish(const struct rig *rig);

/* Verify these bytes, or those made as wished; NULL if refused. */
struct staple_response *rig_verify(
    struct rig *rig, const struct ocsp_made *made);
struct staple_response *rig_response(
    struct rig *rig, const struct ocsp_wish *wish);

/* The same, and only how it ended. */
enum staple_outcome rig_judge(struct rig *rig, const struct ocsp_made *made);
enum staple_outcome rig_outcome(struct rig *rig, const struct ocsp_wish *wish);

/* Does the text of the result contain this one? */
bool rig_said(const struct rig *rig, const char *text);

#endif
