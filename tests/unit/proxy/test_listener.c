/*
 * Listening sockets: opened, refused where an address is in use, adopted,
 * matched, removed; and the options of TCP sockets.  The kernel chooses ports;
 * everything is on loopback or in a folder made for the test.
 */
#include "proxy/listener.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"
#include "tests/unit/proxy/option.h"

static mode_t mode_at_bind;

/* In place of libc's: the mode of a unix socket when its file is made. */
int
bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct stat st;

	if (fstat(fd, &st) == 0)
		mode_at_bind = st.st_mode & 0777;
	return (int)syscall(SYS_bind, fd, addr, len);
}

static const struct listener_options two_threads = {
	.threads = 2,
	.backlog = 64,
	.unix_mode = 0660,
};

static struct config_accept
accept_line(const char *text)
{
	struct config_accept accept = { 0 };
	struct err err;

	cr_assert(addr_parse(&accept.addr, &accept.any_family, text, &err),
	    "%s", text);
	return accept;
}

static struct listener *
open_at(const struct config_accept *accept)
{
	struct err err = { "" };
	struct listener *listener;

	listener = listener_open(accept, &two_threads, NULL, &err);
	cr_assert_not_null(listener, "%s", err.text);
	return listener;
}

static void
expect_refused(const struct config_accept *accept, const char *sentence)
{
	struct err err = { "" };

	cr_expect_null(listener_open(accept, &two_threads, NULL, &err));
	cr_expect_not_null(
	    strstr(err.text, sentence), "'%s' in '%s'", sentence, err.text);
}

/* As another process of the same user would: it could join the group. */
static int
occupy(struct config_accept *accept)
{
	socklen_t len = accept->addr.len;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int one = 1;

	cr_assert_eq(
	    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)), 0);
	cr_assert_eq(bind(fd, &accept->addr.sa, len), 0);
	cr_assert_eq(listen(fd, 1), 0);
	cr_assert_eq(getsockname(fd, &accept->addr.sa, &len), 0);
	return fd;
}

Test(listener, gives_each_thread_a_socket_at_the_port_the_first_one_got)
{
	struct config_accept accept = accept_line("127.0.0.1:0");
	struct listener *listener = open_at(&accept);
	uint16_t port = addr_port(listener_address(listener));

	cr_expect_neq(port, 0);
	cr_expect_eq(addr_port(listener_asked(listener)), 0);
	cr_expect_neq(listener_fd(listener, 0), listener_fd(listener, 1));
	for (unsigned i = 0; i < 2; i++) {
		struct sockaddr_in in = { 0 };
		socklen_t len = sizeof(in);

		cr_assert_eq(getsockname(listener_fd(listener, i),
				 (struct sockaddr *)&in, &len),
		    0);
		cr_expect_eq(ntohs(in.sin_port), port);
	}
	listener_unref(listener);
}

Test(listener, opens_sockets_that_neither_block_nor_leak_nor_wait)
{
	struct config_accept accept = accept_line("127.0.0.1:0");
	struct listener *listener = open_at(&accept);

	for (unsigned i = 0; i < 2; i++) {
		int fd = listener_fd(listener, i);

		cr_expect(fcntl(fd, F_GETFL) & O_NONBLOCK);
		cr_expect(fcntl(fd, F_GETFD) & FD_CLOEXEC);
		cr_expect(option(fd, SOL_SOCKET, SO_ACCEPTCONN));
		cr_expect(option(fd, IPPROTO_TCP, TCP_NODELAY));
	}
	listener_unref(listener);
}

Test(listener, finds_out_that_an_address_is_in_use)
{
	struct config_accept accept = accept_line("127.0.0.1:0");
	int fd = occupy(&accept);

	expect_refused(&accept, "already in use: another process listens");
	close(fd);
	listener_unref(open_at(&accept));
}

Test(listener, opens_beside_our_own_socket_if_port_is_ours)
{
	struct listener_options options = two_threads;
	struct config_accept all = accept_line("0.0.0.0:0");
	struct config_accept one = accept_line("127.0.0.1:0");
	struct listener *old = open_at(&all), *fresh;

	addr_set_port(&one.addr, addr_port(listener_address(old)));
	cr_expect(listener_overlaps(old, &one));
	cr_expect_not(listener_overlaps(old, &all));
	expect_refused(&one, "already in use");
	options.port_is_ours = true;
	fresh = listener_open(&one, &options, NULL, NULL);
	cr_expect_not_null(fresh);
	listener_unref(fresh);
	listener_unref(old);
}

Test(listener, names_an_address_that_is_not_of_this_machine)
{
	struct config_accept accept = accept_line("192.0.2.1:0");

	expect_refused(&accept, "192.0.2.1:0 does not belong to this machine");
}

Test(listener, serves_both_families_at_a_bare_port_or_sets_v4_only)
{
	struct config_accept accept = accept_line("0");
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct listener *listener;
	bool v4_only;
	int fd;

	listener = listener_open(&accept, &two_threads, &v4_only, NULL);
	cr_assert_not_null(listener);
	cr_expect_eq(listener_address(listener)->sa.sa_family,
	    v4_only ? AF_INET : AF_INET6);
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	in.sin_port = htons(addr_port(listener_address(listener)));
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_expect_eq(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	close(fd);
	listener_unref(listener);
}

static const struct match_row {
	const char *what, *text;
	unsigned backlog;
	bool v6only, expect;
	const char *device;
} match_rows[] = {
	{ "the same", "127.0.0.1:0", 64, false, true, NULL },
	{ "another address", "127.0.0.2:0", 64, false, false, NULL },
	{ "another port", "127.0.0.1:1", 64, false, false, NULL },
	{ "another backlog can be set", "127.0.0.1:0", 65, false, true, NULL },
	{ "v6only cannot be changed", "127.0.0.1:0", 64, true, false, NULL },
	{ "nor can the device", "127.0.0.1:0", 64, false, false, "lo" },
};

Test(listener, matches_what_it_could_serve)
{
	struct config_accept accept = accept_line("127.0.0.1:0");
	struct listener *listener = open_at(&accept);

	for (size_t i = 0; i < ARRAY_LEN(match_rows); i++) {
		const struct match_row *row = &match_rows[i];
		struct listener_options options = two_threads;

		accept = accept_line(row->text);
		options.backlog = row->backlog;
		options.v6only = row->v6only;
		options.device = row->device;
		cr_expect_eq(listener_matches(listener, &accept, &options),
		    row->expect, "%s", row->what);
	}
	listener_unref(listener);
}

static bool
opens(const char *text, const struct listener_options *options, struct err *err)
{
	struct config_accept accept = accept_line(text);
	struct listener *listener = listener_open(&accept, options, NULL, err);

	listener_unref(listener);
	return listener != NULL;
}

/* RFC 5737 and RFC 3849: addresses that no machine has. */
Test(listener, binds_early_if_configured)
{
	static const char *const texts[] = { "192.0.2.1:0", "[2001:db8::1]:0" };
	struct listener_options options = two_threads;
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		options.bind_early = false;
		cr_expect_not(opens(texts[i], &options, &err));
		cr_expect_not_null(strstr(err.text, "bind_early"));
		options.bind_early = true;
		cr_expect(opens(texts[i], &options, &err), "%s", err.text);
	}
}

Test(listener, is_bound_to_a_device)
{
	struct config_accept accept = accept_line("127.0.0.1:0");
	struct listener_options options = two_threads;
	struct listener *listener;
	char device[IFNAMSIZ] = "";
	socklen_t len = sizeof(device);
	struct err err;

	options.device = "lo";
	listener = listener_open(&accept, &options, NULL, &err);
	cr_assert_not_null(listener, "%s", err.text);
	cr_assert_eq(getsockopt(listener_fd(listener, 1), SOL_SOCKET,
			 SO_BINDTODEVICE, device, &len),
	    0);
	cr_expect_str_eq(device, "lo");
	listener_unref(listener);

	options.device = "lo0123456789abcdef";
	cr_expect_not(opens("127.0.0.1:0", &options, &err));
	cr_expect_not_null(strstr(err.text, "no network device"));
}

/* ---- Unix sockets ---- */

static char folder[32];
static char path[64];
static struct config_accept at_path;

static void
make_folder(void)
{
	strcpy(folder, "/tmp/clinch-test-XXXXXX");
	cr_assert_not_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "unix:%s/s", folder);
	at_path = accept_line(path);
	memmove(path, path + 5, strlen(path + 5) + 1);
}

static void
remove_folder(void)
{
	unlink(path);
	rmdir(folder);
}

TestSuite(listener_unix, .init = make_folder, .fini = remove_folder);

static unsigned
mode_of_path(void)
{
	struct stat st;

	return lstat(path, &st) == 0 ? st.st_mode & 07777 : 0;
}

/* A listening socket at the path, or what is left of one. */
static int
occupy_path(bool stale)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert_eq(bind(fd, &at_path.addr.sa, at_path.addr.len), 0);
	cr_assert_eq(listen(fd, 1), 0);
	if (stale)
		close(fd);
	return stale ? -1 : fd;
}

Test(listener_unix, shares_one_socket_between_the_threads)
{
	struct listener *listener = open_at(&at_path);

	cr_expect_eq(listener_fd(listener, 0), listener_fd(listener, 1));
	listener_unref(listener);
}

Test(listener_unix, has_the_configured_mode_with_any_umask)
{
	static const mode_t masks[] = { 0, 022, 0777 };

	for (size_t i = 0; i < ARRAY_LEN(masks); i++) {
		struct listener *listener;

		umask(masks[i]);
		listener = open_at(&at_path);
		cr_expect_eq(mode_of_path(), 0660, "umask %03o", masks[i]);
		listener_unref(listener);
	}
}

Test(listener_unix, has_its_mode_before_it_has_a_name)
{
	static const unsigned modes[] = { 0600, 0660, 0666 };

	umask(0);
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		struct listener_options options = two_threads;
		struct listener *listener;
		struct err err = { "" };

		options.unix_mode = modes[i];
		listener = listener_open(&at_path, &options, NULL, &err);
		cr_assert_not_null(listener, "%s", err.text);
		cr_expect_eq(mode_at_bind, modes[i], "%04o", mode_at_bind);
		cr_expect_eq(mode_of_path(), modes[i]);
		listener_unref(listener);
		cr_expect_neq(access(path, F_OK), 0);
	}
}

Test(listener_unix, changes_the_mode_of_an_open_socket)
{
	struct listener *listener = open_at(&at_path);
	struct err err = { "" };

	cr_expect(listener_set_mode(listener, 0600, &err), "%s", err.text);
	cr_expect_eq(mode_of_path(), 0600);
	listener_unref(listener);
}

Test(listener_unix, replaces_a_stale_socket)
{
	occupy_path(true);
	cr_assert_neq(mode_of_path(), 0);
	listener_unref(open_at(&at_path));
}

Test(listener_unix, leaves_a_socket_with_a_listener)
{
	int fd = occupy_path(false);

	expect_refused(&at_path, "already in use: another process listens");
	cr_expect_neq(mode_of_path(), 0);
	close(fd);
}

Test(listener_unix, leaves_a_file_that_is_no_socket)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	cr_assert_geq(fd, 0);
	close(fd);
	expect_refused(&at_path, "not a socket is in the way");
	cr_expect_eq(mode_of_path(), 0600);
}

Test(listener_unix, names_a_missing_folder)
{
	struct config_accept accept = accept_line("unix:/nowhere/at/all");

	expect_refused(&accept, "the folder does not exist");
}

Test(listener_unix, removes_its_file_at_the_end)
{
	struct listener *listener = open_at(&at_path);

	cr_expect_neq(mode_of_path(), 0);
	listener_unref(listener_ref(listener));
	cr_expect_neq(mode_of_path(), 0);
	listener_unref(listener);
	cr_expect_eq(mode_of_path(), 0);
}

Test(listener_unix, leaves_a_file_that_took_its_place)
{
	struct listener *listener = open_at(&at_path);
	int fd;

	cr_assert_eq(unlink(path), 0);
	fd = occupy_path(false);
	cr_expect_not(listener_matches(listener, &at_path, &two_threads));
	listener_unref(listener);
	cr_expect_neq(mode_of_path(), 0);
	close(fd);
}

/* ---- Inherited sockets ---- */

Test(listener, adopts_a_listening_socket)
{
	struct config_accept accept = accept_line("127.0.0.1:0");
	int fd = occupy(&accept);
	struct listener *listener;

	fcntl(fd, F_SETFD, 0);
	listener = listener_adopt(fd, NULL);
	cr_assert_not_null(listener);
	cr_expect(listener_is_inherited(listener));
	cr_expect_eq(listener_fd(listener, 1), fd);
	cr_expect(addr_equal(listener_address(listener), &accept.addr));
	cr_expect(listener_matches(listener, &accept, &two_threads));
	cr_expect(fcntl(fd, F_GETFL) & O_NONBLOCK);
	cr_expect(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	listener_unref(listener);
	cr_expect_eq(fcntl(fd, F_GETFD), -1);
}

enum kind { KIND_FILE, KIND_DATAGRAM, KIND_SILENT };

static int
make_unfit(enum kind kind)
{
	if (kind == KIND_FILE)
		return open("/dev/null", O_RDONLY | O_CLOEXEC);
	return socket(AF_INET,
	    (kind == KIND_SILENT ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
}

static const struct adopt_row {
	const char *what;
	enum kind kind;
	const char *sentence;
} adopt_rows[] = {
	{ "a file", KIND_FILE, "is no socket" },
	{ "a datagram socket", KIND_DATAGRAM, "not a listening stream" },
	{ "a socket that does not listen", KIND_SILENT,
	    "not a listening stream" },
};

Test(listener, refuses_to_adopt_what_cannot_accept)
{
	for (size_t i = 0; i < ARRAY_LEN(adopt_rows); i++) {
		const struct adopt_row *row = &adopt_rows[i];
		int fd = make_unfit(row->kind);
		struct err err = { "" };

		cr_assert_geq(fd, 0);
		cr_expect_null(listener_adopt(fd, &err), "%s", row->what);
		cr_expect_not_null(strstr(err.text, row->sentence), "%s: %s",
		    row->what, err.text);
		cr_expect_eq(
		    fcntl(fd, F_GETFD), -1, "%s: left open", row->what);
	}
}

/* ---- options of TCP sockets ---- */

static const struct keepalive_row {
	const char *what;
	uint32_t keepalive_ms;
	int idle_s; /* 0: no probes */
} keepalive_rows[] = {
	{ "a minute", 60000, 60 },
	{ "rounded up", 1500, 2 },
	{ "off", 0, 0 },
	{ "never less than a second", 1, 1 },
	{ "never more than the kernel's maximum", UINT32_MAX, 32767 },
};

Test(socket, probes_a_silent_peer_at_the_configured_time)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	for (size_t i = 0; i < ARRAY_LEN(keepalive_rows); i++) {
		const struct keepalive_row *row = &keepalive_rows[i];

		socket_set_keepalive(fd, row->keepalive_ms);
		cr_expect_eq(option(fd, SOL_SOCKET, SO_KEEPALIVE) != 0,
		    row->idle_s > 0, "%s", row->what);
		if (row->idle_s > 0)
			cr_expect_eq(option(fd, IPPROTO_TCP, TCP_KEEPIDLE),
			    row->idle_s, "%s", row->what);
	}
	close(fd);
}

Test(socket, sends_small_pieces_at_once)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_expect_not(option(fd, IPPROTO_TCP, TCP_NODELAY));
	socket_set_nodelay(fd);
	cr_expect(option(fd, IPPROTO_TCP, TCP_NODELAY));
	close(fd);
}
