/*
 * The process and its machine: standard descriptors, descriptor limits, pid
 * file, readable files, user and capabilities, service manager, CPUs.  Main
 * thread, mostly before any other thread starts; cpus_count() on any thread.
 *
 * The pid file is guarded by a lock and not by its number: numbers are reused,
 * and in a container every process is pid 1.  Capabilities are set by the bare
 * system call, and sd_notify's protocol is spoken here: neither libcap nor
 * libsystemd is linked into a process that holds private keys.
 */
#include "runtime/process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/log.h"
#include "opener/trusted_path.h"
#include "runtime/cert_slot.h"

#define DESCRIPTORS_MAX (1024u * 1024u)
#define DESCRIPTORS_RESERVE_MAX 1024u
#define DESCRIPTORS_PER_CONNECTION 2u
#define PID_ATTEMPTS 8

bool
process_fill_standard(void)
{
	int fd;

	/* open() returns the lowest free number: this one. */
	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/dev/null", O_RDWR | O_CLOEXEC) != fd)
			return false;
	return true;
}

/* The status that a shell gives to a process that a signal has ended. */
static void
on_early_signal(int number)
{
	_exit(128 + number);
}

void
process_obey_signals(void)
{
	static const int numbers[] = { SIGTERM, SIGINT };
	struct sigaction action = { .sa_handler = on_early_signal };

	if (getpid() != 1)
		return;
	sigfillset(&action.sa_mask);
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		(void)sigaction(numbers[i], &action, NULL);
}

uint32_t
process_raise_descriptors(void)
{
	struct rlimit limit;
	rlim_t want;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 1024;
	want = limit.rlim_max;
	if (want == RLIM_INFINITY || want > DESCRIPTORS_MAX)
		want = DESCRIPTORS_MAX;
	if (limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur >= want)
		return (uint32_t)want;
	limit.rlim_cur = want;
	if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
		return (uint32_t)want;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 1024;
	return (uint32_t)limit.rlim_cur;
}

uint32_t
process_default_connections(uint32_t descriptors)
{
	uint32_t reserve = descriptors / 8;
	uint32_t connections;

	if (reserve > DESCRIPTORS_RESERVE_MAX)
		reserve = DESCRIPTORS_RESERVE_MAX;
	connections = (descriptors - reserve) / DESCRIPTORS_PER_CONNECTION;
	return connections > 0 ? connections : 1;
}

bool
process_has_room(unsigned descriptors)
{
	int *held = calloc(descriptors, sizeof(held[0]));
	unsigned count = 0;

	if (held == NULL)
		return false;
	while (count < descriptors &&
	       (held[count] = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)) >= 0)
		count++;
	for (unsigned i = 0; i < count; i++)
		close(held[i]);
	free(held);
	return count == descriptors;
}

/* The number in a pid file, for an error message; 0: none. */
static long
read_pid(int fd)
{
	char text[32];
	ssize_t n;
	long pid;

	n = pread(fd, text, sizeof(text) - 1, 0);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	if (sscanf(text, "%ld", &pid) != 1)
		return 0;
	return pid;
}

bool
process_is_pid_file(int fd, const char *path)
{
	struct stat ours, theirs;

	return fstat(fd, &ours) == 0 && stat(path, &theirs) == 0 &&
	       ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

static int
lock_pid_file(const char *path, struct err *err)
{
	int fd, i;

	/* An ending owner removes the path between this open and this lock; the
	 * locked file has no name then: open again. */
	for (i = 0; i < PID_ATTEMPTS; i++) {
		fd = open(
		    path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
		if (fd < 0) {
			err_set_errno(
			    err, errno, "pid file %s cannot be opened", path);
			return -1;
		}
		if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
			err_set(err,
			    "pid file %s is locked by process %ld: is clinch "
			    "running already?",
			    path, read_pid(fd));
			close(fd);
			return -1;
		}
		if (process_is_pid_file(fd, path))
			return fd;
		close(fd);
	}
	err_set(err, "pid file %s was replaced repeatedly by other processes",
	    path);
	return -1;
}

bool
process_rewrite_pid(int fd, struct err *err)
{
	char text[32];
	int length = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

	if (ftruncate(fd, 0) == 0 &&
	    pwrite(fd, text, (size_t)length, 0) == length)
		return true;
	return err_set_errno(err, errno, "the pid file cannot be written");
}

int
process_write_pid(const char *path, struct err *err)
{
	int fd = lock_pid_file(path, err);

	if (fd < 0)
		return -1;
	if (!process_rewrite_pid(fd, err)) {
		err_prefix(err, "%s", path);
		(void)unlink(path); /* an empty file is worse than none */
		close(fd);
		return -1;
	}
	return fd;
}

void
process_remove_pid(const char *path, int fd)
{
	if (fd < 0)
		return;
	/* Without the right to remove it, empty it. */
	if (unlink(path) != 0 && ftruncate(fd, 0) != 0)
		errno = 0;
	close(fd);
}

/* A missing file can be made where the folder is writable. */
static bool
check_folder(const char *path)
{
	char folder[PATH_MAX];
	const char *slash = strrchr(path, '/');
	size_t length;

	if (slash == NULL)
		return faccessat(AT_FDCWD, ".", W_OK | X_OK, AT_EACCESS) == 0;
	length = slash > path ? (size_t)(slash - path) : 1;
	if (length >= sizeof(folder)) {
		errno = ENAMETOOLONG;
		return false;
	}
	memcpy(folder, path, length);
	folder[length] = '\0';
	return faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) == 0;
}

bool
process_can_write(const char *path)
{
	struct stat status;

	if (stat(path, &status) != 0)
		return errno == ENOENT && check_folder(path);
	if (S_ISDIR(status.st_mode)) {
		errno = EISDIR;
		return false;
	}
	return faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0;
}

static const char *
user_name(const struct config *config)
{
	return config->user ? config->user : "our user";
}

/* Files that only the starting user can read: the first, and how many. */
struct unreadable {
	const struct config *config;
	struct log *log;
	char path[PATH_MAX];
	int errnum;
	size_t count;
};

static void
check_file(struct unreadable *unreadable, const char *path, const char *loss)
{
	char text[ERR_TEXT_MAX];

	if (file_is_readable(path))
		return;
	if (errno == ENOENT) {
		snprintf(text, sizeof(text),
		    "%s does not exist: %s will be picked up when it does",
		    path, loss);
		log_warning(unreadable->log, "process", text);
		return;
	}
	if (unreadable->count++ == 0) {
		unreadable->errnum = errno;
		snprintf(
		    unreadable->path, sizeof(unreadable->path), "%s", path);
	}
}

/* One line, however many there are: a folder may hold hundreds of keys. */
static void
log_unreadable(const struct unreadable *unreadable)
{
	const struct config *config = unreadable->config;
	char text[ERR_TEXT_MAX], more[48] = "";

	if (unreadable->count == 0)
		return;
	if (unreadable->count > 1)
		snprintf(
		    more, sizeof(more), " and %zu more", unreadable->count - 1);
	snprintf(text, sizeof(text),
	    "%.256s%s cannot be read by %s (%s): renewals and changes will not "
	    "be picked up; chgrp %s and chmod 640 would help",
	    unreadable->path, more, user_name(config),
	    strerror(unreadable->errnum),
	    config->group  ? config->group
	    : config->user ? config->user
			   : "its group");
	log_warning(unreadable->log, "process", text);
}

static void
check_log(const struct config *config, const char *path, struct log *log)
{
	char text[ERR_TEXT_MAX];

	if (!log_is_path(path))
		return;
	/* --test finds none yet: a start makes it. */
	if (faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0 ||
	    errno == ENOENT || file_has_fallback())
		return;
	snprintf(text, sizeof(text),
	    "%s cannot be written by %s (%s): reopening logs and reloads will "
	    "fail; chown it",
	    path, user_name(config), strerror(errno));
	log_warning(log, "process", text);
}

static void
check_store_folder(const struct config *config, const char *name,
    const char *loss, struct log *log)
{
	char folder[PATH_MAX], text[ERR_TEXT_MAX];

	snprintf(folder, sizeof(folder), "%s/%s", config->store_dir, name);
	/* --test finds none yet: a start makes it and gives it to the user. */
	if (faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) == 0 ||
	    errno == ENOENT)
		return;
	snprintf(text, sizeof(text),
	    "%.256s cannot be written by %s (%s): no %s will be kept over "
	    "restarts; chown -R %.256s would help",
	    folder, user_name(config), strerror(errno), loss,
	    config->store_dir);
	log_warning(log, "process", text);
}

/* The staple thread writes as the configured user; responses that cannot be
 * stored are fetched again after a restart. */
static void
check_store(const struct config *config, struct log *log)
{
	if (config->store_dir == NULL)
		return;
	check_store_folder(config, "ocsp", "response", log);
	check_store_folder(config, "issuer", "issuer", log);
}

static void
check_paths(struct unreadable *unreadable, const struct config_paths *paths,
    const char *what)
{
	size_t i;

	for (i = 0; i < paths->count; i++)
		if (paths->items[i].path)
			check_file(unreadable, paths->items[i].path, what);
}

static void
check_settings(
    struct unreadable *unreadable, const struct config_listener *settings)
{
	check_paths(unreadable, &settings->certs, "renewals");
	check_paths(unreadable, &settings->keys, "renewals");
	check_paths(unreadable, &settings->staple_files, "responses");
	if (settings->verify != VERIFY_NONE)
		check_file(unreadable, settings->ca_file, "changes");
	if (settings->crl_file)
		check_file(unreadable, settings->crl_file, "changes");
}

static void
check_cert_dir(struct unreadable *unreadable, const char *path)
{
	struct cert_dir folder;
	struct err err;
	size_t i;

	if (!cert_dir_list(&folder, path, &err))
		check_file(unreadable, path, "renewals");
	for (i = 0; i < folder.count; i++) {
		check_file(unreadable, folder.items[i].cert, "renewals");
		if (strcmp(folder.items[i].cert, folder.items[i].key) != 0)
			check_file(unreadable, folder.items[i].key, "renewals");
	}
	cert_dir_free(&folder);
}

void
process_check_readable(const struct config *config, struct log *log)
{
	struct unreadable unreadable = { .config = config, .log = log };
	const struct config_listener *listener;
	size_t i, k;

	check_file(&unreadable, config->file, "changes");
	for (i = 0; i < config->listener_count; i++) {
		listener = &config->listeners[i];
		check_settings(&unreadable, listener);
		if (listener->cert_dir)
			check_cert_dir(&unreadable, listener->cert_dir);
		for (k = 0; k < listener->host_count; k++)
			if (listener->hosts[k].certs_own ||
			    listener->hosts[k].ca_file != listener->ca_file)
				check_settings(
				    &unreadable, &listener->hosts[k]);
	}
	if (config->ticket_key_file)
		check_file(&unreadable, config->ticket_key_file, "changes");
	if (config->ocsp.ca_file)
		check_file(&unreadable, config->ocsp.ca_file, "changes");
	log_unreadable(&unreadable);
	check_store(config, log);
	check_log(config, config->log.output, log);
	check_log(config, config->log.access, log);
}

/* ---- User, group, capabilities ---- */

#define LOOKUP_BYTES 16384
#define LOW_PORT_BIT (1u << CAP_NET_BIND_SERVICE)

struct target {
	char name[256]; /* for initgroups; "": a number without an entry */
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
	/* All ones means "no change" to setresuid. */
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
		/* A number needs no passwd entry. */
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

/* Keep exactly CAP_NET_BIND_SERVICE, if it is there at all. */
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

/* Is the process that user already (a container's USER)? */
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
privilege_find(const char *user, const char *group, struct opener_user *ids,
    struct err *err)
{
	struct target target;
	int count = OPENER_GROUPS_MAX;

	if (!find(user, group, &target, err))
		return false;
	*ids = (struct opener_user){ .uid = target.uid, .gid = target.gid };
	if (target.name[0] == '\0')
		return true;
	/* -1: more groups than there is room for. */
	if (getgrouplist(target.name, target.gid, ids->groups, &count) < 0) {
		err_set(err, "user %s is in more than %d groups", user,
		    OPENER_GROUPS_MAX);
		return false;
	}
	ids->group_count = (size_t)count;
	return true;
}

void
process_check_user(const struct config *config, struct log *log)
{
	struct target target = { 0 };
	struct err err;

	if (geteuid() != 0)
		return;
	if (config->user &&
	    (!find_user(config->user, &target, &err) || target.uid != 0))
		return;
	log_warning(log, "process",
	    "running as root (set user = in [global]: the process changes to "
	    "that user after the start)");
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
	/* The folder itself, never the target of a link in its place. */
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

/* ---- Service manager ---- */

static const char *
socket_path(void)
{
	const char *path = getenv("NOTIFY_SOCKET");

	if (path == NULL || (path[0] != '/' && path[0] != '@'))
		return NULL;
	return path;
}

bool
notify_is_wanted(void)
{
	return socket_path() != NULL;
}

void
notify_send(const char *state)
{
	const char *path = socket_path();
	struct sockaddr_un to;
	socklen_t length;
	int fd;

	if (path == NULL || strlen(path) >= sizeof(to.sun_path))
		return;
	memset(&to, 0, sizeof(to));
	to.sun_family = AF_UNIX;
	memcpy(to.sun_path, path, strlen(path));
	length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
			     strlen(path));
	if (path[0] == '@')
		to.sun_path[0] = '\0'; /* the abstract namespace */

	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	/* Best effort: see the header. */
	(void)sendto(fd, state, strlen(state), MSG_NOSIGNAL,
	    (const struct sockaddr *)&to, length);
	close(fd);
}

void
notify_reloading(void)
{
	char text[128];

	snprintf(text, sizeof(text),
	    "RELOADING=1\nSTATUS=Reloading\nMONOTONIC_USEC=%lld",
	    (long long)clock_mono_us());
	notify_send(text);
}

double
notify_watchdog_s(void)
{
	const char *usec = getenv("WATCHDOG_USEC");
	const char *pid = getenv("WATCHDOG_PID");
	unsigned long long timeout;
	char *end;

	if (!notify_is_wanted() || usec == NULL ||
	    (pid && strtoll(pid, NULL, 10) != getpid()))
		return 0.0;
	errno = 0;
	timeout = strtoull(usec, &end, 10);
	if (errno || end == usec || *end != '\0')
		return 0.0;
	return (double)timeout / 1e6 / 2;
}

void
notify_extend(unsigned seconds, const char *status)
{
	char text[256];

	snprintf(text, sizeof(text), "EXTEND_TIMEOUT_USEC=%llu\nSTATUS=%s",
	    seconds * 1000000ULL, status);
	notify_send(text);
}

/* ---- CPUs ---- */

#define CGROUP_ROOT "/sys/fs/cgroup"
#define PATH_BYTES 4096

bool
cpus_parse_quota(const char *text, unsigned *cpus)
{
	long long quota, period;

	if (sscanf(text, "%lld %lld", &quota, &period) != 2)
		return false;
	if (quota <= 0 || period <= 0)
		return false;
	quota = (quota - 1) / period + 1;
	*cpus = quota > (long long)CPUS_MAX ? CPUS_MAX : (unsigned)quota;
	return true;
}

static bool
read_line(const char *path, char *line, size_t max)
{
	FILE *file = fopen(path, "re");
	bool got;

	if (file == NULL)
		return false;
	got = fgets(line, (int)max, file) != NULL;
	fclose(file);
	return got;
}

static void
lower_to_quota(unsigned *cpus, const char *text)
{
	unsigned quota;

	if (cpus_parse_quota(text, &quota) && quota < *cpus)
		*cpus = quota;
}

/* Version 2: the group of this process and each above it. */
static void
apply_version_2(unsigned *cpus)
{
	char group[PATH_BYTES], path[PATH_BYTES + 64], line[128];
	char *cut;

	if (!read_line("/proc/self/cgroup", group, sizeof(group)))
		return;
	if (strncmp(group, "0::/", 4) != 0)
		return;
	group[strcspn(group, "\n")] = '\0';
	memmove(group, group + 3, strlen(group + 3) + 1);
	while ((cut = strrchr(group, '/')) != NULL) {
		snprintf(path, sizeof(path), CGROUP_ROOT "%s%scpu.max", group,
		    cut[1] ? "/" : "");
		if (read_line(path, line, sizeof(line)))
			lower_to_quota(cpus, line);
		if (cut[1] == '\0')
			return;
		/* The last turn is the root, "/". */
		cut[cut == group ? 1 : 0] = '\0';
	}
}

static void
apply_version_1(unsigned *cpus)
{
	char quota[64], period[64], both[130];

	if (!read_line(
		CGROUP_ROOT "/cpu/cpu.cfs_quota_us", quota, sizeof(quota)) ||
	    !read_line(
		CGROUP_ROOT "/cpu/cpu.cfs_period_us", period, sizeof(period)))
		return;
	snprintf(both, sizeof(both), "%s %s", quota, period);
	lower_to_quota(cpus, both);
}

static unsigned
count_affinity(void)
{
	cpu_set_t set;
	long online;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		return (unsigned)CPU_COUNT(&set);
	/* More CPUs than cpu_set_t has bits. */
	online = sysconf(_SC_NPROCESSORS_ONLN);
	return online > 0 ? (unsigned)online : 1;
}

unsigned
cpus_count(void)
{
	unsigned cpus = count_affinity();

	apply_version_2(&cpus);
	apply_version_1(&cpus);
	if (cpus < 1)
		return 1;
	return cpus > CPUS_MAX ? CPUS_MAX : cpus;
}
