/*
 * Until when a client is vouched for: what its ticket says, so that the
 * session does not outlive the first certificate or list that ends.
 */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/attr.h"
#include "tests/support/crl.h"
#include "tests/unit/tls/client_rig.h"
#include "tests/unit/tls/resumption_rig.h"
#include "tls/client.h"

TestSuite(client_until, .init = rig_open, .fini = rig_close);

#define END_2030 "20300101000000Z"
#define END_2040 "20400101000000Z"
enum { S_2030 = 1893456000 };

/* A root, an intermediate and a client, and the lists of the first two. */
struct family {
	struct pki root, mid, leaf;
};

/* Ends; NULL: 2099. */
struct ends {
	const char *root, *mid, *leaf;
};

static struct pki
make(const char *name, const struct pki *issuer, const char *to)
{
	return pki_make(&(struct pki_wish){
	    .name = name, .issuer = issuer, .ca = true, .to = to });
}

static void
make_family(struct family *family, const struct ends *ends)
{
	family->root = make("CA", NULL, ends->root);
	family->mid = make("mid", &family->root, ends->mid);
	family->leaf = make("leaf", &family->mid, ends->leaf);
	client_rig_write("chain.pem", &family->root);
}

static void
write_lists(const struct family *family, const struct ends *ends)
{
	char *root = crl_pem(
	    &(struct crl_wish){ .issuer = &family->root, .to = ends->root });
	char *mid = crl_pem(
	    &(struct crl_wish){ .issuer = &family->mid, .to = ends->mid });
	char *both = pki_join(root, mid);

	free(pki_write(&rig.folder, "chain.crl", both));
	free(root);
	free(mid);
	free(both);
}

static void
drop(struct family *family)
{
	pki_drop(&family->root);
	pki_drop(&family->mid);
	pki_drop(&family->leaf);
}

static int64_t
until(const struct family *family, const struct rule *rule, size_t v)
{
	struct guest guest = {
		.v = v, .pair = &family->leaf, .along = &family->mid
	};
	struct standing standing;
	int64_t result;

	stand(&standing, rule, 1);
	cr_assert_eq(guest_come(&guest, standing.server), IO_DONE);
	result = client_good_until(guest.link.server.ssl);
	guest_go(&guest);
	fall(&standing);
	return result;
}

static const struct {
	const char *what;
	struct ends ends;
	int64_t expect;
} chains[] = {
	{ "the client's own", { END_2040, END_2040, END_2030 }, S_2030 },
	{ "the intermediate's", { END_2040, END_2030, END_2040 }, S_2030 },
	{ "the root's", { END_2030, END_2040, END_2040 }, S_2030 },
	{ "all one", { END_2040, END_2040, END_2040 }, RIG_END_S },
};

Test(client_until, is_when_the_first_certificate_of_the_chain_ends)
{
	const struct rule rule = { REQUIRE, .ca = "chain.pem" };
	struct family family;

	for (size_t i = 0; i < ARRAY_LEN(chains); i++)
		for (size_t v = 0; v < LINK_VERSIONS; v++) {
			make_family(&family, &chains[i].ends);
			cr_expect_eq(until(&family, &rule, v), chains[i].expect,
			    "%s, %s", chains[i].what, link_versions[v].what);
			drop(&family);
		}
}

static const struct {
	const char *what;
	struct ends ends; /* of lists */
	bool chain;
	int64_t expect;
} lists[] = {
	{ "leaf: its issuer's", { END_2040, END_2030, NULL }, false, S_2030 },
	{ "leaf: not the root's", { END_2030, END_2040, NULL }, false,
	    RIG_END_S },
	{ "chain: its issuer's", { END_2040, END_2030, NULL }, true, S_2030 },
	{ "chain: the root's", { END_2030, END_2040, NULL }, true, S_2030 },
};

Test(client_until, is_when_the_first_list_ends_that_was_looked_at)
{
	struct family family;

	make_family(&family, &(struct ends){ NULL, NULL, NULL });
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		for (size_t v = 0; v < LINK_VERSIONS; v++) {
			const struct rule rule = { REQUIRE, .ca = "chain.pem",
				.crl = "chain.crl", .chain = lists[i].chain };

			write_lists(&family, &lists[i].ends);
			cr_expect_eq(until(&family, &rule, v), lists[i].expect,
			    "%s, %s", lists[i].what, link_versions[v].what);
		}
	drop(&family);
}

Test(client_until, is_never_without_a_certificate)
{
	for (size_t v = 0; v < LINK_VERSIONS; v++) {
		struct guest guest = { .v = v };
		struct standing standing;

		stand(&standing, &(struct rule){ OPTIONAL }, 1);
		cr_assert_eq(guest_come(&guest, standing.server), IO_DONE);
		cr_expect_eq(
		    client_good_until(guest.link.server.ssl), INT64_MAX);
		guest_go(&guest);
		fall(&standing);
	}
}
