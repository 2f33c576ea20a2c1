/*
 * Attaching and stapling with the n-th allocation failing, for every n: an
 * error or the whole thing, never half of it, and a handshake at worst goes
 * without a staple.
 */
#include <criterion/criterion.h>
#include <stdlib.h>

#include <openssl/err.h>

#include "base/err.h"
#include "staple/attach.h"
#include "staple/cache.h"
#include "staple/staple.h"
#include "staple/watch.h"
#include "tests/support/scarce.h"
#include "tests/unit/staple/attach_rig.h"

enum { ENOUGH = 100000 };

TestSuite(attach_memory, .init = rig_up, .fini = rig_down);

/* Was there an n-th allocation?  Fresh objects each time, because they keep
 * what they were given. */
static bool
attach_with_failure(long n)
{
	const struct staple_watcher watcher = { rig.cache, NULL,
		&rig_automatic };
	struct pki copy = { X509_dup(rig.leaf.certificate), rig.leaf.key };
	SSL_CTX *context = authority_context(&rig.authority, &copy);
	struct err err = { "" };
	bool attached, failed;

	scarce_begin(n);
	attached = staple_attach_context(&watcher, context, &err);
	failed = scarce_end();
	cr_expect_eq(ERR_peek_error(), 0, "allocation %ld", n);
	cr_expect_neq(attached, err.text[0] != '\0', "allocation %ld", n);
	cr_expect(attached || failed, "allocation %ld: %s", n, err.text);
	if (attached)
		cr_expect_not_null(
		    staple_watch_entry(copy.certificate), "%ld", n);
	SSL_CTX_free(context);
	X509_free(copy.certificate);
	return failed;
}

Test(attach_memory, running_out_while_attaching_is_an_error)
{
	long n = 0;

	cr_assert_not(attach_with_failure(ENOUGH));
	while (n < ENOUGH && attach_with_failure(n))
		n++;
	cr_expect(n > 20 && n < ENOUGH, "%ld", n);
	cr_expect_null(staple_cache_next_changed(rig.cache), "all let go");
}

/* From the choice of the certificate on, just before the status callback. */
static int
on_certificate(SSL *ssl, void *arg)
{
	(void)ssl;
	scarce_begin(*(const long *)arg);
	return 1;
}

Test(attach_memory, running_out_for_the_copy_leaves_a_handshake_unstapled)
{
	struct staple_info info;
	long n;

	rig_attach(rig.context, &rig_automatic);
	rig_publish(&rig.leaf, OCSP_SAYS_GOOD, RIG_HOUR);
	SSL_CTX_set_cert_cb(rig.context, on_certificate, &n);
	for (n = 0; n < 100; n++) {
		struct shaken shaken = rig_ask(TLS1_3_VERSION);

		(void)scarce_end();
		info = rig_look(&rig.leaf);
		if (info.unsent[STAPLE_UNSENT_NO_MEMORY] > 0) {
			cr_expect(shaken.done);
			cr_expect_null(shaken.staple);
			shaken_drop(&shaken);
			break;
		}
		shaken_drop(&shaken);
	}
	cr_expect_eq(info.unsent[STAPLE_UNSENT_NO_MEMORY], 1, "after %ld", n);
}

Test(attach_memory, running_out_while_starting_is_said)
{
	bool failed = true;
	long n;

	/* The system's store would be thousands of allocations of OpenSSL's. */
	setenv("SSL_CERT_FILE", "/nonexistent", 1);
	setenv("SSL_CERT_DIR", "/nonexistent", 1);
	for (n = 0; failed && n < ENOUGH; n++) {
		struct staple *staple;
		char why[256] = "";

		scarce_begin(n);
		staple = staple_new(NULL, why, sizeof(why));
		failed = scarce_end();
		cr_expect_eq(ERR_peek_error(), 0, "allocation %ld", n);
		cr_expect_neq(
		    staple != NULL, why[0] != '\0', "allocation %ld", n);
		staple_free(staple);
	}
	cr_expect(n > 5 && n < ENOUGH, "%ld", n);
}
