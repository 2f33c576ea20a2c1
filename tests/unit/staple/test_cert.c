/* What must be known of a certificate, and what a policy makes of it. */
#include "staple/cert.h"

#include <criterion/criterion.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>

#include "base/err.h"
#include "tests/support/pki.h"

static struct staple_cert *
know(const struct pki *leaf, const struct staple_source *source)
{
	struct staple_cert *cert;
	struct err err;

	cert = staple_cert_new(leaf->certificate, NULL, source, NULL, &err);
	cr_assert_not_null(cert, "%s", err.text);
	cr_expect_eq(ERR_peek_error(), 0);
	return cert;
}

static struct staple_cert *
know_wish(const struct pki_wish *wish, const struct staple_source *source)
{
	struct pki leaf = pki_make(wish);
	struct staple_cert *cert = know(&leaf, source);

	pki_drop(&leaf);
	return cert;
}

static const struct {
	const char *what, *feature;
	bool expect;
} features[] = {
	{ "no extension", NULL, false },
	{ "5", "status_request", true },
	{ "17 alone", "status_request_v2", false },
	{ "17 and 5", "17,5", true },
	{ "5 and others", "0,1,5,65535", true },
	{ "others", "0,1,4,6,261,65535", false },
	{ "a number that begins like 5", "1281", false },
	{ "an empty list", "DER:3000", false },
	{ "5 by hand", "DER:3003020105", true },
	{ "minus 5", "DER:30030201FB", false },
	{ "5 with a zero before it", "DER:300402020005", false },
	{ "an enumerated 5", "DER:30030A0105", false },
	{ "no sequence", "DER:020105", false },
	{ "cut off", "DER:30030201", false },
	{ "a longer length than there is", "DER:307F020105", false },
	{ "a lone zero", "DER:00", false },
	{ "more than a machine word, then 5",
	    "DER:300E0209050505050505050505020105", true },
};

Test(cert, must_be_stapled_when_the_feature_list_holds_5)
{
	for (size_t i = 0; i < ARRAY_LEN(features); i++) {
		struct pki leaf = pki_make(
		    &(struct pki_wish){ .feature = features[i].feature });
		struct staple_cert *cert = know(&leaf, NULL);

		cr_expect_eq(cert->must_staple, features[i].expect, "%s",
		    features[i].what);
		cr_expect_eq(staple_cert_must_staple(leaf.certificate),
		    features[i].expect, "%s", features[i].what);
		cr_expect_eq(ERR_peek_error(), 0);
		staple_cert_unref(cert);
		pki_drop(&leaf);
	}
}

Test(cert, must_be_stapled_when_either_of_two_lists_says_so)
{
	struct pki leaf = pki_make(&(struct pki_wish){ .feature = "17" });
	X509_EXTENSION *second = X509V3_EXT_conf_nid(
	    NULL, NULL, NID_tlsfeature, "status_request");

	cr_expect_not(staple_cert_must_staple(leaf.certificate));
	X509_add_ext(leaf.certificate, second, -1);
	cr_expect(staple_cert_must_staple(leaf.certificate));
	X509_EXTENSION_free(second);
	pki_drop(&leaf);
}

Test(cert, must_be_stapled_even_behind_hundreds_of_features)
{
	char list[300 * 7] = "";

	for (int i = 0; i < 300; i++)
		strcat(list, "60000,");
	strcat(list, "5");
	struct staple_cert *cert = know_wish(
	    &(struct pki_wish){ .feature = list }, NULL);

	cr_expect(cert->must_staple);
	staple_cert_unref(cert);
}

#define LABEL "a23456789-123456789-123456789-123456789-123456789-123456789."
#define LONG LABEL LABEL LABEL

static const struct {
	const char *what, *name, *san, *expect;
} names[] = {
	{ "the first DNS name", "cn",
	    "IP:192.0.2.1,DNS:a.example,DNS:b.example", "a.example" },
	{ "a wildcard", "cn", "DNS:*.example", "*.example" },
	{ "no DNS name", "cn", "IP:192.0.2.1,email:a@b", "cn" },
	{ "an empty DNS name", "cn", "DER:30058200820162", "b" },
	{ "no SAN", "cn", NULL, "cn" },
	{ "a SAN that cannot be read", "cn", "DER:30ff", "cn" },
	{ "a NUL in a DNS name", "cn", "DER:30058203610062", "a\\x00b" },
	{ "a terminal's escape", "\x1b[2Ja\nb\\", NULL,
	    "\\x1b[2Ja\\x0ab\\x5c" },
	{ "UTF-8", "\xc3\xa9", NULL, "\\xc3\\xa9" },
	{ "more than there is room for", NULL, "DNS:" LONG,
	    LABEL LABEL "a234567" },
};

Test(cert, is_called_by_its_dns_name_or_common_name)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct staple_cert *cert = know_wish(
		    &(struct pki_wish){
			.name = names[i].name, .san = names[i].san },
		    NULL);

		cr_expect_str_eq(cert->name, names[i].expect, "%s: %s",
		    names[i].what, cert->name);
		staple_cert_unref(cert);
	}
}

Test(cert, without_a_name_is_called_by_its_serial_number)
{
	struct pki leaf = pki_make(&(struct pki_wish){ 0 });
	struct staple_cert *cert;

	ASN1_INTEGER_set(X509_get_serialNumber(leaf.certificate), 0x1fa0b);
	cert = know(&leaf, NULL);
	cr_expect_str_eq(cert->name, "serial 01fa0b");
	staple_cert_unref(cert);
	pki_drop(&leaf);
}

Test(cert, is_known_by_the_hash_of_its_encoding)
{
	struct pki leaf = pki_make(&(struct pki_wish){ .name = "a" });
	unsigned char *der = NULL, expect[STAPLE_KEY_SIZE];
	unsigned char key[STAPLE_KEY_SIZE];
	int len = i2d_X509(leaf.certificate, &der);
	struct staple_cert *cert = know(&leaf, NULL);
	char hex[3];

	cr_assert_gt(len, 0);
	SHA256(der, (size_t)len, expect);
	cr_expect(staple_cert_key(leaf.certificate, key));
	cr_expect_arr_eq(key, expect, sizeof(key));
	cr_expect_arr_eq(cert->key, expect, sizeof(key));
	cr_expect_eq(strlen(cert->id), 64);
	snprintf(hex, sizeof(hex), "%02x", expect[31]);
	cr_expect_str_eq(cert->id + 62, hex);
	OPENSSL_free(der);
	staple_cert_unref(cert);
	pki_drop(&leaf);
}

Test(cert, when_renewed_is_known_by_another_key)
{
	struct pki_wish wish = { .name = "a.example" };
	struct staple_cert *old = know_wish(&wish, NULL);
	struct staple_cert *renewed = know_wish(&wish, NULL);

	cr_expect_str_eq(old->name, renewed->name);
	cr_expect_str_neq(old->id, renewed->id);
	staple_cert_unref(old);
	staple_cert_unref(renewed);
}

static const struct {
	const char *text;
	int64_t seconds;
} times[] = {
	{ "19700101000001Z", 1 },
	{ "20200101000000Z", 1577836800 },
	{ "20380119031408Z", INT64_C(1) << 31 },
	{ "99991231235959Z", 253402300799 },
};

Test(cert, knows_when_it_is_valid)
{
	for (size_t i = 0; i < ARRAY_LEN(times); i++) {
		struct staple_cert *cert = know_wish(
		    &(struct pki_wish){
			.from = times[i].text, .to = times[i].text },
		    NULL);

		cr_expect_eq(cert->not_before, times[i].seconds);
		cr_expect_eq(
		    cert->not_after, times[i].seconds, "%s", times[i].text);
		staple_cert_unref(cert);
	}
}

Test(cert, whose_dates_cannot_be_read_is_long_over)
{
	struct pki leaf = pki_make(&(struct pki_wish){ 0 });
	struct staple_cert *cert;

	ASN1_STRING_set(X509_getm_notAfter(leaf.certificate), "tomorrow", 8);
	cert = know(&leaf, NULL);
	cr_expect_eq(cert->not_after, 0);
	staple_cert_unref(cert);
	pki_drop(&leaf);
}

#define RESPONDER "OCSP;URI:http://a/"

static const struct {
	const char *what, *aia, *file;
	enum staple_outcome hindrance;
} hindrances[] = {
	{ "neither responder nor issuer", NULL, NULL, STAPLE_NO_RESPONDER },
	{ "a responder", RESPONDER, NULL, STAPLE_NO_ISSUER },
	{ "a file needs no responder", NULL, "/x", STAPLE_NO_ISSUER },
	{ "a bad URL alone", "OCSP;URI:ldap://a/", NULL, STAPLE_NO_RESPONDER },
};

Test(cert, says_why_nobody_can_be_asked)
{
	for (size_t i = 0; i < ARRAY_LEN(hindrances); i++) {
		struct staple_source source = {
			.staple_file = hindrances[i].file
		};
		struct staple_cert *cert = know_wish(
		    &(struct pki_wish){ .aia = hindrances[i].aia }, &source);

		cr_expect_eq(cert->hindrance, hindrances[i].hindrance, "%s",
		    hindrances[i].what);
		cr_expect_str_neq(cert->hint, "", "%s", hindrances[i].what);
		staple_cert_unref(cert);
	}
}

Test(cert, says_nothing_where_all_is_well)
{
	struct pki ca = pki_make(&(struct pki_wish){ .name = "A", .ca = true });
	struct pki leaf = pki_make(
	    &(struct pki_wish){ .issuer = &ca, .aia = RESPONDER });
	STACK_OF(X509) *chain = sk_X509_new_null();
	struct staple_cert *cert;
	struct err err;

	sk_X509_push(chain, ca.certificate);
	cert = staple_cert_new(leaf.certificate, chain, NULL, NULL, &err);
	cr_assert_not_null(cert, "%s", err.text);
	cr_expect_eq(cert->hindrance, STAPLE_UNASKED);
	cr_expect_str_eq(cert->hint, "");
	cr_expect_null(cert->staple_file);
	staple_cert_unref(cert);
	sk_X509_free(chain);
	pki_drop(&leaf);
	pki_drop(&ca);
}

Test(cert, owns_the_path_of_its_staple_file)
{
	char path[] = "/x.der";
	struct staple_source source = { .staple_file = path };
	struct staple_cert *cert = know_wish(&(struct pki_wish){ 0 }, &source);

	path[1] = 'y';
	cr_expect_str_eq(cert->staple_file, "/x.der");
	staple_cert_unref(cert);
}

#define NOT STAPLE_WISH_NONE
#define WANT STAPLE_WISH_WANTED
#define FATAL STAPLE_WISH_FATAL

/* Section 1 of the specification: by mode, what becomes of whom. */
static const struct {
	const char *what, *feature, *aia, *file;
	enum staple_wish by_mode[5]; /* auto, must, always, never, prefer */
} wishes[] = {
	{ "plain", NULL, NULL, NULL, { NOT, NOT, FATAL, NOT, NOT } },
	{ "plain with a responder", NULL, RESPONDER, NULL,
	    { NOT, NOT, FATAL, NOT, WANT } },
	{ "plain with a file", NULL, NULL, "/x",
	    { NOT, NOT, FATAL, NOT, WANT } },
	{ "must-staple with a responder", "5", RESPONDER, NULL,
	    { WANT, FATAL, FATAL, NOT, WANT } },
	{ "must-staple without one", "5", NULL, NULL,
	    { WANT, FATAL, FATAL, NOT, NOT } },
	{ "17 alone", "17", RESPONDER, NULL, { NOT, NOT, FATAL, NOT, WANT } },
};

Test(cert, is_wanted_as_the_mode_says)
{
	for (size_t i = 0; i < ARRAY_LEN(wishes); i++) {
		struct staple_source source = { .staple_file = wishes[i].file };
		struct staple_cert *cert = know_wish(
		    &(struct pki_wish){
			.aia = wishes[i].aia, .feature = wishes[i].feature },
		    &source);

		for (int mode = STAPLE_AUTO; mode <= STAPLE_PREFER; mode++)
			cr_expect_eq(
			    staple_cert_wish(
				cert, &(struct staple_policy){ .mode = mode }),
			    wishes[i].by_mode[mode], "%s, mode %d",
			    wishes[i].what, mode);
		staple_cert_unref(cert);
	}
}

Test(cert, lives_as_long_as_somebody_refers_to_it)
{
	struct staple_cert *cert = know_wish(
	    &(struct pki_wish){ .name = "a" }, NULL);

	cr_expect_eq(staple_cert_ref(cert), cert);
	staple_cert_unref(cert);
	cr_expect_str_eq(cert->name, "a");
	staple_cert_unref(cert);
	staple_cert_unref(NULL);
}

Test(cert, is_not_blamed_for_failures_of_others)
{
	struct staple_cert *cert;

	ERR_raise(ERR_LIB_X509, ERR_R_MALLOC_FAILURE);
	cert = know_wish(&(struct pki_wish){ .name = "a" }, NULL);
	cr_expect_str_eq(cert->name, "a");
	staple_cert_unref(cert);
}

Test(cert, that_cannot_be_encoded_is_refused)
{
	X509 *empty = X509_new();
	unsigned char key[STAPLE_KEY_SIZE];
	struct err err = { "" };

	cr_expect_not(staple_cert_key(empty, key));
	cr_expect_null(staple_cert_new(empty, NULL, NULL, NULL, &err));
	cr_expect_not_null(strstr(err.text, "cannot be encoded"));
	cr_expect_eq(ERR_peek_error(), 0);
	X509_free(empty);
}

static const char *const one_url[] = { "http://one.example/" };
static const char *const other_url[] = { "http://other.example/" };

static const struct same_row {
	const char *what;
	struct staple_source a, b;
	bool expect;
} same_rows[] = {
	{ "nothing", { 0 }, { 0 }, true },
	{ "one URL", { one_url, 1, NULL }, { one_url, 1, NULL }, true },
	{ "another URL", { one_url, 1, NULL }, { other_url, 1, NULL }, false },
	{ "a URL and none", { one_url, 1, NULL }, { 0 }, false },
	{ "one file", { NULL, 0, "a" }, { NULL, 0, "a" }, true },
	{ "another file", { NULL, 0, "a" }, { NULL, 0, "b" }, false },
	{ "a file besides", { one_url, 1, "a" }, { one_url, 1, NULL }, false },
};

Test(cert, says_the_same_when_the_same_would_be_asked)
{
	struct pki leaf = pki_make(&(struct pki_wish){ .name = "a" });

	for (size_t i = 0; i < ARRAY_LEN(same_rows); i++) {
		const struct same_row *row = &same_rows[i];
		struct staple_cert *a = know(&leaf, &row->a);
		struct staple_cert *b = know(&leaf, &row->b);

		cr_expect_eq(
		    staple_cert_says_same(a, b), row->expect, "%s", row->what);
		staple_cert_unref(a);
		staple_cert_unref(b);
	}
	pki_drop(&leaf);
}
