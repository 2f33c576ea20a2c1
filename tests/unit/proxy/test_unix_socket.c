/*
 * The file of a Unix socket has its mode from the moment it exists.  This
 * program defines bind in place of libc's and looks at the socket then.
 */
#include "proxy/unix_socket.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/err.h"

static mode_t at_bind;

int
bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct stat st;

	if (fstat(fd, &st) == 0)
		at_bind = st.st_mode & 0777;
	return (int)syscall(SYS_bind, fd, addr, len);
}

Test(unix_socket, has_its_mode_before_it_has_a_name)
{
	static const mode_t modes[] = { 0600, 0660, 0666 };
	char folder[] = "/tmp/clinch-unix-XXXXXX", path[64], text[80];

	cr_assert_not_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/s", folder);
	snprintf(text, sizeof(text), "unix:%s", path);
	umask(0);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		struct unix_socket made;
		struct addr addr;
		struct stat st;
		struct err err;

		cr_assert(addr_parse(&addr, NULL, text, &err), "%s", err.text);
		cr_assert(unix_socket_open(&made, &addr, modes[i], 1, &err),
		    "%s", err.text);
		cr_expect_eq(at_bind, modes[i], "%04o", at_bind);
		cr_assert_eq(lstat(path, &st), 0);
		cr_expect_eq(st.st_mode & 0777, modes[i]);
		unix_socket_close(&made, &addr);
		cr_expect_neq(lstat(path, &st), 0);
	}
	cr_expect_eq(rmdir(folder), 0);
}
