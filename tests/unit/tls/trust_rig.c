/*
 * See trust_rig.h.  Files are named after what is in them.
 */
#include "tests/unit/tls/trust_rig.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/pem.h>

#include "base/err.h"
#include "tests/support/crl.h"

struct trust_rig trust_rig;

char *
trust_rig_path(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", trust_rig.folder.path, name);
	return strdup(path);
}

/* Frees up to three texts. */
static void
keep(const char *name, char *one, char *two, char *three)
{
	char *texts[] = { one, two, three };
	char *path = trust_rig_path(name);
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

/* A certificate that says what it is trusted for. */
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
	const struct trust_rig *rig = &trust_rig;

	keep("empty", NULL, NULL, NULL);
	keep("text", strdup("no PEM\n"), NULL, NULL);
	keep("key", pki_key_pem(&rig->root), NULL, NULL);
	keep("root", ca(&rig->root), NULL, NULL);
	keep("root-copy", strdup("Our root:\n"), ca(&rig->root), NULL);
	keep("near", ca(&rig->near), NULL, NULL);
	keep("other", ca(&rig->other), NULL, NULL);
	keep("mid", ca(&rig->mid), NULL, NULL);
	keep("both", ca(&rig->mid), ca(&rig->root), NULL);
	keep("turned", ca(&rig->root), ca(&rig->mid), NULL);
	keep("thrice", ca(&rig->root), ca(&rig->other), ca(&rig->root));
	keep("damaged", ca(&rig->root), damage(ca(&rig->other)), NULL);
	keep("mixed", pki_key_pem(&rig->near),
	    crl_pem(&(struct crl_wish){ .issuer = &rig->root }),
	    ca(&rig->root));
	keep("for-clients", trusted(&rig->root, NID_client_auth), NULL, NULL);
	keep("for-servers", trusted(&rig->root, NID_server_auth), NULL, NULL);
}

#define EXPIRED .to = "20210101000000Z"

static char *
list(const struct crl_wish *wish)
{
	return crl_pem(wish);
}

#define LIST(...) list(&(struct crl_wish){ __VA_ARGS__ })
#define ROOT .issuer = &trust_rig.root
#define MID .issuer = &trust_rig.mid
#define OTHER .issuer = &trust_rig.other
#define FALSE_ROOT .issuer = &trust_rig.false_root

static void
write_lists(void)
{
	const struct pki *near = &trust_rig.near, *far = &trust_rig.far;

	keep("root.crl", LIST(ROOT), NULL, NULL);
	keep("near.crl", LIST(ROOT, .revoked = near), NULL, NULL);
	keep("mid.crl", LIST(MID), NULL, NULL);
	keep("both.crl", LIST(ROOT), LIST(MID), NULL);
	keep("both-far.crl", LIST(ROOT), LIST(MID, .revoked = far), NULL);
	keep("both-mid.crl", LIST(ROOT, .revoked = &trust_rig.mid), LIST(MID),
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
	const struct pki *near = &trust_rig.near;

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
	char *path = trust_rig_path(name);

	keep(name, NULL, NULL, NULL);
	cr_assert_eq(truncate(path, size + 1), 0);
	free(path);
}

/* TRUST_RIG_NOW is the beginning of 2026. */
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
	    LIST(ROOT, .number = 10, .revoked = &trust_rig.near,
		.to = "20270101000000Z"),
	    NULL);
	keep("later-update.crl", LIST(ROOT, .revoked = &trust_rig.near),
	    LIST(ROOT, .from = "20250101000000Z", .to = "20270101000000Z"),
	    NULL);
	keep("number-other.crl", LIST(OTHER, .number = 1), NULL, NULL);
	keep("earlier.crl", LIST(ROOT, .from = "20190101000000Z"), NULL, NULL);
	keep("mid-revoked.crl", LIST(ROOT, .revoked = &trust_rig.mid),
	    LIST(MID), NULL);
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

void
trust_rig_open(void)
{
	struct trust_rig *rig = &trust_rig;

	pki_folder_make(&rig->folder);
	rig->root = make_ca("root", NULL);
	rig->other = make_ca("other", NULL);
	rig->false_root = make_ca("root", NULL);
	rig->mid = make_ca("mid", &rig->root);
	rig->near = make("near", &rig->root, NULL);
	rig->far = make("far", &rig->mid, "clientAuth");
	rig->server = make("server", &rig->root, "serverAuth");
	write_authorities();
	write_lists();
	write_useless_lists();
	write_dated_lists();
	write_huge("huge", 16 << 20);
	write_huge("huge.crl", 128 << 20);
}

void
trust_rig_close(void)
{
	struct pki *all[] = { &trust_rig.root, &trust_rig.other,
		&trust_rig.false_root, &trust_rig.mid, &trust_rig.near,
		&trust_rig.far, &trust_rig.server };

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		pki_drop(all[i]);
	pki_folder_remove(&trust_rig.folder);
}

void
trust_rig_sentence(const char *text, char *out, size_t max)
{
	size_t len = 0;

	for (; *text != '\0' && len + 1 < max; text++)
		if (*text == '@')
			len += (size_t)snprintf(
			    out + len, max - len, "%s", trust_rig.folder.path);
		else
			out[len++] = *text;
	cr_assert_lt(len, max);
	out[len] = '\0';
}

struct trust *
trust_rig_load(const char *ca_name, const char *lists_name,
    enum config_crl_check check, struct err *said)
{
	char *file = trust_rig_path(ca_name);
	char *lists = lists_name ? trust_rig_path(lists_name) : NULL;
	struct err err = { "" };
	struct trust *trust = trust_load(
	    file, lists, check, TRUST_RIG_NOW, said, &err);

	cr_assert_not_null(trust, "%s", err.text);
	free(file);
	free(lists);
	return trust;
}

void
trust_rig_write_der(
    const char *name, const char *type, const unsigned char *der, long len)
{
	char *path = trust_rig_path(name);
	FILE *file = fopen(path, "w");

	cr_assert_not_null(file);
	cr_assert_gt(PEM_write(file, type, "", der, len), 0);
	cr_assert_eq(fclose(file), 0);
	free(path);
}

void
trust_rig_write_crowd(const char *name, int count)
{
	char *path = trust_rig_path(name), common[65];
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
