/*
 * What the main thread tells a listener thread: the newest generation, to
 * drain, to stop.  A generation that was not fetched before the next one came
 * is skipped, for only the newest counts; so nothing is allocated and posting
 * cannot fail.  Waking the reader is the owner's business.
 */
#ifndef RUNTIME_MAILBOX_H
#define RUNTIME_MAILBOX_H

#include <stdbool.h>

#include "base/attr.h"
#include "base/mutex.h"

struct generation;

struct mail {
	struct generation *generation; /* a reference; NULL: nothing new */
	bool drain;
	bool stop;
};

/* Embedded in its owner. */
struct mailbox {
	struct mutex lock;

	/* under lock */
	struct mail mail;
};

void mailbox_init(struct mailbox *mailbox);
void mailbox_fini(struct mailbox *mailbox); /* drops what nobody fetched */

/* Any thread. */
void mailbox_put_generation(
    struct mailbox *mailbox, struct generation *generation);
void mailbox_put_drain(struct mailbox *mailbox);
void mailbox_put_stop(struct mailbox *mailbox);

/* Everything that came since the last time; the generation's reference is the
 * caller's.  Any thread. */
struct mail mailbox_fetch(struct mailbox *mailbox) MUST_CHECK;

#endif
