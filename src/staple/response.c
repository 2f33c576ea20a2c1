/*
 * The only maker of a response.  Any thread.  The order of the questions is
 * that of a person: is it a response, is it about us, who says so, since and
 * until when, and what does it say.  Nothing of the decoded form is kept: a
 * handshake needs the bytes, and everybody else a few times and a name.
 */
#include "staple/response.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/ocsp.h>

#include "base/err.h"
#include "staple/envelope.h"
#include "staple/memory.h"
#include "staple/signer.h"
#include "staple/single.h"
#include "staple/time_text.h"

struct facts {
	struct staple_single single;
	struct staple_signer signer;
	int64_t expires;
};

struct staple_response {
	atomic_uint references;

	/* fixed at creation */
	struct facts facts;
	size_t len;
	unsigned char der[];
};

/* What it says, who says so, for how long, and what that means. */
static enum staple_outcome
judge(struct facts *facts, OCSP_BASICRESP *basic,
    const struct staple_certs *certs, const struct staple_cert *cert,
    const struct staple_clock *clock, struct err *said)
{
	enum staple_outcome outcome;

	outcome = staple_single_find(&facts->single, basic, cert, said);
	if (outcome == STAPLE_GOOD)
		outcome = staple_signer_check(
		    &facts->signer, basic, certs, cert, clock->now_s, said);
	if (outcome == STAPLE_GOOD)
		outcome = staple_single_window(&facts->single,
		    facts->signer.not_after, clock, &facts->expires, said);
	if (outcome == STAPLE_GOOD)
		outcome = staple_single_status(&facts->single, said);
	if (outcome == STAPLE_GOOD)
		err_set(said, "good until %s, signed by \"%s\"",
		    staple_time_date(facts->expires).text, facts->signer.name);
	if (outcome == STAPLE_GOOD && facts->signer.weak_bits != 0)
		err_set(said, "%s (RSA key of %d bits: 2048 are due)",
		    said->text, facts->signer.weak_bits);
	return outcome;
}

static struct staple_response *
new_response(const struct facts *facts, const unsigned char *der, size_t len)
{
	struct staple_response *response = calloc(1, sizeof(*response) + len);

	if (response == NULL)
		return NULL;
	atomic_init(&response->references, 1);
	response->facts = *facts;
	response->facts.signer.delegate = NULL; /* it is not kept */
	response->len = len;
	memcpy(response->der, der, len);
	return response;
}

/* NULL: no memory; or, with another outcome, it cannot be stapled. */
static struct staple_response *
make(const struct facts *facts, const unsigned char *der, size_t len,
    struct staple_verdict *verdict)
{
	struct staple_response *response = NULL;
	size_t trimmed_len;
	unsigned char *trimmed = staple_envelope_trim(
	    der, len, facts->signer.delegate, &trimmed_len);

	if (trimmed != NULL && trimmed_len > STAPLE_RESPONSE_MAX) {
		verdict->outcome = STAPLE_TOO_LARGE_TO_STAPLE;
		err_set(&verdict->said,
		    "%zu bytes with the signer's certificate alone; more than "
		    "%d are never stapled",
		    trimmed_len, STAPLE_RESPONSE_MAX);
	} else if (trimmed != NULL) {
		response = new_response(facts, trimmed, trimmed_len);
	}
	OPENSSL_free(trimmed);
	return response;
}

static bool
is_answer(const struct staple_verdict *verdict)
{
	return verdict->outcome == STAPLE_GOOD ||
	       verdict->outcome == STAPLE_REVOKED;
}

struct staple_response *
staple_response_verify(const struct staple_cert *cert, const unsigned char *der,
    size_t len, const struct staple_clock *clock,
    struct staple_verdict *verdict)
{
	struct staple_response *response = NULL;
	OCSP_BASICRESP *basic = NULL;
	struct staple_certs certs;
	struct facts facts = { 0 };
	bool failed;

	staple_memory_watch();
	verdict->outcome = staple_envelope_open(
	    &basic, &certs, der, len, &verdict->said);
	if (verdict->outcome == STAPLE_GOOD)
		verdict->outcome = judge(
		    &facts, basic, &certs, cert, clock, &verdict->said);
	if (is_answer(verdict))
		response = make(&facts, der, len, verdict);
	X509_free(facts.signer.delegate);
	OCSP_BASICRESP_free(basic);
	failed = staple_memory_failed(response == NULL);
	/* An allocation failure overrides any other outcome. */
	if ((failed || is_answer(verdict)) && response == NULL) {
		verdict->outcome = STAPLE_NO_MEMORY;
		err_set(&verdict->said, "memory ran out");
	}
	return response;
}

struct staple_response *
staple_response_ref(struct staple_response *response)
{
	atomic_fetch_add_explicit(
	    &response->references, 1, memory_order_relaxed);
	return response;
}

void
staple_response_unref(struct staple_response *response)
{
	if (response != NULL && atomic_fetch_sub_explicit(&response->references,
				    1, memory_order_acq_rel) == 1)
		free(response);
}

const unsigned char *
staple_response_der(const struct staple_response *response, size_t *len)
{
	*len = response->len;
	return response->der;
}

bool
staple_response_is_revoked(const struct staple_response *response)
{
	return response->facts.single.status == V_OCSP_CERTSTATUS_REVOKED;
}

int64_t
staple_response_this_update(const struct staple_response *response)
{
	return response->facts.single.this_update;
}

int64_t
staple_response_next_update(const struct staple_response *response)
{
	return response->facts.single.next_update;
}

int64_t
staple_response_expires(const struct staple_response *response)
{
	return response->facts.expires;
}

int64_t
staple_response_revoked_at(const struct staple_response *response)
{
	return response->facts.single.revoked_at;
}

const char *
staple_response_signer(const struct staple_response *response)
{
	return response->facts.signer.name;
}

bool
staple_response_leads(const struct staple_response *response)
{
	return response->facts.single.leads;
}

int
staple_response_weak_bits(const struct staple_response *response)
{
	return response->facts.signer.weak_bits;
}

bool
staple_response_is_ahead(const struct staple_response *response, int64_t now_s)
{
	return staple_response_this_update(response) > now_s + STAPLE_SKEW_S;
}

bool
staple_response_is_current(
    const struct staple_response *response, int64_t now_s)
{
	return !staple_response_is_ahead(response, now_s) &&
	       now_s < staple_response_expires(response);
}

bool
staple_response_same(
    const struct staple_response *a, const struct staple_response *b)
{
	return a->len == b->len && memcmp(a->der, b->der, a->len) == 0;
}

bool
staple_response_may_replace(const struct staple_response *held,
    const struct staple_response *fresh, int64_t now_s)
{
	int64_t older, newer;

	if (held == NULL)
		return true;
	older = staple_response_this_update(held);
	newer = staple_response_this_update(fresh);
	if (staple_response_is_revoked(held) &&
	    !staple_response_is_revoked(fresh))
		return newer > older;
	return newer >= older || staple_response_is_ahead(held, now_s);
}
