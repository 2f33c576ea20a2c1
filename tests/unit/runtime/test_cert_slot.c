/*
 * Certificate slots: the parts of their key, and when their files are read
 * again; which files of cert_dir are certificates; reading many files at once.
 */
#include "runtime/cert_slot.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "tests/support/pki.h"
#include "tests/support/site.h"
#include "tls/identity.h"

/* ---- Slots ---- */

static struct site site;
static char *cert_file, *key_file;

static void
set_up(void)
{
	site_open(&site, 1);
	cert_file = malloc(128);
	key_file = malloc(128);
	snprintf(cert_file, 128, "%s/cert.pem", site.folder.path);
	snprintf(key_file, 128, "%s/key.pem", site.folder.path);
}

static void
tear_down(void)
{
	free(cert_file);
	free(key_file);
	site_close(&site);
}

TestSuite(cert_slot, .init = set_up, .fini = tear_down);

static struct cert_slot_key
id_of(void)
{
	return (struct cert_slot_key){ .cert = cert_file, .key = key_file };
}

Test(cert_slot, differs_by_each_part_of_its_key)
{
	const struct cert_slot_key plain = { .cert = "a", .key = "a" };
	const struct cert_slot_key others[] = {
		{ .cert = "b", .key = "a" },
		{ .cert = "a", .key = "b" },
		{ .cert = "a", .key = "a", .staple_file = "s" },
		{ .cert = "a", .key = "a", .permissions = KEYS_ANY },
		{ .cert = "a", .key = "a", .policy.mode = STAPLE_MUST },
		{ .cert = "a",
		    .key = "a",
		    .policy.without_staple = STAPLE_WITHOUT_REFUSE },
		{ .cert = "a",
		    .key = "a",
		    .policy.on_revoked = STAPLE_REVOKED_EXIT },
		{ .cert = "a", .key = "a", .in_folder = true },
	};
	const struct cert_slot_key twin = plain;

	cr_expect_eq(cert_slot_compare(&plain, &twin), 0);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		int order = cert_slot_compare(&plain, &others[i]);

		cr_expect_neq(order, 0, "%zu", i);
		cr_expect_eq(cert_slot_compare(&others[i], &plain) > 0,
		    order < 0, "%zu", i);
	}
}

/* Set the file times back. */
static void
age(const char *path, time_t seconds)
{
	const struct timespec times[2] = { { .tv_sec = time(NULL) - seconds },
		{ .tv_sec = time(NULL) - seconds } };

	cr_assert_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

Test(cert_slot, is_not_current_when_just_written)
{
	const struct cert_slot_key id = id_of();
	struct cert_slot *slot = cert_slot_new(&id);

	cr_assert_not_null(slot);
	cr_expect_not(slot->settled);
	cr_expect_not(cert_slot_is_current(slot),
	    "a second write in the same tick would look the same");
	cert_slot_unref(slot);
}

Test(cert_slot, is_not_current_after_a_change)
{
	const struct cert_slot_key id = id_of();
	struct cert_slot *slot = cert_slot_new(&id);

	slot->settled = true;
	cr_expect(cert_slot_is_current(slot));
	age(key_file, 100);
	cr_expect_not(cert_slot_is_current(slot));
	cert_slot_unref(slot);
}

Test(cert_slot, resets_its_warnings_with_a_new_identity)
{
	const struct cert_slot_key id = id_of();
	struct cert_slot *first = cert_slot_new(&id), *same, *other;
	struct identity_loader *loader = identity_loader_new();
	struct err err;

	first->identity = cert_slot_load(first, loader, NULL, &err);
	first->renewal = cert_slot_load(first, loader, NULL, &err);
	cr_assert(first->identity && first->renewal, "%s", err.text);
	first->warned = VALIDITY_SIXTH;
	same = cert_slot_copy(first, first->identity, NULL);
	other = cert_slot_copy(first, first->renewal, NULL);
	cr_expect_eq(same->warned, VALIDITY_SIXTH);
	cr_expect_eq(other->warned, VALIDITY_FINE);
	cr_expect_eq(other->identity, first->renewal);
	cr_expect_null(other->renewal);
	cert_slot_unref(first);
	cr_expect_str_eq(other->id.cert, cert_file, "texts are its own");
	cert_slot_unref(same);
	cert_slot_unref(other);
	identity_loader_free(loader);
}

/* ---- cert_dir ---- */

static struct pki_folder scratch;

static void
set_up_cert_dir(void)
{
	pki_folder_make(&scratch);
}

static void
tear_down_cert_dir(void)
{
	pki_folder_remove(&scratch);
}

TestSuite(cert_dir, .init = set_up_cert_dir, .fini = tear_down_cert_dir);

/* "cert cert+key ..." without the folder in front. */
static void
list(char *text, size_t max)
{
	struct cert_dir folder;
	struct err err;
	size_t i, used = 0, skip = strlen(scratch.path) + 1;

	cr_assert(cert_dir_list(&folder, scratch.path, &err), "%s", err.text);
	text[0] = '\0';
	for (i = 0; i < folder.count; i++) {
		const struct cert_dir_item *item = &folder.items[i];
		bool apart = strcmp(item->cert, item->key) != 0;

		used += (size_t)snprintf(text + used, max - used, "%s%s%s%s",
		    i ? " " : "", item->cert + skip, apart ? "+" : "",
		    apart ? item->key + skip : "");
	}
	cert_dir_free(&folder);
}

Test(cert_dir, takes_pem_and_crt_files_in_order)
{
	static const char *const names[] = { "b.pem", "a.crt", ".hidden.pem",
		"notes.txt", "c.pem.old", ".pem", "z.key" };
	char text[256];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		free(pki_write(&scratch, names[i], "x"));
	list(text, sizeof(text));
	cr_expect_str_eq(text, "a.crt b.pem");
}

Test(cert_dir, finds_the_key_beside_its_certificate)
{
	char text[256];

	free(pki_write(&scratch, "apart.crt", "x"));
	free(pki_write(&scratch, "apart.key", "x"));
	free(pki_write(&scratch, "joint.pem", "x"));
	list(text, sizeof(text));
	cr_expect_str_eq(text, "apart.crt+apart.key joint.pem");
}

Test(cert_dir, follows_links_to_files_and_skips_folders)
{
	char path[128], text[256];

	free(pki_write(&scratch, "real.txt", "x"));
	snprintf(path, sizeof(path), "%s/link.pem", scratch.path);
	cr_assert_eq(symlink("real.txt", path), 0);
	snprintf(path, sizeof(path), "%s/lost.pem", scratch.path);
	cr_assert_eq(symlink("nowhere", path), 0);
	snprintf(path, sizeof(path), "%s/sub.pem", scratch.path);
	cr_assert_eq(mkdir(path, 0700), 0);
	list(text, sizeof(text));
	rmdir(path);
	cr_expect_str_eq(text, "link.pem lost.pem",
	    "a dangling link is reported when it is loaded");
}

static void
put(const char *folder, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", scratch.path, folder);
	(void)mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	free(pki_write(&scratch, path, "x"));
}

static void
clear(const char *folder)
{
	static const char *const names[] = { "cert.pem", "chain.pem",
		"fullchain.pem", "privkey.pem", "README", "site.pem" };
	char path[256];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s/%s", scratch.path, folder,
		    names[i]);
		(void)unlink(path);
	}
	snprintf(path, sizeof(path), "%s/%s", scratch.path, folder);
	(void)rmdir(path);
}

Test(cert_dir, takes_the_pair_of_each_folder_of_certbot)
{
	static const char *const names[] = { "cert.pem", "chain.pem",
		"fullchain.pem", "privkey.pem", "README" };
	struct cert_dir folder;
	char path[128], text[512];
	struct err err;

	free(pki_write(&scratch, "README", "x"));
	free(pki_write(&scratch, "flat.pem", "x"));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		put("b.example", names[i]);
		put(".hidden", names[i]);
	}
	put("empty", "README");
	put("other", "site.pem");
	put("new.example", "fullchain.pem"); /* its key is missing */
	snprintf(path, sizeof(path), "%s/linked", scratch.path);
	cr_assert_eq(symlink("b.example", path), 0);
	list(text, sizeof(text));
	cr_expect_str_eq(text,
	    "b.example/fullchain.pem+b.example/privkey.pem flat.pem "
	    "linked/fullchain.pem+linked/privkey.pem "
	    "new.example/fullchain.pem+new.example/privkey.pem");
	cr_assert(cert_dir_list(&folder, scratch.path, &err));
	cr_expect_eq(folder.folder_count, 5, "all of them may get one");
	cert_dir_free(&folder);
	unlink(path);
	clear("b.example");
	clear(".hidden");
	clear("empty");
	clear("other");
	clear("new.example");
}

Test(cert_dir, takes_one_pair_of_a_folder_of_certbot_itself)
{
	static const char *const names[] = { "cert.pem", "chain.pem",
		"fullchain.pem", "privkey.pem" };
	char text[256];

	free(pki_write(&scratch, "site.pem", "x"));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		free(pki_write(&scratch, names[i], "x"));
	list(text, sizeof(text));
	cr_expect_str_eq(text, "fullchain.pem+privkey.pem site.pem");
}

Test(cert_dir, names_a_folder_that_cannot_be_read)
{
	struct cert_dir folder;
	struct err err;

	cr_expect_not(cert_dir_list(&folder, "/nonexistent", &err));
	cr_expect_not_null(strstr(err.text, "/nonexistent"));
	cert_dir_free(&folder);
}

/* ---- Reading many files ---- */

#define MANY 70
#define BAD 33

static struct pki_folder preload_home;
static char *paths[MANY];

static void
set_up_preload(void)
{
	char name[32], file[32], *cert, *key, *both;
	struct pki_wish wish = { .name = name };
	struct pki made;

	pki_folder_make(&preload_home);
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "n%d.example", i);
		snprintf(file, sizeof(file), "n%d.pem", i);
		made = pki_make(&wish);
		cert = pki_certificate_pem(&made);
		key = pki_key_pem(&made);
		both = pki_join(cert, key);
		paths[i] = pki_write(
		    &preload_home, file, i == BAD ? cert : both);
		free(cert);
		free(key);
		free(both);
		pki_drop(&made);
	}
}

static void
tear_down_preload(void)
{
	for (int i = 0; i < MANY; i++)
		free(paths[i]);
	pki_folder_remove(&preload_home);
}

TestSuite(preload, .init = set_up_preload, .fini = tear_down_preload);

Test(preload, reads_each_file_into_its_own_place)
{
	struct cert_slot_key ids[MANY] = { { 0 } };
	struct preload preload;
	char name[32];

	for (int i = 0; i < MANY; i++)
		ids[i] = (struct cert_slot_key){ paths[i], paths[i], NULL,
			KEYS_ANY, { 0 }, true };
	cr_assert(preload_run(&preload, ids, MANY));
	cr_assert_eq(preload.count, (size_t)MANY);
	for (int i = 0; i < MANY; i++) {
		const struct preload_item *item = &preload.items[i];

		cr_expect_str_eq(item->slot->id.cert, paths[i]);
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
