/* Who is sent a staple: real handshakes against attached contexts. */
#include "staple/attach.h"

#include <criterion/criterion.h>

#include "base/err.h"
#include "staple/cache.h"
#include "staple/watch.h"
#include "tests/unit/staple/attach_rig.h"

TestSuite(attach, .init = rig_up, .fini = rig_down);

Test(attach, staples_what_is_held)
{
	rig_attach(rig.context, &rig_automatic);
	rig_publish(&rig.leaf, OCSP_SAYS_GOOD, RIG_HOUR);
	for (size_t i = 0; i < RIG_VERSIONS; i++) {
		struct shaken shaken = rig_ask(rig_versions[i].number);

		cr_expect(shaken.done, "%s", rig_versions[i].what);
		cr_expect(rig_is_staple(&shaken, &rig.leaf), "%s",
		    rig_versions[i].what);
		cr_expect_eq(rig_look(&rig.leaf).sent, i + 1, "%s",
		    rig_versions[i].what);
		shaken_drop(&shaken);
	}
}

Test(attach, sends_nothing_to_a_client_that_did_not_ask)
{
	rig_attach(rig.context, &rig_always);
	for (size_t i = 0; i < RIG_VERSIONS; i++) {
		const struct shake_wish wish = {
			.version = rig_versions[i].number
		};
		struct shaken shaken = shake(rig.context, rig.client, &wish);

		cr_expect(
		    shaken.done, "%s: nothing held", rig_versions[i].what);
		shaken_drop(&shaken);
		rig_publish(&rig.leaf, OCSP_SAYS_GOOD, RIG_HOUR);
		shaken = shake(rig.context, rig.client, &wish);
		cr_expect(shaken.done, "%s", rig_versions[i].what);
		cr_expect_null(shaken.staple, "%s", rig_versions[i].what);
		shaken_drop(&shaken);
		staple_cache_publish(
		    staple_watch_entry(rig.leaf.certificate), NULL);
	}
	cr_expect_eq(rig_look(&rig.leaf).asked, 0);
}

static const struct kind_row {
	const char *what;
	struct shake_wish wish;
	const struct pki *shown;
} kind_rows[] = {
	{ "TLS 1.2, ECDSA",
	    { .version = TLS1_2_VERSION,
		.ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256",
		.ask = true },
	    &rig.leaf },
	{ "TLS 1.2, RSA",
	    { .version = TLS1_2_VERSION,
		.ciphers = "ECDHE-RSA-AES128-GCM-SHA256",
		.ask = true },
	    &rig.other },
	{ "TLS 1.3, ECDSA",
	    { .version = TLS1_3_VERSION,
		.sigalgs = "ECDSA+SHA256",
		.ask = true },
	    &rig.leaf },
	{ "TLS 1.3, RSA",
	    { .version = TLS1_3_VERSION,
		.sigalgs = "rsa_pss_rsae_sha256",
		.ask = true },
	    &rig.other },
};

Test(attach, staples_the_certificate_that_was_chosen)
{
	authority_add(&rig.authority, rig.context, &rig.other);
	rig_attach(rig.context, &rig_automatic);
	rig_publish(&rig.leaf, OCSP_SAYS_GOOD, RIG_HOUR);
	rig_publish(&rig.other, OCSP_SAYS_GOOD, RIG_HOUR);
	for (size_t i = 0; i < ARRAY_LEN(kind_rows); i++) {
		const struct kind_row *row = &kind_rows[i];
		struct shaken shaken = shake(
		    rig.context, rig.client, &row->wish);

		cr_expect(shaken.done, "%s", row->what);
		cr_expect(rig_is_staple(&shaken, row->shown), "%s", row->what);
		shaken_drop(&shaken);
	}
	cr_expect_eq(rig_look(&rig.leaf).sent, 2);
	cr_expect_eq(rig_look(&rig.other).sent, 2);
}

/* As a server does that has a context per name. */
static int
on_hello(SSL *ssl, int *alert, void *arg)
{
	(void)alert;
	SSL_set_SSL_CTX(ssl, arg);
	return SSL_CLIENT_HELLO_SUCCESS;
}

Test(attach, staples_for_the_context_that_the_name_led_to)
{
	SSL_CTX *named = authority_context(&rig.authority, &rig.other);

	rig_attach(rig.context, &rig_never);
	rig_attach(named, &rig_automatic);
	rig_publish(&rig.leaf, OCSP_SAYS_GOOD, RIG_HOUR);
	rig_publish(&rig.other, OCSP_SAYS_GOOD, RIG_HOUR);
	SSL_CTX_set_client_hello_cb(rig.context, on_hello, named);
	for (size_t i = 0; i < RIG_VERSIONS; i++) {
		struct shaken shaken = rig_ask(rig_versions[i].number);

		cr_expect(shaken.done, "%s", rig_versions[i].what);
		cr_expect(rig_is_staple(&shaken, &rig.other), "%s",
		    rig_versions[i].what);
		shaken_drop(&shaken);
	}
	cr_expect_eq(rig_look(&rig.leaf).asked, 0);
	SSL_CTX_free(named);
}

/* As a server does that chooses certificates itself. */
static int
on_certificate(SSL *ssl, void *arg)
{
	const struct pki *chosen = arg;

	return SSL_use_cert_and_key(
	    ssl, chosen->certificate, chosen->key, rig.authority.chain, 1);
}

Test(attach, staples_a_watched_certificate_that_a_callback_chose)
{
	const struct staple_watcher watcher = { rig.cache, NULL,
		&rig_automatic };
	SSL_CTX *empty = SSL_CTX_new(TLS_server_method());
	struct err err;

	rig_attach(empty, &rig_automatic);
	cr_assert(staple_watch_certificate(
	    &watcher, rig.leaf.certificate, rig.authority.chain, NULL, &err));
	rig_publish(&rig.leaf, OCSP_SAYS_GOOD, RIG_HOUR);
	SSL_CTX_set_cert_cb(empty, on_certificate, &rig.leaf);
	for (size_t i = 0; i < RIG_VERSIONS; i++) {
		const struct shake_wish wish = { rig_versions[i].number,
			.ask = true };
		struct shaken shaken = shake(empty, rig.client, &wish);

		cr_expect(shaken.done, "%s", rig_versions[i].what);
		cr_expect(rig_is_staple(&shaken, &rig.leaf), "%s",
		    rig_versions[i].what);
		shaken_drop(&shaken);
	}
	SSL_CTX_free(empty);
}

Test(attach, staples_no_resumed_session)
{
	rig_attach(rig.context, &rig_automatic);
	rig_publish(&rig.leaf, OCSP_SAYS_GOOD, RIG_HOUR);
	for (size_t i = 0; i < RIG_VERSIONS; i++) {
		struct shaken first = rig_ask(rig_versions[i].number), second;
		const struct shake_wish wish = {
			.version = rig_versions[i].number,
			.ask = true,
			.session = first.session
		};

		cr_assert_not_null(first.session, "%s", rig_versions[i].what);
		second = shake(rig.context, rig.client, &wish);
		cr_expect(second.resumed, "%s", rig_versions[i].what);
		cr_expect_null(second.staple, "%s", rig_versions[i].what);
		cr_expect_eq(rig_look(&rig.leaf).asked, i + 1, "%s",
		    rig_versions[i].what);
		shaken_drop(&first);
		shaken_drop(&second);
	}
}

Test(attach, counts_a_client_once_that_had_to_say_hello_twice)
{
	const struct shake_wish wish = {
		.version = TLS1_3_VERSION, .groups = "P-521", .ask = true
	};
	struct shaken shaken;

	rig_attach(rig.context, &rig_automatic);
	rig_publish(&rig.leaf, OCSP_SAYS_GOOD, RIG_HOUR);
	shaken = shake(rig.context, rig.client, &wish);
	cr_expect(shaken.done);
	cr_expect(rig_is_staple(&shaken, &rig.leaf));
	cr_expect_eq(rig_look(&rig.leaf).asked, 1);
	shaken_drop(&shaken);
}

Test(attach, staples_nothing_for_a_certificate_that_is_not_watched)
{
	struct shaken shaken;

	rig_attach(rig.context, &rig_always);
	authority_add(&rig.authority, rig.context, &rig.other);
	SSL_CTX_set_cert_cb(rig.context, on_certificate, &rig.other);
	for (size_t i = 0; i < RIG_VERSIONS; i++) {
		const struct shake_wish wish = {
			.version = rig_versions[i].number,
			.sigalgs = "RSA+SHA256:rsa_pss_rsae_sha256",
			.ask = true
		};

		shaken = shake(rig.context, rig.client, &wish);
		cr_expect(shaken.done, "%s", rig_versions[i].what);
		cr_expect_null(shaken.staple, "%s", rig_versions[i].what);
		shaken_drop(&shaken);
	}
}

Test(attach, leaves_a_client_alone_that_shares_its_context)
{
	SSL_CTX *both = SSL_CTX_new(TLS_method());

	authority_add(&rig.authority, both, &rig.other);
	rig_attach(both, &rig_always);
	rig_publish(&rig.other, OCSP_SAYS_GOOD, RIG_HOUR);
	rig_attach(rig.context, &rig_automatic);
	rig_publish(&rig.leaf, OCSP_SAYS_GOOD, RIG_HOUR);
	for (size_t i = 0; i < RIG_VERSIONS; i++) {
		const struct shake_wish wish = {
			.version = rig_versions[i].number, .ask = true
		};
		struct shaken shaken = shake(rig.context, both, &wish);

		cr_expect(shaken.done, "%s", rig_versions[i].what);
		cr_expect(rig_is_staple(&shaken, &rig.leaf), "%s",
		    rig_versions[i].what);
		shaken_drop(&shaken);
	}
	SSL_CTX_free(both);
}
