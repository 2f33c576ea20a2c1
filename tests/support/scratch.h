/*
 * A store of responses in a scratch folder.  One thread; aborts when it cannot
 * be made.
 */
#ifndef SUPPORT_SCRATCH_H
#define SUPPORT_SCRATCH_H

#include "staple/store.h"

struct scratch {
	char path[40]; /* of the folder, in which the store is store/ */
	struct staple_store *store;
};

void scratch_open(struct scratch *scratch);
/* Closes the store (NULL: closed already) and removes all files. */
void scratch_close(struct scratch *scratch);

#endif
