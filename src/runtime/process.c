/*
 * What the process owes to the machine: descriptors, a pid file, and an early
 * word about files that a reload will not be able to read.  Main thread,
 * mostly before any other starts.  The pid file is guarded by a lock on it
 * and never by asking whether the pid inside is alive: numbers are reused,
 * and in a container they are all 1.
 */
#include "runtime/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "runtime/folder.h"

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

/* The number in a pid file, for the sentence; 0 when there is none. */
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

/* Is the file we locked still the one the path names? */
static bool
is_same_file(int fd, const char *path)
{
	struct stat ours, theirs;

	return fstat(fd, &ours) == 0 && stat(path, &theirs) == 0 &&
	       ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

static int
lock_pid_file(const char *path, struct err *err)
{
	int fd, i;

	/* An owner that ends removes the path between our open and our lock;
	 * then what we hold is a file without a name: open again. */
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
			    "pid file %s is held by process %ld: is clinch "
			    "running already?",
			    path, read_pid(fd));
			close(fd);
			return -1;
		}
		if (is_same_file(fd, path))
			return fd;
		close(fd);
	}
	err_set(err, "pid file %s keeps being replaced by someone", path);
	return -1;
}

int
process_write_pid(const char *path, struct err *err)
{
	char text[32];
	int fd, length;

	fd = lock_pid_file(path, err);
	if (fd < 0)
		return -1;
	length = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
	if (ftruncate(fd, 0) != 0 ||
	    pwrite(fd, text, (size_t)length, 0) != length) {
		err_set_errno(
		    err, errno, "pid file %s cannot be written", path);
		(void)unlink(path); /* an empty one would say less than none */
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
	/* Without the right to remove it, at least name nobody. */
	if (unlink(path) != 0 && ftruncate(fd, 0) != 0)
		errno = 0;
	close(fd);
}

/* A file that is not there yet is made by whoever may write to its folder. */
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

/* Files that only the starting user may read: the first, and how many. */
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
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd >= 0) {
		close(fd);
		return;
	}
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
	/* None yet, under --test: a start makes it. */
	if (faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0 || errno == ENOENT)
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
	/* None yet, under --test: a start makes it, and gives it to us. */
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

/* The staple thread writes as us; what it cannot keep, a restart fetches. */
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
	struct folder folder;
	struct err err;
	size_t i;

	if (!folder_list(&folder, path, &err))
		check_file(unreadable, path, "renewals");
	for (i = 0; i < folder.count; i++) {
		check_file(unreadable, folder.items[i].cert, "renewals");
		if (strcmp(folder.items[i].cert, folder.items[i].key) != 0)
			check_file(unreadable, folder.items[i].key, "renewals");
	}
	folder_free(&folder);
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
