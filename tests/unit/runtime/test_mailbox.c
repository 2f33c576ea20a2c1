/*
 * What a listener thread finds in its mailbox.  tests/race/mailbox.c is about
 * finding it at the same time.
 */
#include "runtime/mailbox.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/support/site.h"

static const char text[] = "[listener a]\naccept = unix:a.sock\nconnect = 1\n"
			   "cert = cert.pem\nkey = key.pem\n";

Test(mailbox, gives_each_message_once)
{
	struct mailbox mailbox;
	struct mail mail;

	mailbox_init(&mailbox);
	mail = mailbox_fetch(&mailbox);
	cr_expect(!mail.generation && !mail.drain && !mail.stop);
	mailbox_put_drain(&mailbox);
	mailbox_put_drain(&mailbox);
	mail = mailbox_fetch(&mailbox);
	cr_expect(mail.drain && !mail.stop);
	mailbox_put_stop(&mailbox);
	mail = mailbox_fetch(&mailbox);
	cr_expect(!mail.drain && mail.stop);
	mailbox_fini(&mailbox);
}

Test(mailbox, keeps_the_newest_generation_and_drops_the_rest)
{
	struct site site;
	struct generation *first, *second;
	struct mailbox mailbox;
	struct mail mail;
	char path[128];

	site_open(&site, 1);
	snprintf(path, sizeof(path), "%s/a.sock", site.folder.path);
	first = site_build(&site, NULL, text, false);
	second = site_build(&site, first, text, true);
	mailbox_init(&mailbox);
	mailbox_put_generation(&mailbox, first);
	generation_unref(first); /* the mailbox has the last reference */
	cr_expect_eq(access(path, F_OK), 0);
	mailbox_put_generation(&mailbox, second);
	cr_expect_neq(access(path, F_OK), 0);
	mail = mailbox_fetch(&mailbox);
	cr_expect_eq(mail.generation, second);
	generation_unref(mail.generation);
	generation_unref(second);
	mailbox_fini(&mailbox);
	site_close(&site);
}

Test(mailbox, drops_what_nobody_fetched)
{
	struct site site;
	struct generation *generation;
	struct mailbox mailbox;
	char path[128];

	site_open(&site, 1);
	snprintf(path, sizeof(path), "%s/a.sock", site.folder.path);
	generation = site_build(&site, NULL, text, false);
	mailbox_init(&mailbox);
	mailbox_put_generation(&mailbox, generation);
	generation_unref(generation);
	mailbox_fini(&mailbox);
	cr_expect_neq(access(path, F_OK), 0);
	site_close(&site);
}
