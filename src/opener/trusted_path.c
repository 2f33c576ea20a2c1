/*
 * The walk along a path, one component at a time.  In the process of the
 * opener, as root.
 *
 * Each folder is opened and then examined by its descriptor, and the next
 * component is looked up in that descriptor, so that an exchange between the
 * examination and the use has no effect.  Links are resolved here and not by
 * the kernel, because their folders have to be examined as well.
 *
 * In a folder with the sticky bit (/tmp) the user can neither rename nor remove
 * the folders of others, but can add hard links to their files and symlinks:
 * there only a folder may be the next component.
 */
#include "opener/trusted_path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/file.h"

#define LINKS_MAX 40 /* as many as the kernel follows */
#define FOLDER_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

struct walk {
	const struct opener_user *user;
	enum trusted_links links;
	int folder;
	bool is_sticky; /* the user may add names to the folder */
	unsigned link_count;
	bool *changeable;
	char rest[PATH_MAX]; /* what is still to be walked */
};

static bool
refuse_changeable(struct walk *walk)
{
	*walk->changeable = true;
	errno = EPERM;
	return false;
}

static bool
is_in_group(const struct opener_user *user, gid_t gid)
{
	size_t i;

	for (i = 0; i < user->group_count; i++)
		if (user->groups[i] == gid)
			return true;
	return user->gid == gid;
}

/* Can the user add, rename or remove names in this folder? */
static bool
can_write(const struct walk *walk, int fd, const struct stat *status)
{
	if ((status->st_mode & S_IWOTH) != 0)
		return true;
	if ((status->st_mode & S_IWGRP) == 0)
		return false;
	/* With an access list, the group's bits are the mask of all entries. */
	return is_in_group(walk->user, status->st_gid) ||
	       fgetxattr(fd, "system.posix_acl_access", NULL, 0) > 0;
}

/* Go to this folder; takes the descriptor. */
static bool
enter(struct walk *walk, int fd)
{
	struct stat status;

	if (fd < 0)
		return false;
	if (walk->folder >= 0)
		close(walk->folder);
	walk->folder = fd;
	if (fstat(fd, &status) != 0)
		return false;
	if (status.st_uid == walk->user->uid)
		return refuse_changeable(walk);
	walk->is_sticky = can_write(walk, fd, &status);
	if (walk->is_sticky && (status.st_mode & S_ISVTX) == 0)
		return refuse_changeable(walk);
	return true;
}

static bool
enter_first(struct walk *walk)
{
	const char *first = walk->rest[0] == '/' ? "/" : ".";

	return enter(walk, open(first, FOLDER_FLAGS));
}

/* Put the target of the link in front of the rest. */
static bool
replace_link(struct walk *walk, const char *name, const char *rest)
{
	char target[PATH_MAX], whole[PATH_MAX];
	ssize_t length;

	if (walk->links == TRUSTED_LINKS_NONE ||
	    ++walk->link_count > LINKS_MAX) {
		errno = ELOOP;
		return false;
	}
	length = readlinkat(walk->folder, name, target, sizeof(target));
	if (length < 0)
		return false;
	if (length == 0 || snprintf(whole, sizeof(whole), "%.*s/%s",
			       (int)length, target, rest) >= PATH_MAX) {
		errno = length == 0 ? ENOENT : ENAMETOOLONG;
		return false;
	}
	strcpy(walk->rest, whole);
	return walk->rest[0] != '/' || enter_first(walk);
}

/* Cut the first component off the rest.  false: none, or it is too long. */
static bool
next_component(struct walk *walk, char *name)
{
	char *at = walk->rest + strspn(walk->rest, "/");
	size_t length = strcspn(at, "/");

	if (length > NAME_MAX) {
		errno = ENAMETOOLONG;
		return false;
	}
	memcpy(name, at, length);
	name[length] = '\0';
	memmove(walk->rest, at + length, strlen(at + length) + 1);
	return true;
}

static bool
is_done(const struct walk *walk)
{
	return walk->rest[strspn(walk->rest, "/")] == '\0';
}

/* *more: there is another component; else `name` is the last one. */
static bool
step(struct walk *walk, char *name, bool *more)
{
	struct stat status;
	bool is_last;

	*more = true;
	if (!next_component(walk, name))
		return false;
	is_last = is_done(walk);
	if (name[0] == '\0' || strcmp(name, ".") == 0) {
		strcpy(name, ".");
		*more = !is_last;
		return true;
	}
	if (fstatat(walk->folder, name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
		*more = false;
		return is_last && errno == ENOENT;
	}
	if (S_ISLNK(status.st_mode) && walk->is_sticky)
		return refuse_changeable(walk);
	if (S_ISLNK(status.st_mode) &&
	    !(is_last && walk->links != TRUSTED_LINKS_FOLLOW))
		return replace_link(walk, name, walk->rest);
	if (S_ISDIR(status.st_mode)) {
		if (is_last)
			strcpy(walk->rest, "."); /* the next step ends there */
		return enter(walk, openat(walk->folder, name, FOLDER_FLAGS));
	}
	if (is_last && walk->is_sticky)
		return refuse_changeable(walk);
	*more = !is_last;
	errno = ENOTDIR;
	return is_last;
}

bool
trusted_path_walk(struct trusted_path *path, const char *text,
    enum trusted_links links, const struct opener_user *user, bool *changeable)
{
	struct walk walk = { .user = user,
		.links = links,
		.folder = -1,
		.changeable = changeable };
	bool more = true;

	*changeable = false;
	if (text[0] == '\0' || strlen(text) >= sizeof(walk.rest)) {
		errno = text[0] ? ENAMETOOLONG : ENOENT;
		return false;
	}
	strcpy(walk.rest, text);
	if (!enter_first(&walk))
		goto fail;
	while (more)
		if (!step(&walk, path->name, &more))
			goto fail;
	path->folder = walk.folder;
	return true;

fail:
	if (walk.folder >= 0)
		file_close(walk.folder);
	return false;
}
