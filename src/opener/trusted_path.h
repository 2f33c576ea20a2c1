/*
 * Opening a path that an unprivileged user cannot have redirected: no folder
 * and no symlink that leads to it can be changed by that user.  Otherwise a
 * process of the user could exchange a component and have root open another
 * file.
 *
 * The process of the opener; the main thread before it is forked.
 */
#ifndef OPENER_TRUSTED_PATH_H
#define OPENER_TRUSTED_PATH_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/attr.h"

#define OPENER_GROUPS_MAX 64

/* The user that the main process becomes, with all its groups. */
struct opener_user {
	uid_t uid;
	gid_t gid;
	gid_t groups[OPENER_GROUPS_MAX];
	size_t group_count;
};

enum trusted_links {
	TRUSTED_LINKS_FOLLOW,
	TRUSTED_LINKS_KEEP, /* the last component may be a link */
	TRUSTED_LINKS_NONE  /* ELOOP for a link in front of the last one */
};

/* The folder that holds the last component. */
struct trusted_path {
	int folder;              /* close it */
	char name[NAME_MAX + 1]; /* "." if the path ends in the folder */
};

/*
 * Walk to the last component, which may be missing.  false: errno, and
 * *changeable if the reason is a folder that the user can change (EPERM).
 */
bool trusted_path_walk(struct trusted_path *path, const char *text,
    enum trusted_links links, const struct opener_user *user,
    bool *changeable) MUST_CHECK;

#endif
