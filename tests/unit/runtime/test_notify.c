/*
 * sd_notify's protocol, received on a socket of the test's own.
 */
#include "runtime/notify.h"

#include <criterion/criterion.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/support/pki.h"

/* A datagram socket with this name; '@' is the abstract namespace. */
static int
listen_at(const char *name)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
				    strlen(name));
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	memcpy(at.sun_path, name, strlen(name));
	if (name[0] == '@')
		at.sun_path[0] = '\0';
	cr_assert_eq(bind(fd, (struct sockaddr *)&at, len), 0, "%s", name);
	setenv("NOTIFY_SOCKET", name, 1);
	return fd;
}

/* "" when nothing came. */
static const char *
hear(int fd, char *text, size_t max)
{
	ssize_t n = recv(fd, text, max - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

Test(notify, speaks_to_an_abstract_socket)
{
	char name[64], text[128];
	int fd;

	snprintf(name, sizeof(name), "@clinch-test-%ld", (long)getpid());
	fd = listen_at(name);
	cr_expect(notify_is_wanted());
	notify_send("READY=1");
	cr_expect_str_eq(hear(fd, text, sizeof(text)), "READY=1");
	close(fd);
}

Test(notify, speaks_to_a_socket_with_a_path)
{
	struct pki_folder folder;
	char name[80], text[128];
	int fd;

	pki_folder_make(&folder);
	snprintf(name, sizeof(name), "%s/notify", folder.path);
	fd = listen_at(name);
	notify_reloading();
	cr_expect_eq(strncmp(hear(fd, text, sizeof(text)), "RELOADING=1\n", 12),
	    0, "%s", text);
	cr_expect_not_null(strstr(text, "\nMONOTONIC_USEC="), "%s", text);
	close(fd);
	pki_folder_remove(&folder);
}

Test(notify, asks_for_more_time)
{
	struct pki_folder folder;
	char name[80], text[128];
	int fd;

	pki_folder_make(&folder);
	snprintf(name, sizeof(name), "%s/notify", folder.path);
	fd = listen_at(name);
	notify_extend(30, "Waiting for 7 staples");
	cr_expect_str_eq(hear(fd, text, sizeof(text)),
	    "EXTEND_TIMEOUT_USEC=30000000\nSTATUS=Waiting for 7 staples");
	close(fd);
	pki_folder_remove(&folder);
}

Test(notify, is_silent_when_nobody_wants_to_know)
{
	static const char *const rows[] = { "", "relative", "vsock:2:1234" };

	unsetenv("NOTIFY_SOCKET");
	cr_expect_not(notify_is_wanted());
	notify_send("READY=1");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		setenv("NOTIFY_SOCKET", rows[i], 1);
		cr_expect_not(notify_is_wanted(), "%s", rows[i]);
		notify_send("READY=1");
	}
}

Test(notify, survives_a_manager_that_is_gone)
{
	char name[64];

	snprintf(name, sizeof(name), "@clinch-gone-%ld", (long)getpid());
	setenv("NOTIFY_SOCKET", name, 1);
	notify_send("READY=1");
	cr_expect(notify_is_wanted());
}
