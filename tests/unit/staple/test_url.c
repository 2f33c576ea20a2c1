/*
 * URLs: what is accepted, from the certificate or the configuration; the host;
 * the URL of a GET (RFC 6960 A.1).
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/attr.h"
#include "base/err.h"
#include "staple/cert.h"
#include "staple/url.h"
#include "tests/support/pki.h"

#define NO_HOST "it has no valid host"
#define NO_BYTE "it has a byte that is not valid in a URL"
#define NO_PORT "its port is not a number from 1 to 65535"
#define NO_SCHEME "it is neither http nor https"
#define USER "it has a user name"

/* fault NULL: the URL is valid. */
static const struct {
	const char *url;
	size_t len; /* 0: up to its end */
	const char *fault;
} checks[] = {
	{ "http://ocsp.example", 0, NULL },
	{ "https://ocsp.example/", 0, NULL },
	{ "HTTP://OCSP.EXAMPLE/Path?a=b&c=%20#d", 0, NULL },
	{ "http://192.0.2.1:8080/", 0, NULL },
	{ "http://[2001:db8::1]:80/x", 0, NULL },
	{ "http://[::ffff:192.0.2.1]", 0, NULL },
	{ "http://a_b-c.example:/", 0, NULL },
	{ "http://a:1", 0, NULL },
	{ "http://a:65535", 0, NULL },
	{ "http://a/b@c", 0, NULL },
	{ "http://a?b@c", 0, NULL },
	{ "", 0, NO_SCHEME },
	{ "http", 0, NO_SCHEME },
	{ "ocsp.example", 0, NO_SCHEME },
	{ "http:/a", 0, NO_SCHEME },
	{ "//a/", 0, NO_SCHEME },
	{ "file:///etc/passwd", 0, NO_SCHEME },
	{ "ldap://a/cn=b", 0, NO_SCHEME },
	{ "ftp://a/", 0, NO_SCHEME },
	{ "httpx://a/", 0, NO_SCHEME },
	{ "http://", 0, NO_HOST },
	{ "http:///path", 0, NO_HOST },
	{ "http://:80/", 0, NO_HOST },
	{ "http://?q", 0, NO_HOST },
	{ "http://a%00.b/", 0, NO_HOST },
	{ "http://a,b/", 0, NO_HOST },
	{ "http://[::1/", 0, NO_HOST },
	{ "http://[]/", 0, NO_HOST },
	{ "http://[fe80::1%25eth0]/", 0, NO_HOST },
	{ "http://[::1]x/", 0, NO_HOST },
	{ "http://a:0/", 0, NO_PORT },
	{ "http://a:65536/", 0, NO_PORT },
	{ "http://a:99999999999999999999/", 0, NO_PORT },
	{ "http://a:80x/", 0, NO_PORT },
	{ "http://a:-1/", 0, NO_PORT },
	{ "http://a:80:90/", 0, NO_PORT },
	{ "http://me@a/", 0, USER },
	{ "http://me:secret@a/", 0, USER },
	{ "http://a:80@b/", 0, USER },
	{ "http://@a/", 0, USER },
	{ "http://a/\0.example", 18, NO_BYTE },
	{ "http://a\0", 9, NO_BYTE },
	{ "http://a/b c", 0, NO_BYTE },
	{ " http://a/", 0, NO_BYTE },
	{ "http://a/\r\nHost: b", 0, NO_BYTE },
	{ "http://a/\x7f", 0, NO_BYTE },
	{ "http://\xc3\xa9.example/", 0, NO_BYTE },
	{ "http://a\\@b/", 0, NO_BYTE },
	{ "http://a/<script>", 0, NO_BYTE },
};

Test(url, is_http_with_a_host_and_nothing_strange)
{
	for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
		const char *url = checks[i].url, *why;
		size_t len = checks[i].len > 0 ? checks[i].len : strlen(url);
		bool ok = staple_url_check(url, len, &why);

		cr_expect_eq(ok, checks[i].fault == NULL, "%s", url);
		if (checks[i].fault != NULL)
			cr_expect_str_eq(why, checks[i].fault, "%s", url);
	}
}

Test(url, is_never_read_beyond_its_length)
{
	const char *why;

	cr_expect(staple_url_check("http://a:80@b", 11, &why));
	cr_expect_not(staple_url_check("http://a", 7, &why));
	cr_expect_not(staple_url_check("http://[::1]", 11, &why));
}

Test(url, has_a_longest_length)
{
	char text[STAPLE_URL_LENGTH_MAX + 1] = "http://a/";
	const char *why;
	size_t start = strlen(text);

	memset(text + start, 'x', sizeof(text) - start);
	cr_expect(staple_url_check(text, STAPLE_URL_LENGTH_MAX, &why));
	cr_expect_not(staple_url_check(text, sizeof(text), &why));
	cr_expect_str_eq(why, "it is too long");
}

/* The facts of a certificate with this AIA extension (NULL: none). */
static struct staple_cert *
know(const char *aia, const struct staple_source *source)
{
	struct pki leaf = pki_make(&(struct pki_wish){ .aia = aia });
	struct staple_cert *cert;
	struct err err;

	cert = staple_cert_new(leaf.certificate, NULL, source, NULL, &err);
	cr_assert_not_null(cert, "%s", err.text);
	cr_expect_eq(ERR_peek_error(), 0);
	pki_drop(&leaf);
	return cert;
}

/* Its URLs, each with a blank behind it; static. */
static const char *
list(const struct staple_cert *cert)
{
	static char text[512];
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < cert->url_count; i++)
		used += (size_t)snprintf(
		    text + used, sizeof(text) - used, "%s ", cert->urls[i]);
	return text;
}

static const struct {
	const char *what, *aia, *expect, *hint;
} lists[] = {
	{ "no AIA", NULL, "", "it has no responder URL" },
	{ "one", "OCSP;URI:http://a/", "http://a/ ", NULL },
	{ "in the certificate's order",
	    "OCSP;URI:http://b/,OCSP;URI:http://a/,OCSP;URI:http://c/",
	    "http://b/ http://a/ http://c/ ", NULL },
	{ "one thing twice", "OCSP;URI:http://b/,OCSP;URI:http://b/",
	    "http://b/ ", NULL },
	{ "what is for other ends", "caIssuers;URI:http://ca/", "",
	    "it has no responder URL" },
	{ "a responder beside what is for other ends",
	    "caIssuers;URI:http://ca/,OCSP;URI:http://a/", "http://a/ ", NULL },
	{ "names that are no URI", "OCSP;DNS:a.example,OCSP;URI:http://a/",
	    "http://a/ ", "without a URL was left out" },
	{ "only names that are no URI", "OCSP;DNS:a.example", "",
	    "without a URL was left out" },
	{ "a bad one beside a good one",
	    "OCSP;URI:ldap://a/,OCSP;URI:http://a/", "http://a/ ",
	    "the URL ldap://a/ was left out, as it is neither" },
	{ "three bad ones",
	    "OCSP;URI:ldap://a/,OCSP;URI:http://u@a/,OCSP;URI:x", "",
	    "; 2 more were left out" },
	{ "AIA that is no sequence", "DER:0500", "", "cannot be read" },
	{ "AIA that is cut off", "DER:3003", "", "cannot be read" },
	{ "AIA without anything", "DER:3000", "", "it has no responder URL" },
};

Test(url, comes_from_the_certificate)
{
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		struct staple_cert *cert = know(lists[i].aia, NULL);

		cr_expect_str_eq(list(cert), lists[i].expect, "%s: %s",
		    lists[i].what, list(cert));
		cr_expect_not(cert->urls_configured);
		if (lists[i].hint != NULL)
			cr_expect_not_null(strstr(cert->hint, lists[i].hint),
			    "%s: %s", lists[i].what, cert->hint);
		else
			cr_expect_null(strstr(cert->hint, "URL"), "%s: %s",
			    lists[i].what, cert->hint);
		staple_cert_unref(cert);
	}
}

static const struct {
	const char *what;
	const char *urls[2];
	const char *expect;
	bool configured;
} sources[] = {
	{ "none", { NULL }, "http://own/ ", false },
	{ "one instead of the certificate's", { "http://x/" }, "http://x/ ",
	    true },
	{ "two in order", { "http://z/", "http://y/" }, "http://z/ http://y/ ",
	    true },
	{ "a bad one is no reason to ask the certificate's", { "z" }, "",
	    true },
};

Test(url, of_the_configuration_replaces_the_certificates)
{
	for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
		struct staple_source source = { .urls = sources[i].urls };
		struct staple_cert *cert;

		while (source.url_count < 2 &&
		       sources[i].urls[source.url_count] != NULL)
			source.url_count++;
		cert = know("OCSP;URI:http://own/", &source);
		cr_expect_str_eq(
		    list(cert), sources[i].expect, "%s", sources[i].what);
		cr_expect_eq(cert->urls_configured, sources[i].configured);
		staple_cert_unref(cert);
	}
}

Test(url, is_kept_for_the_first_eight_of_hundreds)
{
	char aia[300 * 40] = "";
	struct staple_cert *cert;
	size_t used = 0;

	for (int i = 0; i < 300; i++)
		used += (size_t)snprintf(aia + used, sizeof(aia) - used,
		    "%sOCSP;URI:http://r%d.example/", i > 0 ? "," : "", i);
	cert = know(aia, NULL);
	cr_expect_eq(cert->url_count, STAPLE_URLS_MAX);
	cr_expect_str_eq(cert->urls[7], "http://r7.example/");
	cr_expect_str_eq(cert->hint,
	    "the URL http://r8.example/ was left out, as the limit of URLs is "
	    "reached; 291 more were left out; it is self-signed, and has "
	    "no issuer");
	staple_cert_unref(cert);
}

/* Not possible in the text of a configuration: built by hand. */
static void
add_responder(struct pki *leaf, const char *uri, int len)
{
	AUTHORITY_INFO_ACCESS *access = sk_ACCESS_DESCRIPTION_new_null();
	ACCESS_DESCRIPTION *one = ACCESS_DESCRIPTION_new();
	ASN1_IA5STRING *text = ASN1_IA5STRING_new();

	ASN1_STRING_set(text, uri, len);
	ASN1_OBJECT_free(one->method);
	one->method = OBJ_nid2obj(NID_ad_OCSP);
	GENERAL_NAME_set0_value(one->location, GEN_URI, text);
	sk_ACCESS_DESCRIPTION_push(access, one);
	cr_assert_eq(X509_add1_ext_i2d(leaf->certificate, NID_info_access,
			 access, 0, X509V3_ADD_APPEND),
	    1);
	AUTHORITY_INFO_ACCESS_free(access);
	cr_assert_gt(X509_sign(leaf->certificate, leaf->key, EVP_sha256()), 0);
}

static const struct {
	const char *what, *uri, *expect;
} blanks[] = {
	{ "before", " http://a/", "http://a/ " },
	{ "behind", "http://a/ ", "http://a/ " },
	{ "of every kind", "\t\r\n http://a/ \v\f\r\n", "http://a/ " },
	{ "alone", " \t ", "" },
	{ "inside", "http://a/b c", "" },
};

Test(url, is_taken_without_the_blanks_around_it)
{
	for (size_t i = 0; i < ARRAY_LEN(blanks); i++) {
		struct pki leaf = pki_make(&(struct pki_wish){ 0 });
		struct staple_cert *cert;
		struct err err;

		add_responder(&leaf, blanks[i].uri, (int)strlen(blanks[i].uri));
		cert = staple_cert_new(
		    leaf.certificate, NULL, NULL, NULL, &err);
		cr_assert_not_null(cert, "%s", err.text);
		cr_expect_str_eq(
		    list(cert), blanks[i].expect, "%s", blanks[i].what);
		cr_expect_eq(blanks[i].expect[0] == '\0',
		    strstr(cert->hint, "was left out") != NULL, "%s: %s",
		    blanks[i].what, cert->hint);
		staple_cert_unref(cert);
		pki_drop(&leaf);
	}
}

static const struct {
	const char *what, *uri;
	int len;
	const char *hint;
} hostile[] = {
	{ "a NUL", "http://a/\0.example", 18, "http://a/\\x00.example was" },
	{ "a terminal's escape", "http://a/\x1b[2J", 13, "/\\x1b[2J was" },
	{ "nothing", "", 0, "neither http nor https" },
};

Test(url, of_a_hostile_certificate_is_left_out_and_shown_escaped)
{
	for (size_t i = 0; i < ARRAY_LEN(hostile); i++) {
		struct pki leaf = pki_make(&(struct pki_wish){ 0 });
		struct staple_cert *cert;
		struct err err;

		add_responder(&leaf, hostile[i].uri, hostile[i].len);
		cert = staple_cert_new(
		    leaf.certificate, NULL, NULL, NULL, &err);
		cr_assert_not_null(cert, "%s", err.text);
		cr_expect_eq(cert->url_count, 0, "%s", hostile[i].what);
		cr_expect_not_null(strstr(cert->hint, hostile[i].hint),
		    "%s: %s", hostile[i].what, cert->hint);
		staple_cert_unref(cert);
		pki_drop(&leaf);
	}
}

Test(url, that_is_endless_is_shown_in_part)
{
	char *text = malloc(100000);
	struct pki leaf = pki_make(&(struct pki_wish){ 0 });
	struct staple_cert *cert;
	struct err err;

	cr_assert_not_null(text);
	memset(text, 'h', 100000);
	add_responder(&leaf, text, 100000);
	cert = staple_cert_new(leaf.certificate, NULL, NULL, NULL, &err);
	cr_assert_not_null(cert, "%s", err.text);
	cr_expect_eq(cert->url_count, 0);
	cr_expect_not_null(
	    strstr(cert->hint, "hhh was left out, as it is too long"));
	staple_cert_unref(cert);
	pki_drop(&leaf);
	free(text);
}

static const unsigned char der[] = { 0xfb, 0xef, 0xbe, 0xff };
#define ESCAPED "%2B%2B%2B%2B%2Fw%3D%3D"

static const struct url_row {
	const char *what, *given, *expect;
} url_rows[] = {
	{ "no path", "http://h", "http://h/" ESCAPED },
	{ "a slash", "http://h/", "http://h/" ESCAPED },
	{ "two slashes", "http://h//", "http://h/" ESCAPED },
	{ "a path", "http://h/ocsp", "http://h/ocsp/" ESCAPED },
	{ "a path with its slash", "http://h/ocsp/", "http://h/ocsp/" ESCAPED },
	{ "slashes inside", "http://h/a//b", "http://h/a//b/" ESCAPED },
	{ "a query", "http://h/a?b=/c/", "http://h/a/" ESCAPED "?b=/c/" },
	{ "a query of the root", "http://h?b", "http://h/" ESCAPED "?b" },
	{ "a fragment", "http://h/a#b?c", "http://h/a/" ESCAPED },
	{ "both", "http://h/a/?b#c", "http://h/a/" ESCAPED "?b" },
	{ "a port", "https://h:80", "https://h:80/" ESCAPED },
	{ "no host", "http://", "http:///" ESCAPED },
	{ "nothing", "", "/" ESCAPED },
};

Test(fetch_url, puts_the_request_behind_the_path)
{
	for (size_t i = 0; i < ARRAY_LEN(url_rows); i++) {
		const struct url_row *row = &url_rows[i];
		char *made = staple_url_for_get(row->given, der, sizeof(der));

		cr_assert_not_null(made, "%s", row->what);
		cr_expect_str_eq(made, row->expect, "%s", row->what);
		free(made);
	}
}

static const struct size_row {
	size_t len;
	const char *expect;
} size_rows[] = {
	{ 0, "http://h/" },
	{ 1, "http://h/%2Bw%3D%3D" },
	{ 2, "http://h/%2B%2B8%3D" },
	{ 3, "http://h/%2B%2B%2B%2B" },
};

Test(fetch_url, pads_as_base64_does)
{
	for (size_t i = 0; i < ARRAY_LEN(size_rows); i++) {
		char *made = staple_url_for_get(
		    "http://h", der, size_rows[i].len);

		cr_assert_not_null(made);
		cr_expect_str_eq(made, size_rows[i].expect);
		free(made);
	}
}

Test(fetch_url, refuses_what_no_request_can_be_as_long_as)
{
	cr_expect_null(staple_url_for_get("http://h", der, (size_t)INT_MAX));
}

static const struct host_row {
	const char *what, *given, *expect; /* NULL: not a URL */
} host_rows[] = {
	{ "http", "http://host/path", "host:80" },
	{ "https", "https://host/path", "host:443" },
	{ "a port", "http://host:8080/", "host:8080" },
	{ "an empty port", "http://host:/", "host:80" },
	{ "capitals", "HTTP://Host.Example", "host.example:80" },
	{ "no path but a query", "http://host?a:1", "host:80" },
	{ "IPv4", "http://127.0.0.1:1/", "127.0.0.1:1" },
	{ "IPv6", "http://[2001:DB8::1]/", "[2001:db8::1]:80" },
	{ "IPv6 and a port", "https://[::1]:8443", "[::1]:8443" },
	{ "a user", "http://user@host/", NULL },
	{ "another scheme", "ldap://host/", NULL },
	{ "no scheme", "host", NULL },
	{ "no host", "http:///a", NULL },
	{ "nothing", "", NULL },
};

Test(fetch_url, names_the_host_and_its_port)
{
	for (size_t i = 0; i < ARRAY_LEN(host_rows); i++) {
		const struct host_row *row = &host_rows[i];
		char host[32];
		bool found = staple_url_host(row->given, host, sizeof(host));

		cr_expect_eq(found, row->expect != NULL, "%s", row->what);
		if (found && row->expect != NULL)
			cr_expect_str_eq(host, row->expect, "%s", row->what);
	}
}

Test(fetch_url, gives_no_half_of_a_host)
{
	char host[8];

	cr_expect(staple_url_host("http://host/", host, 8), "just");
	cr_expect_not(staple_url_host("http://hosts/", host, 8), "one more");
}

Test(fetch_url, makes_valid_urls)
{
	char *made = staple_url_for_get("http://h/a?b", der, sizeof(der));
	const char *why;

	cr_assert_not_null(made);
	cr_expect(staple_url_check(made, strlen(made), &why));
	free(made);
}
