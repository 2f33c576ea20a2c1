/* Signers with authority, and all kinds without. */
#include <string.h>

#include <criterion/criterion.h>
#include <openssl/x509v3.h>

#include "base/attr.h"
#include "tests/unit/staple/response_rig.h"

/* The certificates, each issued by an earlier one. */
enum who {
	NOBODY,
	ISSUER,
	LEAF,
	DELEGATE,
	RENEWED, /* another delegate of the same name */
	SIBLING,
	FOR_SERVERS,
	EXPIRED,
	FUTURE,
	STRANGER,
	STRANGE_DELEGATE, /* self-signed, with the usage */
	OTHER_CA,
	OTHERS_DELEGATE,
	NAMESAKE, /* a CA by the issuer's name */
	NAMESAKES_DELEGATE,
	BELOW, /* a CA that the issuer issued */
	BELOWS_DELEGATE,
	PEOPLE
};

static const struct {
	const char *name;
	enum who issuer;
	const char *usage, *from, *to;
	bool ca;
} people[PEOPLE] = {
	[DELEGATE] = { "delegate", ISSUER, .usage = "OCSPSigning" },
	[RENEWED] = { "delegate", ISSUER, .usage = "OCSPSigning" },
	[SIBLING] = { "sibling", ISSUER, .usage = NULL },
	[FOR_SERVERS] = { "server", ISSUER, .usage = "serverAuth,clientAuth" },
	[EXPIRED] = { "expired", ISSUER, .usage = "OCSPSigning",
	    .from = "20300101000000Z", .to = "20310630235959Z" },
	[FUTURE] = { "future", ISSUER, .usage = "OCSPSigning",
	    .from = "20310701000001Z", .to = "20320101000000Z" },
	[STRANGER] = { "stranger", NOBODY, .usage = NULL },
	[STRANGE_DELEGATE] = { "strange delegate", NOBODY,
	    .usage = "OCSPSigning" },
	[OTHER_CA] = { "other issuer", NOBODY, .ca = true },
	[OTHERS_DELEGATE] = { "other's delegate", OTHER_CA,
	    .usage = "OCSPSigning" },
	[NAMESAKE] = { "issuer", NOBODY, .ca = true },
	[NAMESAKES_DELEGATE] = { "namesake's delegate", NAMESAKE,
	    .usage = "OCSPSigning" },
	[BELOW] = { "intermediate", ISSUER, .ca = true },
	[BELOWS_DELEGATE] = { "intermediate's delegate", BELOW,
	    .usage = "OCSPSigning" },
};

static struct rig rig;
static struct pki cast[PEOPLE];

/* Everybody before `end`. */
static void
engage(enum pki_key key, enum who end)
{
	rig_init(&rig, key);
	cast[ISSUER] = rig.issuer;
	cast[LEAF] = rig.leaf;
	for (enum who who = DELEGATE; who < end; who++) {
		enum who issuer = people[who].issuer;

		cast[who] = pki_make(&(struct pki_wish){ .key = key,
		    .name = people[who].name,
		    .issuer = issuer != NOBODY ? &cast[issuer] : NULL,
		    .usage = people[who].usage,
		    .from = people[who].from,
		    .to = people[who].to,
		    .ca = people[who].ca });
	}
}

static void
set_up(void)
{
	engage(PKI_P256, PEOPLE);
}

static void
tear_down(void)
{
	for (enum who who = DELEGATE; who < PEOPLE; who++)
		pki_drop(&cast[who]);
	rig_fini(&rig);
}

TestSuite(signer, .init = set_up, .fini = tear_down);

enum manner { ALONE, ENCLOSED };

static const struct row {
	const char *what;
	enum who signer;
	enum manner manner;
	enum who also; /* a certificate before the signer's */
	enum staple_outcome expect;
	const char *said;
} rows[] = {
	{ "the issuer", ISSUER, ALONE, NOBODY, STAPLE_GOOD,
	    "signed by \"CN=issuer\"" },
	{ "the issuer, enclosed", ISSUER, ENCLOSED, NOBODY, STAPLE_GOOD, "" },
	{ "the issuer, beside a stranger", ISSUER, ALONE, STRANGER, STAPLE_GOOD,
	    "" },
	{ "the issuer, beside its namesake", ISSUER, ALONE, NAMESAKE,
	    STAPLE_GOOD, "" },
	{ "a delegate", DELEGATE, ENCLOSED, NOBODY, STAPLE_GOOD,
	    "signed by \"CN=delegate\"" },
	{ "a delegate behind a stranger", DELEGATE, ENCLOSED, STRANGER,
	    STAPLE_GOOD, "" },
	{ "a delegate behind the issuer", DELEGATE, ENCLOSED, ISSUER,
	    STAPLE_GOOD, "" },
	{ "a delegate behind its namesake", DELEGATE, ENCLOSED, RENEWED,
	    STAPLE_GOOD, "" },
	{ "a delegate that is not enclosed", DELEGATE, ALONE, NOBODY,
	    STAPLE_WRONG_SIGNER, "not enclosed" },
	{ "a delegate beside a stranger only", DELEGATE, ALONE, STRANGER,
	    STAPLE_WRONG_SIGNER, "not enclosed" },
	{ "a delegate beside its namesake only", DELEGATE, ALONE, RENEWED,
	    STAPLE_BAD_SIGNATURE, "\"CN=delegate\"" },
	{ "the leaf", LEAF, ENCLOSED, NOBODY, STAPLE_WRONG_SIGNER,
	    "which is the certificate itself" },
	{ "a sibling", SIBLING, ENCLOSED, NOBODY, STAPLE_WRONG_SIGNER,
	    "signed by \"CN=sibling\", whose certificate lacks the usage" },
	{ "a sibling with other usages", FOR_SERVERS, ENCLOSED, NOBODY,
	    STAPLE_WRONG_SIGNER, "lacks the usage OCSPSigning" },
	{ "a sibling beside a delegate", SIBLING, ENCLOSED, DELEGATE,
	    STAPLE_WRONG_SIGNER, "lacks the usage" },
	{ "an expired delegate", EXPIRED, ENCLOSED, NOBODY, STAPLE_WRONG_SIGNER,
	    "has expired" },
	{ "a delegate too early", FUTURE, ENCLOSED, NOBODY, STAPLE_WRONG_SIGNER,
	    "not valid yet" },
	{ "a stranger", STRANGER, ENCLOSED, NOBODY, STAPLE_WRONG_SIGNER,
	    "was not issued by the issuer" },
	{ "a stranger that is not enclosed", STRANGER, ALONE, NOBODY,
	    STAPLE_WRONG_SIGNER, "signed by \"CN=stranger\", which is not" },
	{ "a stranger with the usage", STRANGE_DELEGATE, ENCLOSED, NOBODY,
	    STAPLE_WRONG_SIGNER, "was not issued by the issuer" },
	{ "another CA", OTHER_CA, ENCLOSED, NOBODY, STAPLE_WRONG_SIGNER,
	    "was not issued by the issuer" },
	{ "another CA's delegate", OTHERS_DELEGATE, ENCLOSED, OTHER_CA,
	    STAPLE_WRONG_SIGNER, "was not issued by the issuer" },
	{ "a CA of the same name", NAMESAKE, ENCLOSED, NOBODY,
	    STAPLE_WRONG_SIGNER, "was not issued by the issuer" },
	{ "a CA of the same name, not enclosed", NAMESAKE, ALONE, NOBODY,
	    STAPLE_BAD_SIGNATURE, "another key signed in that name" },
	{ "its delegate", NAMESAKES_DELEGATE, ENCLOSED, NAMESAKE,
	    STAPLE_WRONG_SIGNER, "was not issued by the issuer" },
	{ "a CA below the issuer", BELOW, ENCLOSED, NOBODY, STAPLE_WRONG_SIGNER,
	    "lacks the usage" },
	{ "a delegate's delegate", BELOWS_DELEGATE, ENCLOSED, BELOW,
	    STAPLE_WRONG_SIGNER, "was not issued by the issuer" },
};

static struct ocsp_wish
signed_by(enum who signer, enum manner manner, enum who also)
{
	struct ocsp_wish wish = rig_wish(&rig);

	wish.signer = &cast[signer];
	wish.with_signer = manner == ENCLOSED;
	wish.also = also != NOBODY ? &cast[also] : NULL;
	return wish;
}

Test(signer, is_the_issuer_or_its_delegate)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *row = &rows[i];
		struct ocsp_wish wish = signed_by(
		    row->signer, row->manner, row->also);

		cr_expect_eq(rig_outcome(&rig, &wish), row->expect, "%s: %s",
		    row->what, staple_outcome_name(rig.checked.outcome));
		cr_expect(rig_said(&rig, row->said), "%s: %s", row->what,
		    rig.checked.said.text);
	}
}

/* The key hash distinguishes namesakes. */
static const struct row keyed_rows[] = {
	{ "the issuer", ISSUER, ALONE, NOBODY, STAPLE_GOOD, "" },
	{ "a delegate", DELEGATE, ENCLOSED, NOBODY, STAPLE_GOOD, "" },
	{ "a delegate behind its namesake", DELEGATE, ENCLOSED, RENEWED,
	    STAPLE_GOOD, "" },
	{ "a delegate beside its namesake only", DELEGATE, ALONE, RENEWED,
	    STAPLE_WRONG_SIGNER, "not enclosed" },
	{ "a sibling", SIBLING, ENCLOSED, NOBODY, STAPLE_WRONG_SIGNER,
	    "signed by \"CN=sibling\"" },
	{ "a CA of the same name", NAMESAKE, ALONE, NOBODY, STAPLE_WRONG_SIGNER,
	    "not enclosed" },
};

Test(signer, may_go_by_the_hash_of_its_key)
{
	for (size_t i = 0; i < ARRAY_LEN(keyed_rows); i++) {
		const struct row *row = &keyed_rows[i];
		struct ocsp_wish wish = signed_by(
		    row->signer, row->manner, row->also);

		wish.by_key = true;
		cr_expect_eq(rig_outcome(&rig, &wish), row->expect, "%s: %s",
		    row->what, staple_outcome_name(rig.checked.outcome));
		cr_expect(rig_said(&rig, row->said), "%s: %s", row->what,
		    rig.checked.said.text);
	}
}

Test(signer, is_distinguished_from_changed_bytes)
{
	static const enum who whom[] = { ISSUER, DELEGATE };

	for (size_t i = 0; i < ARRAY_LEN(whom); i++) {
		struct ocsp_wish wish = signed_by(whom[i], ENCLOSED, NOBODY);

		wish.spoiled = true;
		cr_expect_eq(rig_outcome(&rig, &wish), STAPLE_BAD_SIGNATURE);
		cr_expect(rig_said(&rig, "the bytes were changed"));
	}
}

Test(signer, may_use_rsa)
{
	static const enum who whom[] = { ISSUER, DELEGATE, SIBLING };
	struct ocsp_wish wish;

	tear_down();
	engage(PKI_RSA, FOR_SERVERS);
	for (size_t i = 0; i < ARRAY_LEN(whom); i++) {
		wish = signed_by(whom[i], ENCLOSED, NOBODY);
		cr_expect_eq(rig_outcome(&rig, &wish),
		    whom[i] == SIBLING ? STAPLE_WRONG_SIGNER : STAPLE_GOOD);
		wish.spoiled = true;
		cr_expect_eq(rig_outcome(&rig, &wish), STAPLE_BAD_SIGNATURE);
	}
}

/* As `openssl x509 -addtrust` does: it must not add signers. */
Test(signer, is_no_sibling_of_an_issuer_marked_as_trusted)
{
	struct ocsp_wish wish = signed_by(SIBLING, ENCLOSED, NOBODY);

	cr_assert_eq(X509_add1_trust_object(
			 rig.cert->issuer, OBJ_nid2obj(NID_OCSP_sign)),
	    1);
	cr_expect_eq(rig_outcome(&rig, &wish), STAPLE_WRONG_SIGNER);
	wish = signed_by(DELEGATE, ENCLOSED, NOBODY);
	cr_expect_eq(rig_outcome(&rig, &wish), STAPLE_GOOD);
}

/* OpenSSL's own default; see signer.c. */
Test(signer, may_still_use_sha1)
{
	struct ocsp_wish wish = signed_by(DELEGATE, ENCLOSED, NOBODY);

	wish.digest = EVP_sha1();
	cr_expect_eq(rig_outcome(&rig, &wish), STAPLE_GOOD);
}

/* RFC 6960 4.2.2.2.1: such a delegate is not itself looked up. */
Test(signer, may_be_marked_as_one_that_needs_no_check)
{
	struct ocsp_wish wish = signed_by(DELEGATE, ENCLOSED, NOBODY);
	X509 *delegate = cast[DELEGATE].certificate;

	cr_assert_eq(X509_add1_ext_i2d(delegate, NID_id_pkix_OCSP_noCheck,
			 ASN1_NULL_new(), 0, 0),
	    1);
	cr_assert_gt(X509_sign(delegate, rig.issuer.key, EVP_sha256()), 0);
	cr_expect_eq(rig_outcome(&rig, &wish), STAPLE_GOOD);
}

/* Seconds from the end of the expired one, and the start of the future one. */
static const struct {
	const char *what;
	enum who signer;
	int64_t now;
	enum staple_outcome expect;
} moments[] = {
	{ "a second before its end", EXPIRED, RIG_NOW - 2, STAPLE_GOOD },
	{ "at its end", EXPIRED, RIG_NOW - 1, STAPLE_WRONG_SIGNER },
	{ "a second before its start", FUTURE, RIG_NOW, STAPLE_WRONG_SIGNER },
	{ "at its start", FUTURE, RIG_NOW + 1, STAPLE_GOOD },
	{ "when the issuer has ended", ISSUER, INT64_C(4102444800),
	    STAPLE_GOOD },
	{ "when both have ended", DELEGATE, INT64_C(4102444800),
	    STAPLE_WRONG_SIGNER },
};

Test(signer, is_valid_by_the_clock_that_is_given)
{
	for (size_t i = 0; i < ARRAY_LEN(moments); i++) {
		struct ocsp_wish wish = signed_by(
		    moments[i].signer, ENCLOSED, NOBODY);

		rig.clock.now_s = moments[i].now;
		wish.next_text = "99991231235959Z";
		cr_expect_eq(rig_outcome(&rig, &wish), moments[i].expect,
		    "%s: %s", moments[i].what, rig.checked.said.text);
	}
}

Test(signer, takes_the_response_along_when_it_ends)
{
	struct ocsp_wish wish = signed_by(EXPIRED, ENCLOSED, NOBODY);
	struct staple_response *response;

	rig.clock.now_s = RIG_NOW - 10;
	response = rig_response(&rig, &wish);
	cr_assert_not_null(response);
	cr_expect_eq(staple_response_next_update(response), RIG_NOW + RIG_HOUR);
	cr_expect_eq(staple_response_expires(response), RIG_NOW - 1);
	staple_response_unref(response);
}

/* The certificate of one, with the key of another. */
static void
reissue(enum who certificate, enum who key)
{
	X509 *made = cast[certificate].certificate;

	cr_assert_eq(X509_set_pubkey(made, cast[key].key), 1);
	cr_assert_gt(X509_sign(made, rig.issuer.key, EVP_sha256()), 0);
	EVP_PKEY_up_ref(cast[key].key);
	EVP_PKEY_free(cast[certificate].key);
	cast[certificate].key = cast[key].key;
}

/* Both certificates fit the signature, and one of them is good. */
Test(signer, may_be_enclosed_with_its_expired_certificate)
{
	struct ocsp_wish wish = signed_by(DELEGATE, ENCLOSED, EXPIRED);

	reissue(DELEGATE, EXPIRED);
	wish.by_key = true;
	cr_expect_eq(rig_outcome(&rig, &wish), STAPLE_GOOD);
	wish = signed_by(EXPIRED, ENCLOSED, DELEGATE);
	wish.by_key = true;
	cr_expect_eq(rig_outcome(&rig, &wish), STAPLE_GOOD);
}

/* All certificates are considered, however many there are... */
Test(signer, is_found_behind_hundreds, .timeout = 60)
{
	struct ocsp_wish wish = signed_by(DELEGATE, ENCLOSED, STRANGER);

	wish.also_copies = 500;
	cr_expect_eq(rig_outcome(&rig, &wish), STAPLE_GOOD);
	wish.by_key = true;
	cr_expect_eq(rig_outcome(&rig, &wish), STAPLE_GOOD);
}

/* ...but only so many of the right name: each costs a signature check. */
Test(signer, has_few_namesakes, .timeout = 60)
{
	struct ocsp_wish wish = signed_by(DELEGATE, ENCLOSED, RENEWED);

	wish.also_copies = 15;
	cr_expect_eq(rig_outcome(&rig, &wish), STAPLE_GOOD);
	wish.also_copies = 16;
	cr_expect_eq(rig_outcome(&rig, &wish), STAPLE_BAD_SIGNATURE);
	wish.also_copies = 500;
	cr_expect_eq(rig_outcome(&rig, &wish), STAPLE_BAD_SIGNATURE);
}

/* An authority that was renewed with its key: two certificates of one name, of
 * which the one at hand is not valid, or not yet. */
static const struct {
	const char *what, *from, *to;
} dates[] = {
	{ "valid", "20200101000000Z", "20990101000000Z" },
	{ "expired", "20200101000000Z", "20310101000000Z" },
	{ "not valid yet", "20320101000000Z", "20990101000000Z" },
};

Test(signer, does_not_depend_on_the_dates_of_the_issuers_certificate)
{
	static const enum who whom[] = { ISSUER, DELEGATE, EXPIRED };

	for (size_t i = 0; i < ARRAY_LEN(dates) * ARRAY_LEN(whom); i++) {
		enum who who = whom[i % ARRAY_LEN(whom)];
		struct ocsp_wish wish = signed_by(who, ENCLOSED, NOBODY);
		struct pki twin = pki_make(&(struct pki_wish){ .name = "issuer",
		    .ca = true,
		    .twin = &rig.issuer,
		    .from = dates[i / ARRAY_LEN(whom)].from,
		    .to = dates[i / ARRAY_LEN(whom)].to });
		X509 *issuer = rig.cert->issuer;
		struct staple_response *response;

		rig.cert->issuer = twin.certificate;
		response = rig_response(&rig, &wish);
		cr_expect_eq(rig.checked.outcome,
		    who == EXPIRED ? STAPLE_WRONG_SIGNER : STAPLE_GOOD,
		    "%s: %s", dates[i / ARRAY_LEN(whom)].what,
		    rig.checked.said.text);
		if (response != NULL)
			cr_expect_eq(staple_response_expires(response),
			    RIG_NOW + RIG_HOUR);
		staple_response_unref(response);
		rig.cert->issuer = issuer;
		pki_drop(&twin);
	}
}

/* GnuTLS and curl refuse them at every security level. */
Test(signer, may_not_use_md5)
{
	static const enum who whom[] = { ISSUER, DELEGATE };
	struct ocsp_wish wish;

	tear_down();
	engage(PKI_RSA, SIBLING);
	for (size_t i = 0; i < ARRAY_LEN(whom); i++) {
		wish = signed_by(whom[i], ENCLOSED, NOBODY);
		wish.digest = EVP_md5();
		cr_expect_eq(rig_outcome(&rig, &wish), STAPLE_WEAK_SIGNATURE,
		    "%s", rig.checked.said.text);
		cr_expect(rig_said(&rig, "RSA-MD5"));
		wish.digest = EVP_sha512();
		cr_expect_eq(rig_outcome(&rig, &wish), STAPLE_GOOD);
	}
}

Test(signer, may_not_be_certified_with_md5)
{
	struct ocsp_wish wish;

	tear_down();
	engage(PKI_RSA, SIBLING);
	cr_assert_gt(
	    X509_sign(cast[DELEGATE].certificate, rig.issuer.key, EVP_md5()),
	    0);
	wish = signed_by(DELEGATE, ENCLOSED, NOBODY);
	cr_expect_eq(rig_outcome(&rig, &wish), STAPLE_WEAK_SIGNATURE, "%s",
	    rig.checked.said.text);
	cr_expect(rig_said(&rig, "certificate of \"CN=delegate\" is signed"));
}

static const struct {
	unsigned bits;
	enum staple_outcome expect;
	int weak_bits;
} keys[] = {
	{ 512, STAPLE_WEAK_SIGNATURE, 0 },
	{ 1024, STAPLE_WEAK_SIGNATURE, 0 },
	{ 1032, STAPLE_GOOD, 1032 },
	{ 2040, STAPLE_GOOD, 2040 },
	{ 2048, STAPLE_GOOD, 0 },
};

Test(signer, has_a_key_that_clients_accept, .timeout = 60)
{
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		struct pki delegate = pki_make(
		    &(struct pki_wish){ .key = PKI_RSA,
			.bits = keys[i].bits,
			.name = "delegate",
			.usage = "OCSPSigning",
			.issuer = &rig.issuer });
		struct ocsp_wish wish = rig_wish(&rig);
		struct staple_response *response;

		wish.signer = &delegate;
		wish.with_signer = true;
		response = rig_response(&rig, &wish);
		cr_expect_eq(rig.checked.outcome, keys[i].expect, "%u: %s",
		    keys[i].bits, rig.checked.said.text);
		cr_expect_eq(rig_said(&rig, "RSA"), keys[i].bits != 2048);
		if (response != NULL)
			cr_expect_eq(staple_response_weak_bits(response),
			    keys[i].weak_bits);
		staple_response_unref(response);
		pki_drop(&delegate);
	}
}
