/*
 * Many certificates read at once: the same as read one by one, the bad ones
 * with their sentences.
 */
#include "runtime/preload.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/credential.h"
#include "tests/support/pki.h"
#include "tls/identity.h"

#define MANY 70
#define BAD 33

static struct pki_folder folder;
static char *paths[MANY];

static void
set_up(void)
{
	char name[32], file[32], *cert, *key, *both;
	struct pki_wish wish = { .name = name };
	struct pki made;

	pki_folder_make(&folder);
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "n%d.example", i);
		snprintf(file, sizeof(file), "n%d.pem", i);
		made = pki_make(&wish);
		cert = pki_certificate_pem(&made);
		key = pki_key_pem(&made);
		both = pki_join(cert, key);
		paths[i] = pki_write(&folder, file, i == BAD ? cert : both);
		free(cert);
		free(key);
		free(both);
		pki_drop(&made);
	}
}

static void
tear_down(void)
{
	for (int i = 0; i < MANY; i++)
		free(paths[i]);
	pki_folder_remove(&folder);
}

TestSuite(preload, .init = set_up, .fini = tear_down);

Test(preload, reads_each_file_into_its_own_place)
{
	struct credential_key ids[MANY] = { { 0 } };
	struct preload preload;
	char name[32];

	for (int i = 0; i < MANY; i++)
		ids[i] = (struct credential_key){ paths[i], paths[i], NULL,
			KEYS_ANY, { 0 }, true };
	cr_assert(preload_run(&preload, ids, MANY));
	cr_assert_eq(preload.count, (size_t)MANY);
	for (int i = 0; i < MANY; i++) {
		const struct preload_item *item = &preload.items[i];

		cr_expect_str_eq(item->credential->id.cert, paths[i]);
		if (i == BAD)
			continue;
		snprintf(name, sizeof(name), "n%d.example", i);
		cr_assert_not_null(item->identity, "%d", i);
		cr_expect_str_eq(identity_name(item->identity), name);
		cr_expect_null(item->error);
	}
	cr_expect_null(preload.items[BAD].identity);
	cr_expect_not_null(strstr(preload.items[BAD].error, paths[BAD]));
	preload_free(&preload);
}

Test(preload, may_be_freed_when_nothing_was_read)
{
	struct preload preload = { 0 };

	preload_free(&preload);
	cr_expect_eq(preload.count, 0u);
}
