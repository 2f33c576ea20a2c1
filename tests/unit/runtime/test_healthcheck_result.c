/*
 * What is healthy: ends of handshakes, dates, and staples by policy.
 */
#include "runtime/healthcheck_result.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "runtime/healthcheck_plan.h"
#include "tests/support/ocsp.h"
#include "tests/support/site.h"

static struct site site;
static struct pki ca, plain, must;
static int64_t now_s;

static struct pki
issue(const char *feature, const char *to)
{
	const struct pki_wish wish = { .name = "site.example",
		.issuer = &ca,
		.aia = "OCSP;URI:http://127.0.0.1:1/",
		.feature = feature,
		.to = to };

	return pki_make(&wish);
}

static void
set_up(void)
{
	const struct pki_wish wish = { .name = "CA", .ca = true };

	site_open(&site, 1);
	ca = pki_make(&wish);
	plain = issue(NULL, NULL);
	must = issue("status_request", NULL);
	now_s = clock_wall_ms() / 1000;
}

static void
tear_down(void)
{
	pki_drop(&must);
	pki_drop(&plain);
	pki_drop(&ca);
	site_close(&site);
}

TestSuite(healthcheck_result, .init = set_up, .fini = tear_down);

/* What a server might have done. */
struct scene {
	const char *keys; /* of the listener */
	const struct pki *shown;
	const struct ocsp_wish *staple;
	enum probe_end end;
	int alert;
	bool requested;
	bool no_issuer;
	bool in_folder;
	const char *name;
	int64_t later_s;
};

static void
show(struct probe_result *result, const struct scene *scene)
{
	result->chain.rest = sk_X509_new_null();
	if (scene->shown != NULL) {
		X509_up_ref(scene->shown->certificate);
		result->chain.leaf = scene->shown->certificate;
	}
	if (!scene->no_issuer && X509_up_ref(ca.certificate) == 1)
		cr_assert(sk_X509_push(result->chain.rest, ca.certificate) > 0);
}

/* "" or why it is not healthy. */
static struct err
evaluate(const struct scene *scene)
{
	struct healthcheck_target target = { .kind = IDENTITY_KINDS,
		.in_folder = scene->in_folder };
	struct probe_result result = { .end = scene->end,
		.alert = scene->alert,
		.certificate_requested = scene->requested };
	struct healthcheck_eval eval = { .now_s = now_s + scene->later_s };
	struct ocsp_made made = { NULL, 0 };
	struct err err = { "" };
	char text[512];
	bool fine;

	snprintf(text, sizeof(text),
	    "[listener a]\naccept = 443\nconnect = 1\ncert = cert.pem\n"
	    "key = key.pem\n%s\n",
	    scene->keys ? scene->keys : "");
	eval.config = site_config(&site, text);
	target.settings = &eval.config->listeners[0];
	snprintf(target.name, sizeof(target.name), "%s",
	    scene->name ? scene->name : "");
	show(&result, scene);
	if (scene->staple != NULL)
		made = ocsp_make(scene->staple);
	result.staple = made.der;
	result.staple_len = made.len;
	err_set(&result.why, "the words of the probe");
	fine = healthcheck_evaluate(&eval, &target, &result, &err);
	cr_expect_eq(fine, err.text[0] == '\0' || fine);
	if (fine)
		err.text[0] = '\0';
	else
		cr_expect_neq(err.text[0], '\0', "a reason");
	chain_drop(&result.chain);
	ocsp_drop(&made);
	config_unref(eval.config);
	return err;
}

static void
expect(const char *what, const struct scene *scene, const char *word)
{
	struct err err = evaluate(scene);

	if (word == NULL)
		cr_expect_str_eq(err.text, "", "%s: %s", what, err.text);
	else
		cr_expect_not_null(
		    strstr(err.text, word), "%s: %s", what, err.text);
}

static struct ocsp_wish
answer(const struct pki *leaf, enum ocsp_status status, int64_t from_s,
    int64_t to_s)
{
	return (struct ocsp_wish){ .leaf = leaf,
		.issuer = &ca,
		.status = status,
		.this_update = now_s + from_s,
		.next_update = now_s + to_s,
		.revoked_at = now_s - 60 };
}

Test(healthcheck_result, demands_what_the_mode_demands)
{
	static const struct {
		const char *mode;
		bool plain, must; /* healthy without a staple? */
	} rows[] = {
		{ "auto", true, false },
		{ "must", true, false },
		{ "always", false, false },
		{ "prefer", true, false },
		{ "never", true, true },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char keys[64];
		struct scene scene = { .keys = keys };
		struct ocsp_wish good;

		snprintf(keys, sizeof(keys), "ocsp = %s", rows[i].mode);
		scene.shown = &plain;
		expect(keys, &scene, rows[i].plain ? NULL : "no staple for");
		scene.shown = &must;
		expect(keys, &scene, rows[i].must ? NULL : "no staple for");
		scene.in_folder = true;
		expect("in a folder", &scene, NULL);
		scene.in_folder = false;
		good = answer(&must, OCSP_SAYS_GOOD, -60, 3600);
		scene.staple = &good;
		expect("with its staple", &scene, NULL);
	}
}

Test(healthcheck_result, names_the_reason_that_is_known_here)
{
	const struct pki_wish wish = { .name = "none", .issuer = &ca };
	struct pki none = pki_make(&wish);
	const struct scene scene = { .keys = "ocsp = always", .shown = &none };

	expect("no responder", &scene, "mode always: ");
	expect("no responder", &scene, "responder");
	pki_drop(&none);
}

Test(healthcheck_result, verifies_a_staple_that_came)
{
	const struct {
		const char *what;
		struct ocsp_wish staple;
		const char *word;
	} rows[] = {
		{ "good", answer(&must, OCSP_SAYS_GOOD, -60, 3600), NULL },
		{ "expired", answer(&must, OCSP_SAYS_GOOD, -3600, -60),
		    "expired" },
		{ "of the future", answer(&must, OCSP_SAYS_GOOD, 3600, 7200),
		    "not_yet_valid" },
		{ "revoked", answer(&must, OCSP_SAYS_REVOKED, -60, 3600),
		    "is revoked" },
		{ "unknown", answer(&must, OCSP_SAYS_UNKNOWN, -60, 3600),
		    "unknown" },
		{ "of another", answer(&plain, OCSP_SAYS_GOOD, -60, 3600),
		    "wrong_certificate" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct scene scene = { .shown = &must,
			.staple = &rows[i].staple };

		expect(rows[i].what, &scene, rows[i].word);
		/* Not demanded, it must be right all the same. */
		scene.in_folder = true;
		expect(rows[i].what, &scene, rows[i].word);
		/* Without an issuer at hand it counts as it is. */
		scene.no_issuer = true;
		expect("no issuer", &scene, NULL);
	}
}

Test(healthcheck_result, looks_at_the_dates)
{
	struct pki ended = issue(NULL, "20210101000000Z");
	const struct scene past = { .shown = &ended };
	const struct scene early = { .shown = &plain,
		.later_s = -(int64_t)40 * 365 * 86400 };

	expect("ended", &past, "expired on 2021-01-01");
	expect("early", &early, "is not valid before 2020-01-01");
	pki_drop(&ended);
}

#define REQUIRE "verify = require\nca_file = cert.pem\n"

Test(healthcheck_result, takes_a_missing_client_certificate)
{
	static const struct {
		const char *what, *keys;
		int alert;
		bool requested;
		bool healthy;
	} rows[] = {
		{ "TLS 1.3", REQUIRE, PROBE_CERTIFICATE_REQUIRED, true, true },
		{ "TLS 1.2", REQUIRE, PROBE_HANDSHAKE_FAILURE, true, true },
		{ "never asked", REQUIRE, PROBE_HANDSHAKE_FAILURE, false,
		    false },
		{ "another alert", REQUIRE, PROBE_INTERNAL_ERROR, true, false },
		{ "not required", "", PROBE_CERTIFICATE_REQUIRED, true, false },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct scene scene = { .keys = rows[i].keys,
			.shown = &plain,
			.end = PROBE_ALERT,
			.alert = rows[i].alert,
			.requested = rows[i].requested };

		expect(rows[i].what, &scene,
		    rows[i].healthy ? NULL : "the words of the probe");
		/* Its staple is demanded all the same. */
		scene.shown = &must;
		if (rows[i].healthy)
			expect(rows[i].what, &scene, "no staple for");
	}
}

Test(healthcheck_result, understands_how_a_handshake_ended)
{
	static const struct {
		const char *what, *keys;
		enum probe_end end;
		int alert;
		const char *name, *word;
	} rows[] = {
		{ "no name", "sni_unknown = reject", PROBE_ALERT,
		    PROBE_UNRECOGNIZED_NAME, "", NULL },
		{ "a name", "sni_unknown = reject", PROBE_ALERT,
		    PROBE_UNRECOGNIZED_NAME, "a.example", "the words" },
		{ "no such policy", "", PROBE_ALERT, PROBE_UNRECOGNIZED_NAME,
		    "", "the words" },
		{ "refused", "ocsp = always", PROBE_ALERT, PROBE_INTERNAL_ERROR,
		    "a.example", "no staple for a.example, mode always" },
		{ "refused by the key", "without_staple = refuse", PROBE_ALERT,
		    PROBE_INTERNAL_ERROR, "", "no staple for" },
		{ "not by policy", "ocsp = always\nwithout_staple = serve",
		    PROBE_ALERT, PROBE_INTERNAL_ERROR, "", "the words" },
		{ "closed", "", PROBE_CLOSED, 0, "", "the words" },
		{ "no TLS", "", PROBE_NOT_TLS, 0, "", "the words" },
		{ "another server", "", PROBE_OTHER, 0, "", "the words" },
		{ "nothing shown", "", PROBE_ACCEPTED, 0, "",
		    "no certificate" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct scene scene = { .keys = rows[i].keys,
			.end = rows[i].end,
			.alert = rows[i].alert,
			.name = rows[i].name };

		expect(rows[i].what, &scene, rows[i].word);
	}
}
