/*
 * The folders of a configuration, and what a confined process may do.  Each
 * confinement is for ever, so that it happens in a child.
 */
#include "runtime/sandbox.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"

static char base[64]; /* a folder of its own, without symlinks */
static const struct config *config;

static const char *
at(const char *name)
{
	static char paths[8][512];
	static unsigned next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", base, name);
	return path;
}

static void
make_folder(const char *name)
{
	cr_assert_eq(mkdir(at(name), 0755), 0);
}

static void
make_file(const char *name)
{
	int fd = open(at(name), O_WRONLY | O_CREAT, 0644);

	cr_assert_geq(fd, 0);
	close(fd);
}

static void
make_link(const char *target, const char *name)
{
	cr_assert_eq(symlink(target, at(name)), 0);
}

static void
set_up(void)
{
	strcpy(base, "/tmp/clinch-sandbox-XXXXXX");
	cr_assert_not_null(mkdtemp(base));
	make_folder("conf");
}

static void
tear_down(void)
{
	char command[128];

	config_unref(config);
	config = NULL;
	snprintf(command, sizeof(command), "rm -rf %s", base);
	cr_assert_eq(system(command), 0);
}

TestSuite(sandbox, .init = set_up, .fini = tear_down);

static void
parse(const char *global, const char *files)
{
	struct config_errors errors;
	char text[2048];

	snprintf(text, sizeof(text),
	    "[global]\n%s\n[listener a]\naccept = 127.0.0.1:0\nconnect = 1\n%s",
	    global, files);
	config = config_parse(
	    at("conf/clinch.ini"), text, strlen(text), &errors);
	cr_assert_not_null(
	    config, "%s", errors.list.count ? errors.list.items[0] : "");
}

/* The access to a folder of the base; 0: none. */
static unsigned
access_to(const struct sandbox_folders *folders, const char *name)
{
	for (size_t i = 0; i < folders->count; i++)
		if (strcmp(folders->items[i].path, at(name)) == 0)
			return folders->items[i].access;
	return 0;
}

Test(sandbox, folders_of_links_are_those_of_their_targets)
{
	struct sandbox_folders folders;

	make_folder("live"), make_folder("archive"), make_folder("other");
	make_folder("releases"), make_folder("releases/1");
	make_file("archive/cert1.pem"), make_file("releases/1/key.pem");
	make_link("../archive/cert1.pem", "live/cert.pem");
	make_link("releases/1", "current");
	parse("", "cert = ../live/cert.pem\nkey = ../current/key.pem\n");
	cr_assert(sandbox_folders_of(config, &folders));
	cr_expect_eq(access_to(&folders, "live"), ACCESS_READ);
	cr_expect_eq(access_to(&folders, "archive"), ACCESS_READ);
	cr_expect_eq(access_to(&folders, "releases"), ACCESS_READ);
	cr_expect_eq(access_to(&folders, "releases/1"), ACCESS_READ);
	cr_expect_eq(access_to(&folders, "other"), 0);
	sandbox_folders_free(&folders);
}

Test(sandbox, only_logs_sockets_and_the_store_are_written)
{
	struct sandbox_folders folders;
	char global[512];

	make_folder("certs"), make_folder("store"), make_folder("run");
	make_folder("logs");
	snprintf(global, sizeof(global),
	    "store_dir = ../store\npid = ../run/pid\n[log]\noutput = ../logs/log");
	parse(global, "cert_dir = ../certs\n");
	cr_assert(sandbox_folders_of(config, &folders));
	cr_expect_eq(access_to(&folders, "certs"), ACCESS_READ);
	cr_expect_eq(access_to(&folders, "store"), ACCESS_READ | ACCESS_WRITE);
	cr_expect_eq(access_to(&folders, "logs"), ACCESS_READ | ACCESS_WRITE);
	cr_expect_eq(access_to(&folders, "run"), ACCESS_REMOVE);
	sandbox_folders_free(&folders);
}

Test(sandbox, links_in_a_circle_end)
{
	struct sandbox_folders folders;

	make_link("b.pem", "a.pem"), make_link("a.pem", "b.pem");
	parse("", "cert = ../a.pem\n");
	cr_assert(sandbox_folders_of(config, &folders));
	cr_expect_eq(access_to(&folders, "a.pem"), 0);
	sandbox_folders_free(&folders);
}

/* ---- In force ---- */

static bool
has_landlock(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0,
		   LANDLOCK_CREATE_RULESET_VERSION) > 0;
}

static bool
is_denied(const char *name, int flags, int errnum)
{
	int fd = open(at(name), flags, 0644);

	if (fd >= 0)
		close(fd);
	return fd < 0 && errno == errnum;
}

static bool
is_allowed(const char *name, int flags)
{
	int fd = open(at(name), flags, 0644);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* The number of the first step that went wrong; 0: none. */
static int
try_files(void)
{
	if (!is_allowed("in/cert.pem", O_RDONLY))
		return 2;
	if (!is_denied("in/new.pem", O_WRONLY | O_CREAT, EACCES))
		return 3;
	if (!is_denied("out/cert.pem", O_RDONLY, EACCES))
		return 4;
	if (!is_allowed("store/new", O_WRONLY | O_CREAT | O_TRUNC) ||
	    rename(at("store/new"), at("store/newer")) != 0 ||
	    unlink(at("store/newer")) != 0)
		return 5;
	if (unlink(at("run/pid")) != 0)
		return 6;
	return is_allowed("../../etc/hosts", O_RDONLY) ? 0 : 7;
}

static int
try_calls(void)
{
	char *const none[] = { NULL };

	if (unshare(CLONE_NEWNS) == 0 || errno != EPERM)
		return 8;
	if (execve("/bin/true", none, none) == 0 || errno != EPERM)
		return 9;
	if (syscall(SYS_bpf, 0, NULL, 0) >= 0 || errno != EPERM)
		return 10;
	return 0;
}

static int
confined(void)
{
	struct log *log = log_new();
	struct err err;
	struct sandbox *sandbox = sandbox_enter(config, NULL, log, &err);
	int step = sandbox ? try_files() : 1;

	sandbox_free(sandbox);
	log_free(log);
	return step ? step : try_calls();
}

Test(sandbox, a_confined_process_reaches_its_own_files)
{
	int status;
	pid_t pid;

	if (!has_landlock())
		cr_skip_test("the kernel has no Landlock");
	make_folder("in"), make_folder("out"), make_folder("store");
	make_folder("run");
	make_file("in/cert.pem"), make_file("out/cert.pem"),
	    make_file("run/pid");
	parse("sandbox = require\nstore_dir = ../store\npid = ../run/pid",
	    "cert = ../in/cert.pem\n");
	pid = fork();
	if (pid == 0)
		_exit(confined());
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status));
	cr_expect_eq(WEXITSTATUS(status), 0, "step %d", WEXITSTATUS(status));
}
