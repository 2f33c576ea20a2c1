/* The bytes: what is an OCSP response, and everything else. */
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "base/attr.h"
#include "tests/unit/staple/response_rig.h"

static struct rig rig;
static struct ocsp_made made; /* a good one of more than 256 bytes */

static void
set_up(void)
{
	struct ocsp_wish wish;

	rig_init(&rig, PKI_P256);
	wish = rig_wish(&rig);
	wish.with_signer = true;
	made = ocsp_make(&wish);
	cr_assert_gt(made.len, 256 + 30);
}

static void
tear_down(void)
{
	ocsp_drop(&made);
	rig_fini(&rig);
}

TestSuite(ocsp_der, .init = set_up, .fini = tear_down);

static enum staple_outcome
judge(const void *bytes, size_t len)
{
	/* Exactly as many, so that reading behind the end is seen. */
	struct ocsp_made given = { malloc(len), len };
	enum staple_outcome outcome;

	memcpy(given.der, bytes, len);
	outcome = rig_judge(&rig, &given);
	free(given.der);
	return outcome;
}

Test(ocsp_der, accepts_the_whole_response)
{
	cr_expect_eq(rig_judge(&rig, &made), STAPLE_GOOD);
}

Test(ocsp_der, distinguishes_no_bytes_from_some)
{
	struct ocsp_made nothing = { NULL, 0 };

	cr_expect_eq(rig_judge(&rig, &nothing), STAPLE_EMPTY);
}

Test(ocsp_der, notices_wherever_the_bytes_are_cut)
{
	for (size_t len = 1; len < made.len; len++)
		cr_expect_eq(
		    judge(made.der, len), STAPLE_TRUNCATED, "at %zu", len);
	cr_expect(rig_said(&rig, "bytes received"));
}

Test(ocsp_der, lets_nothing_follow)
{
	unsigned char *longer = calloc(1, made.len + 2);

	memcpy(longer, made.der, made.len);
	cr_expect_eq(judge(longer, made.len + 2), STAPLE_TRAILING_BYTES);
	cr_expect(rig_said(&rig, "2 bytes follow"));
	/* The same response once more is not two good ones. */
	free(longer);
	longer = malloc(2 * made.len);
	memcpy(longer, made.der, made.len);
	memcpy(longer + made.len, made.der, made.len);
	cr_expect_eq(judge(longer, 2 * made.len), STAPLE_TRAILING_BYTES);
	free(longer);
}

/* Whatever a bit of it is changed to, it is no response any more. */
static void
change_each_bit(const struct ocsp_wish *wish)
{
	struct ocsp_made bare = ocsp_make(wish);

	for (size_t i = 0; i < bare.len * 8; i++) {
		bare.der[i / 8] ^= (unsigned char)(1 << i % 8);
		cr_expect_null(rig_verify(&rig, &bare), "bit %zu", i);
		bare.der[i / 8] ^= (unsigned char)(1 << i % 8);
	}
	cr_expect_eq(rig_judge(&rig, &bare), STAPLE_GOOD);
	ocsp_drop(&bare);
}

Test(ocsp_der, survives_no_changed_byte)
{
	struct ocsp_wish wish = rig_wish(&rig);

	change_each_bit(&wish);
}

/* With parameters of the signature, and a delegate's certificate. */
Test(ocsp_der, survives_no_changed_byte_with_rsa, .timeout = 120)
{
	struct ocsp_wish wish;
	struct pki delegate;

	rig_fini(&rig);
	rig_init(&rig, PKI_RSA);
	wish = rig_wish(&rig);
	change_each_bit(&wish);
	wish.pss_salt = 32;
	change_each_bit(&wish);
	delegate = pki_make(&(struct pki_wish){ .key = PKI_RSA,
	    .name = "delegate",
	    .usage = "OCSPSigning",
	    .issuer = &rig.issuer });
	wish.signer = &delegate;
	wish.with_signer = true;
	wish.pss_salt = 0;
	change_each_bit(&wish);
	pki_drop(&delegate);
}

/* Nothing of it is signed, and OpenSSL looks at the first only. */
static const struct {
	const char *what;
	enum pki_key key;
	int algorithm, parameters;
	enum staple_outcome expect;
} algorithms[] = {
	{ "RSA with NULL", PKI_RSA, 0, V_ASN1_NULL, STAPLE_GOOD },
	{ "RSA without", PKI_RSA, 0, V_ASN1_UNDEF, STAPLE_MALFORMED },
	{ "RSA with bytes", PKI_RSA, 0, V_ASN1_OCTET_STRING, STAPLE_MALFORMED },
	{ "an old name of RSA with SHA-1", PKI_RSA, NID_sha1WithRSA,
	    V_ASN1_NULL, STAPLE_MALFORMED },
	{ "ECDSA without", PKI_P256, 0, V_ASN1_UNDEF, STAPLE_GOOD },
	{ "ECDSA with NULL", PKI_P256, 0, V_ASN1_NULL, STAPLE_MALFORMED },
	{ "ECDSA with bytes", PKI_P256, 0, V_ASN1_UTF8STRING,
	    STAPLE_MALFORMED },
	{ "another hash", PKI_P256, NID_ecdsa_with_SHA384, V_ASN1_UNDEF,
	    STAPLE_BAD_SIGNATURE },
	{ "what OpenSSL does not know", PKI_P256, NID_commonName, V_ASN1_UNDEF,
	    STAPLE_BAD_SIGNATURE },
};

Test(ocsp_der, accepts_one_form_of_each_algorithm)
{
	for (size_t i = 0; i < ARRAY_LEN(algorithms); i++) {
		struct ocsp_wish wish;

		rig_fini(&rig);
		rig_init(&rig, algorithms[i].key);
		wish = rig_wish(&rig);
		if (algorithms[i].algorithm == NID_sha1WithRSA)
			wish.digest = EVP_sha1();
		wish.algorithm = algorithms[i].algorithm;
		wish.parameters = algorithms[i].parameters;
		cr_expect_eq(rig_outcome(&rig, &wish), algorithms[i].expect,
		    "%s: %s", algorithms[i].what, rig.checked.said.text);
	}
}

static const struct {
	const char *what;
	int bits; /* of the hash */
	int salt;
	enum staple_outcome expect;
} pss[] = {
	{ "SHA-256", 256, 32, STAPLE_GOOD },
	{ "SHA-384", 384, 48, STAPLE_GOOD },
	{ "SHA-512", 512, 64, STAPLE_GOOD },
	{ "a short salt", 256, 20, STAPLE_MALFORMED },
	{ "a long salt", 256, 222, STAPLE_MALFORMED },
	{ "the salt of another hash", 512, 32, STAPLE_MALFORMED },
	{ "SHA-1", 160, 20, STAPLE_MALFORMED },
};

Test(ocsp_der, accepts_rsa_pss_as_clients_do)
{
	struct ocsp_wish wish;

	rig_fini(&rig);
	rig_init(&rig, PKI_RSA);
	wish = rig_wish(&rig);
	for (size_t i = 0; i < ARRAY_LEN(pss); i++) {
		wish.digest = pss[i].bits == 256   ? EVP_sha256()
			      : pss[i].bits == 384 ? EVP_sha384()
			      : pss[i].bits == 512 ? EVP_sha512()
						   : EVP_sha1();
		wish.pss_salt = pss[i].salt;
		cr_expect_eq(rig_outcome(&rig, &wish), pss[i].expect, "%s: %s",
		    pss[i].what, rig.checked.said.text);
	}
}

static const struct {
	int error;
	enum staple_outcome expect;
	const char *said;
} errors[] = {
	{ 1, STAPLE_MALFORMED_REQUEST, "malformedRequest" },
	{ 2, STAPLE_INTERNAL_ERROR, "internalError" },
	{ 3, STAPLE_TRY_LATER, "tryLater" },
	{ 4, STAPLE_MALFORMED, "status, 4" }, /* not used */
	{ 5, STAPLE_SIG_REQUIRED, "sigRequired" },
	{ 6, STAPLE_UNAUTHORIZED, "unauthorized" },
	{ 7, STAPLE_MALFORMED, "status, 7" },
	{ 99, STAPLE_MALFORMED, "status, 99" },
};

Test(ocsp_der, recognises_each_error_of_a_responder)
{
	for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
		struct ocsp_wish wish = { .error = errors[i].error };

		cr_expect_eq(rig_outcome(&rig, &wish), errors[i].expect, "%d",
		    errors[i].error);
		cr_expect(rig_said(&rig, errors[i].said), "%d: %s",
		    errors[i].error, rig.checked.said.text);
	}
}

#define BYTES(text) text, sizeof(text) - 1

static const struct {
	const char *what, *bytes;
	size_t len;
	enum staple_outcome expect;
	const char *said;
} strays[] = {
	{ "a web page", BYTES("<html><body>Log in \"here\""), STAPLE_MALFORMED,
	    "25 bytes that begin with \"<html>" },
	{ "short text", BYTES("no"), STAPLE_MALFORMED, "no OCSP response" },
	{ "another structure, of 32 spaces",
	    BYTES("\x30\x20                                "), STAPLE_MALFORMED,
	    "no OCSP response" },
	{ "zeros", BYTES("\0\0\0\0\0\0"), STAPLE_MALFORMED,
	    "no OCSP response" },
	{ "an empty sequence", BYTES("\x30\x00"), STAPLE_MALFORMED,
	    "no OCSP response" },
	{ "successful without a response", BYTES("\x30\x03\x0a\x01\x00"),
	    STAPLE_MALFORMED, "no basic OCSP response" },
	{ "a status below 0", BYTES("\x30\x03\x0a\x01\xff"), STAPLE_MALFORMED,
	    "unknown response status" },
	{ "a status that would wrap around to 0",
	    BYTES("\x30\x07\x0a\x05\x01\x00\x00\x00\x00"), STAPLE_MALFORMED,
	    "" },
	{ "a length of nine bytes",
	    BYTES("\x30\x89\x01\x01\x01\x01\x01\x01\x01\x01\x01\x0a"),
	    STAPLE_MALFORMED, "no OCSP response" },
	{ "four gigabytes promised", BYTES("\x30\x84\xff\xff\xff\xff\x0a"),
	    STAPLE_TRUNCATED, "7 of 4294967301 bytes received" },
	{ "a header cut short", BYTES("\x30\x84\xff"), STAPLE_TRUNCATED,
	    "3 of " },
	{ "no length at all", BYTES("\x30\x80\x0a\x01\x00"), STAPLE_MALFORMED,
	    "no OCSP response" },
};

Test(ocsp_der, refuses_bytes_that_are_no_response)
{
	for (size_t i = 0; i < ARRAY_LEN(strays); i++) {
		cr_expect_eq(judge(strays[i].bytes, strays[i].len),
		    strays[i].expect, "%s: %s", strays[i].what,
		    staple_outcome_name(rig.checked.outcome));
		cr_expect(rig_said(&rig, strays[i].said), "%s: %s",
		    strays[i].what, rig.checked.said.text);
	}
}

Test(ocsp_der, refuses_a_response_of_another_type)
{
	static const unsigned char basic[] = { 0x2b, 6, 1, 5, 5, 7, 48, 1, 1 };
	unsigned char *type;

	type = memmem(made.der, made.len, basic, sizeof(basic));
	cr_assert_not_null(type);
	type[sizeof(basic) - 1] = 77;
	cr_expect_eq(rig_judge(&rig, &made), STAPLE_MALFORMED);
	cr_expect(rig_said(&rig, "no basic OCSP response"));
}

/* Add to a length of two bytes, as all of them are in this response. */
static void
lengthen(unsigned char *bytes, size_t at, size_t more)
{
	size_t len = (size_t)bytes[at] << 8 | bytes[at + 1];

	cr_assert_eq(bytes[at - 1], 0x82);
	bytes[at] = (unsigned char)((len + more) >> 8);
	bytes[at + 1] = (unsigned char)(len + more);
}

/* Behind the basic response, inside its octet string. */
Test(ocsp_der, lets_nothing_follow_inside_either)
{
	static const size_t lengths[] = { 2, 9, 13, 28 };
	unsigned char *longer = calloc(1, made.len + 1);

	memcpy(longer, made.der, made.len);
	for (size_t i = 0; i < ARRAY_LEN(lengths); i++)
		lengthen(longer, lengths[i], 1);
	cr_expect_eq(judge(longer, made.len + 1), STAPLE_MALFORMED);
	cr_expect(rig_said(&rig, "unexpected elements"));
	free(longer);
}

/* OpenSSL would read a length of three bytes where two do. */
Test(ocsp_der, accepts_one_encoding_only)
{
	unsigned char *longer = malloc(made.len + 1);

	memcpy(longer + 1, made.der, made.len);
	memcpy(longer, "\x30\x83\x00", 3);
	cr_expect_eq(judge(longer, made.len + 1), STAPLE_MALFORMED);
	cr_expect(rig_said(&rig, "it is not DER"));
	free(longer);
}

/* RFC 6960 4.4: an extension that must be understood, and is not. */
Test(ocsp_der, refuses_an_unknown_critical_extension)
{
	struct ocsp_wish wish = rig_wish(&rig);

	wish.critical = true;
	cr_expect_eq(rig_outcome(&rig, &wish), STAPLE_MALFORMED);
	cr_expect(rig_said(&rig, "critical extension"));
}
