/*
 * The inbox of the staple thread.  Any thread puts, the staple thread takes.
 * Nothing is queued: of two settings or two refreshes that have not been
 * read, the first need not have been sent.
 */
#include "staple/inbox.h"

#include "staple/settings.h"

void
staple_inbox_init(struct staple_inbox *inbox)
{
	*inbox = (struct staple_inbox){ .mail = { .settings = NULL } };
	mutex_init(&inbox->lock);
}

void
staple_inbox_fini(struct staple_inbox *inbox)
{
	staple_settings_unref(inbox->mail.settings);
	mutex_fini(&inbox->lock);
}

void
staple_inbox_put_settings(
    struct staple_inbox *inbox, struct staple_settings *settings)
{
	struct staple_settings *unread;

	staple_settings_ref(settings);
	mutex_lock(&inbox->lock);
	unread = inbox->mail.settings;
	inbox->mail.settings = settings;
	mutex_unlock(&inbox->lock);
	staple_settings_unref(unread);
}

void
staple_inbox_put_refresh(struct staple_inbox *inbox)
{
	mutex_lock(&inbox->lock);
	inbox->mail.refresh = true;
	mutex_unlock(&inbox->lock);
}

void
staple_inbox_put_stop(struct staple_inbox *inbox)
{
	mutex_lock(&inbox->lock);
	inbox->mail.stop = true;
	mutex_unlock(&inbox->lock);
}

void
staple_inbox_put_disk(struct staple_inbox *inbox, const struct err *said)
{
	mutex_lock(&inbox->lock);
	inbox->mail.disk_told = true;
	inbox->mail.disk_said = *said;
	mutex_unlock(&inbox->lock);
}

void
staple_inbox_take(struct staple_inbox *inbox, struct staple_mail *mail)
{
	mutex_lock(&inbox->lock);
	*mail = inbox->mail;
	inbox->mail.settings = NULL;
	inbox->mail.refresh = false;
	inbox->mail.disk_told = false;
	mutex_unlock(&inbox->lock);
}
