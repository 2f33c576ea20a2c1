/*
 * One lock around three fields.  Any thread.  References are dropped after the
 * lock is released: the last one of a generation closes sockets.
 */
#include "runtime/mailbox.h"

#include <string.h>

#include "runtime/generation.h"

void
mailbox_init(struct mailbox *mailbox)
{
	memset(mailbox, 0, sizeof(*mailbox));
	mutex_init(&mailbox->lock);
}

void
mailbox_fini(struct mailbox *mailbox)
{
	generation_unref(mailbox->mail.generation);
	mailbox->mail.generation = NULL;
	mutex_fini(&mailbox->lock);
}

void
mailbox_put_generation(struct mailbox *mailbox, struct generation *generation)
{
	struct generation *skipped;

	generation_ref(generation);
	mutex_lock(&mailbox->lock);
	skipped = mailbox->mail.generation;
	mailbox->mail.generation = generation;
	mutex_unlock(&mailbox->lock);
	generation_unref(skipped);
}

void
mailbox_put_drain(struct mailbox *mailbox)
{
	mutex_lock(&mailbox->lock);
	mailbox->mail.drain = true;
	mutex_unlock(&mailbox->lock);
}

void
mailbox_put_stop(struct mailbox *mailbox)
{
	mutex_lock(&mailbox->lock);
	mailbox->mail.stop = true;
	mutex_unlock(&mailbox->lock);
}

struct mail
mailbox_fetch(struct mailbox *mailbox)
{
	struct mail mail;

	mutex_lock(&mailbox->lock);
	mail = mailbox->mail;
	memset(&mailbox->mail, 0, sizeof(mailbox->mail));
	mutex_unlock(&mailbox->lock);
	return mail;
}
