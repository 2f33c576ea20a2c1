/*
 * LISTEN_FDS.  Its descriptors begin at 3, where the test framework has its
 * own, so each case runs in a child that has closed those first.
 */
#include "runtime/sockets.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/err.h"

typedef bool story_fn(void);

/* Unix sockets with these abstract names become descriptors 3, 4, ... */
static void
give(const char *const *names, int count)
{
	struct addr addr;
	char text[32];
	int fd, i;

	for (fd = 3; fd < 64; fd++)
		close(fd);
	for (i = 0; i < count; i++) {
		fd = socket(AF_UNIX, SOCK_STREAM, 0);
		memset(&addr, 0, sizeof(addr));
		addr.un.sun_family = AF_UNIX;
		snprintf(addr.un.sun_path, sizeof(addr.un.sun_path),
		    "/tmp/clinch-%ld-%s", (long)getpid(), names[i]);
		addr.len = sizeof(addr.un);
		if (bind(fd, &addr.sa, addr.len) != 0)
			_exit(9);
		unlink(addr.un.sun_path);
	}
	snprintf(text, sizeof(text), "%ld", (long)getpid());
	setenv("LISTEN_PID", text, 1);
	snprintf(text, sizeof(text), "%d", count);
	setenv("LISTEN_FDS", text, 1);
}

static int
status_of(story_fn *story)
{
	pid_t child = fork();
	int status = -1;

	if (child == 0)
		_exit(story() ? 0 : 1);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

static const char *const two[] = { "a", "b" };

static bool
takes_by_name(void)
{
	struct inherited *inherited;

	give(two, 2);
	setenv("LISTEN_FDNAMES", "web:mail", 1);
	inherited = inherited_collect(NULL);
	return inherited && inherited_count(inherited) == 2 &&
	       inherited_take(inherited, "mail", NULL) == 4 &&
	       inherited_take(inherited, "mail", NULL) == -1 &&
	       inherited_take(inherited, "web", NULL) == 3 &&
	       inherited_count(inherited) == 0;
}

static bool
takes_by_address(void)
{
	struct inherited *inherited;
	struct addr addr, other;
	char text[64];

	give(two, 2);
	inherited = inherited_collect(NULL);
	snprintf(text, sizeof(text), "unix:/tmp/clinch-%ld-b", (long)getpid());
	if (!addr_parse(&addr, NULL, text, NULL) ||
	    !addr_parse(&other, NULL, "unix:/tmp/other", NULL))
		return false;
	return inherited && inherited_take(inherited, NULL, &other) == -1 &&
	       inherited_take(inherited, NULL, &addr) == 4 &&
	       inherited_take(inherited, NULL, &addr) == -1;
}

static bool
keeps_sockets_from_children(void)
{
	give(two, 1);
	return inherited_collect(NULL) != NULL &&
	       (fcntl(3, F_GETFD) & FD_CLOEXEC) != 0 &&
	       getenv("LISTEN_PID") == NULL && getenv("LISTEN_FDS") == NULL &&
	       getenv("LISTEN_FDNAMES") == NULL;
}

static bool
ignores_another_pid(void)
{
	struct inherited *inherited;

	give(two, 1);
	setenv("LISTEN_PID", "1", 1);
	inherited = inherited_collect(NULL);
	return inherited && inherited_count(inherited) == 0 &&
	       fcntl(3, F_GETFD) == 0;
}

static bool
refuses_what_is_not_open(void)
{
	struct err err = { "" };

	give(two, 1);
	setenv("LISTEN_FDS", "2", 1);
	return inherited_collect(&err) == NULL &&
	       strstr(err.text, "descriptor 4") != NULL;
}

static bool
refuses_other_descriptors(void)
{
	struct err err = { "" };

	give(two, 1);
	if (open("/dev/null", O_RDONLY) != 4)
		return false;
	setenv("LISTEN_FDS", "2", 1);
	return inherited_collect(&err) == NULL &&
	       strstr(err.text, "not a socket") != NULL;
}

static bool
refuses_nonsense(void)
{
	struct err err = { "" };

	give(two, 1);
	setenv("LISTEN_FDS", "many", 1);
	return inherited_collect(&err) == NULL &&
	       strstr(err.text, "LISTEN_FDS=many") != NULL;
}

static bool
closes_sockets_not_taken(void)
{
	struct inherited *inherited;

	give(two, 2);
	inherited = inherited_collect(NULL);
	if (inherited == NULL || inherited_take(inherited, "", NULL) != 3)
		return false;
	inherited_free(inherited, NULL);
	return fcntl(3, F_GETFD) >= 0 && fcntl(4, F_GETFD) < 0;
}

Test(inherited, collects_takes_and_refuses)
{
	static const struct {
		const char *what;
		story_fn *story;
	} rows[] = {
		{ "by name", takes_by_name },
		{ "by address", takes_by_address },
		{ "close-on-exec", keeps_sockets_from_children },
		{ "another's LISTEN_PID", ignores_another_pid },
		{ "not open", refuses_what_is_not_open },
		{ "not a socket", refuses_other_descriptors },
		{ "nonsense", refuses_nonsense },
		{ "not taken", closes_sockets_not_taken },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_eq(status_of(rows[i].story), 0, "%s", rows[i].what);
}

Test(inherited, is_empty_without_a_service_manager)
{
	struct inherited *inherited;

	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	inherited = inherited_collect(NULL);
	cr_assert_not_null(inherited);
	cr_expect_eq(inherited_count(inherited), 0u);
	cr_expect_eq(inherited_take(inherited, "web", NULL), -1);
	cr_expect_eq(inherited_take(NULL, "web", NULL), -1);
	inherited_free(inherited, NULL);
}
