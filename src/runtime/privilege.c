/*
 * From root to a user that can do nothing but listen.  Main thread, before
 * any other starts, after sockets and keys are open.  Capabilities are set by
 * the bare system call: one 24-byte struct does not justify linking libcap
 * into a process that holds private keys.
 */
#include "runtime/privilege.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"

#define LOOKUP_BYTES 16384
#define LOW_PORT_BIT (1u << CAP_NET_BIND_SERVICE)

struct target {
	char name[256]; /* for initgroups; "": a number nobody is named by */
	uid_t uid;
	gid_t gid;
	bool change_user;
	bool change_group;
};

static bool
parse_number(const char *text, unsigned *number)
{
	char *end;
	unsigned long value;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	value = strtoul(text, &end, 10);
	/* All ones means "leave it" to setresuid. */
	if (*end != '\0' || errno != 0 || value >= 0xffffffffUL)
		return false;
	*number = (unsigned)value;
	return true;
}

static bool
find_user(const char *user, struct target *target, struct err *err)
{
	char bytes[LOOKUP_BYTES];
	struct passwd entry, *found = NULL;
	unsigned number;
	int error;

	if (parse_number(user, &number)) {
		target->uid = number;
		target->gid = number;
		/* A number needs no entry: without one nothing is found. */
		(void)getpwuid_r(number, &entry, bytes, sizeof(bytes), &found);
	} else {
		error = getpwnam_r(user, &entry, bytes, sizeof(bytes), &found);
		if (found == NULL) {
			err_set(err, "user %s: %s", user,
			    error ? strerror(error) : "there is no such user");
			return false;
		}
	}
	if (found) {
		target->uid = found->pw_uid;
		target->gid = found->pw_gid;
		if (strlen(found->pw_name) < sizeof(target->name))
			strcpy(target->name, found->pw_name);
	}
	target->change_user = true;
	target->change_group = true;
	return true;
}

static bool
find_group(const char *group, struct target *target, struct err *err)
{
	char bytes[LOOKUP_BYTES];
	struct group entry, *found = NULL;
	unsigned number;
	int error;

	target->change_group = true;
	if (parse_number(group, &number)) {
		target->gid = number;
		return true;
	}
	error = getgrnam_r(group, &entry, bytes, sizeof(bytes), &found);
	if (found == NULL) {
		err_set(err, "group %s: %s", group,
		    error ? strerror(error) : "there is no such group");
		return false;
	}
	target->gid = found->gr_gid;
	return true;
}

static bool
set_groups(const struct target *target, struct err *err)
{
	int rc;

	if (target->name[0])
		rc = initgroups(target->name, target->gid);
	else
		rc = setgroups(1, &target->gid);
	if (rc == 0)
		rc = setresgid(target->gid, target->gid, target->gid);
	if (rc == 0)
		return true;
	err_set_errno(err, errno, "cannot become group %u (only root can)",
	    (unsigned)target->gid);
	return false;
}

static bool
set_user(const struct target *target, struct err *err)
{
	if (setresuid(target->uid, target->uid, target->uid) == 0)
		return true;
	err_set_errno(err, errno, "cannot become user %u (only root can)",
	    (unsigned)target->uid);
	return false;
}

/* Leave exactly CAP_NET_BIND_SERVICE, if we ever had it. */
static bool
keep_low_port_capability(struct err *err)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];

	memset(data, 0, sizeof(data));
	if (syscall(SYS_capget, &header, data) == 0) {
		data[0].permitted &= LOW_PORT_BIT;
		data[0].effective = data[0].permitted;
		data[0].inheritable = 0;
		memset(&data[1], 0, sizeof(data[1]));
		if (syscall(SYS_capset, &header, data) == 0)
			return true;
	}
	err_set_errno(err, errno, "capabilities cannot be reduced");
	return false;
}

/* Nothing to do when we are that user already (a container's USER). */
static bool
is_there_already(const struct target *target)
{
	return (!target->change_user ||
		   (getuid() == target->uid && geteuid() == target->uid)) &&
	       (!target->change_group ||
		   (getgid() == target->gid && getegid() == target->gid));
}

static bool
change(const struct target *target, bool keep_low_ports, struct err *err)
{
	bool keep = keep_low_ports && target->change_user && target->uid != 0;

	if (keep && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) {
		err_set_errno(err, errno, "capabilities cannot be kept");
		return false;
	}
	if (target->change_group && !set_groups(target, err))
		return false;
	if (target->change_user && !set_user(target, err))
		return false;
	return !keep || keep_low_port_capability(err);
}

static bool
find(
    const char *user, const char *group, struct target *target, struct err *err)
{
	memset(target, 0, sizeof(*target));
	return (!user || find_user(user, target, err)) &&
	       (!group || find_group(group, target, err));
}

bool
privilege_drop(
    const char *user, const char *group, bool keep_low_ports, struct err *err)
{
	struct target target;

	if (!find(user, group, &target, err))
		return false;
	if (!is_there_already(&target) && !change(&target, keep_low_ports, err))
		return false;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
		err_set_errno(err, errno, "no_new_privs cannot be set");
		return false;
	}
	return true;
}

bool
privilege_give(
    const char *path, const char *user, const char *group, struct err *err)
{
	const uid_t same_uid = (uid_t)-1;
	const gid_t same_gid = (gid_t)-1;
	struct target target;
	bool given;
	int fd;

	if (geteuid() != 0)
		return true;
	if (!find(user, group, &target, err))
		return false;
	/* The folder itself, and never one that a link in its place leads to. */
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	given = fd >= 0 &&
		fchown(fd, target.change_user ? target.uid : same_uid,
		    target.change_group ? target.gid : same_gid) == 0;
	if (!given)
		err_set_errno(err, errno, "%s cannot be given to %s", path,
		    user    ? user
		    : group ? group
			    : "user and group of this process");
	if (fd >= 0)
		close(fd);
	return given;
}
