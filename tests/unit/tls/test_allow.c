/*
 * Patterns and the names of certificates: what matches, and beside each row
 * its neighbour that must not.
 */
#include "tls/allow.h"

#include <criterion/criterion.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "tests/support/pki.h"

struct row {
	const char *what;
	const char *allow; /* allow_san, or allow_cn */
	const char *given; /* SANs, or the common name; NULL: none */
	bool expect;
};

static struct config_strings
list_of(char **item)
{
	return (struct config_strings){ item, *item != NULL };
}

static void
expect_match(const struct row *row, const struct config_listener *settings,
    const struct pki_wish *wish)
{
	struct pki made = pki_make(wish);

	cr_expect_eq(allow_matches(settings, made.certificate), row->expect,
	    "%s: %s and %s", row->what, row->allow,
	    row->given ? row->given : "nothing");
	cr_expect_eq(ERR_peek_error(), 0, "%s: an error is left", row->what);
	pki_drop(&made);
}

static void
walk_sans(const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char text[128], *item = text;
		struct config_listener settings = { .allow_san = list_of(
							&item) };

		strcpy(text, rows[i].allow);
		expect_match(&rows[i], &settings,
		    &(struct pki_wish){
			.name = "a.example", .san = rows[i].given });
	}
}

static const struct row hosts[] = {
	{ "a bare word", "a.example", "DNS:a.example", true },
	{ "another", "a.example", "DNS:b.example", false },
	{ "with its prefix", "dns:a.example", "DNS:a.example", true },
	{ "prefix in capitals", "DNS:a.example", "DNS:a.example", true },
	{ "no case", "dns:A.exAmple", "DNS:a.eXample", true },
	{ "the root", "dns:a.example.", "DNS:a.example", true },
	{ "the root, in the certificate", "dns:a.example", "DNS:a.example.",
	    false },
	{ "begins alike", "dns:a.example", "DNS:a.example.net", false },
	{ "ends alike", "dns:a.example", "DNS:aa.example", false },
	{ "the second of two", "dns:a.example", "DNS:b.example,DNS:a.example",
	    true },
	{ "neither of two", "dns:a.example", "DNS:b.example,DNS:c.example",
	    false },
	{ "one label", "dns:*.example", "DNS:a.example", true },
	{ "no label", "dns:*.example", "DNS:example", false },
	{ "an empty label", "dns:*.example", "DNS:.example", false },
	{ "two labels", "dns:*.example", "DNS:b.a.example", false },
	{ "a label under two", "dns:*.a.example", "DNS:b.a.example", true },
	{ "another parent", "dns:*.a.example", "DNS:b.c.example", false },
	{ "a longer parent", "dns:*.a.example", "DNS:b.aa.example", false },
	{ "wildcard without case", "dns:*.A.example", "DNS:b.a.EXAMPLE", true },
	{ "a wildcard certificate", "dns:*.example", "DNS:*.example", false },
	{ "a wildcard for a name", "dns:a.example", "DNS:*.example", false },
	{ "an address as a name", "ip:192.0.2.1", "DNS:192.0.2.1", false },
	{ "the common name is no SAN", "dns:a.example", NULL, false },
};

Test(allow, knows_host_names)
{
	walk_sans(hosts, ARRAY_LEN(hosts));
}

static const struct row mails[] = {
	{ "exact", "email:a@x.example", "email:a@x.example", true },
	{ "another", "email:a@x.example", "email:b@x.example", false },
	{ "the domain has no case", "email:a@X.example", "email:a@x.EXAMPLE",
	    true },
	{ "the local part has", "email:a@x.example", "email:A@x.example",
	    false },
	{ "anybody there", "email:*@x.example", "email:b@X.example", true },
	{ "anybody under there", "email:*@x.example", "email:b@y.x.example",
	    false },
	{ "anybody elsewhere", "email:*@x.example", "email:b@y.example",
	    false },
	{ "an @ in quotes", "email:*@x.example",
	    "email:\"a@y.example\"@x.example", true },
	{ "the other way round", "email:*@y.example",
	    "email:\"a@y.example\"@x.example", false },
	{ "a star for a name", "email:a@x.example", "email:*@x.example",
	    false },
	{ "nobody there", "email:*@x.example", "email:@x.example", false },
	{ "no mailbox", "email:*@x.example", "email:x.example", false },
	{ "a host of the name", "dns:x.example", "email:a@x.example", false },
	{ "a URI of the name", "email:a@x.example", "URI:a@x.example", false },
};

Test(allow, knows_mailboxes)
{
	walk_sans(mails, ARRAY_LEN(mails));
}

static const struct row uris[] = {
	{ "exact", "uri:spiffe://x.example/a", "URI:spiffe://x.example/a",
	    true },
	{ "case", "uri:spiffe://x.example/a", "URI:spiffe://x.example/A",
	    false },
	{ "longer", "uri:spiffe://x.example/a", "URI:spiffe://x.example/ab",
	    false },
	{ "more than a segment", "uri:spiffe://x.example/ns/*",
	    "URI:spiffe://x.example/ns/a/b", false },
	{ "a query", "uri:https://x.example/a*", "URI:https://x.example/ab?c",
	    false },
	{ "no end of a host name", "uri:https://x.example*",
	    "URI:https://x.example.net/", false },
	{ "a prefix", "uri:spiffe://x.example/ns/*",
	    "URI:spiffe://x.example/ns/a", true },
	{ "a prefix alone", "uri:spiffe://x.example/ns/*",
	    "URI:spiffe://x.example/ns/", false },
	{ "less than the prefix", "uri:spiffe://x.example/ns/*",
	    "URI:spiffe://x.example/ns", false },
	{ "another prefix", "uri:spiffe://x.example/ns/*",
	    "URI:spiffe://y.example/ns/a", false },
	{ "a star in the certificate", "uri:spiffe://x.example/a",
	    "URI:spiffe://x.example/*", false },
	{ "a segment within", "uri:spiffe://x.example/ns/*/sa/web",
	    "URI:spiffe://x.example/ns/prod/sa/web", true },
	{ "another end", "uri:spiffe://x.example/ns/*/sa/web",
	    "URI:spiffe://x.example/ns/prod/sa/webx", false },
	{ "two segments within", "uri:spiffe://x.example/ns/*/sa/web",
	    "URI:spiffe://x.example/ns/a/b/sa/web", false },
	{ "no segment within", "uri:spiffe://x.example/ns/*/sa/web",
	    "URI:spiffe://x.example/ns//sa/web", false },
	{ "the end is missing", "uri:spiffe://x.example/ns/*/sa/web",
	    "URI:spiffe://x.example/ns/prod", false },
	{ "two stars", "uri:spiffe://x.example/*/a/*",
	    "URI:spiffe://x.example/ns/a/b", true },
	{ "the whole domain", "uri:spiffe://x.example/**",
	    "URI:spiffe://x.example/ns/prod/sa/web", true },
	{ "one segment of it", "uri:spiffe://x.example/**",
	    "URI:spiffe://x.example/a", true },
	{ "the domain itself", "uri:spiffe://x.example/**",
	    "URI:spiffe://x.example", false },
	{ "nothing in it", "uri:spiffe://x.example/**",
	    "URI:spiffe://x.example/", false },
	{ "another domain", "uri:spiffe://x.example/**",
	    "URI:spiffe://x.example.net/a", false },
	{ "a query behind it", "uri:https://x.example/**",
	    "URI:https://x.example/a/b?c", false },
	{ "a part and the rest", "uri:spiffe://x.example/*/sa/**",
	    "URI:spiffe://x.example/ns/sa/web/1", true },
	{ "no host by **", "uri:https:/**", "URI:https://x.example/", false },
	{ "any", "uri:*", "URI:urn:x", true },
	{ "any, but a host", "uri:*", "DNS:x", false },
};

Test(allow, knows_uris)
{
	walk_sans(uris, ARRAY_LEN(uris));
}

static const struct row addresses[] = {
	{ "IPv4", "ip:192.0.2.1", "IP:192.0.2.1", true },
	{ "another", "ip:192.0.2.1", "IP:192.0.2.2", false },
	{ "a range", "ip:192.0.2.0/24", "IP:192.0.2.255", true },
	{ "beside it", "ip:192.0.2.0/24", "IP:192.0.3.0", false },
	{ "IPv6 in other words", "ip:2001:db8:0::1", "IP:2001:db8::0:1", true },
	{ "another IPv6", "ip:2001:db8::1", "IP:2001:db8::2", false },
	{ "an IPv6 range", "ip:2001:db8::/32", "IP:2001:db8:ffff::", true },
	{ "beside the IPv6 range", "ip:2001:db8::/32", "IP:2001:db9::", false },
	{ "any IPv4", "ip:0.0.0.0/0", "IP:192.0.2.1", true },
	{ "any IPv4, but IPv6", "ip:0.0.0.0/0", "IP:2001:db8::1", false },
	{ "mapped", "ip:192.0.2.1", "IP:::ffff:192.0.2.1", true },
	{ "any IPv6, but IPv4", "ip:::/0", "IP:192.0.2.1", false },
	{ "its text as a host", "dns:192.0.2.1", "IP:192.0.2.1", false },
};

Test(allow, knows_addresses)
{
	walk_sans(addresses, ARRAY_LEN(addresses));
}

static const struct row commons[] = {
	{ "exact", "robot 7", "robot 7", true },
	{ "another", "robot 7", "robot 8", false },
	{ "begins alike", "robot 7", "robot 77", false },
	{ "no case", "Robot 7", "rOBOT 7", true },
	{ "one label", "*.example", "a.example", true },
	{ "no label", "*.example", "example", false },
	{ "two labels", "*.example", "b.a.example", false },
	{ "no kind of SAN", "dns:a.example", "a.example", false },
	{ "a wildcard", "*.example", "*.example", false },
	{ "the root", "a.example.", "a.example", false },
	{ "none", "a.example", NULL, false },
};

Test(allow, knows_common_names)
{
	for (size_t i = 0; i < ARRAY_LEN(commons); i++) {
		char text[128], *item = text;
		struct config_listener settings = { .allow_cn = list_of(
							&item) };

		strcpy(text, commons[i].allow);
		expect_match(&commons[i], &settings,
		    &(struct pki_wish){
			.name = commons[i].given, .san = "DNS:a.example" });
	}
}

/* ---- what no tool would write ---- */

static X509 *
with_san(int type, const char *bytes, int len)
{
	X509 *certificate = X509_new();
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_IA5STRING *string = ASN1_IA5STRING_new();

	cr_assert(certificate && names && name && string);
	cr_assert(ASN1_STRING_set(string, bytes, len));
	GENERAL_NAME_set0_value(name, type, string);
	cr_assert(sk_GENERAL_NAME_push(names, name));
	cr_assert(X509_add1_ext_i2d(
		      certificate, NID_subject_alt_name, names, 0, 0) == 1);
	GENERAL_NAMES_free(names);
	return certificate;
}

static const struct {
	const char *what;
	const char *allow;
	int type;
	const char *bytes;
	int len;
	bool expect;
} hostile[] = {
	{ "a host", "a.example", GEN_DNS, "a.example", 9, true },
	{ "a NUL behind it", "a.example", GEN_DNS, "a.example\0", 10, false },
	{ "a NUL and more", "a.example", GEN_DNS, "a.example\0.evil", 15,
	    false },
	{ "a NUL under a wildcard", "*.example", GEN_DNS, "\0.example", 9,
	    false },
	{ "a NUL in a mailbox", "email:*@x.example", GEN_EMAIL,
	    "a\0b@x.example", 13, false },
	{ "a mailbox", "email:*@x.example", GEN_EMAIL, "a.b@x.example", 13,
	    true },
	{ "a NUL in a URI", "uri:urn:x*", GEN_URI, "urn:x\0y", 7, false },
	{ "a URI", "uri:urn:x*", GEN_URI, "urn:xyy", 7, true },
	{ "nothing", "uri:*", GEN_URI, "", 0, false },
	{ "an address of three bytes", "ip:0.0.0.0/0", GEN_IPADD, "\xc0\0\x02",
	    3, false },
	{ "an address of four", "ip:0.0.0.0/0", GEN_IPADD, "\xc0\0\x02\x01", 4,
	    true },
	{ "a network of eight", "ip:0.0.0.0/0", GEN_IPADD,
	    "\xc0\0\x02\0\xff\xff\xff\0", 8, false },
};

Test(allow, is_not_fooled_by_bytes_that_are_no_name)
{
	for (size_t i = 0; i < ARRAY_LEN(hostile); i++) {
		X509 *certificate = with_san(
		    hostile[i].type, hostile[i].bytes, hostile[i].len);
		char text[64], *item = text;
		struct config_listener settings = { .allow_san = list_of(
							&item) };

		strcpy(text, hostile[i].allow);
		cr_expect_eq(allow_matches(&settings, certificate),
		    hostile[i].expect, "%s", hostile[i].what);
		X509_free(certificate);
	}
}

/* In the middle of a handshake errors must not be left for others. */
Test(allow, leaves_no_error_of_names_that_cannot_be_read)
{
	X509 *certificate = X509_new();
	ASN1_OCTET_STRING *junk = ASN1_OCTET_STRING_new();
	X509_EXTENSION *extension;
	char text[] = "*.example", *item = text;
	struct config_listener settings = { .allow_san = list_of(&item) };

	cr_assert(ASN1_OCTET_STRING_set(junk, (const uint8_t *)"\x30\x7f", 2));
	extension = X509_EXTENSION_create_by_NID(
	    NULL, NID_subject_alt_name, 0, junk);
	cr_assert(X509_add_ext(certificate, extension, -1));
	cr_expect_not(allow_matches(&settings, certificate));
	cr_expect_eq(ERR_peek_error(), 0);
	X509_EXTENSION_free(extension);
	ASN1_OCTET_STRING_free(junk);
	X509_free(certificate);
}

static const struct {
	const char *what;
	int type;
	const char *first;
	const char *last; /* NULL: only the first */
	int len;          /* of the last one that is there */
	bool expect;
} subjects[] = {
	{ "UTF-8", V_ASN1_UTF8STRING, "root", NULL, 4, true },
	{ "UTF-16", V_ASN1_BMPSTRING, "\0r\0o\0o\0t", NULL, 8, true },
	{ "a NUL and more", V_ASN1_UTF8STRING, "root\0x", NULL, 6, false },
	{ "a NUL behind it", V_ASN1_UTF8STRING, "root\0", NULL, 5, false },
	{ "the last counts", V_ASN1_UTF8STRING, "other", "root", 4, true },
	{ "the first does not", V_ASN1_UTF8STRING, "root", "other", 5, false },
};

Test(allow, reads_the_last_common_name_in_any_alphabet)
{
	for (size_t i = 0; i < ARRAY_LEN(subjects); i++) {
		X509 *certificate = X509_new();
		X509_NAME *name = X509_get_subject_name(certificate);
		const char *first = subjects[i].first, *last = subjects[i].last;
		char text[] = "root", *item = text;
		struct config_listener settings = { .allow_cn = list_of(
							&item) };

		cr_assert(X509_NAME_add_entry_by_NID(name, NID_commonName,
		    subjects[i].type, (const unsigned char *)first,
		    last ? (int)strlen(first) : subjects[i].len, -1, 0));
		cr_assert(last == NULL ||
			  X509_NAME_add_entry_by_NID(name, NID_commonName,
			      subjects[i].type, (const unsigned char *)last,
			      subjects[i].len, -1, 0));
		cr_expect_eq(allow_matches(&settings, certificate),
		    subjects[i].expect, "%s", subjects[i].what);
		cr_expect_eq(ERR_peek_error(), 0);
		X509_free(certificate);
	}
}

/* ---- lists ---- */

Test(allow, takes_anybody_without_rules)
{
	struct pki made = pki_make(&(struct pki_wish){ .name = NULL });
	struct config_listener settings = { .allow_san = { NULL, 0 } };

	cr_expect(allow_matches(&settings, made.certificate));
	pki_drop(&made);
}

Test(allow, takes_whom_one_pattern_of_either_key_names)
{
	static const struct {
		const char *cn, *san;
		bool expect;
	} rows[] = {
		{ "robot", "DNS:x.example", true },
		{ "else", "DNS:b.example", true },
		{ "robot", "DNS:b.example", true },
		{ "else", "DNS:x.example", false },
		{ "a.example", "DNS:robot", false }, /* not crosswise */
	};
	char a[] = "a.example", b[] = "b.example", robot[] = "robot";
	char *sans[] = { a, b }, *cns[] = { robot };
	struct config_listener settings = { .allow_san = { sans, 2 },
		.allow_cn = { cns, 1 } };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct pki made = pki_make(&(struct pki_wish){
		    .name = rows[i].cn, .san = rows[i].san });

		cr_expect_eq(allow_matches(&settings, made.certificate),
		    rows[i].expect, "%s, %s", rows[i].cn, rows[i].san);
		pki_drop(&made);
	}
}
