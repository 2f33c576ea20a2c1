/*
 * What other threads have to say to the staple thread: four things, of each
 * the newest, under a lock that is a leaf like every other.  Whoever puts
 * something in wakes the thread afterwards.
 */
#ifndef STAPLE_INBOX_H
#define STAPLE_INBOX_H

#include <stdbool.h>

#include "base/err.h"
#include "base/mutex.h"

struct staple_settings;

struct staple_mail {
	struct staple_settings *settings; /* a reference; NULL: no new ones */
	bool refresh;
	bool stop;
	bool disk_told;       /* the writer has something to say: */
	struct err disk_said; /* why it fails, or "": it works again */
};

struct staple_inbox {
	struct mutex lock;

	/* under lock */
	struct staple_mail mail;
};

void staple_inbox_init(struct staple_inbox *inbox);
void staple_inbox_fini(struct staple_inbox *inbox);

/* Any thread.  put_settings takes a reference. */
void staple_inbox_put_settings(
    struct staple_inbox *inbox, struct staple_settings *settings);
void staple_inbox_put_refresh(struct staple_inbox *inbox);
void staple_inbox_put_stop(struct staple_inbox *inbox);
void staple_inbox_put_disk(struct staple_inbox *inbox, const struct err *said);

/* Staple thread: take it all; mail->settings is the caller's to unref. */
void staple_inbox_take(struct staple_inbox *inbox, struct staple_mail *mail);

#endif
