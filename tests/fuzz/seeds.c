/*
 * Writes the corpus of the target `response`: issuer, leaf and response, DER
 * after DER, good or wrong in one way each.  They stay so for ever, since the
 * target's clock stands still at the same moment.  To make them anew, in the
 * folder where configure ran:
 *
 *   make tests/fuzz/seeds
 *   tests/fuzz/seeds SOURCES/tests/fuzz/corpus/response
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/attr.h"
#include "tests/support/ocsp.h"

#define NOON INT64_C(1940630400) /* 2031-07-01 00:00:00 UTC */

enum who { ISSUER, LEAF, OTHER, DELEGATE, EXPIRED, STRANGER, PEOPLE };

static const struct {
	const char *name, *usage, *to;
} people[PEOPLE] = {
	[ISSUER] = { "issuer", NULL, NULL },
	[LEAF] = { "leaf", NULL, NULL },
	[OTHER] = { "other leaf", NULL, NULL },
	[DELEGATE] = { "delegate", "OCSPSigning", NULL },
	[EXPIRED] = { "expired", "OCSPSigning", "20310630000000Z" },
	[STRANGER] = { "stranger", "OCSPSigning", NULL },
};

static const struct row {
	const char *name;
	enum who about, signer;
	struct ocsp_wish wish; /* times are offsets from noon */
	int more;              /* bytes behind the end, or missing there */
} rows[] = {
	{ "good", LEAF, ISSUER, { .next_update = 60 }, 0 },
	{ "good-sha256", LEAF, ISSUER, { .sha256 = true }, 0 },
	{ "good-forever", LEAF, ISSUER, { .next_text = "99991231235959Z" }, 0 },
	{ "no-next-update", LEAF, ISSUER, { .this_update = -60 }, 0 },
	{ "by-key", LEAF, ISSUER, { .by_key = true }, 0 },
	{ "revoked", LEAF, ISSUER,
	    { .status = OCSP_SAYS_REVOKED, .revoked_at = 1, .reason = 6 }, 0 },
	{ "unknown", LEAF, ISSUER, { .status = OCSP_SAYS_UNKNOWN }, 0 },
	{ "delegate", LEAF, DELEGATE, { .with_signer = true }, 0 },
	{ "delegate-by-key", LEAF, DELEGATE,
	    { .with_signer = true, .by_key = true }, 0 },
	{ "delegate-alone", LEAF, DELEGATE, { .next_update = 60 }, 0 },
	{ "delegate-expired", LEAF, EXPIRED, { .with_signer = true }, 0 },
	{ "leaf-signed", LEAF, LEAF, { .with_signer = true }, 0 },
	{ "sibling", LEAF, OTHER, { .with_signer = true }, 0 },
	{ "stranger", LEAF, STRANGER, { .with_signer = true }, 0 },
	{ "spoiled", LEAF, ISSUER, { .spoiled = true }, 0 },
	{ "wrong-serial", OTHER, ISSUER, { .next_update = 60 }, 0 },
	{ "expired", LEAF, ISSUER, { .this_update = -9, .next_update = -1 },
	    0 },
	{ "future", LEAF, ISSUER, { .this_update = 301 }, 0 },
	{ "backwards", LEAF, ISSUER, { .next_update = -1 }, 0 },
	{ "no-time", LEAF, ISSUER, { .this_text = "20310230000000Z" }, 0 },
	{ "critical", LEAF, ISSUER, { .critical = true }, 0 },
	{ "critical-single", LEAF, ISSUER, { .critical_single = true }, 0 },
	{ "try-later", LEAF, ISSUER, { .error = 3 }, 0 },
	{ "unauthorized", LEAF, ISSUER, { .error = 6 }, 0 },
	{ "padded", LEAF, ISSUER, { .also_copies = 3 }, 0 },
	{ "padded-delegate", LEAF, DELEGATE,
	    { .also_copies = 3, .with_signer = true }, 0 },
	{ "too-long", LEAF, ISSUER, { .signed_bytes = 16000 }, 0 },
	{ "never-issued", LEAF, ISSUER,
	    { .status = OCSP_SAYS_REVOKED, .reason = 6 }, 0 },
	{ "fraction", LEAF, ISSUER, { .this_text = "20310630000000.5Z" }, 0 },
	{ "parameters", LEAF, ISSUER, { .parameters = 5 /* NULL */ }, 0 },
	{ "trailing", LEAF, ISSUER, { .next_update = 60 }, 1 },
	{ "truncated", LEAF, ISSUER, { .next_update = 60 }, -9 },
};

static struct pki cast[PEOPLE];

static void
must(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

static void
make_people(void)
{
	for (int who = 0; who < PEOPLE; who++)
		cast[who] = pki_make(&(struct pki_wish){
		    .name = people[who].name,
		    .usage = people[who].usage,
		    .to = people[who].to,
		    .ca = who == ISSUER,
		    .issuer = who != ISSUER && who != STRANGER ? &cast[ISSUER]
							       : NULL });
}

static void
write_certificate(FILE *file, enum who who)
{
	unsigned char *der = NULL;
	int len = i2d_X509(cast[who].certificate, &der);

	must(len > 0 && fwrite(der, (size_t)len, 1, file) == 1, "writing");
	OPENSSL_free(der);
}

static void
write_response(FILE *file, const struct row *row)
{
	static const unsigned char more[16];
	struct ocsp_wish wish = row->wish;
	struct ocsp_made made;
	size_t len;

	wish.leaf = &cast[row->about];
	wish.issuer = &cast[ISSUER];
	wish.signer = &cast[row->signer];
	wish.this_update += NOON;
	if (wish.next_update != 0)
		wish.next_update += NOON;
	/* A second one about another now and then. */
	wish.also = wish.also_copies != 0 ? &cast[STRANGER] : NULL;
	wish.second = wish.sha256 ? &cast[OTHER] : NULL;
	made = ocsp_make(&wish);
	len = row->more < 0 ? made.len - (size_t)-row->more : made.len;
	must(fwrite(made.der, len, 1, file) == 1, "writing");
	if (row->more > 0)
		must(fwrite(more, (size_t)row->more, 1, file) == 1, "writing");
	ocsp_drop(&made);
}

int
main(int argc, char **argv)
{
	char path[4096];
	FILE *file;

	if (argc != 2) {
		fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
		return 2;
	}
	make_people();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		snprintf(path, sizeof(path), "%s/%s", argv[1], rows[i].name);
		file = fopen(path, "wb");
		must(file != NULL, path);
		write_certificate(file, ISSUER);
		write_certificate(file, LEAF);
		write_response(file, &rows[i]);
		must(fclose(file) == 0, path);
	}
	for (int who = 0; who < PEOPLE; who++)
		pki_drop(&cast[who]);
	return 0;
}
