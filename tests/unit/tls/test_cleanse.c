/*
 * Key material is overwritten before its memory is given up.  This program
 * defines OPENSSL_cleanse in place of libcrypto's and searches what is
 * cleansed for the bytes of a key.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/err.h"
#include "tests/support/pki.h"
#include "tls/pem.h"
#include "tls/ticket.h"

enum { KEY_BYTES = 80 };

static unsigned char key[KEY_BYTES];
static const char *text; /* of the file that contains it; NULL: not watched */
static unsigned keys_cleansed, texts_cleansed;

/* Interposes on libcrypto's.  Volatile, so that it is not optimised away. */
void
OPENSSL_cleanse(void *ptr, size_t len)
{
	volatile unsigned char *bytes = ptr;

	if (text != NULL && memmem(ptr, len, key, sizeof(key)) != NULL)
		keys_cleansed++;
	if (text != NULL && memmem(ptr, len, text, strlen(text)) != NULL)
		texts_cleansed++;
	for (size_t i = 0; i < len; i++)
		bytes[i] = 0;
}

/* Inside libcrypto 3.6, these two no longer call the one above.  There is no
 * secure heap here. */
void
CRYPTO_clear_free(void *ptr, size_t num, const char *file, int line)
{
	if (ptr == NULL)
		return;
	OPENSSL_cleanse(ptr, num);
	CRYPTO_free(ptr, file, line);
}

void
CRYPTO_secure_clear_free(void *ptr, size_t num, const char *file, int line)
{
	if (CRYPTO_secure_malloc_initialized())
		abort();
	CRYPTO_clear_free(ptr, num, file, line);
}

static struct pki_folder folder;
static char *path;
static char encoded[4 * KEY_BYTES / 3 + 8];

static void
set_up(void)
{
	pki_folder_make(&folder);
	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = (unsigned char)(7 * i + 1);
	EVP_EncodeBlock((unsigned char *)encoded, key, sizeof(key));
	path = pki_write(&folder, "keys", encoded);
	text = encoded;
}

static void
tear_down(void)
{
	text = NULL;
	free(path);
	pki_folder_remove(&folder);
}

TestSuite(cleanse, .init = set_up, .fini = tear_down);

Test(cleanse, of_a_file_that_was_read)
{
	const struct secret_kind kind = { "file", 1024 };
	struct secret secret;
	struct err err;

	cr_assert(secret_read(&secret, path, &kind, &err), "%s", err.text);
	cr_expect_eq(texts_cleansed, 0);
	secret_wipe(&secret);
	cr_expect_geq(texts_cleansed, 1);
	cr_expect_null(secret.data);
}

Test(cleanse, of_ticket_keys_that_were_read)
{
	struct ticket_key_set file;
	struct err err, warning;

	cr_assert(ticket_key_set_read(&file, path, KEYS_REFUSE, &warning, &err),
	    "%s", err.text);
	/* The decoded line, and the key made of it. */
	cr_expect_eq(keys_cleansed, 2);
	cr_expect_geq(texts_cleansed, 1);
	ticket_key_set_wipe(&file);
	cr_expect_eq(keys_cleansed, 3);
}

Test(cleanse, of_ticket_keys_in_use)
{
	struct err err, warning;
	struct ticket_keys *keys = ticket_keys_new(&err);

	cr_assert(ticket_keys_load(keys, path, KEYS_REFUSE, &warning, &err),
	    "%s", err.text);
	/* As above, and the copy of the file. */
	cr_expect_eq(keys_cleansed, 3);
	ticket_keys_unref(keys);
	cr_expect_eq(keys_cleansed, 4);
}

Test(cleanse, of_a_private_key_file)
{
	struct pki pair = pki_make(&(struct pki_wish){ .name = "a" });
	char *pem_text = pki_key_pem(&pair);
	char *file = pki_write(&folder, "key.pem", pem_text);
	struct pem pem;
	struct err err;

	text = pem_text;
	cr_assert(pem_read(&pem, file, &err), "%s", err.text);
	cr_expect_geq(texts_cleansed, 1);
	memcpy(key, pem.blocks[0].data, sizeof(key));
	keys_cleansed = 0;
	pem_wipe(&pem);
	cr_expect_geq(keys_cleansed, 1);
	text = NULL;
	free(file);
	free(pem_text);
	pki_drop(&pair);
}
