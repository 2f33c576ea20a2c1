/*
 * A host's clients are those of its own policy: whether they are asked for a
 * certificate, by which authorities, and what is looked at.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/crl.h"
#include "tests/unit/tls/apply_rig.h"
#include "tls/context.h"

static struct pki_folder folder;
static struct pki our_ca, their_ca, ours, theirs, weak;
static char our_file[96], their_file[96], list_file[96];

static void
keep(char path[96], const char *name, char *pem)
{
	char *written = pki_write(&folder, name, pem);

	cr_assert_lt(strlen(written), 96);
	strcpy(path, written);
	free(written);
	free(pem);
}

static void
make_clients(void)
{
	struct pki_wish wish = { .name = "our CA", .ca = true };

	our_ca = pki_make(&wish);
	wish.name = "their CA";
	their_ca = pki_make(&wish);
	wish = (struct pki_wish){ .name = "client", .issuer = &our_ca };
	ours = pki_make(&wish);
	wish.key = PKI_RSA;
	weak = pki_make(&wish);
	wish = (struct pki_wish){ .name = "client", .issuer = &their_ca };
	theirs = pki_make(&wish);
	keep(our_file, "ours", pki_certificate_pem(&our_ca));
	keep(their_file, "theirs", pki_certificate_pem(&their_ca));
}

static void
set_up(void)
{
	apply_begin();
	pki_folder_make(&folder);
	make_clients();
	keep(list_file, "list",
	    crl_pem(&(struct crl_wish){ .issuer = &our_ca, .revoked = &ours }));
}

static void
tear_down(void)
{
	pki_folder_remove(&folder);
	pki_drop(&our_ca);
	pki_drop(&their_ca);
	pki_drop(&ours);
	pki_drop(&theirs);
	pki_drop(&weak);
	apply_end();
}

TestSuite(apply_clients, .init = set_up, .fini = tear_down);

static const char *
peer(struct link *link)
{
	SSL *server = link->server.ssl;

	if (SSL_get0_peer_certificate(server) == NULL)
		return "nobody";
	return SSL_get_verify_result(server) == X509_V_OK ? "verified"
							  : "unverified";
}

static void
show(SSL *client, const struct pki *who)
{
	cr_assert(SSL_use_certificate(client, who->certificate));
	cr_assert(SSL_use_PrivateKey(client, who->key));
}

static void
show_ours(SSL *client)
{
	show(client, &ours);
}

static void
show_theirs(SSL *client)
{
	show(client, &theirs);
}

static void
show_weak(SSL *client)
{
	show(client, &weak);
}

#define REQUIRE POLICY, .verify = VERIFY_REQUIRE, .ca_file = our_file
#define OPTIONAL POLICY, .verify = VERIFY_OPTIONAL, .ca_file = our_file

static const struct apply_row client_rows[] = {
	{ "verify = require, a client without", 0, { REQUIRE }, { POLICY },
	    NULL, peer, "refused", "nobody" },
	{ "verify = require, a good client", 0, { REQUIRE }, { POLICY },
	    show_ours, peer, "verified", "nobody" },
	{ "verify = optional, a good client", 0, { OPTIONAL }, { POLICY },
	    show_ours, peer, "verified", "nobody" },
	{ "verify = optional, a client without", 0, { OPTIONAL }, { REQUIRE },
	    NULL, peer, "nobody", "refused" },
	{ "verify = optional, a bad client", 0, { OPTIONAL }, { POLICY },
	    show_theirs, peer, "refused", "nobody" },
	{ "ca_file", 0, { REQUIRE },
	    { POLICY, .verify = VERIFY_REQUIRE, .ca_file = their_file },
	    show_ours, peer, "verified", "refused" },
	{ "crl_file", 0, { REQUIRE }, { REQUIRE, .crl_file = list_file },
	    show_ours, peer, "verified", "refused" },
	{ "crl_file, one who is not on it", 0, { REQUIRE },
	    { REQUIRE, .crl_file = list_file }, show_weak, peer, "verified",
	    "verified" },
	{ "security level", 0, { REQUIRE },
	    { REQUIRE, .ciphers = "HIGH:@SECLEVEL=3" }, show_weak, peer,
	    "verified", "refused" },
};

Test(apply_clients, are_taken_by_the_policy_of_their_name)
{
	apply_both_ways(client_rows, ARRAY_LEN(client_rows));
}

/* RFC 8446 section 4.2.4: whom the client is asked to be vouched for by. */
static const char *
asked_for(struct link *link)
{
	const STACK_OF(X509_NAME) *names = SSL_get0_peer_CA_list(link->client);
	static char text[64];

	if (sk_X509_NAME_num(names) != 1)
		return "not one";
	X509_NAME_get_text_by_NID(
	    sk_X509_NAME_value(names, 0), NID_commonName, text, sizeof(text));
	return text;
}

static const struct apply_row name_rows[] = {
	{ "names", 0, { OPTIONAL },
	    { POLICY, .verify = VERIFY_OPTIONAL, .ca_file = their_file }, NULL,
	    asked_for, "our CA", "their CA" },
	{ "names and none", 0, { OPTIONAL }, { POLICY }, NULL, asked_for,
	    "our CA", "not one" },
};

Test(apply_clients, are_told_the_authorities_of_their_policy)
{
	apply_both_ways(name_rows, ARRAY_LEN(name_rows));
}

Test(apply_clients, meet_the_parameters_of_their_context)
{
	struct config_listener settings = link_config();
	struct tls_context *one = link_context(&settings);
	struct tls_context *other = link_context(&settings);
	X509_VERIFY_PARAM *strict = SSL_CTX_get0_param(tls_context_native(one));
	SSL *ssl = SSL_new(tls_context_native(one));

	X509_VERIFY_PARAM_set_depth(strict, 3);
	X509_VERIFY_PARAM_set_flags(strict, X509_V_FLAG_X509_STRICT);
	for (int i = 0; i < 2; i++) {
		cr_assert(tls_context_apply(other, ssl));
		cr_expect_eq(SSL_get_verify_depth(ssl), -1);
		cr_expect_not(X509_VERIFY_PARAM_get_flags(SSL_get0_param(ssl)) &
			      X509_V_FLAG_X509_STRICT);
		cr_assert(tls_context_apply(one, ssl));
		cr_expect_eq(SSL_get_verify_depth(ssl), 3);
		cr_expect(X509_VERIFY_PARAM_get_flags(SSL_get0_param(ssl)) &
			  X509_V_FLAG_X509_STRICT);
	}
	SSL_free(ssl);
	tls_context_unref(one);
	tls_context_unref(other);
}
