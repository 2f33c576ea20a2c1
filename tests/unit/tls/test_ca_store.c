/*
 * The CA store of client certificates: which files load, which clients it
 * admits, the texts of its warnings, when its CRLs end, and the n-th allocation
 * failing for every n.
 */
#include "tls/ca_store.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "base/attr.h"
#include "base/err.h"
#include "tests/support/crl.h"
#include "tests/support/scarce.h"

/* 2026-01-01, the time of loading; lists end in 2099 or 2021. */
#define FIXTURE_NOW_S INT64_C(1767225600)
#define FIXTURE_END_S INT64_C(4070908800)
#define FIXTURE_PAST_S INT64_C(1609459200)

struct fixture {
	struct pki_folder folder;
	struct pki root, other, mid; /* CAs; mid is of root */
	struct pki false_root;       /* the name of root */
	struct pki near, far;        /* clients of root, and of mid */
	struct pki server;           /* of root: for servers alone */
};

static struct fixture fixture;

static char *
path_of(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", fixture.folder.path, name);
	return strdup(path);
}

/* Frees up to three texts. */
static void
keep(const char *name, char *one, char *two, char *three)
{
	char *texts[] = { one, two, three };
	char *path = path_of(name);
	FILE *file = fopen(path, "w");

	cr_assert_not_null(file);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		if (texts[i] != NULL)
			cr_assert_geq(fputs(texts[i], file), 0);
		free(texts[i]);
	}
	cr_assert_eq(fclose(file), 0);
	free(path);
}

static char *
ca(const struct pki *who)
{
	return pki_certificate_pem(who);
}

/* A certificate with OpenSSL's trust settings for this purpose. */
static char *
trusted(const struct pki *who, int purpose)
{
	X509 *copy = X509_dup(who->certificate);
	ASN1_OBJECT *object = OBJ_nid2obj(purpose);
	BIO *bio = BIO_new(BIO_s_mem());
	char *data, *text;
	long len;

	cr_assert(copy && bio && X509_add1_trust_object(copy, object));
	cr_assert(PEM_write_bio_X509_AUX(bio, copy));
	len = BIO_get_mem_data(bio, &data);
	text = strndup(data, (size_t)len);
	BIO_free(bio);
	X509_free(copy);
	return text;
}

/* The first half of a PEM block's base64, and its end. */
static char *
damage(char *pem)
{
	char *line = strchr(pem, '\n') + 1, *end = strstr(pem, "-----END");

	memmove(line + 64 + 1, end, strlen(end) + 1);
	return pem;
}

static void
write_authorities(void)
{
	const struct fixture *f = &fixture;

	keep("empty", NULL, NULL, NULL);
	keep("text", strdup("no PEM\n"), NULL, NULL);
	keep("key", pki_key_pem(&f->root), NULL, NULL);
	keep("root", ca(&f->root), NULL, NULL);
	keep("root-copy", strdup("Our root:\n"), ca(&f->root), NULL);
	keep("near", ca(&f->near), NULL, NULL);
	keep("other", ca(&f->other), NULL, NULL);
	keep("mid", ca(&f->mid), NULL, NULL);
	keep("both", ca(&f->mid), ca(&f->root), NULL);
	keep("turned", ca(&f->root), ca(&f->mid), NULL);
	keep("thrice", ca(&f->root), ca(&f->other), ca(&f->root));
	keep("damaged", ca(&f->root), damage(ca(&f->other)), NULL);
	keep("mixed", pki_key_pem(&f->near),
	    crl_pem(&(struct crl_wish){ .issuer = &f->root }), ca(&f->root));
	keep("for-clients", trusted(&f->root, NID_client_auth), NULL, NULL);
	keep("for-servers", trusted(&f->root, NID_server_auth), NULL, NULL);
}

#define EXPIRED .to = "20210101000000Z"

static char *
list(const struct crl_wish *wish)
{
	return crl_pem(wish);
}

#define LIST(...) list(&(struct crl_wish){ __VA_ARGS__ })
#define ROOT .issuer = &fixture.root
#define MID .issuer = &fixture.mid
#define OTHER .issuer = &fixture.other
#define FALSE_ROOT .issuer = &fixture.false_root

static void
write_lists(void)
{
	const struct pki *near = &fixture.near, *far = &fixture.far;

	keep("root.crl", LIST(ROOT), NULL, NULL);
	keep("near.crl", LIST(ROOT, .revoked = near), NULL, NULL);
	keep("mid.crl", LIST(MID), NULL, NULL);
	keep("both.crl", LIST(ROOT), LIST(MID), NULL);
	keep("both-far.crl", LIST(ROOT), LIST(MID, .revoked = far), NULL);
	keep("both-mid.crl", LIST(ROOT, .revoked = &fixture.mid), LIST(MID),
	    NULL);
	keep("other.crl", LIST(OTHER), NULL, NULL);
	keep("mixed.crl", LIST(ROOT), LIST(OTHER), NULL);
	keep("mixed-expired.crl", LIST(ROOT, EXPIRED), LIST(OTHER), NULL);
	keep("forged.crl", LIST(FALSE_ROOT), NULL, NULL);
	keep("damaged.crl", LIST(ROOT), damage(LIST(ROOT)), NULL);
}

/* Those that OpenSSL passes over. */
static void
write_useless_lists(void)
{
	const struct pki *near = &fixture.near;

	keep("delta.crl", LIST(ROOT),
	    LIST(ROOT, .delta = true, .from = "20210101000000Z"), NULL);
	keep("indirect.crl", LIST(ROOT),
	    LIST(ROOT, .part = "indirectCRL:TRUE", .revoked = near), NULL);
	keep("reasons.crl", LIST(ROOT),
	    LIST(
		ROOT, .part = "onlysomereasons:keyCompromise", .revoked = near),
	    NULL);
	keep("scope.crl",
	    LIST(ROOT, .extension = NID_issuing_distribution_point), NULL,
	    NULL);
	keep("unknown.crl", LIST(ROOT, .extension = NID_netscape_comment), NULL,
	    NULL);
}

/* A byte more than is read, all of them holes. */
static void
write_huge(const char *name, off_t size)
{
	char *path = path_of(name);

	keep(name, NULL, NULL, NULL);
	cr_assert_eq(truncate(path, size + 1), 0);
	free(path);
}

/* FIXTURE_NOW_S is the beginning of 2026. */
static void
write_dated_lists(void)
{
	keep("expired.crl", LIST(ROOT, EXPIRED), NULL, NULL);
	keep("half-ended.crl", LIST(ROOT, EXPIRED), LIST(MID), NULL);
	keep("renewed.crl", LIST(ROOT, EXPIRED), LIST(ROOT), NULL);
	keep("misled.crl", LIST(ROOT, EXPIRED), LIST(FALSE_ROOT), NULL);
	keep("parts.crl",
	    LIST(ROOT, EXPIRED, .part = "fullname:URI:http://x/1"),
	    LIST(ROOT, .part = "fullname:URI:http://x/2"), NULL);
	keep("future.crl", LIST(ROOT, .from = "20980101000000Z"), NULL, NULL);
	keep("number-1.crl", LIST(ROOT, .number = 1), NULL, NULL);
	keep("number-2.crl", LIST(ROOT, .number = 2), NULL, NULL);
	/* The higher number is revoked by, although the other lasts longer and
	 * is later. */
	keep("numbers.crl", LIST(ROOT, .number = 9, .from = "20250101000000Z"),
	    LIST(ROOT, .number = 10, .revoked = &fixture.near,
		.to = "20270101000000Z"),
	    NULL);
	keep("later-update.crl", LIST(ROOT, .revoked = &fixture.near),
	    LIST(ROOT, .from = "20250101000000Z", .to = "20270101000000Z"),
	    NULL);
	keep("number-other.crl", LIST(OTHER, .number = 1), NULL, NULL);
	keep("earlier.crl", LIST(ROOT, .from = "20190101000000Z"), NULL, NULL);
	keep("mid-revoked.crl", LIST(ROOT, .revoked = &fixture.mid), LIST(MID),
	    NULL);
	keep("mid-expired.crl", LIST(ROOT, EXPIRED), LIST(MID), NULL);
	keep("mid-future.crl", LIST(ROOT, .from = "20980101000000Z"), LIST(MID),
	    NULL);
	keep("endless.crl", LIST(ROOT, .endless = true), NULL, NULL);
	keep("soon.crl", LIST(ROOT, .to = "20260131000000Z"), NULL, NULL);
	keep("later.crl", LIST(ROOT, .to = "20260131000001Z"), NULL, NULL);
}

static struct pki
make(const char *name, const struct pki *issuer, const char *usage)
{
	return pki_make(&(struct pki_wish){
	    .name = name, .issuer = issuer, .usage = usage });
}

static struct pki
make_ca(const char *name, const struct pki *issuer)
{
	return pki_make(
	    &(struct pki_wish){ .name = name, .issuer = issuer, .ca = true });
}

static void
set_up(void)
{
	struct fixture *f = &fixture;

	pki_folder_make(&f->folder);
	f->root = make_ca("root", NULL);
	f->other = make_ca("other", NULL);
	f->false_root = make_ca("root", NULL);
	f->mid = make_ca("mid", &f->root);
	f->near = make("near", &f->root, NULL);
	f->far = make("far", &f->mid, "clientAuth");
	f->server = make("server", &f->root, "serverAuth");
	write_authorities();
	write_lists();
	write_useless_lists();
	write_dated_lists();
	write_huge("huge", 16 << 20);
	write_huge("huge.crl", 128 << 20);
}

static void
tear_down(void)
{
	struct pki *all[] = { &fixture.root, &fixture.other,
		&fixture.false_root, &fixture.mid, &fixture.near, &fixture.far,
		&fixture.server };

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		pki_drop(all[i]);
	pki_folder_remove(&fixture.folder);
}

static void
fill_in(const char *text, char *out, size_t max)
{
	size_t len = 0;

	for (; *text != '\0' && len + 1 < max; text++)
		if (*text == '@')
			len += (size_t)snprintf(
			    out + len, max - len, "%s", fixture.folder.path);
		else
			out[len++] = *text;
	cr_assert_lt(len, max);
	out[len] = '\0';
}

static struct ca_store *
load_files(const char *ca_name, const char *lists_name,
    enum config_crl_check check, struct err *said)
{
	char *file = path_of(ca_name);
	char *lists = lists_name ? path_of(lists_name) : NULL;
	struct err err = { "" };
	struct ca_store *ca_store = ca_store_load(
	    file, lists, check, FIXTURE_NOW_S, said, &err);

	cr_assert_not_null(ca_store, "%s", err.text);
	free(file);
	free(lists);
	return ca_store;
}

static void
write_der(
    const char *name, const char *type, const unsigned char *der, long len)
{
	char *path = path_of(name);
	FILE *file = fopen(path, "w");

	cr_assert_not_null(file);
	cr_assert_gt(PEM_write(file, type, "", der, len), 0);
	cr_assert_eq(fclose(file), 0);
	free(path);
}

static void
write_crowd(const char *name, int count)
{
	char *path = path_of(name), common[65];
	FILE *file = fopen(path, "w");

	cr_assert_not_null(file);
	for (int i = 0; i < count; i++) {
		struct pki made;

		snprintf(common, sizeof(common), "%064d", i);
		made = make_ca(common, NULL);
		cr_assert(PEM_write_X509(file, made.certificate));
		pki_drop(&made);
	}
	cr_assert_eq(fclose(file), 0);
	free(path);
}

/* ---- Files and clients ---- */

TestSuite(ca_store, .init = set_up, .fini = tear_down);

/* ---- Files ---- */

static const struct {
	const char *what;
	const char *ca;
	const char *lists; /* NULL: none */
	const char *expect;
} bad[] = {
	{ "no ca_file", "missing", NULL,
	    "cannot read @/missing: No such file" },
	{ "an empty ca_file", "empty", NULL, "@/empty is empty" },
	{ "text", "text", NULL, "@/text has no PEM block" },
	{ "lists for certificates", "root.crl", NULL,
	    "@/root.crl has no certificate" },
	{ "a key alone", "key", NULL, "@/key has no certificate" },
	{ "a damaged certificate", "damaged", NULL,
	    "@/damaged: certificate 2 is damaged" },
	{ "no crl_file", "root", "missing", "cannot read @/missing: No such" },
	{ "an empty crl_file", "root", "empty", "@/empty is empty" },
	{ "certificates for lists", "root", "root",
	    "@/root has no CRL (X509 CRL block)" },
	{ "DER", "root", "text",
	    "@/text has no PEM block: no line begins with -----BEGIN" },
	{ "a damaged list", "root", "damaged.crl",
	    "@/damaged.crl: CRL 2 is damaged" },
	{ "a delta list", "root", "delta.crl",
	    "@/delta.crl: CRL 2 is a delta CRL" },
	{ "an indirect list", "root", "indirect.crl",
	    "@/indirect.crl: CRL 2 covers several issuers" },
	{ "a list of some reasons", "root", "reasons.crl",
	    "@/reasons.crl: CRL 2 covers only some revocation reasons" },
	{ "a list of a damaged scope", "root", "scope.crl",
	    "@/scope.crl: CRL 1 has a damaged scope" },
	{ "an unknown critical extension", "root", "unknown.crl",
	    "@/unknown.crl: CRL 1 has a critical extension" },
	{ "a ca_file that is too large", "huge", NULL,
	    "@/huge is larger than 16 MiB: no PEM file" },
	{ "a crl_file that is too large", "root", "huge.crl",
	    "@/huge.crl is larger than 128 MiB: no PEM file" },
};

Test(ca_store, rejects_bad_files)
{
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		char expect[256], *ca = path_of(bad[i].ca);
		char *lists = bad[i].lists ? path_of(bad[i].lists) : NULL;
		struct err err = { "" };

		fill_in(bad[i].expect, expect, sizeof(expect));
		cr_expect_null(ca_store_load(ca, lists, CRL_CHECK_LEAF,
				   FIXTURE_NOW_S, NULL, &err),
		    "%s", bad[i].what);
		cr_expect_eq(strncmp(err.text, expect, strlen(expect)), 0,
		    "%s: %s", bad[i].what, err.text);
		cr_expect_eq(ERR_peek_error(), 0, "%s", bad[i].what);
		free(ca);
		free(lists);
	}
}

/* ---- Clients ---- */

static const struct verdict {
	const char *what;
	const char *ca;
	const char *lists;
	enum config_crl_check check;
	const struct pki *who;
	const struct pki *sent; /* along */
	int expect;
} verdicts[] = {
	{ "its root", "root", NULL, 0, &fixture.near, NULL, X509_V_OK },
	{ "another root", "other", NULL, 0, &fixture.near, NULL,
	    X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY },
	{ "an intermediate alone", "mid", NULL, 0, &fixture.far, NULL,
	    X509_V_OK },
	{ "not who is beside it", "mid", NULL, 0, &fixture.near, NULL,
	    X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY },
	{ "a root, the intermediate sent", "root", NULL, 0, &fixture.far,
	    &fixture.mid, X509_V_OK },
	{ "a root, nothing sent", "root", NULL, 0, &fixture.far, NULL,
	    X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY },
	{ "among other blocks", "mixed", NULL, 0, &fixture.near, NULL,
	    X509_V_OK },
	{ "itself", "near", NULL, 0, &fixture.near, NULL, X509_V_OK },
	{ "trusted for clients", "for-clients", NULL, 0, &fixture.near, NULL,
	    X509_V_OK },
	{ "trusted for servers", "for-servers", NULL, 0, &fixture.near, NULL,
	    X509_V_ERR_CERT_REJECTED },
	{ "a server's certificate", "root", NULL, 0, &fixture.server, NULL,
	    X509_V_ERR_INVALID_PURPOSE },

	{ "not on the list", "root", "root.crl", 0, &fixture.near, NULL,
	    X509_V_OK },
	{ "on the list", "root", "near.crl", 0, &fixture.near, NULL,
	    X509_V_ERR_CERT_REVOKED },
	{ "on the second list of a file", "both", "both-far.crl", 0,
	    &fixture.far, NULL, X509_V_ERR_CERT_REVOKED },
	{ "no list of its issuer", "both", "root.crl", 0, &fixture.far, NULL,
	    X509_V_ERR_UNABLE_TO_GET_CRL },
	{ "an expired list", "root", "expired.crl", 0, &fixture.near, NULL,
	    X509_V_ERR_CRL_HAS_EXPIRED },
	{ "a list of the future", "root", "future.crl", 0, &fixture.near, NULL,
	    X509_V_ERR_CRL_NOT_YET_VALID },
	{ "a list signed by another", "root", "forged.crl", 0, &fixture.near,
	    NULL, X509_V_ERR_CRL_SIGNATURE_FAILURE },
	{ "an expired list and its successor", "root", "renewed.crl", 0,
	    &fixture.near, NULL, X509_V_OK },
	{ "on the list of the higher number", "root", "numbers.crl", 0,
	    &fixture.near, NULL, X509_V_ERR_CERT_REVOKED },
	{ "lifted by the later of two without numbers", "root",
	    "later-update.crl", 0, &fixture.near, NULL, X509_V_OK },
	{ "a list without an end", "root", "endless.crl", 0, &fixture.near,
	    NULL, X509_V_OK },

	{ "leaf: the intermediate revoked", "both", "both-mid.crl",
	    CRL_CHECK_LEAF, &fixture.far, NULL, X509_V_OK },
	{ "chain: the intermediate revoked", "both", "both-mid.crl",
	    CRL_CHECK_CHAIN, &fixture.far, NULL, X509_V_ERR_CERT_REVOKED },
	{ "chain: nobody revoked", "both", "both.crl", CRL_CHECK_CHAIN,
	    &fixture.far, NULL, X509_V_OK },
	{ "chain: the intermediate sent", "root", "both.crl", CRL_CHECK_CHAIN,
	    &fixture.far, &fixture.mid, X509_V_OK },
	{ "chain: no list of the root", "both", "mid.crl", CRL_CHECK_CHAIN,
	    &fixture.far, NULL, X509_V_ERR_UNABLE_TO_GET_CRL },
	{ "leaf: no list of the root", "both", "mid.crl", CRL_CHECK_LEAF,
	    &fixture.far, NULL, X509_V_OK },
	{ "leaf: no root", "mid", "mid.crl", CRL_CHECK_LEAF, &fixture.far, NULL,
	    X509_V_OK },
	{ "chain: no root", "mid", "both.crl", CRL_CHECK_CHAIN, &fixture.far,
	    NULL, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT },
	{ "chain without lists", "mid", NULL, CRL_CHECK_CHAIN, &fixture.far,
	    NULL, X509_V_OK },
};

static int
verify(const struct ca_store *ca_store, const struct verdict *row)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	STACK_OF(X509) *sent = sk_X509_new_null();
	int result;

	cr_assert(ctx && sent);
	cr_assert(row->sent == NULL ||
		  sk_X509_push(sent, row->sent->certificate) > 0);
	cr_assert(X509_STORE_CTX_init(
	    ctx, ca_store_x509_store(ca_store), row->who->certificate, sent));
	/* as SSL does for a server */
	cr_assert(X509_STORE_CTX_set_default(ctx, "ssl_client"));
	result = X509_verify_cert(ctx) == 1 ? X509_V_OK
					    : X509_STORE_CTX_get_error(ctx);
	X509_STORE_CTX_free(ctx);
	sk_X509_free(sent);
	ERR_clear_error();
	return result;
}

Test(ca_store, accepts_and_refuses_clients_by_its_files)
{
	for (size_t i = 0; i < ARRAY_LEN(verdicts); i++) {
		const struct verdict *row = &verdicts[i];
		struct ca_store *ca_store = load_files(
		    row->ca, row->lists, row->check, NULL);
		int result = verify(ca_store, row);

		cr_expect_eq(result, row->expect, "%s: %s", row->what,
		    X509_verify_cert_error_string(result));
		ca_store_unref(ca_store);
	}
}

/* ---- Warnings about CRLs ---- */

static const struct {
	const char *what;
	const char *ca;
	const char *lists;
	const char *expect; /* ""; or how each sentence begins */
	bool fit;
	int64_t end;
} judged[] = {
	{ "no list", "root", NULL, "", true, INT64_MAX },
	{ "a good one", "root", "root.crl", "", true, FIXTURE_END_S },
	{ "one that ends in time", "root", "soon.crl",
	    "@/soon.crl: the CRL of CN=root expires soon", true,
	    FIXTURE_NOW_S + 30 * 86400 },
	{ "one that ends a second later", "root", "later.crl", "", true,
	    FIXTURE_NOW_S + 30 * 86400 + 1 },
	{ "an expired one", "root", "expired.crl",
	    "@/expired.crl: the CRL of CN=root has expired: clients of this "
	    "issuer are refused until it is renewed",
	    true, FIXTURE_PAST_S },
	{ "one of the future", "root", "future.crl",
	    "@/future.crl: the CRL of CN=root is not valid yet", true,
	    FIXTURE_END_S },
	{ "one without an end", "root", "endless.crl",
	    "@/endless.crl: the CRL of CN=root has no nextUpdate", true,
	    INT64_MAX },
	{ "one of another CA", "root", "other.crl",
	    "@/other.crl: the CRL of CN=other is signed by no certificate in "
	    "ca_file",
	    false, FIXTURE_END_S },
	{ "one by another of that name", "root", "forged.crl",
	    "@/forged.crl: the CRL of CN=root is signed by no certificate",
	    false, FIXTURE_END_S },
	{ "one of us, one of another", "root", "mixed.crl",
	    "@/mixed.crl: the CRL of CN=other is signed by no certificate",
	    true, FIXTURE_END_S },
	{ "an expired one and its successor", "root", "renewed.crl", "", true,
	    FIXTURE_END_S },
	{ "an expired one and a false successor", "root", "misled.crl",
	    "@/misled.crl: the CRL of CN=root has expired", true,
	    FIXTURE_PAST_S },
	{ "an expired part beside another", "root", "parts.crl",
	    "@/parts.crl: the CRL of CN=root has expired", true,
	    FIXTURE_PAST_S },
};

Test(ca_store, warns_of_unusable_crls)
{
	for (size_t i = 0; i < ARRAY_LEN(judged); i++) {
		char expect[256];
		struct err said = { "stale" };
		struct ca_store *ca_store = load_files(
		    judged[i].ca, judged[i].lists, CRL_CHECK_LEAF, &said);

		fill_in(judged[i].expect, expect, sizeof(expect));
		cr_expect_eq(strncmp(said.text, expect, strlen(expect)), 0,
		    "%s: %s", judged[i].what, said.text);
		cr_expect_eq(said.text[0] == '\0', expect[0] == '\0', "%s: %s",
		    judged[i].what, said.text);
		cr_expect_eq(ca_store_crls_fit(ca_store), judged[i].fit, "%s",
		    judged[i].what);
		cr_expect_eq(ca_store_crls_end(ca_store), judged[i].end,
		    "%s: %lld", judged[i].what,
		    (long long)ca_store_crls_end(ca_store));
		ca_store_unref(ca_store);
	}
}

Test(ca_store, reports_every_warning)
{
	struct err said;
	struct ca_store *ca_store = load_files(
	    "root", "mixed-expired.crl", CRL_CHECK_LEAF, &said);
	const char *first = strstr(said.text, "CN=root has expired");
	const char *second = strstr(
	    said.text, "CN=other is signed by no certificate");

	cr_expect(first != NULL && second > first, "%s", said.text);
	ca_store_unref(ca_store);
}

Test(ca_store, warns_that_whole_chains_need_a_root)
{
	static const struct {
		const char *ca;
		enum config_crl_check check;
		bool expect;
	} rows[] = {
		{ "mid", CRL_CHECK_CHAIN, true },
		{ "mid", CRL_CHECK_LEAF, false },
		{ "both", CRL_CHECK_CHAIN, false },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err said;
		struct ca_store *ca_store = load_files(
		    rows[i].ca, "mid.crl", rows[i].check, &said);

		cr_expect_eq(
		    strstr(said.text, "has no root certificate") != NULL,
		    rows[i].expect, "%s: %s", rows[i].ca, said.text);
		ca_store_unref(ca_store);
	}
}

/* ---- Digest and CA names ---- */

static const struct {
	const char *what;
	const char *ca, *lists;
	enum config_crl_check check;
} different[] = {
	{ "a root", "root", NULL, 0 },
	{ "another", "other", NULL, 0 },
	{ "two", "both", NULL, 0 },
	{ "the same two, turned round", "turned", NULL, 0 },
	{ "a root for clients", "for-clients", NULL, 0 },
	{ "a root for servers", "for-servers", NULL, 0 },
	{ "a list", "root", "root.crl", CRL_CHECK_LEAF },
	{ "a list, for the chain", "root", "root.crl", CRL_CHECK_CHAIN },
	{ "another list", "root", "near.crl", CRL_CHECK_LEAF },
	{ "two lists", "root", "mixed.crl", CRL_CHECK_LEAF },
};

Test(ca_store, digest_covers_certificates_crls_and_their_use)
{
	struct ca_store *all[ARRAY_LEN(different)];

	for (size_t i = 0; i < ARRAY_LEN(different); i++) {
		all[i] = load_files(different[i].ca, different[i].lists,
		    different[i].check, NULL);
		for (size_t j = 0; j < i; j++)
			cr_expect_neq(memcmp(ca_store_digest(all[i]),
					  ca_store_digest(all[j]), 32),
			    0, "%s, %s", different[i].what, different[j].what);
	}
	for (size_t i = 0; i < ARRAY_LEN(different); i++)
		ca_store_unref(all[i]);
}

/* Every byte that can be another without damage. */
Test(ca_store, digest_covers_every_byte)
{
	unsigned char *der = NULL;
	int len = i2d_X509(fixture.root.certificate, &der), fine = 0;
	char *path = path_of("changed");
	struct ca_store *first = load_files("root", NULL, 0, NULL), *changed;
	struct err err;

	for (int i = 0; i < len; i++) {
		der[i] ^= 1;
		write_der("changed", "CERTIFICATE", der, len);
		der[i] ^= 1;
		changed = ca_store_load(
		    path, NULL, 0, FIXTURE_NOW_S, NULL, &err);
		if (changed == NULL)
			continue;
		fine++;
		cr_expect_neq(memcmp(ca_store_digest(first),
				  ca_store_digest(changed), 32),
		    0, "byte %d", i);
		ca_store_unref(changed);
	}
	cr_expect_gt(fine, len / 2);
	ca_store_unref(first);
	OPENSSL_free(der);
	free(path);
}

Test(ca_store, digest_ignores_paths)
{
	struct ca_store *one = load_files("root", NULL, 0, NULL);
	struct ca_store *same = load_files("root-copy", NULL, 0, NULL);
	struct ca_store *idle = load_files("root", NULL, CRL_CHECK_CHAIN, NULL);

	cr_expect_arr_eq(ca_store_digest(one), ca_store_digest(same), 32);
	cr_expect_arr_eq(ca_store_digest(one), ca_store_digest(idle), 32,
	    "crl_check without a crl_file");
	ca_store_unref(one);
	ca_store_unref(same);
	ca_store_unref(idle);
}

Test(ca_store, lists_each_ca_name_once)
{
	struct ca_store *ca_store = load_files("thrice", NULL, 0, NULL);
	const STACK_OF(X509_NAME) *names = ca_store_names(ca_store);
	char text[32];

	cr_assert_eq(sk_X509_NAME_num(names), 2);
	X509_NAME_oneline(sk_X509_NAME_value(names, 0), text, sizeof(text));
	cr_expect_str_eq(text, "/CN=root");
	X509_NAME_oneline(sk_X509_NAME_value(names, 1), text, sizeof(text));
	cr_expect_str_eq(text, "/CN=other");
	ca_store_unref(ca_store);
}

/* More names than a handshake has room for would end every handshake. */
Test(ca_store, lists_no_name_when_there_are_too_many)
{
	static const struct {
		int count, expect;
	} rows[] = { { 600, 600 }, { 800, 0 } };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct ca_store *ca_store;

		write_crowd("crowd", rows[i].count);
		ca_store = load_files("crowd", NULL, 0, NULL);
		cr_expect_eq(sk_X509_NAME_num(ca_store_names(ca_store)),
		    rows[i].expect, "%d", rows[i].count);
		ca_store_unref(ca_store);
	}
}

/* ---- crl_check = available ---- */

static const struct lookup {
	const char *what;
	const char *ca;
	const char *lists;
	enum config_crl_check check;
	const struct pki *chain[3];
	int expect, depth;
} lookups[] = {
	{ "no list of the root", "root", "mid.crl", CRL_CHECK_AVAILABLE,
	    { &fixture.far, &fixture.mid, &fixture.root }, X509_V_OK, 0 },
	{ "the intermediate is revoked", "root", "mid-revoked.crl",
	    CRL_CHECK_AVAILABLE, { &fixture.far, &fixture.mid, &fixture.root },
	    X509_V_ERR_CERT_REVOKED, 1 },
	{ "the chain ends at a revoked intermediate", "both", "mid-revoked.crl",
	    CRL_CHECK_AVAILABLE, { &fixture.far, &fixture.mid },
	    X509_V_ERR_CERT_REVOKED, 1 },
	{ "a list that no certificate of ca_file has signed", "mid",
	    "mid-revoked.crl", CRL_CHECK_AVAILABLE,
	    { &fixture.far, &fixture.mid }, X509_V_OK, 0 },
	{ "...but the next of the chain has", "mid", "mid-revoked.crl",
	    CRL_CHECK_AVAILABLE, { &fixture.far, &fixture.mid, &fixture.root },
	    X509_V_ERR_CERT_REVOKED, 1 },
	{ "a namesake of the issuer", "root", "mid-revoked.crl",
	    CRL_CHECK_AVAILABLE,
	    { &fixture.far, &fixture.mid, &fixture.false_root }, X509_V_OK, 0 },
	{ "its list has expired", "root", "mid-expired.crl",
	    CRL_CHECK_AVAILABLE, { &fixture.far, &fixture.mid, &fixture.root },
	    X509_V_ERR_CRL_HAS_EXPIRED, 1 },
	{ "its list is not valid yet", "root", "mid-future.crl",
	    CRL_CHECK_AVAILABLE, { &fixture.far, &fixture.mid, &fixture.root },
	    X509_V_ERR_CRL_NOT_YET_VALID, 1 },
	{ "leaf on request", "root", "mid-revoked.crl", CRL_CHECK_LEAF,
	    { &fixture.far, &fixture.mid, &fixture.root }, X509_V_OK, 0 },
	{ "no lists", "root", NULL, CRL_CHECK_AVAILABLE,
	    { &fixture.far, &fixture.mid, &fixture.root }, X509_V_OK, 0 },
};

Test(ca_store, checks_intermediates_whose_issuer_has_a_crl)
{
	for (size_t i = 0; i < ARRAY_LEN(lookups); i++) {
		const struct lookup *row = &lookups[i];
		struct ca_store *ca_store = load_files(
		    row->ca, row->lists, row->check, NULL);
		STACK_OF(X509) *chain = sk_X509_new_null();
		int depth = 0;

		for (size_t k = 0; k < 3 && row->chain[k] != NULL; k++)
			cr_assert_gt(
			    sk_X509_push(chain, row->chain[k]->certificate), 0);
		cr_expect_eq(ca_store_check_chain(
				 ca_store, chain, FIXTURE_NOW_S, &depth),
		    row->expect, "%s", row->what);
		cr_expect_eq(depth, row->depth, "%s", row->what);
		cr_expect_eq(ERR_peek_error(), 0, "%s", row->what);
		sk_X509_free(chain);
		ca_store_unref(ca_store);
	}
}

/* ---- Rollback ---- */

static const struct {
	const char *held, *fresh;
	bool expect;
} rollbacks[] = {
	{ "number-2.crl", "number-1.crl", true },
	{ "number-2.crl", "number-2.crl", false },
	{ "number-1.crl", "number-2.crl", false },
	{ "root.crl", "earlier.crl", true },
	{ "earlier.crl", "root.crl", false },
	{ "number-2.crl", "number-other.crl", false },
	{ "number-2.crl", "forged.crl", false },
	{ "mid-revoked.crl", "earlier.crl", true },
};

Test(ca_store, detects_a_crl_rollback)
{
	for (size_t i = 0; i < ARRAY_LEN(rollbacks); i++) {
		struct ca_store *held = load_files(
		    "both", rollbacks[i].held, CRL_CHECK_AVAILABLE, NULL);
		struct ca_store *fresh = load_files(
		    "both", rollbacks[i].fresh, CRL_CHECK_AVAILABLE, NULL);
		struct err err = { "" };

		cr_expect_eq(ca_store_is_rollback(fresh, held, "x.crl", &err),
		    rollbacks[i].expect, "%s, %s", rollbacks[i].held,
		    rollbacks[i].fresh);
		cr_expect_eq(
		    strncmp(err.text, "x.crl: the CRL of CN=root", 25) == 0,
		    rollbacks[i].expect, "%s", err.text);
		ca_store_unref(fresh);
		ca_store_unref(held);
	}
}

/* ---- Ends of lists ---- */

TestSuite(crl_ends, .init = set_up, .fini = tear_down);

static const struct {
	const char *what;
	const char *lists; /* NULL: none */
	int64_t near, far; /* a client of the root, and one of mid */
} end_rows[] = {
	{ "no lists", NULL, INT64_MAX, INT64_MAX },
	{ "the root's alone", "root.crl", FIXTURE_END_S, INT64_MAX },
	{ "mid's alone", "mid.crl", INT64_MAX, FIXTURE_END_S },
	{ "both", "both.crl", FIXTURE_END_S, FIXTURE_END_S },
	{ "one expired", "half-ended.crl", FIXTURE_PAST_S, FIXTURE_END_S },
	{ "one without an end", "endless.crl", INT64_MAX, INT64_MAX },
	{ "a stranger's", "other.crl", INT64_MAX, INT64_MAX },
	{ "expired, with a successor", "renewed.crl", FIXTURE_END_S,
	    INT64_MAX },
	{ "expired, with a false successor", "misled.crl", FIXTURE_PAST_S,
	    INT64_MAX },
	{ "an expired part", "parts.crl", FIXTURE_PAST_S, INT64_MAX },
};

Test(crl_ends, are_those_of_the_issuer)
{
	for (size_t i = 0; i < ARRAY_LEN(end_rows); i++) {
		struct ca_store *ca_store = load_files(
		    "both", end_rows[i].lists, CRL_CHECK_LEAF, NULL);

		cr_expect_eq(
		    ca_store_crl_end(ca_store, fixture.near.certificate),
		    end_rows[i].near, "%s: near", end_rows[i].what);
		cr_expect_eq(
		    ca_store_crl_end(ca_store, fixture.far.certificate),
		    end_rows[i].far, "%s: far", end_rows[i].what);
		ca_store_unref(ca_store);
	}
}

Test(crl_ends, are_those_of_a_chain_if_it_has_crls)
{
	static const struct {
		const char *lists;
		enum config_crl_check check;
		bool expect;
	} uses[] = {
		{ "both.crl", CRL_CHECK_LEAF, false },
		{ "both.crl", CRL_CHECK_CHAIN, true },
		{ "both.crl", CRL_CHECK_AVAILABLE, true },
		{ NULL, CRL_CHECK_AVAILABLE, false },
		{ NULL, CRL_CHECK_CHAIN, false },
	};

	for (size_t i = 0; i < ARRAY_LEN(uses); i++) {
		struct ca_store *ca_store = load_files(
		    "both", uses[i].lists, uses[i].check, NULL);

		cr_expect_eq(
		    ca_store_checks_chain(ca_store), uses[i].expect, "%zu", i);
		ca_store_unref(ca_store);
	}
}

/* ---- Out of memory ---- */

enum { ENOUGH = 100000 };

TestSuite(ca_store_memory, .init = set_up, .fini = tear_down);

static const struct {
	const char *ca;
	const char *lists;
} memory_rows[] = {
	{ "thrice", NULL },
	{ "both", "both.crl" },
	{ "both", "half-ended.crl" },
};

/* CA certificates whose extensions could be decoded, which OpenSSL does once
 * for each. */
static int
count_usable(const struct ca_store *ca_store)
{
	const STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(
	    ca_store_x509_store(ca_store));
	int count = 0;

	for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
		X509 *one = X509_OBJECT_get0_X509(
		    sk_X509_OBJECT_value(objects, i));

		count += one != NULL && X509_check_purpose(one, -1, 0) == 1;
	}
	return count;
}

static void
expect_same(const struct ca_store *now, const struct ca_store *whole, long n)
{
	cr_expect_arr_eq(
	    ca_store_digest(now), ca_store_digest(whole), 32, "%ld", n);
	cr_expect_eq(
	    ca_store_crls_end(now), ca_store_crls_end(whole), "%ld", n);
	cr_expect_eq(sk_X509_NAME_num(ca_store_names(now)),
	    sk_X509_NAME_num(ca_store_names(whole)), "%ld", n);
	cr_expect_eq(
	    count_usable(now), count_usable(whole), "allocation %ld", n);
}

/* Was there an n-th allocation? */
static bool
load(const char *ca, const char *lists, const struct ca_store *whole, long n)
{
	struct err warning, err;
	struct ca_store *ca_store;
	bool failed;

	scarce_begin(n);
	ca_store = ca_store_load(
	    ca, lists, CRL_CHECK_CHAIN, FIXTURE_NOW_S, &warning, &err);
	failed = scarce_end();
	cr_expect(ca_store != NULL || failed, "allocation %ld", n);
	cr_expect(ca_store != NULL || err.text[0] != '\0', "allocation %ld", n);
	cr_expect_eq(ERR_peek_error(), 0, "allocation %ld", n);
	if (ca_store != NULL)
		expect_same(ca_store, whole, n);
	ca_store_unref(ca_store);
	return failed;
}

Test(ca_store_memory, allocation_failure_is_an_error_or_changes_nothing)
{
	for (size_t i = 0; i < ARRAY_LEN(memory_rows); i++) {
		struct ca_store *whole = load_files(memory_rows[i].ca,
		    memory_rows[i].lists, CRL_CHECK_CHAIN, NULL);
		char *ca = path_of(memory_rows[i].ca);
		char *lists = memory_rows[i].lists
				  ? path_of(memory_rows[i].lists)
				  : NULL;
		long n = 0;

		while (n < ENOUGH && load(ca, lists, whole, n))
			n++;
		cr_expect(n > 50 && n < ENOUGH, "%ld", n);
		free(ca);
		free(lists);
		ca_store_unref(whole);
	}
}
