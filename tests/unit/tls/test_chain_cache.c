/* Certificates that many chains have in common. */
#include "tls/chain_cache.h"

#include <criterion/criterion.h>

#include <openssl/x509.h>

#include "base/attr.h"
#include "tests/support/pki.h"

struct fixture {
	struct pki a, b;
	unsigned char *a_der, *b_der;
	int a_len, b_len;
	struct chain_cache *cache;
};

static struct fixture fixture;

static void
set_up(void)
{
	fixture = (struct fixture){ .cache = chain_cache_new() };
	/* The same name: only the bytes tell them apart. */
	fixture.a = pki_make(&(struct pki_wish){ .name = "CA", .ca = true });
	fixture.b = pki_make(&(struct pki_wish){ .name = "CA", .ca = true });
	fixture.a_len = i2d_X509(fixture.a.certificate, &fixture.a_der);
	fixture.b_len = i2d_X509(fixture.b.certificate, &fixture.b_der);
}

static void
tear_down(void)
{
	chain_cache_free(fixture.cache);
	pki_drop(&fixture.a);
	pki_drop(&fixture.b);
	OPENSSL_free(fixture.a_der);
	OPENSSL_free(fixture.b_der);
}

TestSuite(chain_cache, .init = set_up, .fini = tear_down);

static X509 *
decode(struct chain_cache *cache, const unsigned char *der, int len)
{
	return chain_cache_decode(cache, der, (size_t)len);
}

Test(chain_cache, decodes_equal_bytes_once)
{
	X509 *first = decode(fixture.cache, fixture.a_der, fixture.a_len);
	X509 *second = decode(fixture.cache, fixture.a_der, fixture.a_len);
	X509 *other = decode(fixture.cache, fixture.b_der, fixture.b_len);
	X509 *again = decode(fixture.cache, fixture.b_der, fixture.b_len);

	cr_assert_not_null(first);
	cr_assert_eq(first, second);
	cr_assert_neq(first, other);
	cr_assert_eq(X509_cmp(other, fixture.b.certificate), 0);
	cr_assert_eq(other, again);
	X509_free(first);
	X509_free(second);
	X509_free(other);
	X509_free(again);
}

Test(chain_cache, may_be_absent)
{
	X509 *first = decode(NULL, fixture.a_der, fixture.a_len);
	X509 *second = decode(NULL, fixture.a_der, fixture.a_len);

	cr_assert_neq(first, second);
	cr_assert_eq(X509_cmp(first, second), 0);
	X509_free(first);
	X509_free(second);
	chain_cache_free(NULL);
}

Test(chain_cache, leaves_certificates_to_their_holders)
{
	X509 *held = decode(fixture.cache, fixture.a_der, fixture.a_len);

	chain_cache_free(fixture.cache);
	fixture.cache = NULL;
	cr_assert_eq(X509_cmp(held, fixture.a.certificate), 0);
	X509_free(held);
}

Test(chain_cache, remembers_nothing_damaged)
{
	for (int cut = 0; cut < fixture.a_len; cut += 100)
		cr_assert_null(decode(fixture.cache, fixture.a_der, cut));
	X509_free(decode(fixture.cache, fixture.a_der, fixture.a_len));
}

Test(chain_cache, uses_what_it_is_told_of)
{
	X509 *found;

	chain_cache_know(fixture.cache, fixture.a.certificate);
	chain_cache_know(fixture.cache, fixture.a.certificate);
	found = decode(fixture.cache, fixture.a_der, fixture.a_len);
	cr_assert_eq(found, fixture.a.certificate);
	X509_free(found);
	found = decode(fixture.cache, fixture.b_der, fixture.b_len);
	cr_assert_neq(found, fixture.b.certificate);
	X509_free(found);
}
