/*
 * The process of the opener, with requests as a process sends them that has been
 * taken over: wrong sizes, kinds, paths and addresses, links and folders that
 * the user exchanges.  The opener runs in a child; the user is one that owns
 * nothing here unless the test gives it away, which needs root.
 */
#include "opener/opener_process.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"
#include "base/packet.h"
#include "config/config.h"
#include "opener/covered.h"
#include "opener/opener_message.h"
#include "tests/support/pki.h"

#define USER 65534

static struct pki_folder home;
static struct covered *covered;
static struct opener_user user = { .uid = USER, .gid = USER };
static int peer = -1; /* the main process's end */
static pid_t child;

static char *
in_home(const char *name)
{
	static char texts[64][PATH_MAX];
	static unsigned next;
	char *text = texts[next++ % 64];

	snprintf(text, PATH_MAX, "%s%s%s", home.path, name[0] ? "/" : "", name);
	return text;
}

static void
put(const char *name)
{
	int fd = open(in_home(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	cr_assert(fd >= 0, "%s: %s", name, strerror(errno));
	cr_assert_eq(write(fd, name, strlen(name)), (ssize_t)strlen(name));
	close(fd);
}

static const struct config *
configure(void)
{
	struct config_errors errors;
	const struct config *config;
	char text[4096];

	snprintf(text, sizeof(text),
	    "[log]\noutput = %s\n[listener web]\naccept = 127.0.0.1:0\n"
	    "accept = unix:%s\nconnect = 127.0.0.1:9\ncert = %s\nkey = %s\n"
	    "[listener many]\naccept = 127.0.0.1:0\nconnect = 127.0.0.1:9\n"
	    "cert_dir = %s\n",
	    in_home("log/clinch.log"), in_home("socket"), in_home("a.pem"),
	    in_home("way/a.key"), in_home("certs/"));
	config = config_parse("test.ini", text, strlen(text), &errors);
	cr_assert(config, "%s", errors.list.count ? errors.list.items[0] : "");
	return config;
}

static pid_t
spawn_sleeper(void *arg, int fd, struct err *err)
{
	pid_t pid;
	char byte;

	if (arg != NULL) {
		err_set(err, "cannot be started");
		return -1;
	}
	pid = fork();
	if (pid == 0) {
		(void)!read(fd, &byte, 1);
		_exit(7);
	}
	return pid;
}

static void
serve_in_child(void *arg)
{
	const struct opener_setup setup = { .covered = covered,
		.user = &user,
		.spawn = spawn_sleeper,
		.arg = arg };
	int pair[2];

	cr_assert_eq(
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	child = fork();
	if (child == 0) {
		close(pair[0]);
		opener_serve(pair[1], &setup);
		_exit(0);
	}
	close(pair[1]);
	peer = pair[0];
}

static void
set_up(void)
{
	static const char *const folders[] = { "log", "way", "certs",
		"certs/site", "certs/site/deep", "other" };
	const struct config *config;

	pki_folder_make(&home);
	for (size_t i = 0; i < ARRAY_LEN(folders); i++)
		cr_assert_eq(mkdir(in_home(folders[i]), 0755), 0);
	put("a.pem"), put("way/a.key"), put("certs/b.pem");
	put("certs/site/privkey.pem"), put("certs/site/deep/c.pem");
	put("other/secret");
	config = configure();
	covered = covered_new(config);
	cr_assert(covered);
	config_unref(config);
	serve_in_child(NULL);
}

static void
tear_down(void)
{
	char command[PATH_MAX + 16];
	int status;

	close(peer);
	cr_expect_eq(waitpid(child, &status, 0), child);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0,
	    "the opener did not end in order: %x", (unsigned)status);
	covered_free(covered);
	snprintf(command, sizeof(command), "rm -rf %s", home.path);
	cr_expect_eq(system(command), 0);
}

TestSuite(opener, .init = set_up, .fini = tear_down);

/* The reply; a descriptor in it is closed, *got: was there one? */
static struct opener_reply
send_bytes(const void *bytes, size_t size, int with, bool *got)
{
	struct opener_reply reply;
	ssize_t length;
	int fd;

	cr_assert(opener_send(peer, bytes, size, with), "%s", strerror(errno));
	length = opener_receive(peer, &reply, sizeof(reply), &fd);
	cr_assert_eq(length, (ssize_t)sizeof(reply));
	if (fd >= 0)
		close(fd);
	*got = fd >= 0;
	return reply;
}

static struct opener_reply
request_path(enum opener_kind kind, const char *path, bool *got)
{
	struct opener_request request;

	memset(&request, 0, sizeof(request));
	request.kind = kind;
	snprintf(request.path, sizeof(request.path), "%s", path);
	return send_bytes(&request, sizeof(request), -1, got);
}

static void
expect_refusal(
    enum opener_kind kind, const char *path, enum opener_refusal refusal)
{
	bool got;
	struct opener_reply reply = request_path(kind, path, &got);

	cr_expect(!got && reply.errnum == EACCES && reply.refusal == refusal,
	    "kind %d, %s: errno %d, refusal %u, descriptor %d", kind, path,
	    reply.errnum, reply.refusal, got);
}

static void
expect_open(enum opener_kind kind, const char *path)
{
	bool got;
	struct opener_reply reply = request_path(kind, path, &got);

	cr_expect(got && reply.errnum == 0, "kind %d, %s: errno %d, refusal %u",
	    kind, path, reply.errnum, reply.refusal);
}

Test(opener, opens_what_the_configuration_names)
{
	bool got;
	struct opener_reply reply;

	expect_open(OPENER_FILE, in_home("a.pem"));
	expect_open(OPENER_FILE, in_home("way/a.key"));
	expect_open(OPENER_FILE, in_home("certs/b.pem"));
	expect_open(OPENER_FILE, in_home("certs//b.pem"));
	expect_open(OPENER_FILE, in_home("certs/site/privkey.pem"));
	expect_open(OPENER_FOLDER, in_home("certs/"));
	expect_open(OPENER_FOLDER, in_home("certs/site"));
	reply = request_path(OPENER_STAT, in_home("a.pem"), &got);
	cr_expect(!got && reply.errnum == 0 && S_ISREG(reply.status.st_mode) &&
		  reply.status.st_size == (off_t)strlen("a.pem"));
	reply = request_path(OPENER_STAT, in_home("certs/none.pem"), &got);
	cr_expect_eq(reply.errnum, ENOENT);
}

Test(opener, refuses_every_other_path)
{
	static const char *const names[] = { "other/secret", "a.pem.x", "a.pe",
		"./a.pem", "other/../a.pem", "certs/../other/secret",
		"certs/./b.pem", "certs/site/../b.pem", "certs/site/deep/c.pem",
		"certsb.pem", "certs", "log/clinch.log", "log/clinch.log.1",
		"socket" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		expect_refusal(
		    OPENER_FILE, in_home(names[i]), REFUSAL_NOT_COVERED);
	expect_refusal(OPENER_FILE, "/etc/shadow", REFUSAL_NOT_COVERED);
	expect_refusal(OPENER_FILE, "", REFUSAL_NOT_COVERED);
	expect_refusal(OPENER_STAT, "/etc/shadow", REFUSAL_NOT_COVERED);
	expect_refusal(OPENER_LSTAT, in_home("other"), REFUSAL_NOT_COVERED);
	expect_refusal(OPENER_FOLDER, in_home(""), REFUSAL_NOT_COVERED);
	expect_refusal(OPENER_FOLDER, in_home("other"), REFUSAL_NOT_COVERED);
	expect_refusal(
	    OPENER_FOLDER, in_home("certs/site/deep"), REFUSAL_NOT_COVERED);
	expect_refusal(OPENER_LOG, in_home("a.pem"), REFUSAL_NOT_COVERED);
	expect_refusal(OPENER_LOG, "/etc/passwd", REFUSAL_NOT_COVERED);
}

Test(opener, refuses_malformed_requests)
{
	struct opener_request request;
	char big[sizeof(request) + 1];
	struct opener_reply reply;
	bool got;

	memset(big, 0, sizeof(big));
	memset(&request, 0, sizeof(request));
	request.kind = OPENER_FILE;
	snprintf(request.path, sizeof(request.path), "%s", in_home("a.pem"));
	memcpy(big, &request, sizeof(request));
	for (size_t i = 0; i < 4; i++) {
		const size_t sizes[] = { 1, sizeof(request) / 2,
			sizeof(request) - 1, sizeof(big) };

		reply = send_bytes(big, sizes[i], -1, &got);
		cr_expect(!got && reply.refusal == REFUSAL_REQUEST, "%zu bytes",
		    sizes[i]);
	}
	/* A path without an end. */
	memset(request.path, '/', sizeof(request.path));
	reply = send_bytes(&request, sizeof(request), -1, &got);
	cr_expect(!got && reply.refusal == REFUSAL_REQUEST);
	for (unsigned kind = 0; kind < 40; kind += kind == 0 ? 9 : 1) {
		reply = request_path(
		    (enum opener_kind)kind, in_home("a.pem"), &got);
		cr_expect(
		    !got && reply.refusal == REFUSAL_REQUEST, "kind %u", kind);
	}
	reply = request_path((enum opener_kind)UINT32_MAX, "", &got);
	cr_expect(!got && reply.refusal == REFUSAL_REQUEST);
	expect_open(OPENER_FILE, in_home("a.pem"));
}

/* A descriptor that no kind takes must not stay open in the opener. */
Test(opener, closes_descriptors_it_is_sent)
{
	struct opener_request request;
	int ends[2];
	char byte;
	bool got;

	memset(&request, 0, sizeof(request));
	request.kind = OPENER_STAT;
	cr_assert_eq(pipe(ends), 0);
	(void)send_bytes(&request, sizeof(request), ends[1], &got);
	(void)send_bytes(&request, sizeof(request) / 2, ends[1], &got);
	close(ends[1]);
	/* The reply to a third request: both have been closed by then. */
	(void)send_bytes(&request, sizeof(request), -1, &got);
	cr_expect_eq(read(ends[0], &byte, 1), 0);
	close(ends[0]);
}

/* A request has one at most: what else is sent with it is closed, too. */
Test(opener, closes_a_second_descriptor)
{
	struct opener_request request = { .kind = OPENER_STAT };
	struct opener_reply reply;
	struct packet packet = { .bytes = &request, .len = sizeof(request) };
	int ends[2], fds[2], fd;
	char byte;
	bool got;

	cr_assert_eq(pipe2(ends, O_NONBLOCK), 0);
	fds[0] = fds[1] = ends[1];
	packet.fds = fds;
	packet.fd_count = 2;
	cr_assert(packet_send(peer, &packet));
	cr_assert_gt(opener_receive(peer, &reply, sizeof(reply), &fd), 0);
	cr_expect_eq(fd, -1);
	close(ends[1]);
	(void)send_bytes(&request, sizeof(request), -1, &got);
	cr_expect_eq(read(ends[0], &byte, 1), 0, "%s", strerror(errno));
	close(ends[0]);
}

Test(opener, refuses_what_is_no_regular_file)
{
	cr_assert_eq(unlink(in_home("a.pem")), 0);
	cr_assert_eq(mkfifo(in_home("a.pem"), 0600), 0);
	expect_refusal(OPENER_FILE, in_home("a.pem"), REFUSAL_FILE_KIND);
	cr_assert_eq(unlink(in_home("a.pem")), 0);
	cr_assert_eq(symlink("/dev/zero", in_home("a.pem")), 0);
	expect_refusal(OPENER_FILE, in_home("a.pem"), REFUSAL_FILE_KIND);
	expect_refusal(OPENER_FILE, in_home("certs/site"), REFUSAL_FILE_KIND);
}

Test(opener, follows_links_in_folders_of_others)
{
	cr_assert_eq(unlink(in_home("a.pem")), 0);
	cr_assert_eq(symlink("other/../certs/b.pem", in_home("a.pem")), 0);
	expect_open(OPENER_FILE, in_home("a.pem"));
	cr_assert_eq(unlink(in_home("certs/b.pem")), 0);
	cr_assert_eq(
	    symlink(in_home("certs/b.pem"), in_home("certs/b.pem")), 0);
	{
		bool got;
		struct opener_reply reply = request_path(
		    OPENER_FILE, in_home("certs/b.pem"), &got);

		cr_expect(!got && reply.errnum == ELOOP);
	}
}

Test(opener, refuses_folders_that_the_user_can_change)
{
	const char *key = in_home("way/a.key");

	cr_assert_eq(chmod(in_home("way"), 0757), 0);
	expect_refusal(OPENER_FILE, key, REFUSAL_CHANGEABLE);
	expect_refusal(OPENER_STAT, key, REFUSAL_CHANGEABLE);
	cr_assert_eq(chmod(in_home("way"), 0775), 0);
	expect_open(OPENER_FILE, key); /* the group is not the user's */
	/* With the sticky bit, hard links of files can still be added. */
	cr_assert_eq(chmod(in_home("way"), 01777), 0);
	expect_refusal(OPENER_FILE, key, REFUSAL_CHANGEABLE);
	if (geteuid() != 0)
		return;
	cr_assert_eq(chmod(in_home("way"), 0775), 0);
	cr_assert_eq(chown(in_home("way"), 0, USER), 0);
	expect_refusal(OPENER_FILE, key, REFUSAL_CHANGEABLE);
	cr_assert_eq(chmod(in_home("way"), 0755), 0);
	expect_open(OPENER_FILE, key);
	cr_assert_eq(chown(in_home("way"), USER, 0), 0);
	expect_refusal(OPENER_FILE, key, REFUSAL_CHANGEABLE);
	/* Also on the way of a link. */
	cr_assert_eq(unlink(in_home("a.pem")), 0);
	cr_assert_eq(symlink("way/../certs/b.pem", in_home("a.pem")), 0);
	expect_refusal(OPENER_FILE, in_home("a.pem"), REFUSAL_CHANGEABLE);
}

Test(opener, log_is_a_regular_file_with_one_name)
{
	const char *path = in_home("log/clinch.log");
	struct stat status;

	if (geteuid() != 0)
		return; /* the owner is set */
	expect_open(OPENER_LOG, path);
	cr_assert_eq(stat(path, &status), 0);
	cr_expect(status.st_uid == USER && status.st_gid == USER &&
		  (status.st_mode & 0777) == 0640);
	cr_assert_eq(link(in_home("other/secret"), in_home("log/x")), 0);
	cr_assert_eq(rename(in_home("log/x"), path), 0);
	expect_refusal(OPENER_LOG, path, REFUSAL_FILE_KIND);
	cr_assert_eq(unlink(path), 0);
	cr_assert_eq(symlink(in_home("other/secret"), path), 0);
	expect_refusal(OPENER_LOG, path, REFUSAL_FILE_KIND);
	cr_assert_eq(unlink(path), 0);
	cr_assert_eq(mkfifo(path, 0600), 0);
	expect_refusal(OPENER_LOG, path, REFUSAL_FILE_KIND);
	cr_assert_eq(unlink(path), 0);
	/* Not even the folder may be a link by now. */
	cr_assert_eq(rename(in_home("log"), in_home("moved")), 0);
	cr_assert_eq(symlink("moved", in_home("log")), 0);
	expect_refusal(OPENER_LOG, path, REFUSAL_FILE_KIND);
	cr_assert_eq(stat(in_home("other/secret"), &status), 0);
	cr_expect_eq(status.st_uid, 0);
}

static struct opener_reply
request_socket(enum opener_kind kind, const struct addr *addr, unsigned mode,
    const char *device, bool *got)
{
	struct opener_request request;

	memset(&request, 0, sizeof(request));
	request.kind = kind;
	request.addr = *addr;
	request.mode = mode;
	memcpy(request.options.device, device, sizeof(request.options.device));
	return send_bytes(&request, sizeof(request), -1, got);
}

Test(opener, binds_tcp_sockets_alone)
{
	char none[IFNAMSIZ] = "", endless[IFNAMSIZ];
	struct opener_reply reply;
	struct addr addr, good;
	bool got;

	memset(endless, 'x', sizeof(endless));
	cr_assert(addr_parse(&good, NULL, "127.0.0.1:0", NULL));
	reply = request_socket(OPENER_TCP_SOCKET, &good, 0, none, &got);
	cr_expect(got && reply.errnum == 0);
	reply = request_socket(OPENER_TCP_SOCKET, &good, 0, endless, &got);
	cr_expect(!got && reply.refusal == REFUSAL_REQUEST);
	addr = good;
	addr.len = sizeof(addr.in6);
	reply = request_socket(OPENER_TCP_SOCKET, &addr, 0, none, &got);
	cr_expect(!got && reply.refusal == REFUSAL_REQUEST);
	addr.len = UINT32_MAX;
	reply = request_socket(OPENER_TCP_SOCKET, &addr, 0, none, &got);
	cr_expect(!got && reply.refusal == REFUSAL_REQUEST);
	addr = good;
	addr.sa.sa_family = AF_PACKET;
	reply = request_socket(OPENER_TCP_SOCKET, &addr, 0, none, &got);
	cr_expect(!got && reply.refusal == REFUSAL_REQUEST);
}

Test(opener, binds_unix_sockets_of_the_configuration)
{
	char none[IFNAMSIZ] = "", text[PATH_MAX];
	struct opener_reply reply;
	struct addr addr, other;
	struct stat status;
	bool got;

	snprintf(text, sizeof(text), "unix:%s", in_home("socket"));
	cr_assert(addr_parse(&addr, NULL, text, NULL));
	snprintf(text, sizeof(text), "unix:%s", in_home("other/socket"));
	cr_assert(addr_parse(&other, NULL, text, NULL));
	reply = request_socket(OPENER_UNIX_SOCKET, &other, 0600, none, &got);
	cr_expect(!got && reply.refusal == REFUSAL_NOT_COVERED);
	reply = request_socket(OPENER_UNIX_SOCKET, &addr, 04755, none, &got);
	cr_expect(!got && reply.refusal == REFUSAL_REQUEST);
	if (geteuid() != 0)
		return; /* the owner is set */
	/* Twice: the second time over the file of the first. */
	for (int i = 0; i < 2; i++) {
		reply = request_socket(
		    OPENER_UNIX_SOCKET, &addr, 0640, none, &got);
		cr_expect(
		    got && reply.errnum == 0, "%s", strerror(reply.errnum));
		cr_assert_eq(lstat(in_home("socket"), &status), 0);
		cr_expect(
		    status.st_uid == USER && (status.st_mode & 0777) == 0640);
	}
	cr_assert_eq(unlink(in_home("socket")), 0);
	put("socket");
	reply = request_socket(OPENER_UNIX_SOCKET, &addr, 0640, none, &got);
	cr_expect(!got && reply.errnum == EADDRINUSE);
	cr_expect_eq(access(in_home("socket"), F_OK), 0);
}

Test(opener, started_process_is_a_child_of_the_sender)
{
	struct opener_request request;
	struct opener_reply reply;
	int ends[2], status;
	bool got;

	memset(&request, 0, sizeof(request));
	request.kind = OPENER_SPAWN;
	reply = send_bytes(&request, sizeof(request), -1, &got);
	cr_expect_eq(reply.refusal, REFUSAL_REQUEST); /* no descriptor */
	cr_assert_eq(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	reply = send_bytes(&request, sizeof(request), ends[0], &got);
	cr_assert(reply.errnum == 0 && reply.pid > 0);
	close(ends[0]), close(ends[1]);
	cr_expect_eq(waitpid((pid_t)reply.pid, &status, 0), reply.pid);
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	/* And a failure with its reason. */
	close(peer);
	cr_assert_eq(waitpid(child, &status, 0), child);
	serve_in_child(&user);
	reply = send_bytes(&request, sizeof(request), peer, &got);
	cr_expect(
	    reply.errnum != 0 && strcmp(reply.text, "cannot be started") == 0,
	    "%s", reply.text);
}

/* In a process of its own, which becomes the user: 0, or the line of what is
 * wrong.  opener_start() comes first, as in the main process. */
static int
use_client(const struct config *config)
{
	struct err err = { "" };
	struct opener *opener;
	struct stat status;

	opener = opener_start(config, &user, NULL, NULL, &err);
	if (opener == NULL || setresuid(USER, USER, USER) != 0)
		return __LINE__;
	if (!file_is_readable(in_home("a.pem")))
		return __LINE__;
	if (file_is_readable(in_home("other/secret")) || errno != EACCES)
		return __LINE__;
	err_set(&err, "x");
	file_explain(&err);
	if (strstr(err.text, "does not name it") == NULL)
		return __LINE__;
	if (opener_spawn(opener, peer, &err) != -1)
		return __LINE__;
	opener_set_gone(opener);
	if (file_is_readable(in_home("a.pem")) || errno != EACCES)
		return __LINE__;
	if (file_stat(in_home("a.pem"), &status) != 0)
		return __LINE__;
	opener_free(opener);
	/* Its process ends by the end of the socket. */
	return wait(NULL) > 0 ? 0 : __LINE__;
}

Test(opener, client_explains_refusals)
{
	const struct config *config = configure();
	int status;
	pid_t pid;

	if (geteuid() == 0) { /* only a user without rights needs it */
		cr_assert_eq(chmod(home.path, 0711), 0);
		pid = fork();
		if (pid == 0) {
			status = use_client(config);
			fprintf(stderr, "line %d\n", status);
			_exit(status != 0);
		}
		cr_assert_eq(waitpid(pid, &status, 0), pid);
		cr_expect_eq(status, 0, "see the line above");
	}
	config_unref(config);
}
